"""Compute errors of models that are fitted to pools of synthetic and of new original rows.

Generation g adds m_g rows of model g - 1 and n_g original rows to the pool, and model g is fitted
to all of it; D_0 is m_0 + n_0 original rows. Errors have the unit of the truth's variance:
p (1 - p) for the frequency p of a state, and sigma_0^2 for the mean of a normal law.

Source: arXiv 2602.16065, for the exponent.
"""

import numpy as np

from collapse_jax.theory.checks import (
    Share,
    Sizes,
    bias_of,
    made_and_original,
    probabilities_of,
    sizes_of,
)
from collapse_jax.theory.gaussian import divisor_of
from collapse_jax.theory.gaussian_accumulation import MomentErrors


def pooled_error(num_samples: Sizes, num_original: Sizes | int = 0) -> np.ndarray:
    """Return V_g = E (p_g - p_0)^2, or E (mu_g - mu_0)^2 of normal models fitted by the MLE.

    With N rows in the pool, and m and n added: V' = [((N + m)^2 - m) V + m + n] / (N + m + n)^2;
    V_0 = 1 / (m_0 + n_0). E sigma_g^2 = 1 - V_g, and E H_g = (1 - V_g) H_0 for H = 1 - sum p^2.

    Source: variance of a pooled mean, given the model that the synthetic rows are drawn from.

    Args:
      num_samples: m_0 .. m_G, [generation], rows of the model, at least 1.
      num_original: n, new original rows, one number or n_0 .. n_G, at least 0.

    Returns:
      [G + 1] float64, expected squared error in units of the truth's variance.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import pools
    >>> pools.pooled_error([15] * 21, 5)[[0, 1, 5, 20]].round(4).tolist()
    [0.05, 0.0503, 0.0403, 0.0258]
    """
    made, original = made_and_original(num_samples, num_original)
    size, error = made[0] + original[0], 1 / (made[0] + original[0])
    errors = [error]
    for new, real in zip(made[1:].tolist(), original[1:].tolist(), strict=True):
        total = size + new + real
        error = (((size + new) ** 2 - new) * error + new + real) / total**2
        size = total
        errors.append(error)
    return np.array(errors)


def pooled_moments(
    num_samples: Sizes,
    num_original: Sizes | int,
    estimator: str,
    sampling_bias: float = 1.0,
) -> MomentErrors:
    """Return E sigma_g^2 and E (mu_g - mu_0)^2 of normal models fitted to the pool.

    With Q the expected mean square of pooled rows about mu_0, V the error of the mean, v = E
    sigma^2 = c (Q - V), c = 1 (MLE) or N / (N - 1), and T = N + m + n: V' = [(N + m)^2 V +
    m lambda v + n] / T^2 and Q' = [N Q + m (lambda v + V) + n] / T. For the MLE with lambda = 1
    Q is 1, and V is `pooled_error`.

    Source: the law of total variance, given the model that the synthetic rows are drawn from.

    Args:
      num_samples: m_0 .. m_G, [generation], rows of the model, at least 1.
      num_original: n, new original rows, one number or n_0 .. n_G, at least 0.
      estimator: "unbiased" (divisor N - 1) or "mle" (divisor N).
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      `MomentErrors`, [G + 1] float64 each, in units of sigma_0^2.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import pools
    >>> moments = pools.pooled_moments([15] * 21, 5, "mle")
    >>> moments.squared_error[[0, 1, -1]].round(4).tolist()
    [0.05, 0.0503, 0.0258]
    >>> (moments.variance + moments.squared_error)[-1].round(12).tolist()
    1.0
    """
    made, original = made_and_original(num_samples, num_original)
    bias = bias_of(sampling_bias)
    totals = np.cumsum(made + original)
    sizes_of(totals, 2)
    corrections = (totals / divisor_of(totals, estimator)).tolist()
    size, square, error = totals[0], 1.0, 1 / totals[0]
    variances, errors = [corrections[0] * (square - error)], [error]
    rows = zip(made[1:].tolist(), original[1:].tolist(), corrections[1:], strict=True)
    for new, real, correction in rows:
        total, spread = size + new + real, bias * variances[-1]
        square = (size * square + new * (spread + error) + real) / total
        error = ((size + new) ** 2 * error + new * spread + real) / total**2
        size = total
        variances.append(correction * (square - error))
        errors.append(error)
    return MomentErrors(np.array(variances), np.array(errors))


def error_exponent(original_share: Share) -> np.ndarray:
    """Return a = min(1/2, share): the root mean square error of large pools falls as N^-a.

    From a share of one half on, the error falls as that of original rows alone.

    Source: arXiv 2602.16065.

    Args:
      original_share: share of original rows among those that a generation adds, of any shape, in
        [0, 1], dimensionless.

    Returns:
      float64 of the shape of `original_share`, dimensionless.

    Raises:
      ValueError: if a share is outside [0, 1].

    >>> from collapse_jax.theory import pools
    >>> pools.error_exponent([0.0, 0.25, 0.9]).tolist()
    [0.0, 0.25, 0.5]
    """
    return np.minimum(0.5, probabilities_of("original_share", original_share))


def worth_in_original_rows(num_samples: Sizes, num_original: Sizes | int = 0) -> np.ndarray:
    """Return 1 / V_g, the number of original rows that a sample as good as the pool has.

    Args:
      num_samples: m_0 .. m_G, [generation], rows of the model, at least 1.
      num_original: n, new original rows, one number or n_0 .. n_G, at least 0.

    Returns:
      [G + 1] float64, original rows.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import pools
    >>> pools.worth_in_original_rows([10] * 101, 10)[[0, 100]].round(1).tolist()  # of 20, 2020
    [20.0, 362.3]
    """
    return 1 / pooled_error(num_samples, num_original)

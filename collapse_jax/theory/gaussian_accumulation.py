"""Compute exact moments of Gaussian chains that accumulate data or draw fresh data.

The truth is normal. Variances are relative to the truth's; results are for models 0 .. G, model g
is the result of n = g + 1 fits, and they hold on every axis in several dimensions. With the MLE and
without sampling bias E sigma^2 + E (mu - mu_0)^2 = 1 in each of these regimes.

Sources: Gerstgrasser et al., arXiv 2404.01413; Kazdan et al., arXiv 2410.16713, for
Accumulate; He et al., arXiv 2502.18049, for weighted fresh data.
"""

from typing import NamedTuple

import numpy as np

from collapse_jax.theory.checks import (
    Share,
    Sizes,
    allocation_of,
    bias_of,
    made_and_original,
    probabilities_of,
    share_of,
    sizes_of,
)
from collapse_jax.theory.gaussian import divisor_of
from collapse_jax.utils import check
from collapse_jax.utils.equal import different_fields, equal_fields


def accumulate_expected_variance(sizes: Sizes, estimator: str) -> np.ndarray:
    """Return E sigma_g^2 under Accumulate, generation i adding M_i rows, N_i = M_0 + .. + M_i.

    MLE: prod (1 - M_i / N_i^2); with one size M it tends to sin(pi/sqrt(M)) / (pi/sqrt(M)).
    Unbiased: prod over i >= 1 of 1 - M_i / (N_i (N_i - 1)). Both stay above 0.

    Source: Gerstgrasser et al., arXiv 2404.01413; Kazdan et al., arXiv 2410.16713.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).

    Returns:
      [G + 1] float64, expected variance in units of sigma_0^2.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian_accumulation as pooled
    >>> pooled.accumulate_expected_variance([100] * 10_000, "mle")[[0, 1, -1]].round(4).tolist()
    [0.99, 0.9875, 0.9836]
    """
    values = sizes_of(sizes, 2)
    pool = np.cumsum(values)
    divisor_of(values, estimator)
    if estimator == "mle":
        return np.cumprod(1 - values / pool**2)
    factors = 1 - values / (pool * (pool - 1))
    factors[0] = 1
    return np.cumprod(factors)


def accumulate_mean_squared_error(sizes: Sizes, estimator: str) -> np.ndarray:
    """Return E (mu_g - mu_0)^2 under Accumulate: sum_i E sigma_(i-1)^2 M_i / N_i^2, sigma_(-1) = 1.

    Source: Gerstgrasser et al., arXiv 2404.01413; Kazdan et al., arXiv 2410.16713.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).

    Returns:
      [G + 1] float64, expected squared error of the mean in units of sigma_0^2.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian_accumulation as pooled
    >>> pooled.accumulate_mean_squared_error([100] * 3, "mle").round(6).tolist()
    [0.01, 0.012475, 0.013572]
    """
    values = sizes_of(sizes, 2)
    before = np.concatenate([[1.0], accumulate_expected_variance(values, estimator)[:-1]])
    return np.cumsum(before * values / np.cumsum(values) ** 2)


class MomentErrors(NamedTuple):
    """Expected moments of models 0 .. G, in units of the truth's variance.

    Attributes:
      variance: [G + 1], E sigma_g^2.
      squared_error: [G + 1], E (mu_g - mu_0)^2.
    """

    variance: np.ndarray
    squared_error: np.ndarray

    __eq__ = equal_fields
    __ne__ = different_fields


def fresh_share_moments(
    sizes: Sizes,
    gamma: Share,
    estimator: str,
    allocation: str = "multinomial",
    sampling_bias: float = 1.0,
) -> MomentErrors:
    """Return moments where a share gamma of D_1 .. D_G is drawn from p_0 and pooled with the rest.

    With v = E sigma^2, V = E (mu - mu_0)^2 and s = gamma + (1-gamma) lambda v, the variance
    of a row about its own law's mean: V' = c V + s / M, c = E (share of the model's rows)^2,
    which is (1-gamma)^2 for exact counts and gamma (1-gamma) / M more row by row; and v' =
    (s + (1-gamma) V - V') times 1 (MLE) or M / (M - 1). Holds for Mixing with beta = 0 and
    original="distribution", and for Fresh, whose allocation is "fixed" with gamma = n_real /
    (n_real + n_syn). gamma = 0 is Replace.

    Source: the process is equation (1) of Shumailov et al., Nature 631 (2024), with beta = 0.

    Args:
      sizes: M_0 .. M_G, [generation], all rows of a corpus, at least 2.
      gamma: share of D_1 .. D_G drawn from p_0, one number or [G], in [0, 1], dimensionless.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      allocation: "multinomial", each row is original with probability gamma, or "fixed", exactly
        gamma M rows are.
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      `MomentErrors`, [G + 1] float64 each, in units of sigma_0^2.

    Raises:
      ValueError: if a size is below 2, a share is outside [0, 1] or the estimator has another name.

    >>> from collapse_jax.theory import gaussian_accumulation as pooled
    >>> moments = pooled.fresh_share_moments([100] * 1000, 0.1, "mle", "fixed")
    >>> moments.squared_error[[0, 1, -1]].round(4).tolist()
    [0.01, 0.018, 0.0503]
    >>> (moments.variance + moments.squared_error)[-1].round(12).tolist()
    1.0
    """
    values = sizes_of(sizes, 2)
    shares = share_of("gamma", gamma, len(values) - 1)
    corrections = values / divisor_of(values, estimator)
    allocation, bias = allocation_of(allocation), bias_of(sampling_bias)
    variances, errors = [(1 - 1 / values[0]) * corrections[0]], [1 / values[0]]
    for size, share, correction in zip(values[1:], shares, corrections[1:], strict=True):
        rows = share + _times((1 - share) * bias, variances[-1])
        squares = (1 - share) ** 2
        if allocation == "multinomial":
            squares += share * (1 - share) / size
        # s + (1 - gamma) V - V', without a difference of two large numbers
        spread = rows * (1 - 1 / size) + _times((1 - share) - squares, errors[-1])
        errors.append(_times(squares, errors[-1]) + rows / size)
        variances.append(_times(correction, spread))
    return MomentErrors(np.array(variances), np.array(errors))


def stationary_fresh_moments(
    num_samples: int,
    gamma: float,
    estimator: str,
    allocation: str = "multinomial",
    sampling_bias: float = 1.0,
) -> MomentErrors:
    """Return the limits of `fresh_share_moments` for infinitely many generations.

    With the MLE and exact counts E sigma^2 = 1 - 1 / (1 - gamma + gamma M (2 - gamma)), so the
    smallest share that keeps 1 - eps of the variance for ever is about (1 - eps) / (2 M eps).

    Source: the fixed point of the recursion of `fresh_share_moments`.

    Args:
      num_samples: M, rows of every corpus, at least 2.
      gamma: share of each corpus drawn from p_0, in (0, 1], dimensionless.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      allocation: "multinomial" or "fixed", see `fresh_share_moments`.
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      `MomentErrors` of two numbers, in units of sigma_0^2; infinite where variances grow for ever.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import gaussian_accumulation as pooled
    >>> variance, error = pooled.stationary_fresh_moments(100, 0.1, "mle", "fixed")
    >>> variance.round(4).item(), round(1 - 1 / (1 - 0.1 + 0.1 * 100 * (2 - 0.1)), 4)
    (0.9497, 0.9497)
    """
    size = check.integer("num_samples", num_samples, 2)
    share = check.number("gamma", gamma, 0, 1, "pass a share above 0", open_low=True)
    allocation, bias = allocation_of(allocation), bias_of(sampling_bias)
    correction = size / float(divisor_of(np.array([size]), estimator)[0])
    squares = (1 - share) ** 2
    if allocation == "multinomial":
        squares += share * (1 - share) / size
    error_of_rows = 1 / (size * (1 - squares))  # V over the variance of a row
    factor = correction * ((1 - 1 / size) + (1 - share - squares) * error_of_rows)
    lost = 1 - factor * (1 - share) * bias
    if lost <= 0:
        return MomentErrors(np.array(np.inf), np.array(np.inf))
    variance = factor * share / lost
    error = error_of_rows * (share + (1 - share) * bias * variance)
    return MomentErrors(np.array(variance), np.array(error))


def _times(factor: float, moment: float) -> float:
    """Return a product that may overflow to inf, and is 0 if the factor is."""
    with np.errstate(over="ignore"):
        return factor * moment if factor else 0.0


def weighted_fresh_error(
    weight: np.ndarray | float, num_samples: int, num_original: int, *, refit: bool
) -> np.ndarray:
    """Return the stationary E (mu - mu_0)^2 where new real rows have a total weight in the fit.

    mean = w * (mean of n_real real rows) + (1 - w) * (mean of n_syn rows of the previous model).
    With known variance V = (w^2 / n_real + (1-w)^2 / n_syn) / (1 - (1-w)^2), smallest at
    `best_fresh_weight`. With the variance fitted by weighted maximum likelihood
    E sigma^2 = 1 - V, so the divisor is 1 - (1-w)^2 (1 - 1 / n_syn).

    Source: He et al., arXiv 2502.18049.

    Args:
      weight: w, of any shape, in (0, 1], dimensionless.
      num_samples: n_syn, synthetic rows of every corpus, at least 1.
      num_original: n_real, new real rows of every corpus, at least 1.
      refit: whether the variance is fitted too; if not, it is known.

    Returns:
      float64 of the shape of `weight`, expected squared error in units of sigma_0^2.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import gaussian_accumulation as pooled
    >>> pooled.weighted_fresh_error([0.5, 0.618, 0.7], 200, 200, refit=False).round(6).tolist()
    [0.003333, 0.00309, 0.003187]
    """
    w = probabilities_of("weight", weight)
    if np.any(w == 0):
        raise check.fail("weight", w.tolist(), "it must lie in (0, 1]", "pass a positive weight")
    made, real = _made_and_real(num_samples, num_original)
    inherited = (1 - w) ** 2 * (1 - (1 / made if refit else 0))
    return (w**2 / real + (1 - w) ** 2 / made) / (1 - inherited)


def weighted_fresh_moments(
    num_samples: Sizes,
    num_original: Sizes | int,
    weight: float,
    estimator: str,
    sampling_bias: float = 1.0,
) -> MomentErrors:
    """Return moments where new real rows have a total weight w in the fits after the first.

    With v = E sigma^2 and V the error of the mean: V' = w^2 / n + (1-w)^2 (V + lambda v / m), and
    v' = w + (1-w) (lambda v + V) - V' times 1 (MLE) or M / (M - 1) for M = m + n rows (n for w =
    1). With the MLE and lambda = 1 V tends to `weighted_fresh_error`.

    Source: He et al., arXiv 2502.18049, with a fitted variance.

    Args:
      num_samples: m_0 .. m_G, [generation], synthetic rows, at least 1.
      num_original: n, new real rows, one number or n_0 .. n_G, at least 1 after D_0.
      weight: w, in (0, 1], dimensionless.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      `MomentErrors`, [G + 1] float64 each, in units of sigma_0^2.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import gaussian_accumulation as pooled
    >>> moments = pooled.weighted_fresh_moments([200] * 100, 200, 0.618, "mle")
    >>> moments.squared_error[[0, 1, -1]].round(6).tolist()
    [0.0025, 0.003002, 0.003088]
    """
    remedy = "pass a share of the weight"
    w = check.number("weight", weight, 0, 1, remedy, open_low=True)
    bias = bias_of(sampling_bias)
    made, real = made_and_original(num_samples, num_original)
    if np.any(real[1:] < 1):
        raise check.fail("num_original", real.tolist(), "it must be >= 1", "pass 1 row or more")
    totals = made + real
    present = np.concatenate([totals[:1], totals[1:] if w < 1 else real[1:]])
    corrections = present / divisor_of(sizes_of(present, 2), estimator)
    variances, errors = [(1 - 1 / totals[0]) * corrections[0]], [1 / totals[0]]
    for new, fresh, correction in zip(made[1:], real[1:], corrections[1:], strict=True):
        spread, error = bias * variances[-1], errors[-1]
        errors.append(w**2 / fresh + (1 - w) ** 2 * (error + spread / new))
        variances.append(correction * (w + (1 - w) * (spread + error) - errors[-1]))
    return MomentErrors(np.array(variances), np.array(errors))


def best_fresh_weight(num_samples: int, num_original: int, *, refit: bool = False) -> float:
    """Return the weight that minimizes `weighted_fresh_error`.

    With known variance (sqrt(r^2 + 4 r) - r) / 2, r = n_real / n_syn: 0.618 at r = 1. With a fitted
    one, 1 - w is the smaller root of a k u^2 - (a + b + a k) u + a, a = 1 / n_real, b = 1 / n_syn,
    k = 1 - b.

    Source: He et al., arXiv 2502.18049, for a known variance.

    Args:
      num_samples: n_syn, synthetic rows of every corpus, at least 1.
      num_original: n_real, new real rows of every corpus, at least 1.
      refit: whether the variance is fitted too; if not, it is known.

    Returns:
      Weight of the real rows in (0, 1), dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import gaussian_accumulation as pooled
    >>> round(pooled.best_fresh_weight(200, 200), 4)
    0.618
    >>> round(pooled.best_fresh_weight(2, 2, refit=True), 4)
    0.5616
    """
    made, real = _made_and_real(num_samples, num_original)
    if refit:
        a, b = 1 / real, 1 / made
        k = 1 - b
        half = (a + b + a * k) / 2
        return float(1 - a / (half + np.sqrt(half**2 - a**2 * k)))
    ratio = real / made
    return float((np.sqrt(ratio**2 + 4 * ratio) - ratio) / 2)


def _made_and_real(num_samples: int, num_original: int) -> tuple[int, int]:
    """Return the numbers of synthetic and of real rows, at least 1 each."""
    made = check.integer("num_samples", num_samples, 1)
    return made, check.integer("num_original", num_original, 1)

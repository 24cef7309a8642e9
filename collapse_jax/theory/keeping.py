"""Exact moments of Gaussian chains that keep or add data, with a normal truth.

Variances are relative to the truth's; results are for models 0 .. G, model g being the
result of n = g + 1 fits, and hold on every axis in several dimensions. With the MLE,
E sigma^2 + E (mu - mu_0)^2 = 1 in each of these regimes, so that one gives the other.

Sources: Gerstgrasser et al., arXiv 2404.01413; Kazdan et al., arXiv 2410.16713, for
Accumulate; He et al., arXiv 2502.18049, for weighted fresh data.
"""

from collections.abc import Sequence

import numpy as np

from collapse_jax.theory.checks import Sizes, share_of, sizes_of
from collapse_jax.theory.gaussian import divisor_of


def accumulate_expected_variance(sizes: Sizes, estimator: str) -> np.ndarray:
    """E sigma_g^2 under Accumulate, generation i adding M_i rows, N_i = M_0 + .. + M_i.

    MLE: prod (1 - M_i / N_i^2); with one size M it tends to sin(pi/sqrt(M)) / (pi/sqrt(M)).
    Unbiased: prod over i >= 1 of 1 - M_i / (N_i (N_i - 1)). Both stay above 0.
    """
    values = sizes_of(sizes, 2)
    pool = np.cumsum(values)
    if estimator == "mle":
        return np.cumprod(1 - values / pool**2)
    divisor_of(values, estimator)
    factors = 1 - values / (pool * (pool - 1))
    factors[0] = 1
    return np.cumprod(factors)


def accumulate_mean_squared_error(sizes: Sizes) -> np.ndarray:
    """E (mu_g - mu_0)^2 under Accumulate with the MLE."""
    return 1 - accumulate_expected_variance(sizes, "mle")


def mixing_mean_squared_error(
    sizes: Sizes, gamma: Sequence[float] | float, allocation: str = "multinomial"
) -> np.ndarray:
    """E (mu_g - mu_0)^2 with the MLE where a share gamma of D_1 .. D_G is drawn from p_0.

    V' = c V + (1-gamma) (1 - V) / M + gamma / M, c = E (share of the model's rows)^2, which
    is (1-gamma)^2 for exact counts and gamma (1-gamma) / M more row by row. Holds for
    Mixing with beta = 0 and original="distribution", and for Fresh, whose allocation is
    "fixed" with gamma = n_real / (n_real + n_syn).
    """
    values = sizes_of(sizes, 2)
    shares = share_of("gamma", gamma, len(values) - 1)
    errors = [1 / values[0]]
    for size, share in zip(values[1:], shares, strict=True):
        squares = (1 - share) ** 2
        if allocation == "multinomial":
            squares += share * (1 - share) / size
        rows = (share + (1 - share) * (1 - errors[-1])) / size
        errors.append(squares * errors[-1] + rows)
    return np.array(errors)


def weighted_fresh_error(
    weight: np.ndarray | float, num_samples: int, num_original: int, *, refit: bool
) -> np.ndarray:
    """The stationary E (mu - mu_0)^2 where new real rows have a total weight in the fit.

    mean = weight * (mean of num_original real rows) + (1 - weight) * (mean of num_samples
    rows of the last model). With known variance V = (w^2 / n_real + (1-w)^2 / n_syn) /
    (1 - (1-w)^2), smallest at `best_fresh_weight`. With the variance fitted by weighted
    maximum likelihood E sigma^2 = 1 - V, so that 1 - (1-w)^2 (1 - 1 / n_syn) is the divisor.
    """
    w = np.asarray(weight, np.float64)
    kept = (1 - w) ** 2 * (1 - (1 / num_samples if refit else 0))
    return (w**2 / num_original + (1 - w) ** 2 / num_samples) / (1 - kept)


def best_fresh_weight(num_samples: int, num_original: int) -> float:
    """(sqrt(r^2 + 4 r) - r) / 2 with r = n_real / n_syn: 0.618 at r = 1."""
    ratio = num_original / num_samples
    return float((np.sqrt(ratio**2 + 4 * ratio) - ratio) / 2)

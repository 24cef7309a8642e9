"""Exact moments of Gaussian chains with a normal truth.

`sizes` are M_0 .. M_G; results are for models 0 .. G. Model g is the result of n = g + 1
fits. Variances are relative to the truth's, sigma_0 = 1.

Sources: Shumailov et al., Nature 631 (2024), Theorem 3.1 and supplement, with the Author
Correction; Anderson, An Introduction to Multivariate Statistical Analysis, section 7.5;
Gerstgrasser et al., arXiv 2404.01413; Kazdan et al., arXiv 2410.16713.
"""

from collections.abc import Sequence

import numpy as np


def _sizes(sizes: Sequence[int] | np.ndarray, least: int = 2) -> np.ndarray:
    values = np.asarray(sizes, np.float64)
    if values.ndim != 1 or values.size == 0 or np.min(values) < least:
        raise ValueError(
            f"sizes={values.tolist()} is not allowed: it must be a sequence of numbers >= {least}; "
            "pass M_0 .. M_G"
        )
    return values


def _divisor(sizes: np.ndarray, estimator: str) -> np.ndarray:
    divisors = {"unbiased": sizes - 1, "mle": sizes}
    if estimator not in divisors:
        raise ValueError(
            f"estimator={estimator!r} is not allowed: it must be 'unbiased' or 'mle'; pass one"
        )
    return divisors[estimator]


def expected_log_variance(sizes: Sequence[int] | np.ndarray, estimator: str) -> np.ndarray:
    """E ln sigma_g^2 under Replace: sum_i psi((M_i - 1)/2) + ln 2 - ln(divisor_i)."""
    return expected_log_determinant(sizes, estimator, 1)


def variance_of_log_variance(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Var ln sigma_g^2 under Replace, both estimators: sum_i psi_1((M_i - 1)/2)."""
    return variance_of_log_determinant(sizes, 1)


def expected_log_determinant(
    sizes: Sequence[int] | np.ndarray, estimator: str, dim: int
) -> np.ndarray:
    """E ln det Sigma_g under Replace; -inf where M - 1 < dim."""
    from scipy import special

    values = _sizes(sizes)
    halves = (values[:, None] - 1 - np.arange(dim)) / 2
    singular = np.any(halves <= 0, axis=1)
    terms = special.digamma(np.where(halves > 0, halves, 1)) + np.log(2)
    step = np.sum(terms, axis=1) - dim * np.log(_divisor(values, estimator))
    return np.cumsum(np.where(singular, -np.inf, step))


def variance_of_log_determinant(sizes: Sequence[int] | np.ndarray, dim: int) -> np.ndarray:
    """Var ln det Sigma_g under Replace, both estimators; needs M - 1 >= dim."""
    from scipy import special

    values = _sizes(sizes, dim + 1)
    halves = (values[:, None] - 1 - np.arange(dim)) / 2
    return np.cumsum(np.sum(special.polygamma(1, halves), axis=1))


def expected_standard_deviation(sizes: Sequence[int] | np.ndarray, estimator: str) -> np.ndarray:
    """E sigma_g under Replace: prod sqrt(2 / divisor_i) Gamma(M_i/2) / Gamma((M_i - 1)/2)."""
    from scipy import special

    values = _sizes(sizes)
    logs = special.gammaln(values / 2) - special.gammaln((values - 1) / 2)
    return np.exp(np.cumsum(logs + 0.5 * np.log(2 / _divisor(values, estimator))))


def expected_variance(sizes: Sequence[int] | np.ndarray, estimator: str) -> np.ndarray:
    """E sigma_g^2 under Replace: 1 (unbiased) or prod (1 - 1/M_i) (MLE)."""
    values = _sizes(sizes)
    return np.cumprod((values - 1) / _divisor(values, estimator))


def mean_squared_error_of_mean(sizes: Sequence[int] | np.ndarray, estimator: str) -> np.ndarray:
    """E (mu_g - mu_0)^2 under Replace: sum_i E sigma_{i-1}^2 / M_i."""
    values = _sizes(sizes)
    before = np.concatenate([[1.0], expected_variance(values, estimator)[:-1]])
    return np.cumsum(before / values)


def expected_wasserstein2_squared(sizes: Sequence[int] | np.ndarray, estimator: str) -> np.ndarray:
    """E W2^2(model g, truth) in one dimension under Replace.

    E (mu - mu_0)^2 + E sigma^2 + 1 - 2 E sigma. Bounded under the MLE, which tends to 2;
    unbounded under the unbiased estimator unless sum 1/M_i is finite.
    """
    spread = expected_variance(sizes, estimator) + 1
    spread = spread - 2 * expected_standard_deviation(sizes, estimator)
    return mean_squared_error_of_mean(sizes, estimator) + spread


def accumulate_expected_variance(sizes: Sequence[int] | np.ndarray, estimator: str) -> np.ndarray:
    """E sigma_g^2 under Accumulate, N_i = M_0 + .. + M_i.

    MLE: prod (1 - M_i / N_i^2). Unbiased: prod over i >= 1 of 1 - M_i / (N_i (N_i - 1)),
    and 1 at i = 0. Both stay above 0: the chain does not collapse.
    """
    values = _sizes(sizes)
    pool = np.cumsum(values)
    if estimator == "mle":
        return np.cumprod(1 - values / pool**2)
    _divisor(values, estimator)
    # E of the pooled unbiased variance: the pooled scatter over N - 1.
    factors = 1 - values / (pool * (pool - 1))
    factors[0] = 1
    return np.cumprod(factors)


def accumulate_mean_squared_error(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """E (mu_g - mu_0)^2 under Accumulate with the MLE: 1 - E sigma_g^2."""
    return 1 - accumulate_expected_variance(sizes, "mle")


def biased_expected_variance(bias: float, num_generations: int) -> np.ndarray:
    """E sigma_g^2 under Replace (unbiased) from draws of N(mu, bias sigma^2): bias^g.

    D_0 is real, so generation 0 is without bias (Alemohammad et al., arXiv 2307.01850).
    """
    return float(bias) ** np.arange(num_generations + 1)


def biased_mean_squared_error(sizes: Sequence[int] | np.ndarray, bias: float) -> np.ndarray:
    """E (mu_g - mu_0)^2 under Replace (unbiased) with sampling bias: sum_i bias^i / M_i."""
    values = _sizes(sizes)
    return np.cumsum(biased_expected_variance(bias, len(values) - 1) / values)


def fresh_mean_squared_error(
    num_samples: int, num_original: int, num_generations: int
) -> np.ndarray:
    """E (mu_g - mu_0)^2 under Fresh with the MLE; E sigma_g^2 is 1 minus it.

    D_0 has N = n_syn + n_real rows, so V_0 = 1/N, and N^2 V' = n_syn^2 (V + (1 - V) / n_syn)
    + n_real, whose limit is N / (N^2 - n_syn (n_syn - 1)).
    """
    total = num_samples + num_original
    errors = [1 / total]
    for _ in range(num_generations):
        spread = errors[-1] + (1 - errors[-1]) / num_samples
        errors.append((num_samples**2 * spread + num_original) / total**2)
    return np.array(errors)


def weighted_fresh_error(
    weight: np.ndarray | float, num_samples: int, num_original: int, *, refit: bool
) -> np.ndarray:
    """The stationary E (mu - mu_0)^2 where new real rows have a total weight in the fit.

    mean = weight * (mean of num_original real rows) + (1 - weight) * (mean of num_samples
    rows of the last model). With known variance (He et al., arXiv 2502.18049)
    V = (w^2 / n_real + (1-w)^2 / n_syn) / (1 - (1-w)^2), smallest at `best_fresh_weight`.
    With the variance fitted by weighted maximum likelihood E sigma^2 = 1 - V, so that
    1 - (1-w)^2 (1 - 1 / n_syn) is the divisor.
    """
    w = np.asarray(weight, np.float64)
    kept = (1 - w) ** 2 * (1 - (1 / num_samples if refit else 0))
    return (w**2 / num_original + (1 - w) ** 2 / num_samples) / (1 - kept)


def best_fresh_weight(num_samples: int, num_original: int) -> float:
    """(sqrt(r^2 + 4 r) - r) / 2 with r = n_real / n_syn: 0.618 at r = 1 (He et al.)."""
    ratio = num_original / num_samples
    return float((np.sqrt(ratio**2 + 4 * ratio) - ratio) / 2)

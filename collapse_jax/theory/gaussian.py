"""Compute exact moments of Gaussian chains under Replace with a normal truth, in any dimension.

`sizes` are M_0 .. M_G; results are for models 0 .. G, and model g is the result of n = g + 1
fits. Variances are relative to the truth's, sigma_0 = 1; in several dimensions covariances are
relative to Sigma_0. With a sampling bias lambda, rows are drawn from N(mu, lambda Sigma). D_0 is
real, so generation g has had g biased draws.

A moment beyond 1.8e308, as a large sampling bias makes it, is inf.

The formulas hold for every M_i >= 2 (log determinants: M_i > dim) and every length of a run.
Do not compare E sigma^2 with an average over chains at large n: its relative variance,
`relative_variance_of_variance`, grows geometrically. Compare log moments instead.

Sources: Shumailov et al., Nature 631 (2024), Theorem 3.1 and supplement, with the Author
Correction; Anderson, An Introduction to Multivariate Statistical Analysis, section 7.5;
Alemohammad et al., arXiv 2307.01850, for the sampling bias.
"""

import numpy as np

from collapse_jax.theory.checks import Sizes, bias_of, numbers_of, sizes_of
from collapse_jax.utils import check

_FEW = 100  # from here on series of four terms are right to 1e-16 of their value


def divisor_of(sizes: Sizes, estimator: str) -> np.ndarray:
    """Return the divisor of sums of squares: M - 1 ("unbiased") or M ("mle").

    Args:
      sizes: M, of any shape, rows.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).

    Returns:
      Divisors of the shape of `sizes`, numbers of rows.

    Raises:
      ValueError: if the estimator has another name.

    >>> import numpy as np
    >>> from collapse_jax.theory import gaussian
    >>> gaussian.divisor_of(np.array([10.0, 20.0]), "unbiased").tolist()
    [9.0, 19.0]
    """
    values = numbers_of("sizes", sizes, "pass numbers of rows")
    is_unbiased = check.choice("estimator", estimator, ("unbiased", "mle")) == "unbiased"
    return values - 1 if is_unbiased else values


def _log_expected_standard_deviation(
    sizes: Sizes, estimator: str, sampling_bias: float
) -> np.ndarray:
    """Return ln E sigma_g, to rounding for every M."""
    values = sizes_of(sizes, 2)
    divisor = divisor_of(values, estimator)
    logs = _log_gamma_ratio(values - 1) + 0.5 * np.log1p((values - 1 - divisor) / divisor)
    return np.cumsum(logs) + 0.5 * _log_biases(values, sampling_bias)


def _log_gamma_ratio(dof: np.ndarray) -> np.ndarray:
    """Return ln[Gamma((n + 1)/2) / Gamma(n/2) sqrt(2/n)], the mean of a chi variable over sqrt n.

    The difference of two ln Gamma loses all digits for large n; its asymptotic series has none
    to lose.
    """
    from scipy import special

    few = np.minimum(dof, _FEW)
    exact = special.gammaln((few + 1) / 2) - special.gammaln(few / 2) + 0.5 * np.log(2 / few)
    inverse = 1 / np.maximum(dof, _FEW)
    square = inverse**2
    series = inverse * (-1 / 4 + square * (1 / 24 + square * (-1 / 20 + square * 17 / 112)))
    return np.where(dof < _FEW, exact, series)


def _digamma_minus_log(x: np.ndarray) -> np.ndarray:
    """Return psi(x) - ln x, by its asymptotic series for large x."""
    from scipy import special

    few = np.minimum(x, _FEW)
    exact = special.digamma(few) - np.log(few)
    inverse = 1 / np.maximum(x, _FEW)
    square = inverse**2
    series = -inverse / 2 - square * (1 / 12 - square * (1 / 120 - square * (1 / 252)))
    return np.where(x < _FEW, exact, series)


def _halves(sizes: np.ndarray, dim: int) -> np.ndarray:
    """Return (M - j) / 2, j = 1 .. dim: half the degrees of freedom of Bartlett's diagonal."""
    return (sizes[:, None] - 1 - np.arange(dim)) / 2


def _log_biases(sizes: np.ndarray, sampling_bias: float) -> np.ndarray:
    """Return g ln lambda, g = 0 .. G, nats."""
    bias = bias_of(sampling_bias)
    return np.arange(len(sizes)) * np.log(bias)


def expected_log_variance(sizes: Sizes, estimator: str, sampling_bias: float = 1.0) -> np.ndarray:
    """Return E ln sigma_g^2 = sum_i [psi((M_i - 1)/2) + ln 2 - ln(divisor_i)] + g ln lambda.

    Source: Shumailov et al., Nature 631 (2024), supplement; Alemohammad et al.,
    arXiv 2307.01850, for the sampling bias.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      [G + 1] float64, expected log of the variance relative to sigma_0^2, nats.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.expected_log_variance([100] * 3, "unbiased").round(5).tolist()
    [-0.01014, -0.02027, -0.03041]
    """
    return expected_log_determinant(sizes, estimator, 1, sampling_bias)


def variance_of_log_variance(sizes: Sizes) -> np.ndarray:
    """Return Var ln sigma_g^2 = sum_i psi_1((M_i - 1)/2).

    It is the same for both estimators and every sampling bias.

    Source: Anderson, An Introduction to Multivariate Statistical Analysis, section 7.5.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.

    Returns:
      [G + 1] float64, variance of a log variance, nats squared.

    Raises:
      ValueError: if a size is below 2.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.variance_of_log_variance([100] * 3).round(5).tolist()
    [0.02041, 0.04081, 0.06122]
    """
    return variance_of_log_determinant(sizes, 1)


def expected_log_determinant(
    sizes: Sizes, estimator: str, dim: int, sampling_bias: float = 1.0
) -> np.ndarray:
    """Return E ln(det Sigma_g / det Sigma_0); -inf as soon as a size M_i <= dim has occurred.

    It is sum_i [sum_j psi((M_i - j)/2) + d ln 2 - d ln(divisor_i)] + g d ln lambda, j = 1 .. d.

    Source: Anderson, An Introduction to Multivariate Statistical Analysis, section 7.5;
    Alemohammad et al., arXiv 2307.01850, for the sampling bias.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      dim: d, number of dimensions, at least 1.
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      [G + 1] float64, expected log of the determinant relative to det Sigma_0, nats.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.expected_log_determinant([10, 10, 3], "mle", dim=3).round(4).tolist()
    [-1.0802, -2.1603, -inf]
    """
    values = sizes_of(sizes, 2)
    divisor = divisor_of(values, estimator)[:, None]
    dim = check.integer("dim", dim, 1)
    halves = _halves(values, dim)
    singular = np.any(halves <= 0, axis=1)
    halves = np.where(halves > 0, halves, 1)
    # psi(x) - ln x + ln(2x / divisor), neither of which cancels for large M.
    terms = _digamma_minus_log(halves) + np.log1p((2 * halves - divisor) / divisor)
    biases = dim * _log_biases(values, sampling_bias)
    return np.cumsum(np.where(singular, -np.inf, np.sum(terms, axis=1))) + biases


def variance_of_log_determinant(sizes: Sizes, dim: int) -> np.ndarray:
    """Return Var ln det Sigma_g = sum_i sum_j psi_1((M_i - j)/2), j = 1 .. dim.

    It is the same for both estimators and every sampling bias.

    Source: Anderson, An Introduction to Multivariate Statistical Analysis, section 7.5.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least dim + 1.
      dim: number of dimensions, at least 1.

    Returns:
      [G + 1] float64, variance of a log determinant, nats squared.

    Raises:
      ValueError: if a size is `dim` or less.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.variance_of_log_determinant([10, 10], dim=3).round(4).tolist()
    [0.8629, 1.7258]
    """
    from scipy import special

    dim = check.integer("dim", dim, 1)
    halves = _halves(sizes_of(sizes, dim + 1), dim)
    return np.cumsum(np.sum(special.polygamma(1, halves), axis=1))


def expected_standard_deviation(
    sizes: Sizes, estimator: str, sampling_bias: float = 1.0
) -> np.ndarray:
    """Return E sigma_g.

    It is lambda^(g/2) prod_i sqrt(2 / divisor_i) Gamma(M_i/2) / Gamma((M_i - 1)/2).

    Source: Shumailov et al., Nature 631 (2024), supplement; Alemohammad et al.,
    arXiv 2307.01850, for the sampling bias.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      [G + 1] float64, expected standard deviation in units of sigma_0.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.expected_standard_deviation([2, 2], "mle").round(4).tolist()  # pi ** -0.5, ...
    [0.5642, 0.3183]
    """
    with np.errstate(over="ignore"):
        return np.exp(_log_expected_standard_deviation(sizes, estimator, sampling_bias))


def expected_variance(sizes: Sizes, estimator: str, sampling_bias: float = 1.0) -> np.ndarray:
    """Return E sigma_g^2 = lambda^g prod_i (M_i - 1) / divisor_i.

    In several dimensions it is the factor of Sigma_0 in E Sigma_g.

    Source: Shumailov et al., Nature 631 (2024), supplement; Alemohammad et al.,
    arXiv 2307.01850, for the sampling bias.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      [G + 1] float64, expected variance in units of sigma_0^2.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.expected_variance([10] * 3, "mle", sampling_bias=1.5).round(4).tolist()
    [0.9, 1.215, 1.6403]
    """
    values = sizes_of(sizes, 2)
    factors = np.cumprod((values - 1) / divisor_of(values, estimator))
    with np.errstate(over="ignore"):
        return factors * np.exp(_log_biases(values, sampling_bias))


def relative_variance_of_variance(sizes: Sizes) -> np.ndarray:
    """Return Var sigma_g^2 / (E sigma_g^2)^2 = prod_i (1 + 2/(M_i - 1)) - 1, for both estimators.

    Source: Anderson, An Introduction to Multivariate Statistical Analysis, section 7.5.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.

    Returns:
      [G + 1] float64, relative variance, dimensionless.

    Raises:
      ValueError: if a size is below 2.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.relative_variance_of_variance([101] * 3).round(6).tolist()
    [0.02, 0.0404, 0.061208]
    """
    return np.expm1(np.cumsum(np.log1p(2 / (sizes_of(sizes, 2) - 1))))


def mean_squared_error(sizes: Sizes, estimator: str, sampling_bias: float = 1.0) -> np.ndarray:
    """Return E (mu_g - mu_0)^2 on every axis: sum_i Var(a row of D_i) / M_i.

    Unbiased without sampling bias: sum 1/M_i. MLE without it: 1 - E sigma_g^2, which is bounded.

    Source: Shumailov et al., Nature 631 (2024), supplement; Alemohammad et al.,
    arXiv 2307.01850, for the sampling bias.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      [G + 1] float64, expected squared error of the mean in units of sigma_0^2.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.mean_squared_error([100] * 3, "unbiased").round(4).tolist()
    [0.01, 0.02, 0.03]
    >>> gaussian.mean_squared_error([100] * 3, "mle").round(6).tolist()
    [0.01, 0.0199, 0.029701]
    """
    values = sizes_of(sizes, 2)
    models = expected_variance(values, estimator, sampling_bias)
    with np.errstate(over="ignore"):
        return np.cumsum(np.concatenate([[1.0], sampling_bias * models[:-1]]) / values)


def variance_of_a_draw(sizes: Sizes, estimator: str) -> np.ndarray:
    """Return the variance of a row of model g over all chains: 1 + sum 1/M_i (unbiased), 1 (MLE).

    Source: Shumailov et al., Nature 631 (2024), supplement.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).

    Returns:
      [G + 1] float64, variance of a row in units of sigma_0^2.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.variance_of_a_draw([100] * 3, "unbiased").round(4).tolist()
    [1.01, 1.02, 1.03]
    >>> gaussian.variance_of_a_draw([100] * 3, "mle").round(4).tolist()
    [1.0, 1.0, 1.0]
    """
    return mean_squared_error(sizes, estimator) + expected_variance(sizes, estimator)


def expected_wasserstein2_squared(
    sizes: Sizes, estimator: str, sampling_bias: float = 1.0
) -> np.ndarray:
    """Return E W2^2(model g, truth), dim 1: E (mu - mu_0)^2 + E sigma^2 + 1 - 2 E sigma.

    Under the MLE the limit is 2: no divergence. Under the unbiased estimator the expectation is
    unbounded unless sum 1/M_i is finite; to first order it is (3/2) sum 1/M_i.

    Source: Shumailov et al., Nature 631 (2024), Theorem 3.1 and supplement; Alemohammad et al.,
    arXiv 2307.01850, for the sampling bias.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).
      sampling_bias: lambda, factor of the covariance of drawn rows, positive, dimensionless.

    Returns:
      [G + 1] float64, expected squared 2-Wasserstein distance in units of sigma_0^2.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.expected_wasserstein2_squared([10] * 1000, "mle")[[0, 9, 999]].round(4).tolist()
    [0.1545, 1.1049, 2.0]
    """
    values = sizes_of(sizes, 2)
    divisor = divisor_of(values, estimator)
    log_variance = np.cumsum(np.log1p((values - 1 - divisor) / divisor))
    log_variance = log_variance + _log_biases(values, sampling_bias)
    # E sigma^2 - 1 and E sigma - 1, which differences of numbers near 1 would round off.
    with np.errstate(over="ignore"):
        gain = np.expm1(log_variance)
        loss = np.expm1(_log_expected_standard_deviation(values, estimator, sampling_bias))
        rest = np.where(np.isinf(gain), 0.0, 2 * loss)  # E sigma is then negligible
        return mean_squared_error(values, estimator, sampling_bias) + gain - rest


def first_order_wasserstein2_squared(sizes: Sizes) -> np.ndarray:
    """Return (3/2) sum 1/M_i, the expansion of E W2^2 (unbiased), valid while the value is small.

    Source: Shumailov et al., Nature 631 (2024), supplement.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.

    Returns:
      [G + 1] float64, squared 2-Wasserstein distance in units of sigma_0^2.

    Raises:
      ValueError: if a size is below 2.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.first_order_wasserstein2_squared([100] * 3).round(4).tolist()
    [0.015, 0.03, 0.045]
    """
    return 1.5 * np.cumsum(1 / sizes_of(sizes, 2))


def first_order_log_variance(sizes: Sizes, estimator: str) -> np.ndarray:
    """Return E ln sigma_g^2 for large M_i: -sum 1/M_i (unbiased), -2 sum 1/M_i (MLE).

    The leading term of `expected_log_variance`, without sampling bias.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 2.
      estimator: "unbiased" (divisor M - 1) or "mle" (divisor M).

    Returns:
      [G + 1] float64, log of the variance relative to sigma_0^2, nats.

    Raises:
      ValueError: if a size is below 2 or the estimator has another name.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.first_order_log_variance([100] * 3, "mle").round(4).tolist()
    [-0.02, -0.04, -0.06]
    """
    values = sizes_of(sizes, 2)
    divisor_of(values, estimator)
    return -(1 if estimator == "unbiased" else 2) * np.cumsum(1 / values)


def kernel_density_expected_variance(
    bandwidth: float, num_samples: int, num_generations: int
) -> np.ndarray:
    """Return E s_g^2 of kernel density chains, s^2 the variance of D_g with divisor M.

    Rows of D_{g+1} are rows of D_g plus a kernel's noise of variance bandwidth^2:
    E s_0^2 = 1 - 1/M, E s_{g+1}^2 = (1 - 1/M)(E s_g^2 + bandwidth^2). The limit
    (M - 1) bandwidth^2 may exceed the truth's variance.

    Args:
      bandwidth: standard deviation of the kernel, in units of sigma_0.
      num_samples: M, rows of every corpus, at least 1.
      num_generations: G, number of generations after D_0, at least 0.

    Returns:
      [G + 1] float64, expected variance in units of sigma_0^2.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import gaussian
    >>> gaussian.kernel_density_expected_variance(0.5, 10, 200)[[0, 1, 200]].round(4).tolist()
    [0.9, 1.035, 2.25]
    """
    width = check.number("bandwidth", bandwidth, 0, np.inf, "pass the kernel's deviation")
    size = check.integer("num_samples", num_samples, 1)
    generations = check.integer("num_generations", num_generations, 0)
    shrink, limit = 1 - 1 / size, (size - 1) * width**2
    return limit + (shrink - limit) * shrink ** np.arange(generations + 1)

"""Compute exact laws of chains of Poisson and exponential models, each fitted by its mean.

Results are for models 0 .. G; model g is the result of n = g + 1 fits.

Sources: Suresh et al., arXiv 2412.17646, for the loss of a Poisson rate; the others follow from
the variance and the logarithmic moments of one fit.
"""

import numpy as np

from collapse_jax.theory.checks import Share, Sizes, allocation_of, share_of, sizes_of
from collapse_jax.utils import check

_RATE = "pass the truth's rate"


def poisson_absorption(rate: float, sizes: Sizes) -> np.ndarray:
    """Return P(rate_g = 0) of the Poisson chain under Replace: exp(-M_0 rate e_0).

    Backwards from the last corpus, e_g = 1 and e_{i-1} = 1 - exp(-e_i M_i / M_{i-1}); with one size
    the iteration of `bounds.poisson_survival`.

    Source: Suresh et al., arXiv 2412.17646.

    Args:
      rate: mean of a row of the truth, at least 0.
      sizes: M_0 .. M_G, [generation], rows, at least 1.

    Returns:
      [G + 1] float64, probabilities.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import rates
    >>> rates.poisson_absorption(0.01, [100, 100, 200]).round(4).tolist()
    [0.3679, 0.5315, 0.5606]
    """
    start, values = check.number("rate", rate, 0, np.inf, _RATE), sizes_of(sizes)
    exponents = np.ones(len(values))  # of the chain that ends at each generation
    for i in range(len(values) - 1, 0, -1):
        exponents[i:] = -np.expm1(-exponents[i:] * values[i] / values[i - 1])
    return np.exp(-values[0] * start * exponents)


def variance_of_mean(
    sizes: Sizes, gamma: Share = 0.0, allocation: str = "multinomial"
) -> np.ndarray:
    """Return Var rate_g / rate_0 of the Poisson chain with a share of fresh rows.

    V_0 = 1 / M_0, V_g = c V_{g-1} + 1 / M_g with c = (1 - gamma)^2 for exact numbers of fresh rows
    and gamma (1 - gamma) / M_g more row by row: sum 1 / M_i under Replace.

    Source: the law of total variance, with Var(row | rate) = rate; the setting is that of
    Shumailov et al., Nature 631 (2024).

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 1.
      gamma: shares of new original rows in D_1 .. D_G, one number or [G], in [0, 1].
      allocation: "multinomial", row by row, or "fixed", exact numbers.

    Returns:
      [G + 1] float64, variance in units of the truth's rate, dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import rates
    >>> rates.variance_of_mean([10, 10, 20]).round(4).tolist()
    [0.1, 0.2, 0.25]
    """
    values = sizes_of(sizes)
    shares = share_of("gamma", gamma, len(values) - 1)
    is_fixed = allocation_of(allocation) == "fixed"
    results = [1 / values[0]]
    for size, share in zip(values[1:], shares, strict=True):
        kept = (1 - share) ** 2 + (0 if is_fixed else share * (1 - share) / size)
        results.append(kept * results[-1] + 1 / size)
    return np.array(results)


def accumulate_variance_of_mean(sizes: Sizes) -> np.ndarray:
    """Return Var rate_g / rate_0 of the Poisson chain under Accumulate: sum M_i / N_i^2.

    N_i = M_0 + .. + M_i; with one size M it tends to pi^2 / (6 M).

    Source: the setting is that of Gerstgrasser et al., arXiv 2404.01413.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 1.

    Returns:
      [G + 1] float64, variance in units of the truth's rate, dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import rates
    >>> rates.accumulate_variance_of_mean([10] * 1000)[[0, 1, -1]].round(4).tolist()
    [0.1, 0.125, 0.1644]
    """
    values = sizes_of(sizes)
    return np.cumsum(values / np.cumsum(values) ** 2)


def expected_log_rate(sizes: Sizes) -> np.ndarray:
    """Return E ln(rate_g / rate_0) of the exponential chain: sum ln M_i - psi(M_i).

    About sum 1 / (2 M_i): the fitted rate drifts up, the fitted mean to 0.

    Source: M_i times the ratio of two means has the law Gamma(M_i).

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 1.

    Returns:
      [G + 1] float64, nats.

    Raises:
      ValueError: if a size is below 1.

    >>> from collapse_jax.theory import rates
    >>> rates.expected_log_rate([10, 10]).round(5).tolist()
    [0.05083, 0.10167]
    """
    from scipy import special

    values = sizes_of(sizes)
    return np.cumsum(np.log(values) - special.digamma(values))


def variance_of_log_rate(sizes: Sizes) -> np.ndarray:
    """Return Var ln rate_g of the exponential chain: sum psi_1(M_i).

    Source: M_i times the ratio of two means has the law Gamma(M_i).

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 1.

    Returns:
      [G + 1] float64, nats squared.

    Raises:
      ValueError: if a size is below 1.

    >>> from collapse_jax.theory import rates
    >>> rates.variance_of_log_rate([10, 10]).round(5).tolist()
    [0.10517, 0.21033]
    """
    from scipy import special

    return np.cumsum(special.polygamma(1, sizes_of(sizes)))


def expected_rate(sizes: Sizes) -> np.ndarray:
    """Return E rate_g / rate_0 of the exponential chain: prod M_i / (M_i - 1), inf for M_i = 1.

    Its relative variance grows geometrically; compare logarithms at large g.

    Source: the mean of an inverse Gamma(M_i) number.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 1.

    Returns:
      [G + 1] float64, dimensionless.

    Raises:
      ValueError: if a size is below 1.

    >>> from collapse_jax.theory import rates
    >>> rates.expected_rate([11, 11]).round(4).tolist()
    [1.1, 1.21]
    """
    values = sizes_of(sizes)
    with np.errstate(divide="ignore", over="ignore"):
        return np.cumprod(values / (values - 1))

"""Compute exact moments and characteristic functions of chains of kernel density estimates.

A row of model g is a row of D_g plus the kernel's noise, so whatever is linear in the rows' law
has a closed form. Variances are relative to the truth's; results are for generations 0 .. G.
"""

from typing import NamedTuple

import numpy as np

from collapse_jax.theory.checks import Share, Sizes, allocation_of, numbers_of, share_of, sizes_of
from collapse_jax.utils import check
from collapse_jax.utils.equal import different_fields, equal_fields

RULES = ("scott", "silverman")
"""Rules for the kernel's width."""

_WIDTH = "pass the kernel's standard deviation, a number >= 0"


class KernelMoments(NamedTuple):
    """Moments over chains, by generation.

    Attributes:
      corpus_variance: E s^2, the variance of D_g with divisor M_g, [G + 1].
      model_variance: E s^2 plus that of the kernel, [G + 1].
      error: E (mean of D_g - mean of the truth)^2, [G + 1].
    """

    corpus_variance: np.ndarray
    model_variance: np.ndarray
    error: np.ndarray

    __eq__ = equal_fields
    __ne__ = different_fields


def rule_factor(rule: str, num_samples: int, dim: int = 1) -> float:
    """Return the kernel's deviation in units of the corpus's (divisor M - 1), by a rule.

    "scott": M^(-1 / (d + 4)); "silverman": (M (d + 2) / 4)^(-1 / (d + 4)).

    Source: Scott, Multivariate Density Estimation, 1992; Silverman, Density Estimation, 1986; as
    in scipy.stats.gaussian_kde.

    Args:
      rule: "scott" or "silverman".
      num_samples: M, rows of the corpus, at least 1.
      dim: d, length of a row, at least 1.

    Returns:
      The factor, dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import kernel_density
    >>> round(kernel_density.rule_factor("scott", 100), 4)
    0.3981
    """
    check.choice("rule", rule, RULES)
    size, axes = check.integer("num_samples", num_samples, 1), check.integer("dim", dim, 1)
    scaled = size if rule == "scott" else size * (axes + 2) / 4
    return float(scaled ** (-1 / (axes + 4)))


def characteristic_factor(
    frequency: np.ndarray | float, bandwidth: float, num_generations: int, gamma: Share = 0.0
) -> np.ndarray:
    """Return E e^{iuX} / phi_0(u) for a row X of D_0 .. D_G, phi_0 that of the truth.

    c_0 = 1, c_g = gamma + b c_{g-1} with b = (1 - gamma) e^{-h^2 u^2 / 2}: for one share
    gamma (1 - b^g) / (1 - b) + b^g.

    Source: derived; the kernel multiplies a characteristic function by its own.

    Args:
      frequency: u, of any shape, in 1 / data units.
      bandwidth: h, standard deviation of the kernel in data units.
      num_generations: G, number of generations after D_0, at least 0.
      gamma: shares of new original rows in D_1 .. D_G, one number or [G], in [0, 1].

    Returns:
      [G + 1, ...] float64, dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import kernel_density
    >>> found = kernel_density.characteristic_factor([0.5, 1.0, 2.0], 0.4, 30, gamma=0.3)
    >>> (found[30] * [0.8825, 0.6065, 0.1353]).round(4).tolist()  # times those of N(0, 1)
    [0.8435, 0.5142, 0.0826]
    """
    u = numbers_of("frequency", frequency, "pass frequencies u")
    width = check.number("bandwidth", bandwidth, 0, np.inf, _WIDTH)
    generations = check.integer("num_generations", num_generations, 0)
    decay, factors = np.exp(-(width**2) * u**2 / 2), [np.ones_like(u)]
    for share in share_of("gamma", gamma, generations):
        factors.append(share + (1 - share) * decay * factors[-1])
    return np.array(factors)


def expected_moments(
    sizes: Sizes,
    bandwidth: float | str,
    gamma: Share = 0.0,
    allocation: str = "multinomial",
    *,
    is_pooled: bool = False,
    dim: int = 1,
) -> KernelMoments:
    """Return expected variances of kernel density chains, and the error of their means.

    With k^2 = f^2 M / (M - 1) for a rule of factor f, else 0, the kernel has variance
    h^2 + k^2 s^2. The variance w of a row about the truth's mean, and the error V of the mean,
    obey w' = gamma + (1 - gamma) v and V' = c V + (gamma + (1 - gamma) (v - V)) / M,
    v = h^2 + (1 + k^2) E s^2 + V, with c of `gaussian_accumulation.fresh_share_moments`; and
    E s^2 = w - V. Under Replace E s'^2 = (1 - 1/M)(E s^2 + h^2).

    Source: derived; for Replace the recursion of `gaussian.kernel_density_expected_variance`.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 1, by a rule at least 2.
      bandwidth: h in units of sigma_0, or "scott" or "silverman".
      gamma: shares of new original rows in D_1 .. D_G, one number or [G], in [0, 1].
      allocation: "multinomial", row by row, or "fixed", exact numbers.
      is_pooled: whether M_g rows are added to all earlier ones (Accumulate); gamma must be 0.
      dim: d, of which a rule's factor depends.

    Returns:
      Variances [G + 1] in units of sigma_0^2.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import kernel_density
    >>> kernel_density.expected_moments([10] * 3, 0.5).corpus_variance.round(4).tolist()
    [0.9, 1.035, 1.1565]
    """
    is_rule = isinstance(bandwidth, str)
    width = 0.0 if is_rule else check.number("bandwidth", bandwidth, 0, np.inf, _WIDTH)
    new = sizes_of(sizes, 2 if is_rule else 1)
    shares = share_of("gamma", gamma, len(new) - 1)
    is_fixed = allocation_of(allocation) == "fixed"
    fitted = np.cumsum(new) if is_pooled else new
    ratio = np.zeros(len(new))
    if is_rule:
        factors = np.array([rule_factor(str(bandwidth), int(size), dim) for size in fitted])
        ratio = factors**2 * fitted / (fitted - 1)
    row, error = 1.0, 1 / new[0]
    rows, errors, models = [row], [error], []
    for i in range(len(new)):
        model = width**2 + (1 + ratio[i]) * (row - error)
        models.append(model)
        if i + 1 == len(new):
            break
        size, share = new[i + 1], shares[i]
        if is_pooled:
            part = size / fitted[i + 1]
            row, error = (1 - part) * row + part * (model + error), error + part**2 * model / size
        else:
            kept = (1 - share) ** 2 + (0 if is_fixed else share * (1 - share) / size)
            row, error = (
                share + (1 - share) * (model + error),
                kept * error + (share + (1 - share) * model) / size,
            )
        rows.append(row)
        errors.append(error)
    return KernelMoments(np.array(rows) - np.array(errors), np.array(models), np.array(errors))

"""Compute exact expectations of chains of Bayesian learners.

A learner takes the mean of its posterior, or a sample of it. Chains of samples have the prior as
the stationary law of their parameters, whatever the number of rows; chains of means do not.

Source: Griffiths and Kalish, "Language evolution by iterated learning with Bayesian agents",
Cognitive Science 31 (2007). The recursions are derived.
"""

from typing import NamedTuple

import numpy as np

from collapse_jax.theory.checks import (
    Share,
    Sizes,
    allocation_of,
    law_of,
    numbers_of,
    share_of,
    sizes_of,
)
from collapse_jax.utils import check
from collapse_jax.utils.equal import different_fields, equal_fields


class DirichletMoments(NamedTuple):
    """Moments over chains of probability vectors, by generation.

    Attributes:
      mean: E p_i of model g, [G + 1, state].
      heterozygosity: 1 - E sum p_i^2, [G + 1].
    """

    mean: np.ndarray
    heterozygosity: np.ndarray

    __eq__ = equal_fields
    __ne__ = different_fields


class NormalMoments(NamedTuple):
    """Moments over chains of normal models, by generation.

    Attributes:
      mean: E mu_g, [G + 1, dim].
      error: E (mu_g - prior mean)(mu_g - prior mean)^T, [G + 1, dim, dim].
      covariance: E Sigma_g, [G + 1, dim, dim].
    """

    mean: np.ndarray
    error: np.ndarray
    covariance: np.ndarray

    __eq__ = equal_fields
    __ne__ = different_fields


def dirichlet_moments(
    law: np.ndarray,
    prior: np.ndarray,
    sizes: Sizes,
    gamma: Share = 0.0,
    allocation: str = "multinomial",
    *,
    is_sample: bool = False,
) -> DirichletMoments:
    """Return expectations of chains of learners with a Dirichlet prior.

    With A = sum a_i: E p' = (E counts + a) / (M + A), E p'_i^2 = E (counts_i + a_i)^2 / (M + A)^2
    for the mean, and E (counts_i + a_i)(counts_i + a_i + 1) / ((M + A)(M + A + 1)) for a sample.

    Args:
      law: p_0, [state].
      prior: a, parameters > 0, [state].
      sizes: M_0 .. M_G, [generation], rows, at least 1.
      gamma: shares of new original rows in D_1 .. D_G, one number or [G], in [0, 1].
      allocation: "multinomial", row by row, or "fixed", exact numbers.
      is_sample: whether the learner takes a sample of the posterior, not its mean.

    Returns:
      Moments [G + 1, ...].

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import bayesian
    >>> found = bayesian.dirichlet_moments([1.0, 0.0], [1.0, 1.0], [4] * 40, is_sample=True)
    >>> found.mean[[0, 39]].round(3).tolist(), float(found.heterozygosity[39].round(4))
    ([[0.833, 0.167], [0.5, 0.5]], 0.3333)
    """
    truth, new = law_of(law), sizes_of(sizes)
    shares = share_of("gamma", gamma, len(new) - 1)
    is_fixed = allocation_of(allocation) == "fixed"
    a = numbers_of("prior", prior, "pass parameters > 0, [state]")
    if a.shape != truth.shape or np.min(a) <= 0:
        shown, allowed = check.Shown(str(a.tolist())), f"it must hold {len(truth)} numbers > 0"
        raise check.fail("prior", shown, allowed, "pass one per state")
    total, means, squares = a.sum(), [], []
    mean, square = truth, truth**2  # of the newest model
    for i, size in enumerate(new):
        share = 1.0 if i == 0 else shares[i - 1]
        made, given = (1 - share) * size, share * size
        drawn = share * truth + (1 - share) * mean
        if is_fixed:
            pairs = given * (given - 1) * truth**2 + made * (made - 1) * square
            pairs = pairs + 2 * given * made * truth * mean
        else:
            mixed = share**2 * truth**2 + (1 - share) ** 2 * square
            pairs = size * (size - 1) * (mixed + 2 * share * (1 - share) * truth * mean)
        counts, products = size * drawn, pairs + size * drawn  # E c_i, E c_i^2
        mean = (counts + a) / (size + total)
        above = products + 2 * a * counts + a**2
        if is_sample:
            square = (above + counts + a) / ((size + total) * (size + total + 1))
        else:
            square = above / (size + total) ** 2
        means.append(mean)
        squares.append(1 - square.sum())
    return DirichletMoments(np.array(means), np.array(squares))


def normal_moments(
    mean: np.ndarray,
    covariance: np.ndarray,
    prior: tuple[np.ndarray, float, np.ndarray, float],
    sizes: Sizes,
    *,
    is_sample: bool = False,
) -> NormalMoments:
    """Return expectations of normal learners with a normal-inverse-Wishart prior, under Replace.

    With the prior's (m, k, Psi, v), E mu' = m + M / (k + M) (E mu - m) and, D being
    E (mu - m)(mu - m)^T and S = E Sigma, E Sigma' = [Psi + (M - 1) S + k M / (k + M) (D + S / M)] /
    (v + M - d - 1), D' = (M / (k + M))^2 (D + S / M), plus E Sigma' / (k + M) for samples.

    Args:
      mean: of the truth, [dim].
      covariance: of the truth, [dim, dim].
      prior: mean [dim], number of rows k that it is worth, scale matrix [dim, dim], dof v > d + 1.
      sizes: M_0 .. M_G, [generation], rows, at least 1.
      is_sample: whether the learner takes a sample of the posterior, not its mean.

    Returns:
      Moments [G + 1, ...], in data units.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import bayesian
    >>> prior = [0.0], 1.0, [[4.0]], 4
    >>> found = bayesian.normal_moments([3.0], [[1.0]], prior, [5] * 60, is_sample=True)
    >>> found.covariance[[0, 59], 0, 0].round(3).tolist()  # to Psi / (v - d - 1)
    [2.238, 2.0]
    """
    new, sigma = sizes_of(sizes), np.atleast_2d(numbers_of("covariance", covariance, "pass [d, d]"))
    centre, worth, scale, dof = prior
    psi, dim = np.atleast_2d(numbers_of("prior scale", scale, "pass [d, d]")), len(sigma)
    gap = np.atleast_1d(numbers_of("mean", mean, "pass [d]")) - np.asarray(centre, float)
    error, means, errors, covariances = np.outer(gap, gap), [], [], []
    for size in new:
        part = size / (worth + size)
        spread = error + sigma / size
        sigma = (psi + (size - 1) * sigma + worth * part * spread) / (dof + size - dim - 1)
        gap, error = part * gap, part**2 * spread
        if is_sample:
            error = error + sigma / (worth + size)
        means.append(np.asarray(centre, float) + gap)
        errors.append(error)
        covariances.append(sigma)
    return NormalMoments(np.array(means), np.array(errors), np.array(covariances))

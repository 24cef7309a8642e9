"""Compute the laws of the samplers exactly, from their functions instead of from draws.

The law of a rejection sampler is an integral over its scores; the law of a quantile function
follows from the uniform numbers at which it steps. Gauss quadrature and bisection compute both
up to rounding, in the default float dtype.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.random.binomial import binomial_proposal, binomial_quantile
from collapse_jax.random.chi_square import log_chi_square
from collapse_jax.random.hypergeometric import hypergeometric_proposal, hypergeometric_quantile
from collapse_jax.random.normal import normal_from_bits
from collapse_jax.random.poisson import (
    LEAST_OF_SCORE,
    poisson_of_score,
    poisson_proposal,
    poisson_quantile,
)
from collapse_jax.random.rounded_normal import SMALL_MEAN

_GAUSS = np.polynomial.legendre.leggauss(8)
_SIZE = 2**18  # scores per call; a constant, so that a proposal compiles once
_CELLS = 200  # equally likely cells of a partition
_MOST = 30  # largest count of a quantile function; larger ones have negligible probability


class CountError(NamedTuple):
    """The errors of a sampler's law of counts.

    Attributes:
      distance: total variation from scipy's law, in [0, 1].
      mean: relative error of the mean.
      excess: largest acceptance probability minus 1; 0 for a quantile function.
    """

    distance: float
    mean: float
    excess: float


class _Law(NamedTuple):
    """The law of a sampler: counts, their probabilities, and the excess of the acceptance."""

    counts: np.ndarray
    probabilities: np.ndarray
    excess: float


def binomial_error(n: int, p: float, shift: float = 0.0) -> CountError:
    """Compute the error of the law of binomial draws.

    Args:
      n: number of trials.
      p: probability, at most 1/2.
      shift: relative error of p to plant, for tests of this function.

    Returns:
      The errors against scipy's law.
    """
    from scipy import stats

    exact, q = stats.binom(n, p), p * (1 + shift)
    given = jnp.asarray(q, float)
    if n * p < SMALL_MEAN:
        return _errors(_law_of_quantile(lambda u: _jitted().binomial_quantile(n, given, u)), exact)
    deviation = np.sqrt(n * p * (1 - p))
    law = _law_of_rejection(
        lambda z, r: _jitted().binomial(n, given, z, r), n * q, deviation, (1 - 2 * p) / deviation
    )
    return _errors(law, exact)


def hypergeometric_error(good: int, bad: int, sample: int) -> CountError:
    """Compute the error of the law of hypergeometric draws.

    Args:
      good: good items in the population.
      bad: bad items in the population, at least `good`.
      sample: items drawn, at most half of the population.

    Returns:
      The errors of the number of good items in the sample against scipy's law.
    """
    from scipy import stats

    total = good + bad
    exact: Any = stats.hypergeom(total, good, sample)
    if exact.mean() < SMALL_MEAN:
        quantile = _jitted().hypergeometric_quantile
        return _errors(_law_of_quantile(lambda u: quantile(good, bad, sample, u)), exact)
    skewness = (1 - 2 * good / total) * (1 - 2 * sample / total) / exact.std()
    propose = _jitted().hypergeometric
    law = _law_of_rejection(
        lambda z, r: propose(good, bad, sample, z, r), exact.mean(), exact.std(), skewness
    )
    return _errors(law, exact)


def poisson_error(mean: float, shift: float = 0.0) -> CountError:
    """Compute the error of the law of Poisson draws.

    Args:
      mean: below 2^30.
      shift: relative error of the mean to plant, for tests of this function.

    Returns:
      The errors against scipy's law.
    """
    from scipy import stats

    exact, drawn = stats.poisson(mean), mean * (1 + shift)
    mode = int(np.floor(drawn))
    parts = jnp.int32(mode), jnp.asarray(drawn - mode, float)
    is_single = jnp.result_type(float) == jnp.float32
    if drawn < (LEAST_OF_SCORE if is_single else SMALL_MEAN):
        return _errors(_law_of_quantile(lambda u: _jitted().poisson_quantile(*parts, u)), exact)
    if is_single:
        law = _law_of_score(lambda *given: _jitted().poisson_of_score(*parts, *given), drawn)
        return _errors(law, exact)
    root = np.sqrt(drawn)
    law = _law_of_rejection(lambda z, r: _jitted().poisson(*parts, z, r), drawn, root, 1 / root)
    return _errors(law, exact)


def chi_square_error(dof: int, shift: float = 0.0) -> tuple[float, float]:
    """Compute the error of the law of chi-square draws.

    Args:
      dof: degrees of freedom.
      shift: error of the logarithm to plant, for tests of this function.

    Returns:
      Total variation over 200 equally likely cells, in [0, 1], and relative error of the mean.
    """
    from scipy import special

    dtype = jnp.result_type(float)
    reach = 8.5 if dtype == jnp.float64 else 6.3
    cuts = np.asarray(special.ndtri(np.arange(1, _CELLS) / _CELLS).astype(dtype), np.float64)
    fine = np.linspace(-reach, reach, 4001)
    at_cuts, values = (
        np.asarray(_jitted().chi_square(jnp.asarray(z, dtype), dof), np.float64) + shift
        for z in (cuts, fine)
    )
    density = np.exp(-(fine**2) / 2)
    mean = abs(np.sum(density * np.exp(values)) / density.sum() - 1)
    below = special.gammainc(dof / 2, dof / 2 * np.exp(at_cuts))
    if dof == 1:  # a square: even in the score, two scores for every value
        half = cuts > 0
        gaps = 2 * special.ndtr(cuts[half]) - 1 - below[half]
        return float(np.sum(np.abs(np.diff(gaps)))), float(mean)
    gaps = np.diff(np.concatenate([[0], special.ndtr(cuts) - below, [0]]))
    return float(0.5 * np.sum(np.abs(gaps))), float(mean)


def normal_error(words: np.ndarray) -> float:
    """Compute the largest error of float32 normal scores, relative to their tail probability.

    Args:
      words: [draw], random bits as integers in [0, 2^31).

    Returns:
      The largest relative error among scores within five standard deviations.
    """
    from scipy import special

    tail = 0.5 - (words.astype(np.float64) + 0.5) / 2**32
    score = np.asarray(_jitted().normal(jnp.asarray(words, jnp.uint32)), np.float64)
    return float(np.max(np.abs(special.ndtr(-score) / tail - 1)[-special.ndtri(tail) < 5]))


class _Jitted:
    """The compiled functions of the samplers."""

    def __init__(self) -> None:
        self.binomial = jax.jit(lambda n, p, z, r: binomial_proposal(n, p, None, z, r))
        self.binomial_quantile = jax.jit(lambda n, p, u: binomial_quantile(n, p, None, u))
        self.hypergeometric = jax.jit(lambda *given: hypergeometric_proposal(*given))
        self.hypergeometric_quantile = jax.jit(lambda *given: hypergeometric_quantile(*given))
        self.poisson = jax.jit(lambda *given: poisson_proposal(*given))
        self.poisson_quantile = jax.jit(lambda *given: poisson_quantile(*given))
        self.poisson_of_score = jax.jit(lambda *given: poisson_of_score(*given))
        self.chi_square = jax.jit(lambda z, dof: log_chi_square(z, jnp.asarray(dof, jnp.int32)))
        self.normal = jax.jit(lambda words: normal_from_bits(words))


@functools.cache
def _jitted() -> _Jitted:
    return _Jitted()


def _law_of_rejection(
    propose: Callable[..., Any], mean: float, deviation: float, skewness: float
) -> _Law:
    """Integrate over scores by Gauss quadrature, between the steps of rounding to integers."""
    from scipy import stats

    double = jnp.result_type(float) == jnp.float64
    reach, bend = (9.0 if double else 6.3), skewness / 6
    spread = deviation + 0.05 / deviation
    ends = mean + spread * (np.array([-reach, reach]) + bend * (reach**2 - 1))
    lowest = mean - spread * (bend + (0.25 / bend if bend * reach > 0.5 else np.inf))
    kinks = np.arange(np.ceil(max(ends[0], lowest)), np.floor(ends[1]) + 1)
    offset = (kinks - mean) / spread
    kinks = 2 * (offset + bend) / (1 + np.sqrt(np.maximum(1 + 4 * bend * (offset + bend), 0)))
    middle, half = (kinks[1:] + kinks[:-1]) / 2, np.diff(kinks) / 2
    nodes = middle[:, None] + half[:, None] * _GAUSS[0]
    masses = (half[:, None] * _GAUSS[1] * stats.norm.pdf(nodes)).ravel()
    padded = np.zeros(_SIZE)
    padded[: nodes.size] = nodes.ravel()
    counts, joint, excess = [], [], 0.0
    for rounding in (0.0, 1.0 - 2**-24):
        given = jnp.asarray(padded, float), jnp.full(_SIZE, rounding, float)
        proposal = propose(*given)
        excess = max(excess, float(jnp.max(proposal.acceptance)) - 1)
        found = [np.asarray(x)[: nodes.size] for x in proposal]
        outcome, weight, acceptance = found[0], *(x.astype(np.float64) for x in found[1:3])
        counts.append(outcome)
        joint.append(masses * weight * np.clip(acceptance, 0, 1))
    outcomes = np.concatenate(counts)
    least = outcomes.min()
    law = np.bincount(outcomes - least, np.concatenate(joint))
    return _Law(least + np.arange(len(law)), law / law.sum(), excess)


def _law_of_quantile(quantile: Callable[..., Any]) -> _Law:
    """Find the uniform numbers at which a quantile function steps, by bisection."""
    counts = np.arange(_MOST + 1)
    low, high = np.full(len(counts), -200.0), np.zeros(len(counts))  # log2 of P(X > k)
    for _ in range(60 if jnp.result_type(float) == jnp.float64 else 40):
        middle = (low + high) / 2
        above = np.asarray(quantile(jnp.asarray(np.exp2(middle), float))) > counts
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    survival = np.where(low <= -120, 0.0, np.exp2(low))
    return _Law(counts, -np.diff(np.concatenate([[1.0], survival])), 0.0)


def _law_of_score(function: Callable[..., Any], mean: float) -> _Law:
    """Find the normal scores at which an increasing function steps, by bisection."""
    from scipy import special

    counts = max(0, int(mean) - _SIZE // 2) + np.arange(_SIZE)
    low, high = np.full(_SIZE, -6.35), np.full(_SIZE, 6.35)
    for _ in range(50):
        middle = (low + high) / 2
        score = middle.astype(np.float32)
        above = np.asarray(function(score, (middle - score).astype(np.float32))) > counts
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    survival = np.where(high >= 6.35, 0.0, special.ndtr(-high))
    return _Law(counts, -np.diff(np.concatenate([[1.0], survival])), 0.0)


def _errors(law: _Law, exact: Any) -> CountError:
    reference = exact.pmf(law.counts)
    gaps = law.probabilities - reference
    distance = 0.5 * (np.abs(gaps).sum() + max(0, 1 - reference.sum()))
    shift = ((law.counts - exact.mean()) * gaps).sum()
    return CountError(float(distance), float(abs(shift) / exact.mean()), law.excess)

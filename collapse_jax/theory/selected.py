"""Compute the law of chains of two states whose rows raters choose: Wright-Fisher with selection.

Of two answers one is preferred. Each of the M rows of a corpus is one of K candidates of the newest
model, chosen with probability softmax(reward / temperature); the number of preferred rows is a
Markov chain on 0 .. M, which is enumerated.

Source: W. J. Ewens, "Mathematical Population Genetics", 2004, section 3.2, with the mass of the
preferred state changed by raters as in arXiv 2407.09499.
"""

import numpy as np
from scipy import stats

from collapse_jax.theory.checks import numbers_of, probabilities_of
from collapse_jax.utils import check

_MOST_ROWS = 2000  # of a corpus: a matrix of 32 MB
_MOST_CANDIDATES = 4096


def preferred_probability(
    share: np.ndarray | float, advantage: float, num_candidates: int | None
) -> np.ndarray:
    """Return the probability that a chosen row is the preferred one of two states.

    Of K candidates, k are the preferred state with a binomial probability, and one of these is
    chosen with probability k e^r / (k e^r + K - k); for many candidates p e^r / (p e^r + 1 - p).

    Source: arXiv 2407.09499, equation of the retrained law, for two states.

    Args:
      share: p, probability of the preferred state in the model, in [0, 1], of any shape.
      advantage: r, difference of the rewards over the temperature, dimensionless.
      num_candidates: K >= 1, None for infinitely many.

    Returns:
      float64 of the shape of `share`, probabilities.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import selected
    >>> selected.preferred_probability([0.1, 0.5], np.log(3), 2).round(4).tolist()
    [0.145, 0.625]
    """
    share, weight = probabilities_of("share", share), _weight_of(advantage)
    if num_candidates is None:
        return share * weight / (share * weight + 1 - share)
    number = check.integer("num_candidates", num_candidates, 1, _MOST_CANDIDATES)
    preferred = np.arange(number + 1)
    chosen = preferred * weight / (preferred * weight + number - preferred)
    found = stats.binom.pmf(preferred, number, share[..., None]) @ chosen
    return np.clip(found, 0, 1)  # a sum may round above 1


def preferred_counts(
    share: float, advantage: float, num_candidates: int | None, size: int, num_generations: int
) -> np.ndarray:
    """Return the law of the number of preferred rows in D_0 .. D_G.

    D_0 is original: M independent rows. M times the share of model g has the law of generation g.

    Source: the transition matrix of the chain, binomial in every row.

    Args:
      share: of the preferred state in the original law, in [0, 1].
      advantage: r, difference of the rewards over the temperature, dimensionless.
      num_candidates: K >= 1, None for infinitely many.
      size: M, rows of a corpus.
      num_generations: G.

    Returns:
      [G + 1, M + 1] float64, probabilities with sum 1 in every generation.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import selected
    >>> law = selected.preferred_counts(0.1, 0.5, 2, size=20, num_generations=30)
    >>> (law @ np.arange(21) / 20)[[0, 10, 30]].round(3).tolist()  # mean share
    [0.1, 0.35, 0.524]
    """
    number = check.integer("size", size, 1, _MOST_ROWS)
    generations = check.integer("num_generations", num_generations, 0)
    start = float(probabilities_of("share", share))
    law = stats.binom.pmf(np.arange(number + 1), number, start)
    matrix, results = _transitions(number, advantage, num_candidates), [law]
    for _ in range(generations):
        results.append(results[-1] @ matrix)
    return np.array(results)


def fixation_probability(advantage: float, num_candidates: int | None, size: int) -> np.ndarray:
    """Return the probability that all rows are once the preferred ones.

    Source: first-step analysis of the absorbing chain.

    Args:
      advantage: r, difference of the rewards over the temperature, dimensionless.
      num_candidates: K >= 1, None for infinitely many.
      size: M, rows of a corpus.

    Returns:
      [M + 1] float64, by the number of preferred rows now, probabilities.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import selected
    >>> selected.fixation_probability(0.05, None, 60)[[6, 15, 30]].round(5).tolist()
    [0.45391, 0.78, 0.95282]
    """
    number = check.integer("size", size, 1, _MOST_ROWS)
    matrix = _transitions(number, advantage, num_candidates)
    inner = matrix[1:-1, 1:-1]
    found = np.linalg.solve(np.eye(number - 1) - inner, matrix[1:-1, -1])
    return np.concatenate([[0.0], found, [1.0]])


def _transitions(size: int, advantage: float, num_candidates: int | None) -> np.ndarray:
    """Return the probabilities of the next number of preferred rows, [now, next]."""
    chosen = preferred_probability(np.arange(size + 1) / size, advantage, num_candidates)
    return stats.binom.pmf(np.arange(size + 1), size, chosen[:, None])


def _weight_of(advantage: float) -> float:
    remedy = "pass the difference of two rewards over the temperature"
    values = numbers_of("advantage", advantage, remedy)
    if values.ndim or not abs(values) <= 100:
        shown = check.Shown(str(values.tolist()))
        raise check.fail("advantage", shown, "it must be one number in [-100, 100]", remedy)
    return float(np.exp(values))

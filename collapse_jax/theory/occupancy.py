"""Compute the occupancy law, row by row: the number of distinct parents of the rows of a corpus.

Each of the a rows of D_{g+1} copies one of the M rows of D_g, uniformly and independently. The
number j of copied rows has the law P_M(j | a) = C(M, j) j! S(a, j) / M^a, with S the Stirling
numbers of the second kind. Stirling numbers overflow; adding one row at a time does not:
P(j | a+1) = P(j | a) j/M + P(j-1 | a) (1 - (j-1)/M).

Source: Johnson and Kotz, Urn Models and Their Application, 1977, section 3.1.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from collapse_jax.utils import check
from collapse_jax.utils.equal import different_fields, equal_fields

_NEGLIGIBLE = 1e-25  # probability; smaller ones at both ends of a row change no float64 result


class Law(NamedTuple):
    """Law of a number on consecutive integers; the probability of all other numbers is negligible.

    Attributes:
      first: smallest number of the law.
      probabilities: [k], the probability of first + k.
    """

    first: int
    probabilities: np.ndarray

    __eq__ = equal_fields
    __ne__ = different_fields


def rows_of(num_parents: int, num_children: int) -> Iterator[Law]:
    """Generate P_M(. | a) for a = 0 .. num_children.

    Source: Johnson and Kotz, Urn Models and Their Application, 1977, section 3.1.

    Args:
      num_parents: M, rows of the parents' corpus, at least 1.
      num_children: largest a, rows of the children's corpus, at least 0.

    Returns:
      Iterator over num_children + 1 laws of the number of parents. Later laws overwrite the
      arrays of earlier ones: copy what is needed longer.

    Raises:
      ValueError: if an argument is outside its range.
    """
    parents = check.integer("num_parents", num_parents, 1)
    children = check.integer("num_children", num_children, 0)
    taken = np.arange(parents + 2) / parents
    return _grow(taken, 1 - taken, parents, children)


def binomial_rows(probability: float, num_trials: int) -> Iterator[Law]:
    """Generate the binomial laws of a = 0 .. num_trials trials, truncated like those of `rows_of`.

    Args:
      probability: of a success, in [0, 1].
      num_trials: largest a, number of trials, at least 0.

    Returns:
      Iterator over num_trials + 1 laws of the number of successes. Later laws overwrite the
      arrays of earlier ones: copy what is needed longer.

    Raises:
      ValueError: if an argument is outside its range.
    """
    trials = check.integer("num_trials", num_trials, 0)
    remedy = "pass the probability of a success"
    chance = np.full(trials + 2, check.number("probability", probability, 0, 1, remedy))
    return _grow(1 - chance, chance, trials, trials)


def _grow(stay: np.ndarray, rise: np.ndarray, most: int, num_rows: int) -> Iterator[Law]:
    """Generate the laws of a chain on 0 .. most that starts at 0 and stays or rises by one.

    Probabilities below 1e-25 at either end are left out, together less than 1e-19 of a row for
    up to 10^5 steps.
    """
    now, after = np.zeros(most + 2), np.zeros(most + 2)
    low, high = 0, 1  # now[low:high] is the row
    now[0] = 1
    yield Law(0, now[0:1])
    for _ in range(num_rows):
        end = min(high + 1, most + 1)
        np.multiply(now[low:high], stay[low:high], out=after[low:high])
        after[high:end] = 0
        after[low + 1 : end] += now[low : end - 1] * rise[low : end - 1]
        high = end
        while after[low] < _NEGLIGIBLE:
            low += 1
        while after[high - 1] < _NEGLIGIBLE:
            high -= 1
        now, after = after, now
        yield Law(low, now[low:high])

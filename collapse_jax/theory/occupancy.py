"""How many distinct parents the rows of a corpus have: the occupancy law, row by row.

Each of a rows of D_{g+1} copies one of the M rows of D_g, uniformly and independently. The
number j of rows that are copied has the law P_M(j | a) = C(M, j) j! S(a, j) / M^a, S the
Stirling numbers of the second kind, which overflow; adding one row at a time does not:
P(j | a+1) = P(j | a) j/M + P(j-1 | a) (1 - (j-1)/M). (Johnson and Kotz, Urn Models and Their
Application, 1977, section 3.1.)
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_NEGLIGIBLE = 1e-25  # dropped at both ends of a row


class Law(NamedTuple):
    """P(first + k | a) = probabilities[k]; all other numbers of parents are negligible."""

    first: int
    probabilities: np.ndarray


def rows_of(num_parents: int, num_children: int) -> Iterator[Law]:
    """P_M(. | a) for a = 0 .. num_children; later rows overwrite the arrays of earlier ones."""
    taken = np.arange(num_parents + 2) / num_parents
    return _grow(taken, 1 - taken, num_parents, num_children)


def binomial_rows(probability: float, num_trials: int) -> Iterator[Law]:
    """The binomial law of 0 .. num_trials trials, built and cut in the same way."""
    chance = np.full(num_trials + 2, probability)
    return _grow(1 - chance, chance, num_trials, num_trials)


def _grow(stay: np.ndarray, rise: np.ndarray, most: int, num_rows: int) -> Iterator[Law]:
    """Laws of a chain on 0 .. most that starts at 0 and stays or rises by one.

    Probabilities below 1e-25 at either end are left out, and with them less than 1e-19 of
    a row for up to 10^5 steps.
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

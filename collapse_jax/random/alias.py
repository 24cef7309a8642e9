"""Draw integers of a known law from a table that all chains share.

A cell of the table is chosen uniformly; it holds its own number with some probability and one
other number else. A draw takes two lookups, whatever the law is, and no rejection.

Sources: Walker, ACM TOMS 3 (1977); the table is filled in one sweep, as by Vose, IEEE TSE 17
(1991).
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.random.integers import integer_and_rest
from collapse_jax.random.keys import Keys

_MOST_CELLS = 2**20  # of a table: more would leave the caches, and take long to fill


class AliasTable(NamedTuple):
    """A law of integers as a table of cells.

    Attributes:
      first: int32, the number of the first cell; the cells have successive numbers.
      threshold: [cell] uint32, the probability of a cell's number in it, times 2^32.
      other: [cell] int32, the number that the cell holds otherwise.
    """

    first: Int[Array, ""] | np.ndarray
    threshold: Int[Array, " cell"] | np.ndarray
    other: Int[Array, " cell"] | np.ndarray

    @property
    def largest(self) -> int:
        """Return the largest number that can be drawn, from a table of NumPy arrays."""
        return int(self.first) + len(self.other) - 1


def alias_table(weights: np.ndarray, first: int = 0) -> AliasTable:
    """Return the table of a law.

    Args:
      weights: [cell], not negative, float64; probabilities up to a factor.
      first: the number of the first weight.

    Returns:
      A table; its law is the given one to within 2^-32 for each number.
    """
    number = len(weights)
    heights = np.asarray(weights, np.float64) * (number / np.sum(weights))
    is_high = heights >= 1
    is_high[np.argmax(heights)] = True  # also where rounding leaves none
    low, high = np.flatnonzero(~is_high), np.flatnonzero(is_high)
    # Low cells are filled up in order from high ones; a high one that is used up has become low
    # and is filled from the next. Sums say where that happens.
    missing, surplus = np.cumsum(1 - heights[low]), np.cumsum(heights[high] - 1)
    before = np.append(0.0, missing)
    donor = np.searchsorted(surplus, before[:-1], side="right")
    end = np.searchsorted(missing, surplus, side="right")
    is_used_up = (end < len(low)) & (before[end] < surplus)
    lacking = np.where(is_used_up, np.append(missing, 0.0)[end] - surplus, 0)
    share, other = np.ones(number), np.arange(number)
    share[low], other[low] = heights[low], high[np.minimum(donor, len(high) - 1)]
    share[high] = 1 - lacking
    share[high[-1]], other[high[:-1]] = 1, high[1:]
    threshold = np.minimum(np.round(share * 2.0**32), 2**32 - 1).astype(np.uint32)
    other = np.where(share < 1, other, np.arange(number))
    return AliasTable(np.asarray(first, np.int32), threshold, (first + other).astype(np.int32))


def binomial_table(n: int, success: float, failure: float) -> AliasTable | None:
    """Return the table of Binomial(n, p), p = success / (success + failure).

    Its size depends on n alone. Numbers further than six standard deviations of the widest law of
    this n from the mode are left out: their probability is below 1e-9.

    Args:
      n: number of trials >= 0.
      success: weight of a success.
      failure: weight of a failure; one of the two must be positive.

    Returns:
      The table; None for an n whose table would be too large.
    """
    cells = min(n + 1, 32 + math.ceil(6.5 * math.sqrt(n)))
    if cells > _MOST_CELLS:
        return None
    p = success / (success + failure)
    mode = min(n, math.floor((n + 1) * p))
    first = min(max(0, mode - cells // 2), n + 1 - cells)
    numbers = np.arange(first, first + cells, dtype=np.float64)
    # Ratios of neighbours, multiplied from the mode on: no factorial loses digits.
    with np.errstate(divide="ignore"):
        steps = np.log(n - numbers[:-1]) - np.log(numbers[1:])
        odds = np.log(success) - np.log(failure)
    centre = mode - first
    upper = np.cumsum(steps[centre:] + odds)
    lower = np.cumsum(-(steps[:centre][::-1] + odds))[::-1]
    return alias_table(np.exp(np.concatenate([lower, [0.0], upper])), first)


def draw_from(
    keys: Keys, purpose: int, table: AliasTable, shape: tuple[int, ...] = (), round: int = 0
) -> Int[Array, "..."]:
    """Draw independent numbers.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      table: the law.
      shape: static; a longer axis 0 leaves the earlier draws unchanged.
      round: repetition of the stream, 0 .. 255, for several calls in a generation.

    Returns:
      int32 numbers of `shape`.
    """
    block = keys.bits(purpose, shape, round=round)
    cell, rest = integer_and_rest(*block, len(table.other))
    threshold, other = (
        jnp.asarray(one).at[cell].get(mode="promise_in_bounds") for one in table[1:]
    )
    return jnp.where(rest < threshold, cell + table.first, other)

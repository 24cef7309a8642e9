"""Choose the largest of many numbers without sorting them.

Numbers are read as unsigned integers of the same order, and the threshold is found bit by bit: a
pass over the numbers counts those at or above a trial value. Passes end as soon as the right
number of them is left. A sort would cost several times as much on CPU.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt

from collapse_jax.random.subset import MOST_EXACT, running_count
from collapse_jax.utils.row_sums import row_sums

_BITS = 32  # entries that are held in one word


def sortable(values: Array) -> UInt[Array, "..."]:
    """Return unsigned integers that are ordered like the values; -0.0 and 0.0 are equal.

    Args:
      values: [...], real numbers, integers or truth values.

    Returns:
      uint32 [...], or uint64 for 64-bit values.
    """
    if values.dtype == jnp.bool_:
        return values.astype(jnp.uint32)
    if values.dtype.itemsize < 4:
        is_float = jnp.issubdtype(values.dtype, jnp.floating)
        values = values.astype(jnp.float32 if is_float else jnp.int32)
    width = 8 * values.dtype.itemsize
    kind: Any = np.uint64 if width == 64 else np.uint32
    sign = kind(1 << (width - 1))
    if jnp.issubdtype(values.dtype, jnp.unsignedinteger):
        return values
    if not jnp.issubdtype(values.dtype, jnp.floating):
        return values.astype(kind) ^ sign
    words = jax.lax.bitcast_convert_type(values, kind)
    words = jnp.where(words == sign, kind(0), words)  # -0.0
    return words ^ jnp.where(words >> kind(width - 1) == 1, ~kind(0), sign)


def _count(mask: Bool[Array, " n"]) -> Int[Array, ""]:
    """Count the entries that are True; sums of floats are faster than those of integers on CPU."""
    if len(mask) >= MOST_EXACT:
        return jnp.sum(mask, dtype=jnp.int32)
    return row_sums([mask.astype(jnp.float32)])[0].astype(jnp.int32)


def _threshold(
    words: UInt[Array, " n"], size: Int[Array, ""], number: Int[Array, ""]
) -> UInt[Array, ""]:
    """Return a word such that `size` of them are at least as large, or the size-th largest word.

    Args:
      words: [n].
      size: 1 .. number.
      number: how many of the words may be chosen; 0 is returned if it is `size`.
    """
    kind = words.dtype.type

    def narrower(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        bit, least, found = carry
        trial = least | (kind(1) << bit.astype(words.dtype))
        larger = _count(words >= trial)
        is_enough = larger >= size
        return bit - 1, jnp.where(is_enough, trial, least), jnp.where(is_enough, larger, found)

    start = jnp.int32(8 * words.dtype.itemsize - 1), jnp.zeros((), words.dtype)
    return jax.lax.while_loop(
        lambda carry: (carry[0] >= 0) & (carry[2] != size),
        narrower,
        (*start, number),
    )[1]


def largest(
    values: Array, size: int | Int[Array, ""], ties: Callable[[Int[Array, ""]], UInt[Array, " n"]]
) -> Bool[Array, " n"]:
    """Choose the `size` largest values.

    Args:
      values: [n], real numbers, integers or truth values; where NaN belongs is not defined.
      size: how many, 0 .. n; may be traced.
      ties: ties(round) returns unsigned words [n] that decide between equal values: the larger
        word comes first, and of equal words the smaller index. It is called with round 0, an
        int32 scalar, where some values are equal; the compiler does not know this number, and so
        makes no words elsewhere.

    Returns:
      Whether a value is among them, [n], True exactly `size` times.
    """
    size = jnp.minimum(jnp.asarray(size, jnp.int32), len(values))
    words = sortable(values)
    least = _threshold(words, size, jnp.int32(len(words)))

    def decide(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        round, least, _ = carry
        is_tied, order = words == least, ties(round)
        left = size - _count(words > least)
        last = _threshold(jnp.where(is_tied, order, 0), left, _count(is_tied))
        first = is_tied & (order > last)
        last_ones = is_tied & (order == last)
        few = last_ones & (running_count(last_ones) <= left - _count(first))
        return round + 1, jnp.zeros_like(least), (words > least) | first | few

    # A loop of one pass or of none, where all values differ. The threshold is carried and changed,
    # or else the compiler would move the work out of the loop, where it is always done.
    chosen = words >= least
    is_tied = _count(chosen) != size
    return jax.lax.while_loop(
        lambda carry: is_tied & (carry[0] < 1), decide, (jnp.int32(0), least, chosen)
    )[2]


def slots_of(chosen: Bool[Array, " n"], capacity: int) -> Int[Array, " slot"]:
    """Return the indices of the entries that are True, in order.

    Args:
      chosen: [n].
      capacity: length of the result, static.

    Returns:
      int32 [capacity]; entries beyond the number of True ones are indices of any entry.
    """
    total = len(chosen)
    rows = jnp.pad(chosen, (0, -total % _BITS)).reshape(-1, _BITS)
    packed = jnp.sum(rows.astype(jnp.uint32) << np.arange(_BITS, dtype=np.uint32), axis=1)
    numbers = jax.lax.population_count(packed).astype(jnp.int32)
    ends = jnp.cumsum(numbers)
    rank = jnp.arange(1, capacity + 1, dtype=jnp.int32)
    index = jnp.minimum(jnp.searchsorted(ends, rank), len(packed) - 1)
    word, left = packed[index], rank - (ends - numbers)[index]
    place = jnp.zeros_like(rank)
    for width in (16, 8, 4, 2, 1):  # which half of the word has the bit
        low = word & np.uint32(2**width - 1)
        number = jax.lax.population_count(low).astype(jnp.int32)
        is_high = left > number
        place = place + jnp.where(is_high, width, 0)
        left = left - jnp.where(is_high, number, 0)
        word = jnp.where(is_high, word >> np.uint32(width), low)
    return jnp.minimum(index * _BITS + place, total - 1).astype(jnp.int32)


def exact_sum(one: Float[Array, "..."], other: Float[Array, "..."]) -> tuple[Array, Array]:
    """Return a sum and its rounding error, so that both are the exact sum.

    Source: D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2.

    Args:
      one: [...].
      other: [...].

    Returns:
      The rounded sum and the error, [...]; the error is 0 where the sum is not finite.
    """
    total = one + other
    part = total - one
    error = (one - (total - part)) + (other - part)
    return total, jnp.where(jnp.isfinite(total), error, 0)

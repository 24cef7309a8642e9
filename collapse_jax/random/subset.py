"""Draw uniformly random subsets of slots, without replacement and without a pass over the slots.

Candidates are drawn with replacement, a round of them at a time. In each round the slots are
thrown at random into the cells of a table: a random function of the slot, made by threefry, names
its cell. A candidate is taken unless its cell holds a slot taken before, or an earlier candidate.
No slot is taken twice, for it would find its own cell occupied; and since cells treat all slots
alike, every subset is equally likely. Nothing is sorted, and a second round is rarely needed.

Where more than half of the slots are to be chosen, the slots left out are drawn instead.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.random.integers import integer_from_block
from collapse_jax.random.keys import Keys
from collapse_jax.random.once import once

_FREE = np.int32(2**31 - 1)  # of an empty cell; behind all candidates
_BRANCH = 2**20 - 1  # of the keys that name cells
_CELLS = 4  # cells for each slot to be chosen, at least
_SPARE = 4  # slots to be chosen for each spare candidate of a round
_ROW = 16  # entries that are counted in a row
MOST_EXACT = 2**24
"""Numbers up to which float32 counts without rounding."""


def running_count(mask: Bool[Array, " n"]) -> Int[Array, " n"]:
    """Count the entries that are True up to each one, three times as fast as `cumsum` on CPU.

    Args:
      mask: [n].

    Returns:
      int32 [n]; the last entry is the number of all.
    """
    if len(mask) >= MOST_EXACT:
        return jnp.cumsum(mask, dtype=jnp.int32)
    return _running_sum(mask.astype(jnp.float32)).astype(jnp.int32)


def _running_sum(values: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return running sums: those within short rows by a product, and those of the rows' ends."""
    rows = jnp.pad(values, (0, -len(values) % _ROW)).reshape(-1, _ROW)
    upto = np.triu(np.ones((_ROW, _ROW), np.float32))
    inside = jnp.matmul(rows, upto, precision=jax.lax.Precision.HIGHEST)
    if len(rows) <= 1:
        return inside.reshape(-1)[: len(values)]
    ends = inside[:, -1]
    return (inside + (_running_sum(ends) - ends)[:, None]).reshape(-1)[: len(values)]


def _distinct(keys: Keys, purpose: int, total: Array, size: Array, capacity: int) -> Array:
    """Draw `size` <= total / 2 different slots; the entries behind them are no slots drawn."""
    number = capacity + capacity // _SPARE + 8
    bits = min((_CELLS * capacity - 1).bit_length(), 31)
    bound = jnp.maximum(total, 1).astype(jnp.uint32)
    order = jnp.arange(number, dtype=jnp.int32)
    functions = keys.branch(purpose, _BRANCH)

    def cell_of(slot: Array, round: Array) -> Array:
        high, _ = functions.branch(purpose, round).bits_at(purpose, slot)
        return (high >> np.uint32(32 - bits)).astype(jnp.int32)

    def candidates(round: Array) -> tuple[Array, Array]:
        def pack() -> Array:
            slot = integer_from_block(*keys.bits(purpose, (number,), round=round), bound)
            both = slot, cell_of(slot, round)
            return jax.lax.complex(*(jax.lax.bitcast_convert_type(x, jnp.float32) for x in both))

        pair = once(keys, pack)
        slot, cell = (jax.lax.bitcast_convert_type(x, jnp.int32) for x in (pair.real, pair.imag))
        return slot, cell

    def take(round: Array, slots: Array, taken: Array, table: Array) -> tuple[Array, Array, Array]:
        slot, cell = candidates(round)
        table = table.at[cell].min(order, mode="promise_in_bounds")
        is_taken = table.at[cell].get(mode="promise_in_bounds") == order
        count = taken + running_count(is_taken)
        place = jnp.where(is_taken & (count <= size), count - 1, capacity)
        return round + 1, slots.at[place].set(slot, mode="promise_in_bounds"), count[-1]

    def take_more(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        round, slots, taken = carry
        holds = jnp.where(jnp.arange(capacity + 1) < taken, -1, _FREE)
        return take(*carry, empty.at[cell_of(slots, round)].min(holds, mode="promise_in_bounds"))

    empty = jnp.full(1 << bits, _FREE)
    none = jnp.zeros(capacity + 1, jnp.int32)  # and one place for candidates that are not taken
    first = take(jnp.int32(0), none, jnp.int32(0), empty)
    return jax.lax.while_loop(lambda carry: carry[2] < size, take_more, first)[1][:capacity]


@functools.partial(jax.jit, static_argnames=("purpose", "capacity"), inline=True)
def random_subset(
    keys: Keys,
    purpose: int,
    total: int | Int[Array, ""],
    size: int | Int[Array, ""],
    capacity: int,
) -> Int[Array, " slot"]:
    """Draw `size` of the slots 0 .. total - 1, in any order.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      total: number of slots, < 2^31 - 1; may be traced.
      size: number of slots drawn, 0 .. total; may be traced.
      capacity: length of the result, static, at least `size`.

    Returns:
      [capacity] int32: entries 0 .. size - 1 are the slots drawn, the others any number in
      0 .. total - 1.
    """
    total, size = jnp.asarray(total, jnp.int32), jnp.asarray(size, jnp.int32)
    left = total - size
    is_few = size <= left
    few = _distinct(keys, purpose, total, jnp.where(is_few, size, left), capacity)

    def others() -> Array:
        end = np.int32(2 * capacity)  # > total
        left_out = jnp.where(jnp.arange(capacity) < left, few, end)
        is_chosen = (jnp.arange(end) < total).at[left_out].set(False, mode="drop")
        place = jnp.where(is_chosen, running_count(is_chosen) - 1, end)
        return jnp.zeros(capacity, jnp.int32).at[place].set(jnp.arange(end), mode="drop")

    chosen = jax.lax.cond(is_few, lambda: few, others)
    return jnp.where(jnp.arange(capacity) < size, chosen, 0)

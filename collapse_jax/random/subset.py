"""Draw uniformly random subsets of slots, without replacement and without a pass over the slots.

Slots are drawn with replacement and sorted, and repeated ones are drawn again until all differ.
The method treats all slots alike, so every subset is equally likely. Where more than half of the
slots are to be chosen, the slots left out are drawn instead.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.random.integers import integer_from_block
from collapse_jax.random.keys import Keys

_NONE = np.int32(2**31 - 1)  # no slot; sorts behind all slots


def _distinct(keys: Keys, purpose: int, total: Array, size: Array, capacity: int) -> Array:
    """Draw `size` <= total / 2 different slots in increasing order, followed by `_NONE`."""
    used = jnp.arange(capacity) < size
    bound = jnp.maximum(total, 1).astype(jnp.uint32)

    def draw(round: Array) -> Array:
        return integer_from_block(*keys.bits(purpose, (capacity,), round=round), bound)

    def repeated(slots: Array) -> Array:
        again = (slots[1:] == slots[:-1]) & (slots[1:] != _NONE)
        return jnp.concatenate([jnp.zeros(1, bool), again])

    def redraw(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        round, slots = carry
        return round + 1, jnp.sort(jnp.where(repeated(slots), draw(round), slots))

    first = jnp.sort(jnp.where(used, draw(jnp.int32(0)), _NONE))
    _, slots = jax.lax.while_loop(
        lambda carry: jnp.any(repeated(carry[1])), redraw, (jnp.int32(1), first)
    )
    return slots


@functools.partial(jax.jit, static_argnames=("purpose", "capacity"), inline=True)
def random_subset(
    keys: Keys,
    purpose: int,
    total: int | Int[Array, ""],
    size: int | Int[Array, ""],
    capacity: int,
) -> Int[Array, " slot"]:
    """Draw `size` of the slots 0 .. total - 1, in increasing order.

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
    is_few = size <= total - size
    few = _distinct(keys, purpose, total, jnp.where(is_few, size, total - size), capacity)

    def others() -> Array:
        slots = jnp.arange(2 * capacity, dtype=jnp.int32)  # total < 2 size
        left_out = jnp.zeros(2 * capacity, bool).at[few].set(True, mode="drop")
        chosen = ~left_out & (slots < total)
        position = jnp.where(chosen, jnp.cumsum(chosen) - 1, 2 * capacity)
        return jnp.zeros(capacity, jnp.int32).at[position].set(slots, mode="drop")

    chosen = jax.lax.cond(is_few, lambda: few, others)
    return jnp.where(jnp.arange(capacity) < size, chosen, 0)

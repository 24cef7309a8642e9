"""Which rows of finite data make a corpus."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from collapse_jax.corpus import Size
from collapse_jax.random.integers import uniform_integers
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.subset import random_subset


def choose(
    keys: Keys, total: int, size: Size, capacity: int, with_replacement: bool
) -> Int[Array, " slot"]:
    """Places of the chosen rows, in the first `size` of `capacity` slots.

    Args:
      keys: random numbers of the generation.
      total: number of rows there are.
      size: number to choose, may be traced; more than there are come with replacement.
      capacity: static, at least `size`.
      with_replacement: whether fewer do, too.
    """
    again = uniform_integers(keys, Purpose.SOURCE, total, (capacity,))
    if with_replacement or (isinstance(size, int) and size > total):
        return again
    few = min(capacity, total)
    subset = random_subset(keys, Purpose.SOURCE, total, jnp.minimum(size, total), few)
    subset = jnp.pad(subset, (0, capacity - few))
    return subset if isinstance(size, int) else jnp.where(size > total, again, subset)

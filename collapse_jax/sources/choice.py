"""Choose the rows of finite data that make a corpus."""

from typing import TypeVar

import jax.numpy as jnp
from jaxtyping import Array, Int

from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Samples, prefix_weights
from collapse_jax.random.integers import uniform_integers
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.subset import random_subset

Held = TypeVar("Held", bound=Samples)


def is_all(total: int, size: Size, with_replacement: bool) -> bool:
    """Tell whether a corpus is the data in order.

    Args:
      total: rows of the data.
      size: rows of the corpus, may be traced.
      with_replacement: whether rows are drawn with replacement at every size.
    """
    return isinstance(size, int) and size == total and not with_replacement


def draw_rows(keys: Keys, data: Held, size: Size, capacity: int, with_replacement: bool) -> Held:
    """Draw a corpus of rows; with the size of the data, the corpus is the data in order.

    Args:
      keys: random numbers of the generation.
      data: all rows, in as many slots.
      size: rows of the corpus, may be traced.
      capacity: static, at least `size`.
      with_replacement: whether rows are drawn with replacement at every size.

    Returns:
      Samples with `capacity` slots, of which the first `size` have weight 1.
    """
    total = data.rows.shape[0]
    if is_all(total, size, with_replacement):
        return data.with_capacity(capacity, capacity == total)
    rows = data.rows[_choose(keys, total, size, capacity, with_replacement)]
    return data.with_rows(rows, prefix_weights(size, capacity))


def _choose(
    keys: Keys, total: int, size: Size, capacity: int, with_replacement: bool
) -> Int[Array, " slot"]:
    """Draw the indices of rows, [slot]; the first `size` are used, repeated if rows are few."""
    again = uniform_integers(keys, Purpose.SOURCE, total, (capacity,))
    if with_replacement or (isinstance(size, int) and size > total):
        return again
    few = min(capacity, total)
    subset = random_subset(keys, Purpose.SOURCE, total, jnp.minimum(size, total), few)
    subset = jnp.pad(subset, (0, capacity - few))
    return subset if isinstance(size, int) else jnp.where(size > total, again, subset)

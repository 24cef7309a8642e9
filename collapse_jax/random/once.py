"""Compute an array once, however many readers it has."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from collapse_jax.random.keys import Keys


def once(keys: Keys, make: Callable[[], Array]) -> Array:
    """Return the array that `make()` returns, computed once.

    On CPU the compiler makes one loop for every array and repeats in it the computation of its
    inputs, random bits included. The result of a branch is computed before it is read, and the
    compiler cannot know that this branch is always taken.

    Args:
      keys: the chain's random numbers; the branch depends on their generation.
      make: a function without arguments that returns one array.

    Returns:
      The array, of the shape and type that `make` returns.
    """
    shape = jax.eval_shape(make)

    def branch() -> Array:
        return jax.lax.cond(keys.generation >= 0, make, lambda: jnp.zeros(shape.shape, shape.dtype))

    return jax.lax.platform_dependent(cpu=branch, default=make)

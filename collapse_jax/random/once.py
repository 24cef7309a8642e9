"""Compute an array once, however many readers it has."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from collapse_jax.random.keys import Keys, whole_vectors


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


def once_in_vectors(
    keys: Keys, shape: tuple[int, ...], make: Callable[[tuple[int, ...]], Array]
) -> Array:
    """Return an array of one number per block, computed once and in whole vectors.

    Args:
      keys: the chain's random numbers, see `once`.
      shape: of the array, static.
      make: make(blocks) returns an array of the shape `blocks`, which has one axis.

    Returns:
      The leading numbers, of `shape`.
    """
    size = math.prod(shape)
    made = once(keys, lambda: make((whole_vectors(size),)))
    return made[:size].reshape(shape)

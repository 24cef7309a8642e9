"""Values that are computed once and then read, however many readers they have."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from collapse_jax.random.keys import Keys


def once(keys: Keys, make: Callable[[], Array]) -> Array:
    """The array `make()` returns.

    On CPU the compiler makes one loop for every array and repeats in it whatever it takes
    to get there, random bits included. The result of a branch is made before it is read;
    this branch is always taken, which the compiler cannot know.
    """
    shape = jax.eval_shape(make)

    def branch() -> Array:
        return jax.lax.cond(keys.generation >= 0, make, lambda: jnp.zeros(shape.shape, shape.dtype))

    return jax.lax.platform_dependent(cpu=branch, default=make)

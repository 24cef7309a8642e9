"""Sum over many rows: in vectors, and several arrays in one pass."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_FAN_IN = 5  # terms of a sum; with more terms XLA no longer fills the vectors of a CPU
_FEW = 64  # terms that are added by one plain reduction


def row_sums(values: Sequence[Float[Array, "... row"]]) -> list[Float[Array, "..."]]:
    """Return the sum of each array along its last axis.

    On CPU a reduction of many arrays together is one loop, which computes common terms once.
    Five parts of the axis are added at a time, so that the rest of the axis fills vectors;
    the rounding error then grows as log M only.

    Args:
      values: arrays of one shape, [..., row].

    Returns:
      Sums, [...].
    """
    values = list(values)
    while (length := values[0].shape[-1]) > _FEW:
        part = -(-length // _FAN_IN)
        pad = [(0, 0)] * (values[0].ndim - 1) + [(0, part * _FAN_IN - length)]
        shape = (*values[0].shape[:-1], _FAN_IN, part)
        if part * _FAN_IN > length:
            values = [jnp.pad(value, pad) for value in values]
        values = _sum_rows([value.reshape(shape) for value in values])
    return [jnp.sum(value, axis=-1) for value in values]


def _sum_rows(values: list[Array]) -> list[Array]:
    zeros = tuple(jnp.zeros((), value.dtype) for value in values)

    def add(left: tuple[Array, ...], right: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(a + b for a, b in zip(left, right, strict=True))

    return list(jax.lax.reduce(tuple(values), zeros, add, (values[0].ndim - 2,)))

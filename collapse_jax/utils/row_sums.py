"""Reduce many rows: in vectors, and several arrays in one pass."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

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


def largest_size(values: Float[Array, "..."]) -> Float[Array, ""]:
    """Return the largest absolute value; NaN if there is any.

    Patterns of bits are ordered as the sizes they stand for, and integers are compared in vectors;
    a maximum of floats takes ten times as long on a CPU.

    Args:
      values: at least one number, of any unit.
    """
    integers = jnp.int64 if values.dtype == jnp.float64 else jnp.int32
    bits = jax.lax.bitcast_convert_type(jnp.abs(values), integers)
    return jax.lax.bitcast_convert_type(jnp.max(bits.reshape(-1)), values.dtype)


def first_true(mask: Bool[Array, " row"]) -> Int[Array, ""]:
    """Return the index of the first True, 0 if there is none; in vectors, unlike `argmax`.

    Args:
      mask: at least one entry.
    """
    number = len(mask)
    first = jnp.min(jnp.where(mask, jnp.arange(number, dtype=jnp.int32), number))
    return jnp.where(first < number, first, 0)

"""Sums over rows of several quantities at once, each computed where it is added."""

from collections.abc import Callable, Sequence
from functools import reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_FAN_IN = 5  # more terms, and the compiler no longer fills the processor's vectors
_FEW = 64
_WRITTEN_OUT = 32  # terms of a sum that becomes one expression


def row_sums(values: Sequence[Float[Array, "... row"]]) -> list[Float[Array, "..."]]:
    """The sum of each array along its last axis; all have one shape.

    On CPU a reduction is one loop, and so is one of many arrays together: what they have
    in common is computed once. Five parts of the axis are added at a time, so that the
    rest of it fills vectors; this also keeps the rounding error at the level of log M.
    """
    values = list(values)
    while (length := values[0].shape[-1]) > _FEW:
        part = -(-length // _FAN_IN)
        pad = [(0, 0)] * (values[0].ndim - 1) + [(0, part * _FAN_IN - length)]
        shape = (*values[0].shape[:-1], _FAN_IN, part)
        if part * _FAN_IN > length:
            values = [jnp.pad(value, pad) for value in values]
        values = _add_together([value.reshape(shape) for value in values])
    return [jnp.sum(value, axis=-1) for value in values]


def _add_together(values: list[Array]) -> list[Array]:
    zeros = tuple(jnp.zeros((), value.dtype) for value in values)

    def add(left: tuple[Array, ...], right: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(a + b for a, b in zip(left, right, strict=True))

    return list(jax.lax.reduce(tuple(values), zeros, add, (values[0].ndim - 2,)))


def fold(combine: Callable[[Array, Array], Array], terms: Sequence[Array]) -> Array:
    """The terms combined one after the other, as one expression."""
    return reduce(combine, terms)


def log_sum_exp(logits: Float[Array, "component row"]) -> Float[Array, " row"]:
    """ln sum exp over components; -inf where all are."""
    if len(logits) > _WRITTEN_OUT:
        return jax.nn.logsumexp(logits, axis=0)
    top = fold(jnp.maximum, list(logits))
    safe = jnp.where(top > -jnp.inf, top, 0)
    return safe + jnp.log(fold(jnp.add, [jnp.exp(logit - safe) for logit in logits]))


def squared_distances(
    rows: Float[Array, "dim row"], centres: Float[Array, "dim centre"]
) -> Float[Array, "centre row"]:
    """|row - centre|^2 for every pair."""
    if len(rows) > _WRITTEN_OUT:
        return jnp.sum((rows[:, None] - centres[:, :, None]) ** 2, axis=0)
    return fold(jnp.add, [(x - c[:, None]) ** 2 for x, c in zip(rows, centres, strict=True)])

"""The k largest of many numbers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_BLOCK = 32


def top_k(
    values: Float[Array, "row column"], k: int
) -> tuple[Float[Array, "row k"], Int[Array, "row k"]]:
    """`jax.lax.top_k`, ties included, for rows of 10^5 numbers and small k.

    The k largest lie in the k blocks with the largest maxima, and maxima are found by vectors.
    """
    rows, columns = values.shape
    blocks = -(-columns // _BLOCK)
    if blocks <= k:
        return jax.lax.top_k(values, k)
    padded = jnp.pad(values, ((0, 0), (0, blocks * _BLOCK - columns)), constant_values=-jnp.inf)
    padded = padded.reshape(rows, blocks, _BLOCK)
    chosen = jnp.sort(jax.lax.top_k(jnp.max(padded, axis=2), k)[1], axis=1)
    few = jnp.take_along_axis(padded, chosen[:, :, None], axis=1).reshape(rows, -1)
    largest, places = jax.lax.top_k(few, k)
    block = jnp.take_along_axis(chosen, places // _BLOCK, axis=1)
    return largest, block * _BLOCK + places % _BLOCK

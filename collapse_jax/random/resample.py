"""Draw an index and a normal score for every row from one block: a resampled row with noise."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.random.integers import integer_from_block, uniform_integers
from collapse_jax.random.keys import Keys
from collapse_jax.random.normal import normal, normal_from_bits
from collapse_jax.random.once import once_in_vectors


def indices_and_scores(
    keys: Keys, purposes: tuple[int, int], bound: int | Int[Array, ""], shape: tuple[int, int]
) -> tuple[Int[Array, " row"], Float[Array, "row dim"]]:
    """Draw a uniform index and normal scores for every row.

    In float32 and one dimension, one block has both: 32 bits are an index, whose probabilities
    differ by bound / 2^32 at most, relative to one another.

    Args:
      keys: the chain's random numbers for this generation.
      purposes: streams of the scores and of the indices, two `Purpose`.
      bound: number of indices, 1 <= bound < 2^31.
      shape: [row, dim], static; more rows leave the earlier ones unchanged.

    Returns:
      Indices 0 .. bound - 1, [row] int32, and standard normal scores, [row, dim].
    """
    rows, dim = shape
    bound = jnp.asarray(bound, jnp.int32)
    if dim > 1 or jnp.result_type(float) == jnp.float64:
        scores = normal(keys, purposes[0], shape)
        return uniform_integers(keys, purposes[1], bound, (rows,)), scores

    def pack(blocks: tuple[int, ...]) -> Array:
        high, low = keys.bits(purposes[0], blocks)
        index = integer_from_block(low, jnp.zeros_like(low), bound)
        index = jax.lax.bitcast_convert_type(index, jnp.float32)
        return jax.lax.complex(normal_from_bits(high), index)

    pairs = once_in_vectors(keys, (rows,), pack)
    return jax.lax.bitcast_convert_type(pairs.imag, jnp.int32), pairs.real[:, None]

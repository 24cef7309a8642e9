"""Draw standard exponential numbers, and the logarithm of means of many of them."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.random.chi_square import log_chi_square
from collapse_jax.random.keys import Keys
from collapse_jax.random.normal import normal


def exponential(keys: Keys, purpose: int, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Draw independent exponential numbers of mean 1, with relative precision in both tails.

    A bit of the block chooses the half of the law; the other 63 are a uniform number that is
    precise near 0, where the tail of that half is.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      shape: static; a longer axis 0 leaves the earlier rows unchanged.

    Returns:
      Positive numbers of the default float type, of `shape`.
    """
    dtype = jnp.result_type(float)
    high, low = keys.bits(purpose, shape)
    rest = (low.astype(dtype) + 0.5) * dtype.type(2.0**-32)
    is_upper = high >> np.uint32(31) == 1
    tail = ((high & np.uint32(2**31 - 1)).astype(dtype) + rest) * dtype.type(2.0**-32)
    return jnp.where(is_upper, -jnp.log(tail), -jnp.log1p(-tail))


def log_exponential_mean(keys: Keys, purpose: int, size: int | Int[Array, ""]) -> Float[Array, ""]:
    """Draw ln of the mean of `size` exponential numbers of mean 1.

    Their sum is Gamma(size), half of a chi-square number with 2 size degrees of freedom.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      size: number of rows, 1 .. 2^31 - 1.

    Returns:
      A scalar in nats, of the default float type.
    """
    score = normal(keys, purpose, (1,))[0]
    if isinstance(size, int):
        return log_chi_square(score, 2 * size)
    dof = 2 * jnp.maximum(jnp.asarray(size), 1).astype(jnp.uint32)  # beyond int32 from 2^30 on
    return log_chi_square(score, dof)

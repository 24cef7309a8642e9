"""Draw Poisson numbers and means of many of them, exactly for means up to 2^30.

The law is that of a table with one cell, see `rounded_normal`: means below 6 are inverted, larger
ones use a randomly rounded normal with rejection. A mean is an integer plus a fraction, which
float32 holds at every size. From 2^30 on, where float32 no longer tells neighbours apart, the
number is a normal score bent by its skewness (Cornish and Fisher, 1938), whose law is off by less
than 1e-8 in total variation.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.random.binomial import product_parts
from collapse_jax.random.keys import Keys
from collapse_jax.random.normal import normal_from_bits, normal_from_block
from collapse_jax.random.rounded_normal import (
    Cell,
    Proposal,
    TableLaw,
    invert,
    propose,
    slack,
    table_sampler,
)

LARGE_MEAN = 2.0**30
"""Mean from which on numbers are not drawn as integers."""


def _law(mode: Array, excess: Array) -> TableLaw:
    kind = excess.dtype.type
    mean = mode.astype(excess.dtype) + excess
    deviation = jnp.sqrt(mean)
    return TableLaw(
        mode=mode,
        excess=excess,
        spread=deviation + kind(0.05) / deviation,
        skewness=1 / deviation,
        scale=jnp.ones_like(mean),
        slack=slack(jnp.maximum(mean, 1)),
        cells=(Cell(mode, mean, 1),),
        ratio=lambda j: mean * kind(1 / j),
    )


_sample = table_sampler(_law)


def _parts(mean: Array) -> tuple[Array, Array]:
    """Return a mean as an integer and a fraction; 0 where it is large."""
    mean = jnp.where(mean < LARGE_MEAN, mean, 0)
    return jnp.floor(mean).astype(jnp.int32), mean - jnp.floor(mean)


def _score(block: tuple[Array, Array], dtype) -> Array:
    return normal_from_block(*block) if dtype == jnp.float64 else normal_from_bits(block[0])


@functools.partial(jax.jit, static_argnames=("purpose", "shape"), inline=True)
def poisson(
    keys: Keys, purpose: int, mean: Float[Array, ""] | float, shape: tuple[int, ...]
) -> Float[Array, "..."]:
    """Draw independent Poisson numbers.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      mean: scalar, at least 0. Dimensionless.
      shape: static; a longer axis 0 leaves the earlier rows unchanged.

    Returns:
      Whole numbers of the default float type, of `shape`.
    """
    dtype = jnp.result_type(float)
    mean = jnp.asarray(mean, dtype)
    block = keys.bits(purpose, shape)
    near = _sample(*block, *(jnp.broadcast_to(part, shape) for part in _parts(mean)))
    score = _score(block, dtype)
    far = jnp.round(mean + jnp.sqrt(mean) * score + (score * score - 1) / 6)
    return jnp.where(mean < LARGE_MEAN, near.astype(dtype), far)


@functools.partial(jax.jit, static_argnames=("purpose",), inline=True)
def poisson_mean(
    keys: Keys, purpose: int, size: int | Int[Array, ""], rate: Float[Array, ""] | float
) -> Float[Array, ""]:
    """Draw the mean of `size` Poisson numbers, whose sum is Poisson(size * rate).

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      size: number of rows, 0 .. 2^31 - 1.
      rate: scalar, at least 0. Dimensionless.

    Returns:
      The mean of the rows, a scalar of the default float type; 0 without rows.
    """
    dtype = jnp.result_type(float)
    rate, size = jnp.asarray(rate, dtype), jnp.asarray(size, jnp.int32)
    rows = jnp.maximum(size, 1).astype(dtype)
    is_near = size * rate < LARGE_MEAN
    if dtype == jnp.float64:
        mode, excess = _parts(size * rate)
    else:
        near_rate = jnp.where(is_near, rate, 0)
        mode, excess = product_parts(size, near_rate, jnp.zeros_like(near_rate))
    block = keys.bits(purpose, ())
    near = _sample(*block, mode, excess).astype(dtype) / rows
    score = _score(block, dtype)
    far = rate + jnp.sqrt(rate / rows) * score + (score * score - 1) / (6 * rows)
    return jnp.where(is_near, near, far)


def poisson_proposal(
    mode: Int[Array, "..."],
    excess: Float[Array, "..."],
    score: Float[Array, "..."],
    rounding: Float[Array, "..."],
) -> Proposal:
    """Return the proposal of a lane with mean mode + excess of 6 or more, as a function.

    Args:
      mode: [...] int32, integer part of the mean.
      excess: [...], fraction of the mean.
      score: [...], standard normal scores.
      rounding: [...], uniform numbers in [0, 1).

    Returns:
      A `Proposal` of arrays [...], see `binomial_proposal`.
    """
    return propose(_law(mode, excess), score, rounding)


def poisson_quantile(
    mode: Int[Array, "..."], excess: Float[Array, "..."], uniform: Float[Array, "..."]
) -> Int[Array, "..."]:
    """Return the number for a uniform number, where the mean mode + excess is below 6.

    Args:
      mode: [...] int32, integer part of the mean.
      excess: [...], fraction of the mean.
      uniform: [...], uniform numbers in [0, 1); the smallest choose the largest numbers.

    Returns:
      [...] int32.
    """
    return invert(_law(mode, excess), uniform)

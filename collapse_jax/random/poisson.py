"""Draw Poisson numbers and means of many of them, exactly for means up to 2^30.

Small means are inverted by their sums. In float32 means of 4 or more take one normal score: the
number is floor(x), where P(N < x), which for real x is an incomplete gamma function, is the
probability of the score. x minus its first terms (Giles, ACM TOMS 42, 2016) is a sum of powers of
mean^-1/2 whose factors are polynomials in the score times mean^-1/2 (Temme, 1979). Nothing is
rejected, so that no chain waits for another. What float32 rounds off a score is drawn, too, and a
mean is an integer plus a fraction, which float32 holds at every size. With x64 means from 6 on are
drawn as a table with one cell, see `rounded_normal`. From 2^30 on, where float32 no longer tells
neighbours apart, the number is a normal score bent by its skewness (Cornish and Fisher, 1938),
whose law is off by less than 1e-8 in total variation.
"""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int, UInt32

from collapse_jax.random.binomial import halves, product_parts
from collapse_jax.random.keys import Keys
from collapse_jax.random.normal import horner, normal_from_bits, normal_from_block
from collapse_jax.random.rounded_normal import (
    Cell,
    Proposal,
    TableLaw,
    batch_last,
    invert,
    propose,
    slack,
    table_sampler,
    uniform_from_block,
)

LARGE_MEAN = 2.0**30
"""Mean from which on numbers are not drawn as integers."""

LEAST_OF_SCORE = 4.0
"""Mean from which on numbers are a function of a normal score, in float32."""

_TERMS = 21  # of an inversion: P(X > 21) is below 4e-10 for a mean of 4
# Of poisson_of_score, highest power of score times mean^-1/2 first, a polynomial for each head;
# tests/random/test_poisson.py fits them.
_COEFFICIENTS = (
    (
        7.59031757e-07,
        -8.73823081e-06,
        3.96520482e-05,
        -8.25681132e-05,
        7.1620666e-05,
        -2.50512026e-06,
        2.2625862e-05,
        -0.000246707873,
        0.000603220747,
        -0.001332164,
        0.0037002324,
        -0.0138913589,
    ),
    (
        -1.5961134e-05,
        0.000137642868,
        -0.000603761479,
        0.000784737454,
        0.000527876963,
        -0.00142721513,
        0.00120721401,
        -0.00126822903,
        0.00133533994,
        -0.00331649105,
        0.00865824597,
        -0.0277717338,
    ),
    (
        0.000443459194,
        0.00100088095,
        -0.00264427384,
        -0.00356634115,
        -0.00491095574,
        0.0186752217,
        -0.00763305486,
        0.00612494294,
        -0.0122997339,
        0.0169522332,
        -0.01975934,
    ),
    (
        -0.00559908303,
        -0.00551616981,
        0.0426833708,
        0.0115680319,
        -0.0641698439,
        -0.00184967488,
        0.0107238222,
        -0.00259617347,
        0.00481703094,
        -0.000674047229,
    ),
    (
        0.0354785603,
        -0.0732046072,
        -0.0448572243,
        0.09167291,
        0.0296038213,
        -0.0138152718,
        0.00151351318,
        -0.0110548062,
        0.00179574724,
    ),
)


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


_rejected = table_sampler(_law)


def heads(score: Any, s: Any) -> list[Any]:
    """Return what each polynomial is multiplied by: powers whose difference falls by two.

    Args:
      score: normal score.
      s: mean^-1/2.
    """
    return [score**3, score, s, s**3, s**5]


def poisson_of_score(
    mode: Int[Array, "..."],
    excess: Float[Array, "..."],
    score: Float[Array, "..."],
    rest: Float[Array, "..."],
) -> Int[Array, "..."]:
    """Return the Poisson number of a normal score, for means of 4 or more.

    Args:
      mode: [...] int32, integer part of the mean.
      excess: [...], fraction of the mean.
      score: [...] float32, standard normal scores.
      rest: [...] float32, what float32 has rounded off the scores.

    Returns:
      [...] int32, increasing in the score.
    """
    kind = score.dtype.type
    root = jnp.sqrt(mode.astype(score.dtype) + excess)
    s = 1 / root
    ratio = score * s
    terms = [horner([kind(c) for c in one], ratio) for one in _COEFFICIENTS]
    terms = [head * one for head, one in zip(heads(score, s), terms, strict=True)]
    (root_high, root_low), (high, low) = halves(root), halves(score)
    product = root_high * high  # exact
    whole = jnp.floor(product)  # added as an integer: no sum is rounded to the size of a step
    step = (product - whole) + (root_high * low + root_low * score + root * rest)
    step = step + (kind(1 / 3) + score * score * kind(1 / 6)) + s * sum(terms[1:], terms[0])
    moved = whole.astype(jnp.int32) + jnp.floor(excess + step).astype(jnp.int32)
    return mode + jnp.maximum(moved, -mode)


def _rest_of(score: Float[Array, "..."], low: UInt32[Array, "..."]) -> Float[Array, "..."]:
    """Draw what float32 has rounded off scores: uniform numbers within half a unit of the last."""
    bits = jax.lax.bitcast_convert_type(score, jnp.uint32)
    unit = jax.lax.bitcast_convert_type(bits + np.uint32(1), score.dtype) - score
    return (low.astype(score.dtype) * np.float32(2.0**-32) - np.float32(0.5)) * unit


@custom_vmap
def _sample(high: UInt32[Array, "..."], low: UInt32[Array, "..."], *parts: Array) -> Array:
    """Return a Poisson number of every lane, from a 64-bit block and the parts of its mean."""
    mode, excess = parts
    if excess.dtype == jnp.float64:
        return _rejected(high, low, mode, excess)
    mean = mode.astype(excess.dtype) + excess
    is_small = ~(mean >= LEAST_OF_SCORE)
    inner = jnp.where(is_small, np.int32(LEAST_OF_SCORE), mode)
    score = normal_from_bits(high)
    only = jnp.where(is_small, 0, excess)
    count = poisson_of_score(inner, only, score, _rest_of(score, low))

    def inverted() -> Array:
        uniform = uniform_from_block(high, low, excess.dtype)
        return jnp.where(is_small, poisson_quantile(mode, excess, uniform), count)

    count = jax.lax.cond(jnp.any(is_small & (mean > 0)), inverted, lambda: count)
    return jnp.where(mean > 0, count, 0)


@_sample.def_vmap
def _batched(axis_size, in_batched, *arguments):
    del axis_size
    return batch_last(_sample, in_batched, arguments), True


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


@custom_vmap
def _far_mean(
    high: UInt32[Array, "..."], low: UInt32[Array, "..."], rate: Array, rows: Array, is_near: Array
) -> Array:
    """Return means of rows whose sum is beyond `LARGE_MEAN`, if there is any such lane."""

    def bent() -> Array:
        score = _score((high, low), rate.dtype)
        return rate + jnp.sqrt(rate / rows) * score + (score * score - 1) / (6 * rows)

    shape = jnp.broadcast_shapes(*(jnp.shape(x) for x in (high, rate, rows, is_near)))
    return jax.lax.cond(jnp.all(is_near), lambda: jnp.zeros(shape, rate.dtype), bent)


@_far_mean.def_vmap
def _batched_far_mean(axis_size, in_batched, *arguments):
    del axis_size
    return batch_last(_far_mean, in_batched, arguments), True


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
    return jnp.where(is_near, near, _far_mean(*block, rate, rows, is_near))


def poisson_proposal(
    mode: Int[Array, "..."],
    excess: Float[Array, "..."],
    score: Float[Array, "..."],
    rounding: Float[Array, "..."],
) -> Proposal:
    """Return the proposal of a lane that may be rejected, as a function.

    These lanes have a mean of 6 or more, with x64.

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
    """Return the number for a uniform number, where the mean is below 4, with x64 below 6.

    Args:
      mode: [...] int32, integer part of the mean.
      excess: [...], fraction of the mean.
      uniform: [...], uniform numbers in [0, 1); the smallest choose the largest numbers.

    Returns:
      [...] int32.
    """
    if uniform.dtype == jnp.float64:
        return invert(_law(mode, excess), uniform)
    mean = mode.astype(uniform.dtype) + excess
    weight, weights = jnp.ones_like(mean), []  # relative to P(N = 0): exact for the rarest events
    for j in range(1, _TERMS + 1):
        weight = weight * (mean * mean.dtype.type(1 / j))
        weights.append(weight)
    tails = list(itertools.accumulate(weights[::-1]))  # smallest terms first
    level = uniform * (1 + tails[-1])
    return sum(((level < tail).astype(jnp.int32) for tail in tails), jnp.zeros((), jnp.int32))

"""Draw binomial numbers, exactly for n up to 2^31 - 1, by inversion or by rejection.

Means below 6 are inverted; larger ones use a randomly rounded normal with rejection, see
`rounded_normal`. The success probability is given by two weights, which preserves the precision
of the smaller of p and 1 - p, and n p is an integer plus a fraction. So float32 is exact to its
rounding at n = 1e7 and beyond (`jax.random.binomial` is biased for n p > 10 and breaks near
n = 1e6).

Source: C. Loader, "Fast and accurate computation of binomial probabilities", 2000.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.random.keys import Keys
from collapse_jax.random.rounded_normal import (
    Cell,
    Proposal,
    TableLaw,
    invert,
    propose,
    slack,
    stirling_ratio,
    table_sampler,
)


def halves(x: Float[Array, "..."]) -> tuple[Array, Array]:
    """Return float32 numbers as exact sums of two floats of 12 bits, whose products are exact.

    Args:
      x: [...] float32, of any unit.

    Returns:
      The sums' terms, each [...] float32: the larger one, and what it lacks.
    """
    word = jax.lax.bitcast_convert_type(x, jnp.int32) & np.int32(-4096)
    top = jax.lax.bitcast_convert_type(word, jnp.float32)
    return top, x - top


def _quotient(success: Array, failure: Array, low: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return success / (success + failure) as a sum of two floats, success <= failure.

    Every product is exact, so that a fused multiply-add rounds as two operations do.
    """
    total = failure + success
    total_low = (success - (total - failure)) + (low[0] + low[1])
    total = jnp.where(total > 0, total, 1)
    ratio = success / total
    (a, b), (c, d) = halves(ratio), halves(total)
    rest = (((success - a * c) - a * d) - b * c) - b * d
    return ratio, (rest + low[0] - ratio * total_low) / total


def _mean(
    n: Array, success: Array, failure: Array, low: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Return n p as an integer and a fraction in [0, 1), success <= failure."""
    if success.dtype == jnp.float64:
        total = success + failure
        mean = n * (success / jnp.where(total > 0, total, 1))
        return jnp.floor(mean).astype(jnp.int32), mean - jnp.floor(mean)
    ratio, ratio_low = _quotient(success, failure, low)
    return product_parts(n, ratio, n.astype(jnp.float32) * ratio_low)


def product_parts(
    n: Int[Array, "..."], ratio: Float[Array, "..."], rest: Float[Array, "..."]
) -> tuple[Int[Array, "..."], Float[Array, "..."]]:
    """Return n * ratio + rest as an integer and a fraction in [0, 1), for float32.

    Args:
      n: [...] int32, at least 0.
      ratio: [...] float32, at least 0; n * ratio must be below 2^31. Dimensionless.
      rest: [...] float32, a small number to be added.

    Returns:
      The integer part, [...] int32, and the fraction, [...] float32, exact to 4e-7.
    """
    whole, fraction = jnp.zeros_like(n), rest
    for bits in (n & 0x3FF, n & 0xFFC00, n & 0x7FF00000):
        for part in halves(ratio):
            product = bits.astype(jnp.float32) * part
            whole = whole + jnp.floor(product).astype(jnp.int32)
            fraction = fraction + (product - jnp.floor(product))
    return whole + jnp.floor(fraction).astype(jnp.int32), fraction - jnp.floor(fraction)


def _law(n: Array, success: Array, failure: Array, low: tuple[Array, Array]) -> TableLaw:
    """Return the law of the rarer outcome, success <= failure."""
    kind = success.dtype.type
    odds = success / jnp.where(failure > 0, failure, 1)
    mode, excess = _mean(n, success, failure, low)
    mean = mode.astype(excess.dtype) + excess
    other = (n - mode).astype(excess.dtype) - excess
    deviation = jnp.sqrt(mean / (1 + odds))
    safe = jnp.maximum(mean, 1)
    return TableLaw(
        mode=mode,
        excess=excess,
        spread=deviation + kind(0.05) / deviation,
        skewness=(1 - odds) / (1 + odds) / deviation,
        scale=stirling_ratio(n.astype(excess.dtype)),
        slack=slack(safe),
        cells=(Cell(mode, mean, 1), Cell(n - mode, other, -1)),
        ratio=lambda j: (n - (j - 1)).astype(excess.dtype) * odds * kind(1 / j),
    )


def _rarer(n: Array, success: Array, failure: Array, low: Array, other_low: Array) -> TableLaw:
    swap = success > failure
    lows = jnp.where(swap, other_low, low), jnp.where(swap, low, other_low)
    return _law(n, jnp.minimum(success, failure), jnp.maximum(success, failure), lows)


_sample = table_sampler(_rarer)


def _weights(success: Array, failure: Array | None) -> tuple[Array, ...]:
    """Return both weights in the default float type, and the rounding error of each."""
    dtype = jnp.result_type(float)
    success = jnp.asarray(success, dtype)
    if failure is None:
        failure = 1 - success
        return success, failure, jnp.zeros_like(success), (1 - failure) - success
    failure = jnp.asarray(failure, dtype)
    return success, failure, jnp.zeros_like(success), jnp.zeros_like(failure)


def binomial_from_block(
    block: tuple[Array, Array], n: Array, weights: tuple[Array, ...]
) -> Int[Array, "..."]:
    """Draw binomial numbers from a 64-bit block per lane; all arguments have one rank.

    Args:
      block: two uint32 words for each lane, [*lanes] each.
      n: [*lanes] int32, numbers of trials, 0 .. 2^31 - 1.
      weights: success, failure, and a low part to be added to each, [*lanes] floats.

    Returns:
      [*lanes] int32, numbers of successes, 0 .. n.
    """
    success, failure = weights[:2]
    rarer = _sample(*block, n, *weights)
    return jnp.where(success > failure, n - rarer, rarer)


@functools.partial(jax.jit, static_argnames=("purpose", "round"), inline=True)
def binomial(
    keys: Keys,
    purpose: int,
    n: Int[Array, "*lanes"] | int,
    success: Float[Array, "*lanes"] | float,
    failure: Float[Array, "*lanes"] | float | None = None,
    round: int = 0,
) -> Int[Array, "*lanes"]:
    """Draw Binomial(n, p) numbers, p = success / (success + failure).

    The draw of a lane depends only on its row-major index and its own arguments.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      n: [*lanes], numbers of trials, 0 .. 2^31 - 1.
      success: [*lanes], weight >= 0 of a success; p itself where `failure` is None. Dimensionless.
      failure: [*lanes], weight >= 0 of a failure; one of the two weights must be positive.
      round: repetition of the stream, 0 .. 255, for several calls in a generation.

    Returns:
      int32 numbers of successes of the broadcast shape; exactly 0 for p = 0 and n for p = 1.
    """
    parts = _weights(jnp.asarray(success), None if failure is None else jnp.asarray(failure))
    n = jnp.asarray(n, jnp.int32)
    shape = jnp.broadcast_shapes(n.shape, *(part.shape for part in parts))
    n, *parts = (jnp.broadcast_to(x, shape) for x in (n, *parts))
    return binomial_from_block(keys.bits(purpose, shape, round=round), n, tuple(parts))


def binomial_proposal(
    n: Int[Array, "..."],
    success: Float[Array, "..."],
    failure: Float[Array, "..."] | None,
    score: Float[Array, "..."],
    rounding: Float[Array, "..."],
) -> Proposal:
    """Return the proposal of a lane whose rarer outcome has mean 6 or more, as a function.

    The number k of rarer outcomes is drawn with probability proportional to
    E[weight * acceptance; outcome = k] over normal scores and uniform roundings.

    Args:
      n: [...], numbers of trials.
      success: [...], weight of a success, or p where `failure` is None; dimensionless.
      failure: [...], weight of a failure, or None.
      score: [...], standard normal scores.
      rounding: [...], uniform numbers in [0, 1).

    Returns:
      A `Proposal` of arrays [...].
    """
    return propose(_rarer(jnp.asarray(n), *_weights(success, failure)), score, rounding)


def binomial_quantile(
    n: Int[Array, "..."],
    success: Float[Array, "..."],
    failure: Float[Array, "..."] | None,
    uniform: Float[Array, "..."],
) -> Int[Array, "..."]:
    """Return the number of rarer outcomes for a uniform number, where its mean is below 6.

    Decreasing in `uniform`: the smallest numbers choose the largest counts.

    Args:
      n: [...], numbers of trials.
      success: [...], weight of a success, or p where `failure` is None; dimensionless.
      failure: [...], weight of a failure, or None.
      uniform: [...], uniform numbers in [0, 1).

    Returns:
      [...] int32, numbers of rarer outcomes, 0 .. n.
    """
    return invert(_rarer(jnp.asarray(n), *_weights(success, failure)), uniform)

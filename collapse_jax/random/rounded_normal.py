"""Draw from the laws of 2x2 tables: a skewed normal, rounded at random, then exact rejection.

The binomial and the hypergeometric law share one form. With k in cell 0, every
cell i of the table holds k_i = E_i +- (k - mean), and

    p(k) = exp(-sum_i D(k_i, E_i)) * sqrt(scale / (2 pi prod_i R(k_i)))

where D(k, E) = k ln(k/E) + E - k and R(k) = (k! e^k / k^k)^2 / (2 pi) (Loader, "Fast and
accurate computation of binomial probabilities", 2000; here R is one rational function for
every k >= 0). No term cancels another, so float32 suffices.

A proposal is y = mean + s (z + a (z^2 - 1)), z standard normal (Cornish and Fisher, 1938),
rounded up with probability frac(y) and down otherwise. The random rounding makes the law
insensitive to the rounding of floats. k is accepted with probability proportional to
p(k) (1 + slope_k (y - k)) / density(y). The tilt integrates to zero over the triangle of
the rounding and flattens the ratio, so that 80 % of the proposals are accepted at mean 6,
90 % at 10 and 99.9 % at 1000. Below a mean of 6 the law is inverted by its sums instead.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int, UInt32

from collapse_jax.random.normal import horner, normal_from_bits, normal_from_block
from collapse_jax.random.threefry import threefry_2x32

SMALL_MEAN = 6.0  # of k: smaller means are inverted, larger ones proposed and rejected
# (1 - acceptance) / slack is below this polynomial in the squared score, for squares up to 16;
# lowest power first.
SQUEEZE = (1.2, 1.0, 0.1)
_TILE = 32  # lanes
_SPARSE = 64  # lanes for each pending one at which the dense loop ends
# Terms of an inversion. P(X > terms) of a Poisson law with mean 6 is below 2e-8 and 1e-11; all
# laws here have lighter tails.
_TERMS = {"float32": 22, "float64": 30}

# R(k) - k - 1/6 = P(k) / Q(k), through the exact values at k = 0, 1, 2, ...: relative
# errors 4e-9 and 3e-17; both have Stirling's limit 1 / (72 k). Highest power first.
_RATIONAL = {
    "float32": (
        [0.013888888888888888, 0.0039233143581825633, 4.6667595927489341e-05],
        [1, 0.62610348822490303, 0.2925754400359929, -0.0062126348850516612],
    ),
    "float64": (
        [
            0.013888888888888888,
            0.045770231316671191,
            0.082498334661799122,
            0.074694996529698202,
            0.027119235410977893,
            -0.00051965656340451582,
        ],
        [
            1,
            3.6399010994937893,
            7.2579756269355409,
            8.0034376893759092,
            4.7604538163788099,
            1.3397824778085992,
            0.069179404464485367,
        ],
    ),
}
# (atanh(v) - v) / v^3 as a polynomial in v^2 <= 1/4, highest power first: error 1e-8.
_NODES = 0.125 * (1 + np.cos(np.pi * (np.arange(9) + 0.5) / 9))
_ATANH = np.polyfit(_NODES, (np.arctanh(_NODES**0.5) - _NODES**0.5) / _NODES**1.5, 6)


class Cell(NamedTuple):
    """Cell of the table.

    Attributes:
      at_mode: [...] int32, its count at k = mode.
      mean: [...], its mean count.
      sign: +1 or -1, the change of its count as k grows by one.
    """

    at_mode: Int[Array, "..."]
    mean: Float[Array, "..."]
    sign: int


class TableLaw(NamedTuple):
    """Law of k, one per lane; `mode + excess` is the mean, with more precision than one float.

    Attributes:
      mode: [...] int32, integer part of the mean.
      excess: [...], fraction of the mean.
      spread: [...], scale of the proposal, slightly more than the standard deviation.
      skewness: [...], of k, dimensionless.
      scale: [...], the factor of p(k)^2 that the R(k_i) leave out.
      slack: [...], 1 + slack is at least the largest p / density.
      cells: the cells of the table.
      ratio: function of j that returns p(j) / p(j - 1).
    """

    mode: Int[Array, "..."]
    excess: Float[Array, "..."]
    spread: Float[Array, "..."]
    skewness: Float[Array, "..."]
    scale: Float[Array, "..."]
    slack: Float[Array, "..."]
    cells: tuple[Cell, ...]
    ratio: Callable[[int], Array]

    @property
    def is_small(self) -> Array:
        """Tell whether to invert, [...] bool.

        NaN counts as small, because inversion ends for every lane.
        """
        return ~(self.mode.astype(self.excess.dtype) + self.excess >= SMALL_MEAN)


class Proposal(NamedTuple):
    """Proposed k with its probabilities.

    Attributes:
      outcome: [...] int32, the proposed k.
      weight: [...], probability of its rounding.
      acceptance: [...], probability of accepting it.
      rest: [...], uniform in [0, weight): the part of `rounding` that is not used yet.
    """

    outcome: Int[Array, "..."]
    weight: Float[Array, "..."]
    acceptance: Float[Array, "..."]
    rest: Float[Array, "..."]


def stirling_ratio(count: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return R(k) = (k! e^k / k^k)^2 / (2 pi), close to k + 1/6, for any integer k >= 0.

    Source: Loader 2000, with R as one rational function.

    Args:
      count: k, [...] float32 or float64.

    Returns:
      R(k), [...], dimensionless.
    """
    upper, lower = _RATIONAL[count.dtype.name]
    kind = count.dtype.type
    ratio = horner([kind(c) for c in upper], count) / horner([kind(c) for c in lower], count)
    return count + kind(1 / 6) + ratio


def _deviance(count: Array, excess: Array, mean: Array, tilt: Array) -> Array:
    """Return D(count, mean) with count = mean + excess and tilt = excess / (count + mean)."""
    positive = jnp.maximum(count, 1)
    if count.dtype == jnp.float64:
        ratio = jnp.maximum(excess / mean, -0.999999)
        return jnp.where(count > 0, count * jnp.log1p(ratio) - excess, mean)
    # k ln(k/E) = 2 k atanh(tilt): the leading term excess * tilt has no rounding error of E.
    square = tilt * tilt
    series = horner(_ATANH.astype(np.float32), square)
    near = excess * tilt + 2 * count * tilt * square * series
    far = jnp.where(count > 0, count * jnp.log(positive / mean) - excess, mean)
    return jnp.where(square < 0.25, near, far)


def slack(mean: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the slack of a law: how far p / density rises above 1 at most, found numerically.

    Args:
      mean: [...], mean of k, at least 6.

    Returns:
      [...], slack, at least 0, dimensionless.
    """
    kind = mean.dtype.type
    return (kind(1.1) + 1 / mean) / mean + 16 * jnp.finfo(mean.dtype).eps


class _Landing(NamedTuple):
    """Rounded score: a step away from the mode, and how it was rounded.

    Attributes:
      step: [...], k - mode.
      offset: [...], y - k.
      weight: [...], probability of this rounding.
      rest: [...], uniform in [0, weight).
    """

    step: Float[Array, "..."]
    offset: Float[Array, "..."]
    weight: Float[Array, "..."]
    rest: Float[Array, "..."]


def _land(law: TableLaw, score: Array, rounding: Array) -> _Landing:
    """Map a normal score to an integer step from the mode, rounded at random."""
    bend = law.skewness * score.dtype.type(1 / 6)
    position = law.excess + law.spread * (score + bend * (score * score - 1))
    lower = jnp.floor(position)
    fraction = position - lower
    up = rounding < fraction
    return _Landing(
        step=lower + up,
        offset=jnp.where(up, fraction - 1, fraction),
        weight=jnp.where(up, fraction, 1 - fraction),
        rest=jnp.where(up, rounding, rounding - fraction),
    )


def propose(law: TableLaw, score: Float[Array, "..."], rounding: Float[Array, "..."]) -> Proposal:
    """Return one proposal as an explicit function of a normal score and a uniform number.

    The law sampled is p(k) proportional to E[weight * acceptance; outcome = k].

    Args:
      law: the law of every lane.
      score: [...], standard normal scores.
      rounding: [...], uniform numbers in [0, 1).

    Returns:
      A `Proposal` of arrays [...].
    """
    kind = score.dtype.type
    landing = _land(law, score, rounding)
    excess = landing.step - law.excess
    deviance, slope, product, inside = kind(0), kind(0), kind(1), True
    for cell in law.cells:
        count = cell.at_mode + cell.sign * landing.step.astype(jnp.int32)
        inside &= count >= 0
        count = jnp.maximum(count, 0).astype(score.dtype)
        tilt = cell.sign * excess / (count + cell.mean)
        deviance += _deviance(count, cell.sign * excess, cell.mean, tilt)
        slope -= 2 * cell.sign * tilt
        product *= stirling_ratio(count)
    bend = law.skewness * kind(1 / 3)
    height = jnp.exp(kind(0.5) * score * score - deviance) * (1 + bend * score)
    tilted = 1 + jnp.clip(slope, -1, 1) * landing.offset
    acceptance = height * tilted * law.spread * jnp.sqrt(law.scale / product) / (1 + law.slack)
    return Proposal(
        outcome=law.mode + landing.step.astype(jnp.int32),
        weight=landing.weight,
        acceptance=jnp.where(inside, acceptance, 0),
        rest=landing.rest,
    )


def squeeze(law: TableLaw, score: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return a lower bound of the acceptance that needs no logarithm; useful for large means.

    Args:
      law: the law of every lane.
      score: [...], standard normal scores.

    Returns:
      [...], lower bounds of the acceptance probability; 0 where none is known.
    """
    kind = score.dtype.type
    square = score * score
    bound = 1 - law.slack * (
        kind(SQUEEZE[0]) + square * (kind(SQUEEZE[1]) + square * kind(SQUEEZE[2]))
    )
    return jnp.where((law.slack < kind(0.05)) & (square < 16), bound, 0)


def invert(law: TableLaw, uniform: Float[Array, "..."]) -> Int[Array, "..."]:
    """Return the k with P(X > k) <= uniform < P(X >= k), for means below `SMALL_MEAN`.

    Weights are relative to p(0), which preserves the precision of P(X > 0) however small it is.

    Args:
      law: the law of every lane.
      uniform: [...], uniform numbers in [0, 1).

    Returns:
      k, [...] int32.
    """
    terms = _TERMS[uniform.dtype.name]
    ratios = [jnp.maximum(law.ratio(j), 0) for j in range(1, terms + 1)]
    # Lanes that share their law have ratios of size 1. Sums of these stay so: XLA would move the
    # broadcasts out of the sums one by one, and take so many steps for a circle.
    tail = jnp.zeros_like(ratios[0])
    for ratio in ratios[::-1]:
        tail = ratio * (1 + tail)
    level = uniform * (1 + tail)
    count = jnp.zeros(uniform.shape, jnp.int32)
    weight = jnp.ones_like(ratios[0])
    for j, ratio in enumerate(ratios):
        weight = weight * ratio
        # The remaining tail carries rounding errors of the terms before it; while the ratios
        # are below 1/2 it is at most twice its largest term.
        tail = jnp.where(ratio < 0.5, jnp.minimum(tail, 2 * weight), tail)
        count = jnp.where((level < tail) & (count == j), j + 1, count)
        tail = tail - weight
    return count


def uniform_from_block(high: Array, low: Array, dtype: Any) -> Array:
    """Return a uniform number in (0, 1) of a 64-bit block, with relative precision near 0."""
    low = (low.astype(dtype) + 0.5) * dtype.type(2.0**-32)
    return (high.astype(dtype) + low) * dtype.type(2.0**-32)


def _numbers(high: Array, low: Array, dtype: Any) -> tuple[Array, Array]:
    """Return a normal score and a uniform number from a 64-bit block."""
    if dtype == jnp.float64:
        block = threefry_2x32((high, low), (jnp.uint32(0), jnp.uint32(1)))
        return normal_from_block(high, low), uniform_from_block(*block, dtype)
    return normal_from_bits(high), (low.astype(jnp.float32) + 0.5) * np.float32(2.0**-32)


def _quick(law: TableLaw, high: Array, low: Array) -> Array:
    """Return proposal 0 if the squeeze accepts it, otherwise -1; 0 for lanes to invert.

    This function and `_attempt` have one output, so that the compiler makes one kernel of each.
    """
    score, rounding = _numbers(high, low, law.excess.dtype)
    landing = _land(law, score, rounding)
    accepted = landing.rest < landing.weight * squeeze(law, score)
    count = jnp.where(accepted, law.mode + landing.step.astype(jnp.int32), -1)
    return jnp.where(law.is_small, 0, count)


def _attempt(make_law: Callable[..., TableLaw], lanes: list[Array], attempt: Array) -> Array:
    """Return proposal number `attempt` of each lane if it is accepted, otherwise -1.

    Blocks after block 0 are keyed by it, so a lane needs only its block 0.
    """
    high, low, *parameters = lanes
    block = threefry_2x32((high, low), (attempt, jnp.uint32(0)))
    high, low = jnp.where(attempt == 0, high, block[0]), jnp.where(attempt == 0, low, block[1])
    law = make_law(*parameters)
    proposal = propose(law, *_numbers(high, low, law.excess.dtype))
    accepted = proposal.rest < proposal.weight * proposal.acceptance
    return jnp.where(accepted, proposal.outcome, -1)


def _finish(make_law: Callable[..., TableLaw], lanes: list[Array], drawn: Array) -> Array:
    """Repeat the proposals of the lanes below zero until all are accepted.

    While many lanes are pending, all lanes work; afterwards every tile works only on its pending
    lane of smallest index. Attempts are counted per lane, so no lane depends on the others.
    """
    shape, size = drawn.shape, drawn.size

    def dense(carry):
        drawn, attempt = carry
        value = _attempt(make_law, lanes, attempt)
        return jnp.where(drawn < 0, value, drawn), attempt + np.uint32(1)

    def is_dense(carry):
        return jnp.sum(carry[0] < 0) * _SPARSE > size

    drawn, attempt = jax.lax.while_loop(is_dense, dense, (drawn, jnp.uint32(0)))
    lanes = [jnp.broadcast_to(lane, shape).reshape(-1) for lane in lanes]
    tiles = -(-size // _TILE)
    # Tiles run along axis 0, so that the search for a pending lane is elementwise work.
    padding = tiles * _TILE - size
    drawn = jnp.pad(drawn.reshape(-1), (0, padding)).reshape(_TILE, tiles)
    row, column = jnp.arange(_TILE, dtype=jnp.int32), jnp.arange(tiles, dtype=jnp.int32)

    def sparse(carry):
        drawn, attempts = carry
        first = jnp.min(jnp.where(drawn < 0, row[:, None], _TILE), axis=0)
        index = jnp.minimum(first * tiles + column, size - 1)
        value = _attempt(make_law, [lane[index] for lane in lanes], attempts)
        attempts = jnp.where(value < 0, attempts + np.uint32(1), attempt)
        return jnp.where(row[:, None] == first, value, drawn), attempts

    # A tile counts the attempts of one lane at a time: its next lane starts with the attempt at
    # which the dense loop ended.
    carry = drawn, jnp.broadcast_to(attempt, tiles)
    drawn, _ = jax.lax.while_loop(lambda carry: jnp.any(carry[0] < 0), sparse, carry)
    return drawn.reshape(-1)[:size].reshape(shape)


def table_sampler(make_law: Callable[..., TableLaw]) -> Callable[..., Int[Array, "..."]]:
    """Return a sampler over lanes: (high, low, *parameters) -> draws.

    Args:
      make_law: returns the law of every lane from its parameters.

    Returns:
      A function of a 64-bit block per lane (two uint32 words) and the parameters. It returns int32
      draws. All arguments have one rank; axes of size 1 are broadcast. A lane's draw is a function
      of its own block and parameters. Under `vmap` all lanes of the batch share one rejection loop.
    """

    @custom_vmap
    def sample(high: UInt32[Array, "..."], low: UInt32[Array, "..."], *parameters: Array) -> Array:
        lanes = [high, low, *parameters]
        shape = jnp.broadcast_shapes(*(jnp.shape(lane) for lane in lanes))
        law = make_law(*parameters)
        small = law.is_small & (law.mode.astype(law.excess.dtype) + law.excess > 0)
        count = jnp.broadcast_to(_quick(law, high, low), shape)
        count = jax.lax.cond(
            jnp.any(count < 0), lambda count: _finish(make_law, lanes, count), lambda x: x, count
        )

        def inverted():
            law = make_law(*parameters)
            return jnp.where(
                small, invert(law, uniform_from_block(high, low, law.excess.dtype)), count
            )

        return jax.lax.cond(jnp.any(small), inverted, lambda: count)

    @sample.def_vmap
    def _batched(axis_size, in_batched, *arguments):
        del axis_size
        return batch_last(sample, in_batched, arguments), True

    return sample


def batch_last(
    sample: Callable[..., Array], in_batched: Sequence[bool], arguments: Sequence[Array]
) -> Array:
    """Return the draws of a batch of arrays, whose batch is the last axis in a sampler.

    This axis is long, and values that chains share have size 1 on it.

    Args:
      sample: function of arrays of one rank.
      in_batched: whether an argument has the batch as its first axis.
      arguments: of the batch.

    Returns:
      Draws with the batch as the first axis.
    """
    same_rank = (
        jnp.moveaxis(x, 0, -1) if batched else x[..., None]
        for x, batched in zip(arguments, in_batched, strict=True)
    )
    return jnp.moveaxis(sample(*same_rank), -1, 0)

"""Draw hypergeometric numbers, exactly, and their multivariate form: samples without replacement.

Means below 6 are inverted; larger ones use a randomly rounded normal with rejection, see
`rounded_normal`. The law is invariant under exchange of good and sample, of good and bad, and of
the items taken and those left, so the cell of smallest mean is drawn. The multivariate law is a
balanced tree of these draws, as in `multinomial`.

Source: C. Loader, "Fast and accurate computation of binomial probabilities", 2000.
"""

import jax.numpy as jnp
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
from collapse_jax.random.tree import accumulate, tree_sampler
from collapse_jax.utils import check

MAX_POPULATION = 10**8  # items: `_mean` is exact up to here


def check_population(rows: int) -> None:
    """Refuse a choice from more rows than draws can handle.

    Args:
      rows: of the largest corpus that a subset is chosen from.

    Raises:
      ArgumentError: if they are more than 10^8.
    """
    if rows > MAX_POPULATION:
        allowed = f"subsets of counts are chosen from at most {MAX_POPULATION} rows"
        remedy = "lower num_samples or num_generations"
        raise check.fail("rows to choose from", rows, allowed, remedy)


def _mean(good: Array, sample: Array, total: Array, dtype) -> tuple[Array, Array]:
    """Return good * sample / total as an integer and a fraction in [0, 1).

    The float estimate is off by a few units. The remainder, known modulo 2^32, corrects it as long
    as the product of the error and the total stays below 2^31.
    """
    size = jnp.maximum(total, 1).astype(dtype)
    whole = jnp.floor(good.astype(dtype) * (sample.astype(dtype) / size)).astype(jnp.int32)
    fraction = (good * sample - whole * total).astype(dtype) / size
    return whole + jnp.floor(fraction).astype(jnp.int32), fraction - jnp.floor(fraction)


def _law(good: Array, bad: Array, sample: Array) -> TableLaw:
    """Return the law of the cell of smallest mean: good <= bad, sample <= rest."""
    dtype = jnp.result_type(float)
    kind = dtype.type
    total = good + bad
    rest = total - sample
    mode, excess = _mean(good, sample, total, dtype)
    counts = (good, bad, sample, rest)
    goods, bads, taken, left = (jnp.maximum(x, 1).astype(dtype) for x in counts)
    size = jnp.maximum(total, 2).astype(dtype)
    mean = mode.astype(dtype) + excess
    deviation = jnp.sqrt(mean * (bads / size) * (left / (size - 1)))
    skewness = (1 - 2 * goods / size) * (1 - 2 * taken / size) / deviation
    # Where good / total and sample / total are near 1/2 the variance is only mean / 4.
    safe = jnp.maximum(mean * (1 - 2 * (goods / size) * (taken / size)), 1)
    scale = stirling_ratio(goods) * stirling_ratio(bads) / stirling_ratio(size)
    corner = bad - sample + mode
    return TableLaw(
        mode=mode,
        excess=excess,
        spread=deviation + kind(0.05) / deviation,
        skewness=skewness,
        scale=scale * stirling_ratio(taken) * stirling_ratio(left),
        slack=slack(safe),
        cells=(
            Cell(mode, mean, 1),
            Cell(good - mode, (good - mode).astype(dtype) - excess, -1),
            Cell(sample - mode, (sample - mode).astype(dtype) - excess, -1),
            Cell(corner, corner.astype(dtype) + excess, 1),
        ),
        ratio=lambda j: _ratio(good, bad, sample, j, dtype),
    )


def _ratio(good: Array, bad: Array, sample: Array, j: int, dtype) -> Array:
    """Return p(j) / p(j - 1)."""
    first = jnp.maximum(good - (j - 1), 0).astype(dtype)
    second = jnp.maximum(sample - (j - 1), 0).astype(dtype)
    return first * second / (j * jnp.maximum(bad - sample + j, 1).astype(dtype))


def _smallest(good: Array, bad: Array, sample: Array) -> TableLaw:
    rest = good + bad - sample
    return _law(jnp.minimum(good, bad), jnp.maximum(good, bad), jnp.minimum(sample, rest))


_sample = table_sampler(_smallest)


def _from_block(block: tuple[Array, Array], good: Array, bad: Array, sample: Array) -> Array:
    """Draw from a 64-bit block per lane; all arguments have one rank."""
    drawn = _sample(*block, good, bad, sample)  # rarer kind in the smaller part
    rarer = jnp.minimum(good, bad)
    drawn = jnp.where(2 * sample > good + bad, rarer - drawn, drawn)
    return jnp.where(good > bad, sample - drawn, drawn)


def hypergeometric(
    keys: Keys,
    purpose: int,
    good: Int[Array, "*lanes"] | int,
    bad: Int[Array, "*lanes"] | int,
    sample: Int[Array, "*lanes"] | int,
    round: int = 0,
) -> Int[Array, "*lanes"]:
    """Draw the number of good items among `sample` items taken without replacement.

    The draw of a lane depends only on its row-major index and its own arguments.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      good: [*lanes], numbers of good items.
      bad: [*lanes], numbers of bad items; good + bad at most `MAX_POPULATION`.
      sample: [*lanes], numbers of items taken, 0 .. good + bad.
      round: repetition of the stream, 0 .. 255, for several calls in a generation.

    Returns:
      int32 numbers of good items of the broadcast shape, 0 .. min(good, sample).
    """
    good, bad, sample = (jnp.asarray(x, jnp.int32) for x in (good, bad, sample))
    shape = jnp.broadcast_shapes(good.shape, bad.shape, sample.shape)
    good, bad, sample = (jnp.broadcast_to(x, shape) for x in (good, bad, sample))
    return _from_block(keys.bits(purpose, shape, round=round), good, bad, sample)


def _add(first: tuple[Array, ...], second: tuple[Array, ...]) -> tuple[Array, ...]:
    return (first[0] + second[0],)


_sample_tree = tree_sampler(
    lambda block, count, first, second: _from_block(block, first[0], second[0], count)
)


def multivariate_hypergeometric(
    keys: Keys,
    purpose: int,
    counts: Int[Array, " state"],
    sample: Int[Array, ""] | int,
) -> Int[Array, " state"]:
    """Draw how often each state occurs among `sample` items taken without replacement.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`; K - 1 blocks for K states.
      counts: [state], items of each state, int32, at most `MAX_POPULATION` together.
      sample: number of items taken, 0 .. sum of `counts`; may be traced.

    Returns:
      [state] int32, counts that sum to `sample`, none larger than in `counts`.
    """
    counts = jnp.asarray(counts, jnp.int32)
    total = jnp.asarray(sample, jnp.int32)[None]
    if len(counts) == 1:
        return total
    high, low = keys.bits(purpose, (len(counts) - 1,))
    return _sample_tree(high, low, total, *accumulate((counts,), _add))


def hypergeometric_proposal(
    good: Int[Array, "..."],
    bad: Int[Array, "..."],
    sample: Int[Array, "..."],
    score: Float[Array, "..."],
    rounding: Float[Array, "..."],
) -> Proposal:
    """Return the proposal of a lane whose smallest cell has mean 6 or more, as a function.

    The count k of the smallest cell, the rarer kind in the smaller part, is drawn with probability
    proportional to E[weight * acceptance; outcome = k] over scores and roundings.

    Args:
      good: [...], numbers of good items.
      bad: [...], numbers of bad items.
      sample: [...], numbers of items taken.
      score: [...], standard normal scores.
      rounding: [...], uniform numbers in [0, 1).

    Returns:
      A `Proposal` of arrays [...].
    """
    return propose(_smallest(good, bad, sample), score, rounding)


def hypergeometric_quantile(
    good: Int[Array, "..."],
    bad: Int[Array, "..."],
    sample: Int[Array, "..."],
    uniform: Float[Array, "..."],
) -> Int[Array, "..."]:
    """Return the count of the smallest cell for a uniform number, where its mean is below 6.

    Args:
      good: [...], numbers of good items.
      bad: [...], numbers of bad items.
      sample: [...], numbers of items taken.
      uniform: [...], uniform numbers in [0, 1).

    Returns:
      [...] int32, counts of the smallest cell; decreasing in `uniform`.
    """
    return invert(_smallest(good, bad, sample), uniform)

"""Draw multinomial counts, exactly, by a binary tree of conditional binomials.

The trials of a node are split between its children by a binomial whose weights are the sums of
the states below them. Sums are built up the tree, pairwise and with their rounding errors, so
that a branch without weight gets exactly 0 trials and a state of probability zero is never
drawn.

Source: L. Devroye, "Non-Uniform Random Variate Generation", 1986, chapter XI.1.4.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.random.binomial import binomial_from_block
from collapse_jax.random.keys import Keys
from collapse_jax.random.tree import accumulate, tree_sampler


def _split(
    block: tuple[Array, Array], count: Array, first: list[Array], second: list[Array]
) -> Array:
    sums, lost = zip(first, second, strict=True)
    return binomial_from_block(block, count, (*sums, *lost))


_sample = tree_sampler(_split)


def _add(first: tuple[Array, ...], second: tuple[Array, ...]) -> tuple[Array, Array]:
    """Return sums, and the rounding errors that they carry."""
    total = first[0] + second[0]
    large, small = jnp.maximum(first[0], second[0]), jnp.minimum(first[0], second[0])
    return total, (small - (total - large)) + (first[1] + second[1])


def multinomial(
    keys: Keys,
    purpose: int,
    n: Int[Array, ""] | int,
    weights: Float[Array, " state"],
) -> Int[Array, " state"]:
    """Draw how often each state occurs in `n` independent draws.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`; K - 1 blocks for K states.
      n: number of draws, 0 .. 2^31 - 1; may be traced.
      weights: [state], nonnegative with a positive and finite sum: probabilities need not be
        normalised. Dimensionless.

    Returns:
      [state] int32, counts that sum to `n`, 0 wherever the weight is 0.
    """
    weights = jnp.asarray(weights, jnp.result_type(float))
    total = jnp.asarray(n, jnp.int32)[None]
    if len(weights) == 1:
        return total
    nodes = accumulate((weights, jnp.zeros_like(weights)), _add)
    high, low = keys.bits(purpose, (len(weights) - 1,))
    return _sample(high, low, total, *nodes)

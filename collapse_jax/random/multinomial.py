"""Multinomial counts, exact, by a balanced tree of conditional binomials.

The states are halved until single ones are left; the trials of a node are split between
its halves by a binomial whose weights are the sums of the halves. Sums are built up the
tree, pairwise and with their rounding errors, so that a branch without weight is given
exactly 0 trials and a state of probability zero is never drawn.

Source: L. Devroye, "Non-Uniform Random Variate Generation", 1986, chapter XI.1.4.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.random.binomial import binomial_from_block
from collapse_jax.random.keys import Keys


def split(level: Array) -> tuple[Array, Array]:
    """The paired first and second half of the last axis; with an odd size the middle is alone."""
    pairs = level.shape[-1] // 2
    return level[..., :pairs], level[..., level.shape[-1] - pairs :]


def middle(level: Array) -> Array:
    """What `split` leaves alone: zero or one entry."""
    pairs = level.shape[-1] // 2
    return level[..., pairs : level.shape[-1] - pairs]


def _sums(sums: Array, low: Array) -> tuple[Array, Array]:
    """The sums of pairs and the rounding errors that they carry."""
    (first, second), (first_low, second_low) = split(sums), split(low)
    total = first + second
    large, small = jnp.maximum(first, second), jnp.minimum(first, second)
    lost = (small - (total - large)) + (first_low + second_low)
    joined = jnp.concatenate([total, middle(sums)], axis=-1)
    return joined, jnp.concatenate([lost, middle(low)], axis=-1)


def multinomial(
    keys: Keys,
    purpose: int,
    n: Int[Array, ""] | int,
    weights: Float[Array, " state"],
) -> Int[Array, " state"]:
    """How often each state occurs in `n` independent draws.

    Args:
      keys: the chain's random numbers for this generation; rounds 0 .. ceil(log2(K)) of the
        purpose are used, one for each level of the tree.
      purpose: whose stream to use.
      n: number of draws, 0 .. 2^31 - 1; may be traced.
      weights: K nonnegative numbers with a positive and finite sum: probabilities need not
        be normalised.

    Returns:
      int32 counts that sum to `n`, 0 wherever the weight is 0.
    """
    weights = jnp.asarray(weights, jnp.result_type(float))
    levels = [(weights, jnp.zeros_like(weights))]
    while levels[-1][0].shape[-1] > 1:
        levels.append(_sums(*levels[-1]))
    counts = jnp.asarray(n, jnp.int32)[None]
    for round, (sums, low) in enumerate(levels[-2::-1]):
        (first, second), (first_low, second_low) = split(sums), split(low)
        pairs = first.shape[-1]
        block = keys.bits(purpose, (pairs,), round=round)
        left = binomial_from_block(block, counts[:pairs], (first, second, first_low, second_low))
        counts = jnp.concatenate([left, counts[pairs:], counts[:pairs] - left], axis=-1)
    return counts

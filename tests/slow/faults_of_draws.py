"""Faults in the samplers and in what is random."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from faults import fault, wrap

from collapse_jax.core import corpus, samples
from collapse_jax.engine import program
from collapse_jax.families import discrete
from collapse_jax.policies import accumulate_subsample
from collapse_jax.random import (
    binomial,
    chi_square,
    hypergeometric,
    multinomial,
    normal,
    rounded_normal,
    wishart,
)
from collapse_jax.random.keys import Keys
from collapse_jax.random.tree import tree_sampler
from collapse_jax.verify import samplers

# Draws of counts


@fault("laws of counts")
def clamped_stirling_tail(patch):
    right = rounded_normal.stirling_ratio

    def wrong(count):
        nine = jnp.full_like(count, 9)
        return jnp.where(count > 9, count * right(nine) / 9, right(count))

    for module in (rounded_normal, binomial, hypergeometric):
        patch.setattr(module, "stirling_ratio", wrong)


@fault("large corpora")
def float32_binomial_of_jax(patch):
    def wrong(block, n, weights):
        success, failure = weights[:2]
        shape = jnp.broadcast_shapes(n.shape, success.shape, block[0].shape)
        key = jax.random.wrap_key_data(jnp.stack([x.ravel()[0] for x in block]))
        total = jnp.where(success + failure > 0, success + failure, 1)
        return jax.random.binomial(key, n.astype(float), success / total, shape).astype(jnp.int32)

    patch.setattr(multinomial, "binomial_from_block", wrong)


@fault("laws of counts")
def truncated_inversion(patch):
    patch.setattr(rounded_normal, "_TERMS", {"float32": 12, "float64": 12})


@fault("heterozygosity")
def inversion_beyond_its_reach(patch):
    patch.setattr(rounded_normal, "SMALL_MEAN", 60.0)


@fault("laws of counts")
def proposals_always_accepted(patch):
    def wrong(right, *given):
        proposal = right(*given)
        return proposal._replace(acceptance=jnp.ones_like(proposal.acceptance))

    for module in (rounded_normal, binomial, hypergeometric):
        wrap(patch, module, "propose", wrong)


@fault("laws of counts")
def tilt_of_the_rounding_left_out(patch):
    def wrong(right, *given):
        place = right(*given)
        return place._replace(offset=jnp.zeros_like(place.offset))

    wrap(patch, rounded_normal, "_land", wrong)


@fault("laws of counts")
def skewness_of_the_wrong_sign(patch):
    def wrong(right, law, *given):
        return right(law._replace(skewness=-law.skewness), *given)

    wrap(patch, rounded_normal, "_land", wrong)


@fault("laws of counts")
def bound_of_the_acceptance_too_low(patch):
    for module in (binomial, hypergeometric):
        patch.setattr(module, "slack", lambda mean: jnp.full_like(mean, -0.02))


@fault("laws of counts")
def mean_rounded_to_float32(patch):
    def wrong(n, success, failure, low):
        mean = n.astype(jnp.float32) * (success / (success + failure))
        return jnp.floor(mean).astype(jnp.int32), mean - jnp.floor(mean)

    patch.setattr(binomial, "_mean", wrong)


@fault("states from counts")
def children_of_the_tree_swapped(patch):
    def swapped(block, count, first, second):
        return multinomial._split(block, count, second, first)

    patch.setattr(multinomial, "_sample", tree_sampler(swapped))


@fault("states from counts")
def states_of_probability_zero_drawn(patch):
    def wrong(right, keys, purpose, n, weights):
        return right(keys, purpose, n, weights + 1e-3)

    wrap(patch, discrete, "multinomial", wrong)


@fault("rows of the last corpus", "subsets of all rows")
def subsets_of_counts_with_replacement(patch):
    def wrong(keys, purpose, counts, sample):
        return multinomial.multinomial(keys, purpose, sample, counts.astype(float))

    patch.setattr(corpus, "multivariate_hypergeometric", wrong)


# Draws of labels and of subsets of rows


@fault("states from labels")
def the_last_label_never_drawn(patch):
    wrap(
        patch,
        discrete,
        "uniform_integers",
        lambda right, keys, purpose, bound, shape: right(keys, purpose, bound - 1, shape),
    )


@fault("states from labels")
def modulo_bias(patch):
    def wrong(keys, purpose, bound, shape):
        return ((keys.bits(purpose, shape)[0] & 15) % bound).astype(jnp.int32)

    patch.setattr(discrete, "uniform_integers", wrong)


@fault("states from labels")
def labels_drawn_in_pairs(patch):
    def wrong(right, keys, purpose, bound, shape):
        return jnp.repeat(right(keys, purpose, bound, shape), 2)[: shape[0]]

    wrap(patch, discrete, "uniform_integers", wrong)


@fault("states from labels")
def a_label_counted_twice_for_another(patch):
    def wrong(right, labels, num_rows, num_states):
        return right(labels.at[1].set(labels[0]), num_rows, num_states)

    wrap(patch, discrete, "histogram", wrong)


@fault("gaussian rows reused")
def subsets_of_rows_with_replacement(patch):
    def wrong(keys, purpose, total, size, capacity):
        return discrete.uniform_integers(keys, purpose, jnp.asarray(total), (capacity,))

    for module in (samples, accumulate_subsample):
        patch.setattr(module, "random_subset", wrong)


@fault("gaussian rows reused")
def the_first_rows_for_random_ones(patch):
    def wrong(keys, purpose, total, size, capacity):
        return jnp.arange(capacity, dtype=jnp.int32)

    for module in (samples, accumulate_subsample):
        patch.setattr(module, "random_subset", wrong)


# Normal and chi-square draws


@fault("gaussian innovations")
def scores_cut_at_two_and_a_half(patch):
    wrap(patch, normal, "normal_from_bits", lambda right, word: jnp.clip(right(word), -2.5, 2.5))


@fault("laws of spreads and scores")
def scores_of_24_bits(patch):
    wrap(
        patch,
        samplers,
        "normal_from_bits",
        lambda right, word: right(word & np.uint32(0xFFFFFF80)),
    )


@fault("laws of spreads and scores")
def tail_polynomial_cut_short(patch):
    patch.setattr(normal, "_TAIL", normal._TAIL[1:])


@fault("gaussian innovations")
def normal_for_chi_square(patch):
    def wrong(score, dof, divisor):
        k = jnp.asarray(dof, score.dtype)
        return jnp.log(jnp.maximum(k + score * jnp.sqrt(2 * k), 1e-9) / divisor)

    patch.setattr(wishart, "log_chi_square", wrong)


@fault("gaussian innovations of few rows")
def wilson_and_hilferty_for_chi_square(patch):
    def wrong(score, dof, divisor):
        k = jnp.asarray(dof, score.dtype)
        root = 1 - 2 / (9 * k) + score * jnp.sqrt(2 / (9 * k))
        return 3 * jnp.log(jnp.maximum(root, 1e-9)) + jnp.log(k / divisor)

    patch.setattr(wishart, "log_chi_square", wrong)


@fault("laws of spreads and scores")
def chi_square_series_cut_short(patch):
    patch.setattr(chi_square, "_SINGLE", chi_square._SINGLE._replace(table_degree=8))


# Random numbers that are shared


def scores_of(change):
    """The update of a sample's moments with its scores changed."""

    def wrong(right, size, scores, *given):
        return right(size, change(scores), *given)

    return lambda patch: wrap(patch, corpus, "sample_moments", wrong)


@fault("gaussian innovations")
def keys_shared_between_mean_and_variance(patch):
    scores_of(lambda scores: scores.at[1].set(scores[0]))(patch)


@fault("wishart")
def keys_shared_within_a_wishart_factor(patch):
    scores_of(lambda scores: scores.at[6].set(scores[3]))(patch)


def patch_blocks(patch, change):
    right = Keys._block
    patch.setattr(Keys, "_block", lambda self, *given: right(*change(self, *given)))


@fault("gaussian innovations", "states from counts")
def keys_shared_between_generations(patch):
    patch_blocks(
        patch,
        lambda keys, *given: (dataclasses.replace(keys, generation=keys.generation // 2), *given),
    )


@fault("fresh rows")
def keys_shared_between_purposes(patch):
    patch_blocks(patch, lambda keys, purpose, *given: (keys, 0 * purpose, *given))


@fault("gaussian innovations")
def keys_shared_between_chains(patch):
    wrap(patch, program, "chain_key", lambda right, key, chain: right(key, chain // 2))


@fault("the same chain however it is run")
def chains_numbered_within_their_batch(patch):
    def wrong(right, key, batch):
        return right(key, batch._replace(ids=batch.ids - batch.ids[0]))

    wrap(patch, program, "_keys", wrong)

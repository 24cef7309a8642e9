"""Negative controls: statistical faults, planted one at a time, that `collapse verify` catches.

A fault replaces a function of the library by a wrong one that runs as well as the right one.
Each is run against the checks that name it, in the quick lane; an exception in a check is not
a catch. The table of faults is printed after the tests.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax import chain, corpus, execution, linear, policy
from collapse_jax.families import discrete, gaussian, gaussian_mixture
from collapse_jax.metrics import discrete as discrete_metrics
from collapse_jax.metrics import gaussian as gaussian_metrics
from collapse_jax.mixture import em, frame
from collapse_jax.policies import accumulate_subsample, mixing
from collapse_jax.random import (
    binomial,
    chi_square,
    hypergeometric,
    multinomial,
    normal,
    rounded_normal,
    wishart,
)
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.tree import tree_sampler
from collapse_jax.sources import normal as normal_source
from collapse_jax.theory import ancestor_chains, ancestors, parents
from collapse_jax.theory import discrete as discrete_theory
from collapse_jax.theory import gaussian as gaussian_theory
from collapse_jax.verify import samplers, suite
from collapse_jax.verify.base import Draw

SEED = 0
RATE = suite.false_alarm([check for check in suite.CHECKS if "quick" in check.lanes])


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    checks: tuple[str, ...]
    plant: Callable[[pytest.MonkeyPatch], None]


FAULTS: list[Fault] = []


def fault(*checks):
    """Register a planter, and the checks that must catch its fault."""

    def register(plant):
        FAULTS.append(Fault(plant.__name__.replace("_", " "), checks, plant))
        return plant

    return register


def wrap(patch, where, name, wrong):
    """Replace a function by wrong(right, *arguments)."""
    right = getattr(where, name)
    patch.setattr(where, name, lambda *given, **named: wrong(right, *given, **named))


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

    wrap(patch, rounded_normal, "_place", wrong)


@fault("laws of counts")
def skewness_of_the_wrong_sign(patch):
    def wrong(right, law, *given):
        return right(law._replace(skewness=-law.skewness), *given)

    wrap(patch, rounded_normal, "_place", wrong)


@fault("laws of counts")
def bound_of_the_acceptance_too_low(patch):
    for module in (binomial, hypergeometric):
        patch.setattr(module, "room", lambda mean: jnp.full_like(mean, -0.02))


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

    for module in (corpus, accumulate_subsample):
        patch.setattr(module, "random_subset", wrong)


@fault("gaussian rows reused")
def the_first_rows_for_random_ones(patch):
    def wrong(keys, purpose, total, size, capacity):
        return jnp.arange(capacity, dtype=jnp.int32)

    for module in (corpus, accumulate_subsample):
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

    return lambda patch: wrap(patch, normal_source, "_update", wrong)


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


@fault("states from counts")
def keys_shared_between_chains(patch):
    wrap(patch, execution, "chain_key", lambda right, key, chain: right(key, chain // 2))


@fault("the same chain however it is run")
def chains_numbered_within_their_batch(patch):
    def wrong(right, key, batch):
        return right(key, batch._replace(ids=batch.ids - batch.ids[0]))

    wrap(patch, execution, "_keys", wrong)


# Estimators


def fit_as(estimator):
    right = cj.Gaussian.fit

    def wrong(self, *given):
        return right(cj.Gaussian(self.dim, estimator, corpus=self.corpus), *given)

    return lambda patch: patch.setattr(cj.Gaussian, "fit", wrong)


@fault("gaussian moments", "gaussian innovations")
def mle_for_unbiased(patch):
    fit_as("mle")(patch)


@fault("gaussian moments", "fresh rows", "accumulate")
def unbiased_for_mle(patch):
    fit_as("unbiased")(patch)


@fault("gaussian innovations", "gaussian moments")
def degrees_of_freedom_m_for_m_minus_1(patch):
    def wrong(scores, size):
        column = np.arange(len(scores)).reshape(-1, *[1] * (scores.ndim - 1))
        return 0.5 * chi_square.log_chi_square(scores, size - column, size)

    patch.setattr(normal_source, "log_bartlett", wrong)


@fault("gaussian innovations of few rows")
def mean_over_the_root_of_m_minus_1(patch):
    def wrong(right, size, scores, mean, *given):
        new, *rest = right(size, scores, mean, *given)
        return mean + (new - mean) * np.sqrt(size / (size - 1)), *rest

    wrap(patch, normal_source, "_update", wrong)


@fault("gaussian innovations")
def variances_for_standard_deviations(patch):
    wrap(patch, normal_source, "log_bartlett", lambda right, *given: 2 * right(*given))


@fault("wishart")
def equal_degrees_of_freedom_in_wishart(patch):
    def wrong(scores, size):
        dof = np.full((len(scores), *[1] * (scores.ndim - 1)), size - 1)
        return 0.5 * chi_square.log_chi_square(scores, dof, size)

    patch.setattr(normal_source, "log_bartlett", wrong)


@fault("wishart")
def wishart_factors_in_the_wrong_order(patch):
    def wrong(right, size, scores, mean, scale, factor):
        eye = jnp.eye(len(mean)).reshape(len(mean), len(mean), *[1] * (factor.ndim - 2))
        unit = jnp.broadcast_to(eye, factor.shape)
        new_mean, new_scale, triangle = right(size, scores, mean, scale, unit)
        return new_mean, new_scale, linear.product(triangle, factor)

    wrap(patch, normal_source, "_update", wrong)


@fault("wishart")
def diagonal_wishart(patch):
    scores_of(lambda scores: scores.at[6:].set(0))(patch)


@fault("smoothed states")
def smoothing_of_the_record_only(patch):
    def wrong(self, law):
        return jnp.maximum(law - jnp.sum(law) * self.smoothing / (5 + 3 * self.smoothing), 0)

    patch.setattr(cj.Discrete, "sampling_law", wrong)


# Corpora


@fault("accumulate")
def pooling_without_the_gap_of_means(patch):
    wrap(
        patch,
        linear,
        "add_covariances",
        lambda right, one, other, gap: right(one, other, jnp.zeros_like(gap)),
    )


@fault("accumulate")
def pooled_mean_not_weighted(patch):
    right = corpus.Moments.merge

    def wrong(self, other, start):
        merged = right(self, other, start)
        return dataclasses.replace(merged, mean=(self.mean + other.mean) / 2)

    patch.setattr(corpus.Moments, "merge", wrong)


@fault("sizes by generation")
def weights_ignored(patch):
    patch.setattr(corpus.Samples, "full_weights", lambda self: jnp.ones(self.capacity))


@fault("sizes by generation")
def one_slot_too_many(patch):
    for module in (gaussian, normal_source):
        wrap(patch, module, "prefix_weights", lambda right, size, room: right(size + 1, room))


@fault("gaussian rows reused")
def merged_moments_under_subsampling(patch):
    patch.setattr(cj.Gaussian, "recalls_rows", False)

    def wrong(self, keys, purpose, size, capacity, total):
        moments = gaussian.moments_of(self)
        scores = normal.normal(keys, purpose, (capacity, 1))
        weights = corpus.prefix_weights(size, capacity)
        return corpus.Samples(scores, weights, moments.mean, moments.log_scale[0])

    patch.setattr(corpus.Samples, "subsample", wrong)


@fault("gaussian rows reused")
def rows_of_the_model_before(patch):
    right = cj.Gaussian.recall

    def wrong(self, keys, models, *given):
        before = jax.tree.map(lambda leaf: jnp.concatenate([leaf[:1], leaf[:-1]]), models)
        return right(self, keys, before, *given)

    patch.setattr(cj.Gaussian, "recall", wrong)


@fault("gaussian rows reused")
def reused_rows_drawn_anew(patch):
    def wrong(keys, purpose, generation, row, width):
        return normal.normal(keys, Purpose.POLICY, (len(row), width))

    patch.setattr(gaussian, "normal_rows", wrong)


# Policies


@fault("sizes by generation")
def sizes_off_by_one_generation(patch):
    wrap(
        patch,
        policy,
        "size_at",
        lambda right, sizes, generation: right(
            sizes, generation if isinstance(generation, int) else generation - 1
        ),
    )


def shares_as(change):
    right = cj.Mixing.shares
    return lambda patch: patch.setattr(
        cj.Mixing, "shares", lambda self, generation: change(*right(self, generation))
    )


@fault("fresh rows", "states with a fresh share")
def fresh_share_dropped(patch):
    shares_as(lambda alpha, beta, gamma: (alpha + gamma, beta, 0 * gamma))(patch)


@fault("fresh rows", "states with a fresh share")
def shares_exchanged(patch):
    shares_as(lambda alpha, beta, gamma: (gamma, beta, alpha))(patch)


@fault("fresh rows")
def sampling_bias_ignored(patch):
    patch.setattr(cj.Gaussian, "_biased", lambda self, log_scale: log_scale)


@fault("fresh rows")
def sampling_bias_on_the_standard_deviation(patch):
    patch.setattr(
        cj.Gaussian, "_biased", lambda self, log_scale: log_scale + jnp.log(self.sampling_bias)
    )


@fault("accumulate")
def earlier_generations_forgotten(patch):
    patch.setattr(cj.Accumulate, "next", cj.Replace.next)


@fault("accumulate")
def new_rows_pooled_twice(patch):
    right = cj.Accumulate.next

    def wrong(self, keys, generation, model_draw, original_draw, data, memory, first):
        given = (keys, generation, model_draw, original_draw)
        once, _ = right(self, *given, data, memory, first)
        return right(self, *given, once, memory, first)

    patch.setattr(cj.Accumulate, "next", wrong)


@fault("rows of the first corpus")
def previous_for_original_data(patch):
    right = chain.Chain.step

    def wrong(self, *given):
        state = right(self, *given)
        return state._replace(first=(state.params, state.corpus))

    patch.setattr(chain.Chain, "step", wrong)
    patch.setattr(chain.Chain, "keep", lambda self, metrics=(): chain.EVERYTHING)


@fault("rows of the first corpus")
def new_original_rows_for_kept_ones(patch):
    patch.setattr(cj.Mixing, "uses_first", False)


@fault("rows of the last corpus")
def a_row_more_from_the_model(patch):
    right = mixing.Mixing._fixed_counts

    def wrong(self):
        counts = right(self)
        return np.maximum(counts - 1, 0)

    patch.setattr(mixing.Mixing, "_fixed_counts", wrong)


@fault("rows of the first corpus")
def no_chance_in_the_number_of_fresh_rows(patch):
    def wrong(keys, purpose, n, success, failure, round=0):
        return jnp.asarray(n * success / (success + failure) + 0.5).astype(jnp.int32)

    patch.setattr(mixing, "binomial", wrong)


# What is recorded


@fault("heterozygosity", "gaussian moments")
def a_generation_skipped(patch):
    right = chain.Chain.step

    def wrong(self, key, generation, state):
        after = right(self, key, generation, state)
        return jax.tree.map(lambda old, new: jnp.where(generation == 1, old, new), state, after)

    patch.setattr(chain.Chain, "step", wrong)


@fault("metrics", "heterozygosity")
def heterozygosity_of_the_population(patch):
    wrap(patch, discrete_metrics, "heterozygosity", lambda right, p: right(p) * 100 / 99)


@fault("metrics")
def entropy_in_bits(patch):
    wrap(patch, discrete_metrics, "entropy", lambda right, p: right(p) / jnp.log(2.0))


@fault("metrics")
def divergence_the_other_way_round(patch):
    wrap(patch, discrete_metrics, "kl_divergence", lambda right, p, q: right(q, p))


@fault("metrics")
def variation_not_halved(patch):
    wrap(patch, discrete_metrics, "total_variation", lambda right, p, q: 2 * right(p, q))


@fault("gaussian moments")
def distance_without_the_means(patch):
    def wrong(right, mean, log_scale, factor, truth):
        return right(truth.mean, log_scale, factor, truth)

    wrap(patch, gaussian_metrics, "wasserstein2_squared", wrong)


# Theory


@fault("heterozygosity and variance", "heterozygosity")
def theory_counts_fits_from_zero(patch):
    def wrong(right, *given, **named):
        values = right(*given, **named)
        return np.concatenate([[values[0] ** 2 / values[1]], values[:-1]])

    wrap(patch, discrete_theory, "expected_heterozygosity", wrong)


@fault("support and absorption", "absorption time")
def theory_has_one_parent_more(patch):
    wrap(patch, ancestors, "rows_of", lambda right, size, number: right(size + 1, number))


@fault("support and absorption")
def theory_drops_small_probabilities(patch):
    patch.setattr(parents, "_NEGLIGIBLE", 1e-7)


@fault("gaussian moments")
def theory_has_log_for_digamma(patch):
    def wrong(sizes, estimator="unbiased"):
        sizes = np.asarray(sizes, float)
        return np.cumsum(-1 / (sizes - 1))

    patch.setattr(gaussian_theory, "expected_log_variance", wrong)


@fault("ancestral dual")
def dual_waits_a_generation_more(patch):
    wrap(patch, ancestor_chains, "_geometric", lambda right, *given: right(*given) + 1)


@fault("ancestral dual")
def dual_never_waits(patch):
    def wrong(right, keys, purpose, log_again):
        waits = right(keys, purpose, log_again)
        return jnp.ones_like(waits) if purpose == ancestor_chains._HOLD else waits

    wrap(patch, ancestor_chains, "_geometric", wrong)


# Mixtures


@fault("one component is a normal law", "components that never meet")
def unbiased_covariances_of_components(patch):
    def wrong(right, responsibilities, whitened, is_diagonal):
        counts, first, second = right(responsibilities, whitened, is_diagonal)
        return counts, first, second * (counts / (counts - 1))[:, None, None]

    wrap(patch, em, "moments", wrong)


@fault("components that never meet")
def components_drawn_equally_often(patch):
    def wrong(right, self, keys, weights, capacity):
        return right(self, keys, jnp.full_like(weights, 1 / len(weights)), capacity)

    wrap(patch, gaussian_mixture.GaussianMixture, "_choose_components", wrong)


@fault("components that never meet")
def weights_shrunk_to_equal(patch):
    def wrong(right, *given):
        components, floored = right(*given)
        weights = (components.weights * 60 + 1) / 62
        return components._replace(weights=weights), floored

    wrap(patch, em, "maximize", wrong)


@fault("one component is a normal law")
def components_drawn_too_narrowly(patch):
    wrap(patch, gaussian_mixture, "_rows", lambda right, x, *given: right(0.97 * x, *given))


@fault("one component is a normal law")
def a_frame_without_its_factor(patch):
    def wrong(right, self, old):
        frame = right(self, old)
        return frame._replace(factor=jnp.tril(frame.factor) * jnp.eye(len(frame.factor)))

    wrap(patch, frame.Standardization, "frame", wrong)


def forget():
    jax.clear_caches()
    for cached in (chi_square._table, samplers._jitted, ancestor_chains._transitions):
        cached.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_planted_fault_is_caught(fault, monkeypatch, record_property):
    named = [check for check in suite.CHECKS if check.name in fault.checks]
    assert {check.name for check in named} == set(fault.checks)
    fault.plant(monkeypatch)
    forget()
    try:
        results = [suite.run_check(check, Draw(SEED, "quick", RATE)) for check in named]
    finally:
        monkeypatch.undo()
        forget()
    assert [result.error for result in results] == [None] * len(results)
    caught = [result.check.name for result in results if not result.passed]
    record_property("fault", fault.name)
    record_property("caught by", ", ".join(caught))
    assert caught

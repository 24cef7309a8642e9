"""Faults in estimators, corpora and policies."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from faults import fault, wrap
from faults_of_draws import scores_of

import collapse_jax as cj
from collapse_jax.core import chain, corpus, policy, samples
from collapse_jax.core.state import EVERYTHING, InitialGeneration
from collapse_jax.families import gaussian
from collapse_jax.policies import mixing
from collapse_jax.random import chi_square, normal, wishart
from collapse_jax.random.keys import Purpose
from collapse_jax.sources import normal as normal_source
from collapse_jax.utils import log_cholesky

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

    patch.setattr(wishart, "log_bartlett", wrong)


@fault("gaussian innovations of few rows")
def mean_over_the_root_of_m_minus_1(patch):
    def wrong(right, size, scores, mean, *given):
        new, *rest = right(size, scores, mean, *given)
        return mean + (new - mean) * np.sqrt(size / (size - 1)), *rest

    wrap(patch, corpus, "sample_moments", wrong)


@fault("gaussian innovations")
def variances_for_standard_deviations(patch):
    wrap(patch, wishart, "log_bartlett", lambda right, *given: 2 * right(*given))


@fault("wishart")
def equal_degrees_of_freedom_in_wishart(patch):
    def wrong(scores, size):
        dof = np.full((len(scores), *[1] * (scores.ndim - 1)), size - 1)
        return 0.5 * chi_square.log_chi_square(scores, dof, size)

    patch.setattr(wishart, "log_bartlett", wrong)


@fault("wishart")
def wishart_factors_in_the_wrong_order(patch):
    def wrong(right, size, scores, mean, scale, factor):
        eye = jnp.eye(len(mean)).reshape(len(mean), len(mean), *[1] * (factor.ndim - 2))
        unit = jnp.broadcast_to(eye, factor.shape)
        new_mean, new_scale, triangle = right(size, scores, mean, scale, unit)
        return new_mean, new_scale, log_cholesky.product(triangle, factor)

    wrap(patch, corpus, "sample_moments", wrong)


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
        log_cholesky,
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
    patch.setattr(samples.Samples, "full_weights", lambda self: jnp.ones(self.capacity))


@fault("sizes by generation")
def one_slot_too_many(patch):
    for module in (gaussian, normal_source):
        wrap(patch, module, "prefix_weights", lambda right, size, slots: right(size + 1, slots))


@fault("gaussian rows reused")
def merged_moments_under_subsampling(patch):
    patch.setattr(cj.Gaussian, "recalls_rows", False)

    def wrong(self, keys, purpose, size, capacity, total):
        moments = gaussian.moments_of(self)
        scores = normal.normal(keys, purpose, (capacity, 1))
        weights = samples.prefix_weights(size, capacity)
        return samples.Rows(scores, weights, moments.mean, moments.log_scale[0])

    patch.setattr(samples.Samples, "subsample", wrong)


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

    def wrong(self, step):
        once, _ = right(self, step)
        return right(self, step._replace(corpus=once))

    patch.setattr(cj.Accumulate, "next", wrong)


@fault("rows of the first corpus")
def previous_for_original_data(patch):
    right = chain.Chain.step

    def wrong(self, *given):
        state = right(self, *given)
        return state._replace(generation0=InitialGeneration(state.params, state.corpus))

    patch.setattr(chain.Chain, "step", wrong)
    patch.setattr(chain.Chain, "retained", lambda self, metrics=(): EVERYTHING)


@fault("rows of the first corpus")
def new_original_rows_for_kept_ones(patch):
    right = cj.Mixing.__post_init__

    def wrong(self):
        right(self)
        object.__setattr__(self, "reuses_original", False)

    patch.setattr(cj.Mixing, "__post_init__", wrong)


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
    patch.setattr(mixing, "binomial_table", lambda *given: None)  # else the number is looked up


@fault("rows of the first corpus")
def cells_of_a_table_that_hold_one_number(patch):
    right = mixing.binomial_table

    def wrong(n, success, failure):
        table = right(n, success, failure)
        return table._replace(threshold=np.full_like(table.threshold, 2**32 - 1))

    patch.setattr(mixing, "binomial_table", wrong)

"""Faults in what is recorded, in theory and in mixtures."""

import jax
import jax.numpy as jnp
import numpy as np
from faults import fault, wrap

from collapse_jax.core import chain
from collapse_jax.families.gaussian_mixture import em, family, frame
from collapse_jax.metrics import discrete as discrete_metrics
from collapse_jax.metrics import gaussian as gaussian_metrics
from collapse_jax.theory import ancestor_chains, ancestors, occupancy
from collapse_jax.theory import discrete as discrete_theory
from collapse_jax.theory import gaussian as gaussian_theory

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
    patch.setattr(occupancy, "_NEGLIGIBLE", 1e-7)


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

    wrap(patch, family.GaussianMixture, "_choose_components", wrong)


@fault("components that never meet")
def weights_shrunk_to_equal(patch):
    def wrong(right, *given):
        components, floored = right(*given)
        weights = (components.weights * 60 + 1) / 62
        return components._replace(weights=weights), floored

    wrap(patch, em, "maximize", wrong)


@fault("one component is a normal law")
def components_drawn_too_narrowly(patch):
    wrap(patch, family, "_rows", lambda right, x, *given: right(0.97 * x, *given))


@fault("one component is a normal law")
def a_frame_without_its_factor(patch):
    def wrong(right, self, old):
        frame = right(self, old)
        return frame._replace(factor=jnp.tril(frame.factor) * jnp.eye(len(frame.factor)))

    wrap(patch, frame.Standardization, "frame", wrong)

"""Measures of a law on finitely many states, in nats where they are entropies."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

TAIL = 0.1


def entropy(probabilities: Float[Array, " state"]) -> Float[Array, ""]:
    """-sum p ln p, with 0 ln 0 = 0."""
    log = jnp.log(jnp.where(probabilities > 0, probabilities, 1))
    return -jnp.sum(probabilities * log)


def heterozygosity(probabilities: Float[Array, " state"]) -> Float[Array, ""]:
    """1 - sum p^2: the chance that two draws differ (Nei, PNAS 70, 1973)."""
    return 1 - jnp.sum(probabilities**2)


def total_variation(
    probabilities: Float[Array, " state"], truth: Float[Array, " state"]
) -> Float[Array, ""]:
    """Half of sum |p - q|, in [0, 1]."""
    return 0.5 * jnp.sum(jnp.abs(probabilities - truth))


def kl_divergence(
    probabilities: Float[Array, " state"], truth: Float[Array, " state"]
) -> Float[Array, ""]:
    """sum p ln(p / q); infinite if p has mass where q has none."""
    positive = probabilities > 0
    ratio = jnp.where(positive, probabilities, 1) / jnp.where(positive, truth, 1)
    return jnp.sum(probabilities * jnp.log(ratio))


def tail(truth: Float[Array, " state"]) -> Bool[Array, " state"]:
    """The least likely states of p_0 that together hold at most 0.1 of it."""
    order = jnp.argsort(truth, stable=True)
    within = jnp.cumsum(truth[order]) <= TAIL * (1 + 1e-6)
    return jnp.zeros(truth.shape, bool).at[order].set(within)


def support_size(probabilities: Float[Array, " state"]) -> Int[Array, ""]:
    """Number of states with positive probability."""
    return jnp.sum(probabilities > 0, dtype=jnp.int32)


def tail_on_host(truth: np.ndarray) -> np.ndarray:
    """`tail` in float64."""
    order = np.argsort(truth, kind="stable")
    mask = np.zeros(len(truth), bool)
    mask[order] = np.cumsum(truth[order]) <= TAIL * (1 + 1e-9)
    return mask

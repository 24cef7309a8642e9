"""Measure laws on finitely many states; entropies are in nats."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

TAIL = 0.1  # probability mass of the tail of p_0, at most
_ROUNDED_TAIL = TAIL * (1 + 1e-5)  # sums of float32 are off by less


def entropy(probabilities: Float[Array, " state"]) -> Float[Array, ""]:
    """Return the Shannon entropy -sum p ln p, with 0 ln 0 = 0.

    Args:
      probabilities: p, [state], probabilities with sum 1.

    Returns:
      Scalar, nats, in [0, ln K].

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import discrete
    >>> round(float(discrete.entropy(jnp.array([0.5, 0.5, 0.0]))), 4)  # ln 2
    0.6931
    """
    log = jnp.log(jnp.where(probabilities > 0, probabilities, 1))
    return -jnp.sum(probabilities * log)


def heterozygosity(probabilities: Float[Array, " state"]) -> Float[Array, ""]:
    """Return 1 - sum p^2, the probability that two draws differ.

    Source: Nei, PNAS 70 (1973).

    Args:
      probabilities: p, [state], probabilities with sum 1.

    Returns:
      Scalar, dimensionless, in [0, 1 - 1/K].

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import discrete
    >>> float(discrete.heterozygosity(jnp.array([0.5, 0.25, 0.25])))
    0.625
    """
    return 1 - jnp.sum(probabilities**2)


def total_variation(
    probabilities: Float[Array, " state"], truth: Float[Array, " state"]
) -> Float[Array, ""]:
    """Return the total variation distance, half of sum |p - q|.

    Args:
      probabilities: p, [state], probabilities with sum 1.
      truth: q, [state], probabilities with sum 1.

    Returns:
      Scalar, dimensionless, in [0, 1].

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import discrete
    >>> float(discrete.total_variation(jnp.array([1.0, 0.0]), jnp.array([0.25, 0.75])))
    0.75
    """
    return 0.5 * jnp.sum(jnp.abs(probabilities - truth))


def kl_divergence(
    probabilities: Float[Array, " state"], truth: Float[Array, " state"]
) -> Float[Array, ""]:
    """Return the Kullback-Leibler divergence sum p ln(p / q).

    Args:
      probabilities: p, [state], probabilities with sum 1.
      truth: q, [state], probabilities with sum 1.

    Returns:
      Scalar, nats, at least 0; infinite if p has mass where q has none. In float32 it is off by
      about 1e-7, which is more than the divergence of a model from more than 10^7 rows.

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import discrete
    >>> model, truth = jnp.array([1.0, 0.0]), jnp.array([0.25, 0.75])
    >>> round(float(discrete.kl_divergence(model, truth)), 4)  # ln 4
    1.3863
    >>> float(discrete.kl_divergence(truth, model))
    inf
    """
    positive = probabilities > 0
    ratio = jnp.where(positive, probabilities, 1) / jnp.where(positive, truth, 1)
    return jnp.maximum(jnp.sum(probabilities * jnp.log(ratio)), 0)


def tail(truth: Float[Array, " state"]) -> Bool[Array, " state"]:
    """Mark the least likely states of p_0 that together hold at most 0.1 of it.

    Args:
      truth: p_0, [state], probabilities with sum 1.

    Returns:
      [state] bool, True in the tail, whose probability is at most 0.1.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import discrete
    >>> jax.jit(discrete.tail)(jnp.array([0.5, 0.05, 0.4, 0.05])).tolist()
    [False, True, False, True]
    """
    order = jnp.argsort(truth, stable=True)
    within = jnp.cumsum(truth[order]) <= _ROUNDED_TAIL
    return jnp.zeros(truth.shape, bool).at[order].set(within)


def support_size(probabilities: Float[Array, " state"]) -> Int[Array, ""]:
    """Count the states with positive probability.

    Args:
      probabilities: p, [state], probabilities with sum 1.

    Returns:
      Scalar int32, number of states, 1 .. K.

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import discrete
    >>> int(discrete.support_size(jnp.array([0.5, 0.0, 0.5])))
    2
    """
    return jnp.sum(probabilities > 0, dtype=jnp.int32)


def tail_on_host(truth: np.ndarray) -> np.ndarray:
    """Mark the tail as `tail` does, with NumPy and in float64, from probabilities of any type.

    Args:
      truth: p_0, [state], probabilities with sum 1.

    Returns:
      [state] bool, True in the tail, whose probability is at most 0.1.

    >>> import numpy as np
    >>> from collapse_jax.metrics import discrete
    >>> discrete.tail_on_host(np.array([0.5, 0.05, 0.4, 0.05])).tolist()
    [False, True, False, True]
    """
    order = np.argsort(truth, kind="stable")
    mask = np.zeros(len(truth), bool)
    mask[order] = np.cumsum(truth[order]) <= _ROUNDED_TAIL
    return mask

"""Measure laws on finitely many states; entropies are in nats."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

TAIL = 0.1  # probability mass of the tail of p_0, at most
# Coefficients (-1)^k / (k (k - 1)) of x^(k - 2), highest power first, as `polyval` takes them.
_SERIES = np.array([(-1) ** k / (k * (k - 1)) for k in range(11, 1, -1)])
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
      Scalar, nats, at least 0; infinite if p has mass where q has none. Its relative error is that
      of the gaps p - q, however small they are: the terms p ln(p / q) - p + q, which have the
      same sum and are at least 0, are added instead of p ln(p / q), whose signs differ.

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import discrete
    >>> model, truth = jnp.array([1.0, 0.0]), jnp.array([0.25, 0.75])
    >>> round(float(discrete.kl_divergence(model, truth)), 4)  # ln 4
    1.3863
    >>> float(discrete.kl_divergence(truth, model))
    inf
    """
    gaps = probabilities - truth
    positive = probabilities > 0
    ratio = jnp.where(positive, probabilities, 1) / jnp.where(positive, truth, 1)
    far = probabilities * jnp.log(ratio) - gaps
    # (1 + x) ln(1 + x) - x = x^2/2 - x^3/6 + x^4/12 - ..., where x = p / q - 1 is small
    small = 0.125 if gaps.dtype == jnp.float32 else 0.02
    is_near = jnp.abs(gaps) < small * truth
    x = jnp.where(is_near, gaps, 0) / jnp.where(is_near, truth, 1)
    series = jnp.polyval(_SERIES.astype(x.dtype), x)
    return jnp.sum(jnp.where(is_near, gaps * x * series, far))


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

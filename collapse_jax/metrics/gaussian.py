"""Measure a normal model against the truth.

The covariance is L L^T with L = factor diag(exp(log_scale)).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from collapse_jax.core.source import Truth
from collapse_jax.metrics.bures import bures_squared
from collapse_jax.utils.log_cholesky import scaled_factor


def log_det_covariance(log_scale: Float[Array, " dim"]) -> Float[Array, ""]:
    """Return the log determinant of the covariance, 2 sum log_scale.

    Args:
      log_scale: [dim], ln of the column scales, nats.

    Returns:
      Scalar, nats; -inf if the covariance is singular.

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import gaussian
    >>> round(float(gaussian.log_det_covariance(jnp.log(jnp.array([2.0, 3.0])))), 4)  # ln 36
    3.5835
    """
    return 2 * jnp.sum(log_scale)


def trace_covariance(
    log_scale: Float[Array, " dim"], factor: Float[Array, "dim dim"]
) -> Float[Array, ""]:
    """Return the trace of the covariance, the sum of the squared entries of L.

    Args:
      log_scale: [dim], ln of the column scales, nats.
      factor: [dim, dim], unit lower triangular, dimensionless.

    Returns:
      Scalar, in the squared unit of the rows, at least 0.

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import gaussian
    >>> float(gaussian.trace_covariance(jnp.array([0.0, 0.0]), jnp.array([[1.0, 0.0], [2.0, 1.0]])))
    6.0
    """
    return jnp.sum(scaled_factor(log_scale, factor) ** 2)


def wasserstein2_squared(
    mean: Float[Array, " dim"],
    log_scale: Float[Array, " dim"],
    factor: Float[Array, "dim dim"],
    truth: Truth,
) -> Float[Array, ""]:
    """Return the squared 2-Wasserstein distance of the model from the truth.

    In one dimension, from any law with mean m, standard deviation v and overlap c:
    (mean - m)^2 + (sigma - c)^2 + v^2 - c^2, which is (mean - m)^2 + (sigma - v)^2
    if the truth is normal. In several dimensions, from the normal law with the truth's moments,
    |mean - m|^2 + the squared Bures distance of the covariances, a lower bound if the truth is
    not normal. Nothing cancels where the model is close to the truth.

    Sources: Dowson and Landau, J. Multivar. Anal. 12 (1982); Gelbrich 1990 for the lower bound.

    Args:
      mean: [dim], mean of the model, in the unit of the rows.
      log_scale: [dim], ln of the column scales, nats.
      factor: [dim, dim], unit lower triangular, dimensionless.
      truth: moments of the truth, and its overlap in one dimension.

    Returns:
      Scalar, in the squared unit of the rows, at least 0.

    >>> import collapse_jax as cj
    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import gaussian
    >>> truth = cj.Normal(mean=0.0, covariance=1.0).truth
    >>> model = jnp.array([3.0]), jnp.array([-jnp.inf]), jnp.ones((1, 1))  # a point mass at 3
    >>> float(gaussian.wasserstein2_squared(*model, truth))
    10.0
    """
    shift = jnp.sum((mean - truth.mean) ** 2)
    if mean.shape == (1,):
        return shift + _spread_squared(log_scale[0], truth)
    top = jnp.maximum(jnp.max(log_scale), jnp.max(truth.log_scale))
    top = jnp.where(top > -jnp.inf, top, 0)
    theirs = scaled_factor(truth.log_scale - top, truth.factor)
    gap = _root_gap(log_scale, factor, truth, top)
    return shift + jnp.exp(2 * top) * bures_squared(theirs, gap)


def _spread_squared(log_scale: Float[Array, ""], truth: Truth) -> Float[Array, ""]:
    """Return (sigma - c)^2 + v^2 - c^2, see `wasserstein2_squared`."""
    if truth.precise is None:
        high, low = jnp.log(truth.overlap), 0.0
        excess = jnp.maximum(jnp.exp(2 * truth.log_scale[0]) - truth.overlap**2, 0)
    else:
        (high, low), excess = truth.precise.log_overlap, truth.precise.excess
    ratio = (log_scale - high) - low
    near = truth.overlap * jnp.expm1(ratio)
    gap = jnp.where(ratio < 1, near, jnp.exp(log_scale) - truth.overlap)
    return gap**2 + excess


def _root_gap(
    log_scale: Float[Array, " dim"],
    factor: Float[Array, "dim dim"],
    truth: Truth,
    top: Float[Array, ""],
) -> Float[Array, "dim dim"]:
    """Return (L - T) / exp(top), precise relative to itself."""
    if truth.precise is None:
        scales, factors = (truth.log_scale, 0.0), (truth.factor, 0.0)
    else:
        scales, factors = truth.precise.log_scale, truth.precise.factor
    ratio = (log_scale - scales[0]) - scales[1]
    near = factor * jnp.expm1(ratio) + ((factor - factors[0]) - factors[1])
    near = near * jnp.exp(truth.log_scale - top)
    far = scaled_factor(log_scale - top, factor)
    far = far - scaled_factor(truth.log_scale - top, truth.factor)
    return jnp.where(ratio < 1, near, far)

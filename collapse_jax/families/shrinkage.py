"""Shrink sample covariances towards a multiple of the identity."""

import jax.numpy as jnp

from collapse_jax.core.corpus import Moments
from collapse_jax.core.samples import Rows
from collapse_jax.utils import log_cholesky
from collapse_jax.utils.row_sums import largest_size, row_sums


def ledoit_wolf(samples: Rows) -> Moments:
    """Return mean and shrunk covariance (1 - s) S + s tr(S) / d I of rows.

    S has divisor M, and s is the share that minimizes the expected squared Frobenius distance
    from the covariance, estimated from the rows; 0 in one dimension.

    Source: Ledoit and Wolf, J. Multivariate Analysis 88 (2004); as `sklearn.covariance.LedoitWolf`.

    Args:
      samples: rows, [slot, dim]; those with a positive weight count once.

    Returns:
      Moments whose covariance is the shrunk one.
    """
    rows = samples.plain_rows
    dim = rows.shape[1]
    used = jnp.ones(len(rows), rows.dtype) if samples.weights is None else samples.weights > 0
    used = used.astype(rows.dtype)
    total = jnp.maximum(row_sums([used])[0], 1)
    columns = jnp.where(used > 0, rows.T, 0)
    mean = row_sums([columns])[0] / total
    centred = jnp.where(used > 0, columns - mean[:, None], 0)
    top = largest_size(centred)
    unit = jnp.where(top > 0, top, 1)
    centred = centred / unit
    scatter = log_cholesky.product(centred, centred.T) / total
    trace = jnp.trace(scatter) / dim
    lengths = jnp.sum(centred**2, axis=0)
    distance = jnp.sum((scatter - trace * jnp.eye(dim, dtype=rows.dtype)) ** 2)
    # Of sum_i |x_i x_i^T - S|^2 / M^2, whose expectation is the variance of S.
    noise = (row_sums([lengths**2])[0] / total - jnp.sum(scatter**2)) / total
    noise = jnp.clip(noise, 0, distance)
    share = jnp.where(noise > 0, noise / jnp.where(distance > 0, distance, 1), 0)
    share = jnp.where(dim == 1, 0, share)
    target = jnp.sqrt(share * trace) * jnp.eye(dim, dtype=rows.dtype)
    parts = [centred * jnp.sqrt((1 - share) / total), target]
    log_scale, factor = log_cholesky.factorize(jnp.concatenate(parts, axis=1))
    location = samples.location + jnp.exp(samples.log_scale) * mean
    log_scale = log_scale + jnp.log(unit) + samples.log_scale
    return Moments(samples.size, location, log_scale, factor)

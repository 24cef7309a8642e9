"""Define metrics of the moments of Gaussian models that several studies record."""

import jax.numpy as jnp

from collapse_jax.core.metric import Metric


def squared_error(key, family, params, corpus, source, generation0):
    """Return (mu_hat - mu)^2 in squared data units; a metric, see `collapse_jax.Metric`."""
    return (params.mean[0] - source.truth.mean[0]) ** 2


def fitted_variance(key, family, params, corpus, source, generation0):
    """Return sigma_hat^2 in squared data units; a metric, see `collapse_jax.Metric`."""
    return jnp.exp(2 * params.log_scale[0])


SQUARED_ERROR = Metric(
    squared_error, unit="data units squared", reads=("params", "source"), is_relative=True
)
VARIANCE = Metric(fitted_variance, unit="data units squared")

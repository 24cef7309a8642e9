"""Compute exact expectations of series density chains, by source and policy."""

import math
from typing import Any

import numpy as np

from collapse_jax.core.metric import Curve
from collapse_jax.families.kernel_density_theory import origins
from collapse_jax.sources import Normal, NormalMixture
from collapse_jax.theory import series_density

_MARGIN = 6.0  # standard deviations between an expected density and zero


def series_density_curves(chain: Any, sizes: np.ndarray) -> dict[str, Curve]:
    """Return the known expectations of a series density chain.

    They are known for a `Normal` or `NormalMixture` truth without selection, under Replace,
    Accumulate, Fresh, and Mixing with new original rows, if the expected density is everywhere
    more than six of its standard deviations above zero: see
    `collapse_jax.theory.series_density`.

    Args:
      chain: a chain with a `SeriesDensity` family.
      sizes: M_0 .. M_G in rows, [G + 1].

    Returns:
      Curves by variable, [G + 1, ...]; empty where none is known.
    """
    family, source, given = chain.family, chain.source, origins(chain, len(sizes) - 1)
    if given is None:
        return {}
    weights = series_density.term_weights(family.num_terms, family.penalty, family.smoothness)
    frequency = np.arange(1, family.num_terms + 2)
    law = _characteristic(source, frequency)
    found = series_density.expected_moments(law, weights, sizes, **given)
    if np.any(found.margin < _MARGIN):
        return {}
    largest = math.sqrt(2)
    return {
        "coefficients": Curve(found.coefficients, ("term",), (-largest, largest)),
        "coefficients_variance": Curve(found.variance, ("term",)),
        "energy": Curve(found.energy),
    }


def _characteristic(source: Normal | NormalMixture, frequency: np.ndarray) -> np.ndarray:
    """Return E e^{ikX} of a normal law or a mixture."""
    if isinstance(source, Normal):
        weights, means, variances = np.ones(1), source.mean, np.asarray(source.covariance).ravel()
    else:
        weights = np.asarray(source.weights)
        means, variances = np.asarray(source.means).ravel(), np.asarray(source.covariances).ravel()
    k = frequency[:, None]
    return np.exp(1j * k * means - k**2 * variances / 2) @ weights

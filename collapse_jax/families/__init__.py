"""The families of models."""

from collapse_jax.families.discrete import Discrete
from collapse_jax.families.gaussian import Gaussian
from collapse_jax.families.gaussian_mixture import GaussianMixture

__all__ = ["Discrete", "Gaussian", "GaussianMixture"]

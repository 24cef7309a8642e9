"""The families of models."""

from collapse_jax.families.discrete import Discrete
from collapse_jax.families.gaussian import Gaussian

__all__ = ["Discrete", "Gaussian"]

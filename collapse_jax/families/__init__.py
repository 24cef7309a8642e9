"""The families of models."""

from collapse_jax.families.discrete import Discrete
from collapse_jax.families.fine_tuning import LanguageModel
from collapse_jax.families.gaussian import Gaussian
from collapse_jax.families.gaussian_mixture import GaussianMixture
from collapse_jax.families.vae import VAE

__all__ = ["VAE", "Discrete", "Gaussian", "GaussianMixture", "LanguageModel"]

"""Define the families of models."""

from collapse_jax.families.discrete import Discrete
from collapse_jax.families.gaussian import Gaussian
from collapse_jax.families.gaussian_mixture.family import GaussianMixture
from collapse_jax.families.language_model import LanguageModel
from collapse_jax.families.vae.family import VAE

__all__ = ["VAE", "Discrete", "Gaussian", "GaussianMixture", "LanguageModel"]

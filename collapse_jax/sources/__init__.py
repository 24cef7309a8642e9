"""Define the sources: laws with parameters, finite data, and a user's own sampler."""

from collapse_jax.sources.categorical import Categorical
from collapse_jax.sources.empirical import Empirical
from collapse_jax.sources.images import Images
from collapse_jax.sources.normal import Normal
from collapse_jax.sources.normal_mixture import NormalMixture
from collapse_jax.sources.sampler import Sampler
from collapse_jax.sources.token_blocks import TokenBlocks

__all__ = [
    "Categorical",
    "Empirical",
    "Images",
    "Normal",
    "NormalMixture",
    "Sampler",
    "TokenBlocks",
]

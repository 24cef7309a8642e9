"""Simulates model collapse: chains of generative models, each trained on its predecessor's data.

>>> import collapse_jax as cj
>>> chain = cj.Chain(
...     family=cj.Gaussian(dim=1, estimator="unbiased"),
...     source=cj.Normal(mean=0.0, covariance=1.0),
...     policy=cj.Replace(num_samples=100),
... )
>>> records = cj.simulate(chain, key=0, num_chains=64, num_generations=20)
>>> records.variables["log_std"].values.shape
(21, 64)
"""

from collapse_jax.core.chain import Chain, ChainState, ModelDraw, OriginalDraw
from collapse_jax.core.corpus import AbstractCorpus, Counts, Moments, Samples
from collapse_jax.core.family import AbstractFamily, Fit
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.source import AbstractSource, CountsSource, MomentsSource, Truth
from collapse_jax.engine.simulate import simulate
from collapse_jax.engine.sweep import sweep
from collapse_jax.families import VAE, Discrete, Gaussian, GaussianMixture, LanguageModel
from collapse_jax.policies import Accumulate, AccumulateSubsample, Fresh, Mixing, Replace
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.results.compare import TheoryComparison, compare_with_theory
from collapse_jax.results.records import Records, Variable
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.run_state import RunState
from collapse_jax.sources import (
    Categorical,
    Empirical,
    Images,
    Normal,
    NormalMixture,
    Sampler,
    TokenBlocks,
)
from collapse_jax.store.store import Store

__version__ = "0.1.0"

__all__ = [
    "VAE",
    "AbstractCorpus",
    "AbstractFamily",
    "AbstractPolicy",
    "AbstractSource",
    "Accumulate",
    "AccumulateSubsample",
    "Categorical",
    "Chain",
    "ChainState",
    "Counts",
    "CountsSource",
    "Discrete",
    "Empirical",
    "Fit",
    "Fresh",
    "Gaussian",
    "GaussianMixture",
    "Images",
    "Keys",
    "LanguageModel",
    "Mixing",
    "ModelDraw",
    "Moments",
    "MomentsSource",
    "Normal",
    "NormalMixture",
    "OriginalDraw",
    "Purpose",
    "Records",
    "Reduce",
    "Replace",
    "RunState",
    "Sampler",
    "Samples",
    "Store",
    "TheoryComparison",
    "TokenBlocks",
    "Truth",
    "Variable",
    "compare_with_theory",
    "simulate",
    "sweep",
]

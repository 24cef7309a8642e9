"""Ready experiments: config -> chain -> records -> summary -> figures.

>>> from collapse_jax.experiments import EXPERIMENTS
>>> experiment = EXPERIMENTS["gaussian"].at_scale("smoke")
>>> experiment.topic, experiment.num_chains
('gaussian', 300)
"""

from collapse_jax.experiments.base import SCALES, AbstractExperiment, Summary
from collapse_jax.experiments.discrete import DiscreteExperiment
from collapse_jax.experiments.gaussian import GaussianExperiment
from collapse_jax.experiments.gmm import GmmExperiment, GmmPairExperiment
from collapse_jax.experiments.growing import GrowingExperiment
from collapse_jax.experiments.lm import LmExperiment
from collapse_jax.experiments.mad import MadExperiment
from collapse_jax.experiments.one_shot import OneShotExperiment
from collapse_jax.experiments.original_shares import KeepGaussianExperiment, KeepWordsExperiment
from collapse_jax.experiments.regimes import RegimesExperiment
from collapse_jax.experiments.vae import VaeExperiment
from collapse_jax.experiments.weighting import WeightingExperiment

EXPERIMENTS: dict[str, type[AbstractExperiment]] = {
    "gaussian": GaussianExperiment,
    "discrete": DiscreteExperiment,
    "one-shot": OneShotExperiment,
    "regimes": RegimesExperiment,
    "growing": GrowingExperiment,
    "keep-gaussian": KeepGaussianExperiment,
    "keep-words": KeepWordsExperiment,
    "mad": MadExperiment,
    "weighting": WeightingExperiment,
    "gmm": GmmExperiment,
    "gmm-pair": GmmPairExperiment,
    "vae": VaeExperiment,
    "lm": LmExperiment,
}

__all__ = [
    "EXPERIMENTS",
    "SCALES",
    "AbstractExperiment",
    "DiscreteExperiment",
    "GaussianExperiment",
    "GmmExperiment",
    "GmmPairExperiment",
    "GrowingExperiment",
    "KeepGaussianExperiment",
    "KeepWordsExperiment",
    "LmExperiment",
    "MadExperiment",
    "OneShotExperiment",
    "RegimesExperiment",
    "Summary",
    "VaeExperiment",
    "WeightingExperiment",
]

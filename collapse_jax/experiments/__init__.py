"""Ready experiments: config -> chain -> records -> summary -> figures."""

from collapse_jax.experiments.base import AbstractExperiment, Summary
from collapse_jax.experiments.discrete import DiscreteExperiment
from collapse_jax.experiments.gaussian import GaussianExperiment

EXPERIMENTS: dict[str, type[AbstractExperiment]] = {
    "discrete": DiscreteExperiment,
    "gaussian": GaussianExperiment,
}

__all__ = [
    "EXPERIMENTS",
    "AbstractExperiment",
    "DiscreteExperiment",
    "GaussianExperiment",
    "Summary",
]

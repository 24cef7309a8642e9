"""Run ready experiments: config -> chain -> records -> summary -> figures.

Every module here is imported, and every entry point in the group "collapse_jax.plugins":
experiments and policies register themselves when they are defined.

>>> from collapse_jax.experiments import EXPERIMENTS
>>> experiment = EXPERIMENTS["gaussian"].at_scale("smoke")
>>> experiment.topic, experiment.num_chains
('gaussian', 300)
"""

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Any

from collapse_jax.experiments.base import EXPERIMENTS, SCALES, AbstractExperiment, Summary

__all__ = ["EXPERIMENTS", "SCALES", "AbstractExperiment", "Summary"]

_FIRST = ("gaussian", "discrete")  # the main experiments head every list
_MODULES = [_module.name for _module in pkgutil.iter_modules(__path__)]

for _name in dict.fromkeys((*_FIRST, *_MODULES)):
    importlib.import_module(f"{__name__}.{_name}")
for _plugin in entry_points(group="collapse_jax.plugins"):
    _plugin.load()


def __getattr__(name: str) -> Any:
    """Return the class of an experiment by its name, such as `GaussianExperiment`."""
    for experiment in EXPERIMENTS.values():
        if experiment.__name__ == name:
            return experiment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

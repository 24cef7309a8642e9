"""Simulate model collapse: chains of generative models, each trained on its predecessor's data.

>>> import collapse_jax as cj
>>> chain = cj.Chain(
...     family=cj.Gaussian(dim=1, estimator="unbiased"),
...     source=cj.Normal(mean=0.0, covariance=1.0),
...     policy=cj.Replace(num_samples=100),
... )
>>> records = cj.simulate(chain, key=0, num_chains=64, num_generations=20)
>>> records["log_std"].shape
(21, 64)
"""

import importlib
from typing import TYPE_CHECKING, Any

from collapse_jax.utils import instructions as _instructions  # noqa: F401, before NumPy and jax

# isort: split
from collapse_jax.utils import jax_import as _jax_import  # noqa: F401, before any other import of it

# isort: split
from collapse_jax import theory
from collapse_jax.core.chain import Chain
from collapse_jax.core.corpus import AbstractCorpus, Counts, Moments
from collapse_jax.core.ecosystem import Ecosystem
from collapse_jax.core.family import AbstractFamily, Fit, Schedule
from collapse_jax.core.metric import Curve, Metric, Quantity
from collapse_jax.core.policy import (
    AbstractPolicy,
    FreshShare,
    ModelDraw,
    OriginalDraw,
    Recall,
    Step,
    register_policy,
)
from collapse_jax.core.samples import Labels, Rows, Samples
from collapse_jax.core.selection import AbstractSelection, Verifier
from collapse_jax.core.source import AbstractSource, CountsSource, MomentsSource, Truth
from collapse_jax.core.state import ChainState, InitialGeneration, Needs
from collapse_jax.engine.simulate import simulate
from collapse_jax.engine.sweep import sweep
from collapse_jax.families import VAE, Discrete, Gaussian, GaussianMixture, LanguageModel
from collapse_jax.policies import (
    Accumulate,
    AccumulateSubsample,
    Detector,
    Fresh,
    Mixing,
    Replace,
)
from collapse_jax.policies.selections import Accept, BestOf, Edit, Top
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.results.compare import TheoryComparison, compare_with_theory
from collapse_jax.results.records import Records
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
from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.status import Status

if TYPE_CHECKING:
    from collapse_jax.engine.compile_for import compile_for
    from collapse_jax.families.bernoulli import Bernoulli
    from collapse_jax.families.exponential import Exponential
    from collapse_jax.families.kernel_density import KernelDensity
    from collapse_jax.families.normal_prior import NormalInverseWishart
    from collapse_jax.families.poisson import Poisson
    from collapse_jax.families.regression import LinearRegression, LogisticRegression
    from collapse_jax.families.series_density import SeriesDensity
    from collapse_jax.planning.answer import Plan
    from collapse_jax.planning.budget import Budget, Offer
    from collapse_jax.planning.plan import plan
    from collapse_jax.planning.rows import OriginalRows
    from collapse_jax.sources.rate_laws import ExponentialLaw, PoissonLaw
    from collapse_jax.sources.regression import LinearModel, LogisticModel, Table
    from collapse_jax.utils.compiled import CompileReport

__version__ = "0.2.0"

__all__ = [
    "VAE",
    "AbstractCorpus",
    "AbstractFamily",
    "AbstractPolicy",
    "AbstractSelection",
    "AbstractSource",
    "Accept",
    "Accumulate",
    "AccumulateSubsample",
    "ArgumentError",
    "Bernoulli",
    "BestOf",
    "Budget",
    "Categorical",
    "Chain",
    "ChainState",
    "CompileReport",
    "Counts",
    "CountsSource",
    "Curve",
    "Detector",
    "Discrete",
    "Ecosystem",
    "Edit",
    "Empirical",
    "Exponential",
    "ExponentialLaw",
    "Fit",
    "Fresh",
    "FreshShare",
    "Gaussian",
    "GaussianMixture",
    "Images",
    "InitialGeneration",
    "KernelDensity",
    "Keys",
    "Labels",
    "LanguageModel",
    "LinearModel",
    "LinearRegression",
    "LogisticModel",
    "LogisticRegression",
    "Metric",
    "Mixing",
    "ModelDraw",
    "Moments",
    "MomentsSource",
    "Needs",
    "Normal",
    "NormalInverseWishart",
    "NormalMixture",
    "Offer",
    "OriginalDraw",
    "OriginalRows",
    "Plan",
    "Poisson",
    "PoissonLaw",
    "Purpose",
    "Quantity",
    "Recall",
    "Records",
    "Reduce",
    "Replace",
    "Rows",
    "RunState",
    "Sampler",
    "Samples",
    "Schedule",
    "SeriesDensity",
    "Status",
    "Step",
    "Store",
    "Table",
    "TheoryComparison",
    "TokenBlocks",
    "Top",
    "Truth",
    "Verifier",
    "compare_with_theory",
    "compile_for",
    "plan",
    "register_policy",
    "simulate",
    "sweep",
    "theory",
]

_LATER = {
    "Bernoulli": "families.bernoulli",
    "Budget": "planning.budget",
    "CompileReport": "utils.compiled",
    "Exponential": "families.exponential",
    "ExponentialLaw": "sources.rate_laws",
    "KernelDensity": "families.kernel_density",
    "LinearModel": "sources.regression",
    "LinearRegression": "families.regression",
    "LogisticModel": "sources.regression",
    "LogisticRegression": "families.regression",
    "Offer": "planning.budget",
    "OriginalRows": "planning.rows",
    "Plan": "planning.answer",
    "NormalInverseWishart": "families.normal_prior",
    "Poisson": "families.poisson",
    "PoissonLaw": "sources.rate_laws",
    "SeriesDensity": "families.series_density",
    "Table": "sources.regression",
    "compile_for": "engine.compile_for",
    "plan": "planning.plan",
}
"""Public names by the module that is imported when they are first used."""

_FORMER = {"Variable": "records.dataset holds xarray.DataArray objects; cj.Variable is gone"}


def __getattr__(name: str) -> Any:
    """Import a name that is used for the first time, or name the successor of one of 0.1."""
    if name in _LATER:
        value = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(_FORMER.get(name, f"module 'collapse_jax' has no attribute {name!r}"))


def __dir__() -> list[str]:
    """Return all names, also those that are not imported yet."""
    return sorted({*globals(), *_LATER})

"""Read what was run from the config of records, for sentences and for conditions of claims."""

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from collapse_jax.results.records import Records
from collapse_jax.utils.counted import counted
from collapse_jax.utils.status import FROZEN, Status, is_frozen


class Regime(enum.Enum):
    """The rows that models after model 0 are trained on.

    Attributes:
      REPLACE: rows of the predecessor alone.
      REDRAWN: rows of the predecessor, and new draws from the original law in every corpus.
      KEPT: rows of the predecessor, and rows of D_0 in every corpus.
      PREVIOUS: also rows, or the law, of the predecessor's corpus.
      ACCUMULATE: all rows so far.
      SUBSAMPLE: a random subset of all rows so far.
      OTHER: any other rule, rows that were selected, or shares that the config does not tell.
    """

    REPLACE = "replace"
    REDRAWN = "redrawn"
    KEPT = "kept"
    PREVIOUS = "previous"
    ACCUMULATE = "accumulate"
    SUBSAMPLE = "subsample"
    OTHER = "other"


_POLICY_FIELDS = {
    "Replace": {"num_samples"},
    "Mixing": {"num_samples", "alpha", "beta", "gamma", "previous", "original", "allocation"},
    "Accumulate": {"num_samples", "num_original"},
    "AccumulateSubsample": {"num_samples", "num_original"},
    "Fresh": {"num_samples", "num_original"},
}
"""Fields that the regime is told by: any further field that is set makes the regime OTHER."""
_NEUTRAL: dict[str, dict[str, Any]] = {
    "Discrete": {"smoothing": 0.0, "temperature": 1.0, "top_p": 1.0, "min_probability": 0.0},
    "Gaussian": {"sampling_bias": 1.0},
    "GaussianMixture": {"floor": 0.0},
}
"""Values of a family's settings under which it fits and samples without bias."""
_FREE = {
    "Discrete": {"num_states", "corpus", "learner"},
    "Gaussian": {"dim", "estimator", "corpus", "learner"},
    "GaussianMixture": {
        "num_components", "dim", "covariance", "init", "tolerance", "max_iterations", "order",
    },
}  # fmt: skip
"""Settings of a family that do not change the law of what is fitted and drawn."""
_SOURCES = {
    "Normal": "a normal law",
    "NormalMixture": "a mixture of normal laws",
    "Categorical": "given probabilities of states",
    "PoissonLaw": "a Poisson law",
    "LinearModel": "covariates and labels of a linear model",
    "EmpiricalLabels": "labels of a data set",
    "EmpiricalRows": "rows of a data set",
    "Images": "images of a data set",
    "TokenBlocks": "blocks of a text",
}
_NOUNS = {"VAE": "images", "LanguageModel": "blocks"}
"""What a corpus of a family consists of, where that is not rows."""
_UNSET = (None, False, 0)


def regime_of(policy: Mapping[str, Any]) -> Regime:
    """Return the regime of a policy.

    Args:
      policy: the described policy of a config: type and fields.

    >>> regime_of({"type": "Mixing", "num_samples": 10, "beta": 0.0, "gamma": 0.0})
    <Regime.REPLACE: 'replace'>
    >>> regime_of({"type": "Mixing", "gamma": 0.1, "original": "data"})
    <Regime.KEPT: 'kept'>
    """
    kind = str(policy.get("type"))
    known = _POLICY_FIELDS.get(kind)
    further = [value for name, value in policy.items() if name not in {"type", *(known or ())}]
    if known is None or any(value not in _UNSET for value in further):
        return Regime.OTHER
    if kind in ("Accumulate", "AccumulateSubsample"):
        return Regime.ACCUMULATE if kind == "Accumulate" else Regime.SUBSAMPLE
    if kind == "Replace":
        return Regime.REPLACE
    share = policy.get("num_original" if kind == "Fresh" else "gamma", 0)
    previous, original = entries(policy.get("beta", 0)), entries(share)
    if previous is None or original is None:
        return Regime.OTHER
    if any(previous):
        return Regime.PREVIOUS
    if not any(original):
        return Regime.REPLACE
    if not all(original):  # some corpora have no original row
        return Regime.OTHER
    is_kept = kind == "Mixing" and policy.get("original") == "data"
    return Regime.KEPT if is_kept else Regime.REDRAWN


def entries(value: Any) -> list[Any] | None:
    """Return a number or a schedule as a list; None if the config has only its digest.

    Args:
      value: a described number or sequence.
    """
    if isinstance(value, Mapping):
        return None
    return list(value) if isinstance(value, (list, tuple)) else [value]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What was run: the described chain, and the records.

    Attributes:
      records: the records of the run.
      family: type and fields of the family.
      source: type and fields of the source.
      policy: type and fields of the policy.
    """

    records: Records
    family: Mapping[str, Any]
    source: Mapping[str, Any]
    policy: Mapping[str, Any]

    @classmethod
    def of(cls, records: Records) -> Self:
        """Read the setting of a run from its records.

        Args:
          records: of `simulate`, or of an experiment.
        """
        chain = records.config.get("chain", {})
        return cls(records, *(chain.get(part, {}) for part in ("family", "source", "policy")))

    @property
    def regime(self) -> Regime:
        """Return the regime of the policy."""
        return regime_of(self.policy)

    @property
    def noun(self) -> str:
        """Return the plural of what a corpus consists of."""
        return _NOUNS.get(str(self.family.get("type")), "rows")

    @property
    def num_generations(self) -> int:
        """Return the last recorded generation."""
        return int(self.records["generation"][-1])

    @property
    def num_chains(self) -> int:
        """Return the number of chains."""
        if "chain" in self.records:
            return len(self.records["chain"])
        return int(self.records.config["num_chains"])

    @property
    def num_stopped(self) -> int:
        """Return the number of chains, of all sizes and policies, that stopped early."""
        variables: Mapping[str, Any] = self.records.variables
        if "status" in variables:
            return int(np.sum(is_frozen(variables["status"].isel(generation=-1).values)))
        if "status_count" in variables:
            counts = variables["status_count"].isel(generation=-1, code=list(FROZEN))
            return int(np.sum(np.maximum(counts.values, 0)))  # -1 at failed points of a grid
        return int(np.sum(variables["stopped"].values)) if "stopped" in variables else 0

    @property
    def num_failed(self) -> int:
        """Return the number of points of a grid that failed; 0 for a run that is no grid."""
        return len(self.records.config.get("failures", ()))

    @property
    def num_points(self) -> int:
        """Return the number of points of a grid; 1 for a run that is no grid."""
        axes = self.records.config.get("axes", {}).values()  # of a long one there is a digest
        return math.prod(one["shape"][0] if isinstance(one, Mapping) else len(one) for one in axes)

    def diverged(self, *names: str) -> np.ndarray:
        """Mark the chains in which the training of a network diverged, [chain].

        Args:
          names: variables whose values are finite after training that did not diverge.
        """
        status = np.zeros(self.num_chains, int)
        if "status" in self.records:
            status = self.records["status"][-1]
        found = status == int(Status.NON_FINITE)
        for name in names:
            found |= ~np.all(np.isfinite(self.records[name]), axis=0)
        return found & (status != int(Status.DEGENERATE))

    def standard_errors(self, stds: Any) -> np.ndarray:
        """Return the standard errors of means over chains, NaN for a single chain.

        Args:
          stds: standard deviations over chains, divided by their number, [...].
        """
        dof = self.num_chains - 1
        return np.asarray(stds, np.float64) / (np.sqrt(dof) if dof else np.nan)

    @property
    def size(self) -> int | None:
        """Return M, or None if sizes differ from generation to generation."""
        sizes = entries(self.policy.get("num_samples"))
        return int(sizes[0]) if sizes and len(set(sizes)) == 1 and sizes[0] else None

    @property
    def is_plain(self) -> bool:
        """Tell whether the family fits without smoothing and draws from the fit itself."""
        kind = str(self.family.get("type"))
        neutral, free = _NEUTRAL.get(kind), _FREE.get(kind, set())
        if neutral is None:
            return False
        further = set(self.family) - {"type", *neutral, *free}
        return all(self.family.get(name, value) == value for name, value in neutral.items()) and (
            all(self.family[name] in _UNSET for name in further)
        )

    def is_plain_under(self, regime: Regime) -> bool:
        """Tell whether there are later models, trained under a regime by a plain family.

        Args:
          regime: the rows that they are trained on.
        """
        return self.is_plain and self.num_generations >= 1 and self.regime is regime

    @property
    def extent(self) -> str:
        """Return the number of chains and generations in words."""
        chains = counted(self.num_chains, "chain")
        return f"{chains} of {counted(self.num_generations, 'generation')}"

    @property
    def source_name(self) -> str:
        """Return the source as typed on the command line, or its kind for a run from Python."""
        named = self.records.config.get("experiment", {}).get("source")
        kind = str(self.source.get("type", "unknown"))
        return str(named or _SOURCES.get(kind, kind))

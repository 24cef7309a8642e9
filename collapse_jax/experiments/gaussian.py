"""Measure how fast mean and spread of the paper's one-dimensional Gaussian go wrong."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.engine.check_only import check_only
from collapse_jax.engine.simulate import simulate
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.gaussian_claims import CLAIMS, names_of
from collapse_jax.experiments.gaussian_errors import (
    NORMAL,
    check_rows,
    error_metrics,
    gaussian_source,
    several_axes,
)
from collapse_jax.families import Gaussian
from collapse_jax.plots import gaussian as plots
from collapse_jax.plots.style import drawn_labels
from collapse_jax.policies import Replace
from collapse_jax.results.claims import statements_of
from collapse_jax.results.findings import ONE_MODEL, after, change_of, listed, percent_of
from collapse_jax.results.policy_words import policy_name, training_sentence
from collapse_jax.results.records import Records, check_complete, concat_datasets
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Regime, Setting
from collapse_jax.results.statements import plus_minus
from collapse_jax.store.store import Store
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.status import Status

PAPER_SIZES = (100, 500, 1000, 10_000)


def one_size(num_samples: Any) -> int:
    """Return the rows of a corpus, the same in all generations of a run.

    Args:
      num_samples: as given to the policy.

    Raises:
      ArgumentError: for a schedule of sizes, or fewer than 2 rows.
    """
    remedy = "pass one size for all generations, such as 100"
    return check.integer("policy.num-samples", num_samples, 2, remedy=remedy)


@dataclasses.dataclass(frozen=True)
class GaussianExperiment(AbstractExperiment):
    """Normal models fitted to normal data, again and again (Shumailov et al. 2024, Fig. 2).

    The default is the paper's four corpus sizes with 4,096 chains each, about 25 seconds on two
    cores. Under the policy replace, expect ln sigma to fall per generation by 1/(2 M) if the
    estimator is "unbiased", and by 1/M if it is "mle".
    """

    name = "gaussian"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 300, "num_generations": 20},
        "paper": {"num_chains": 100_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.011, "laptop": 0.012, "paper": 0.02}

    size_meaning: ClassVar[str] = "M, in all generations; None for 100, 500, 1000 and 10000."

    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """Policy of training data, with one num_samples for all generations; None means 100, 500, 1000
    and 10000."""
    estimator: Literal["unbiased", "mle"] = "unbiased"
    """Divisor of the variance: M - 1 or M."""
    source: str = NORMAL
    """normal (standard normal rows), or rows of a file: FILE.npy, or FILE:COLUMN of a table, or
    FILE:COLUMN,COLUMN,... for rows of several numbers."""
    num_chains: int = 4096
    """Independent chains per corpus size."""
    num_generations: int = 1000
    """Last generation."""
    every: int = 1
    """Record every k-th generation, and the last."""

    @property
    def _sizes(self) -> tuple[int, ...]:
        """Return the corpus sizes of the study."""
        given = self.policy.num_samples
        return PAPER_SIZES if given is None else (one_size(given),)

    @property
    def work(self) -> float:
        """Return the generations of the chains of all sizes."""
        return super().work * len(self._sizes)

    def check(self, seed: int) -> None:
        """Refuse bad settings of every size."""
        for size in self._sizes:
            with check_only():
                self._run_size(size, seed, False, None)

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Run every size, and join the runs along a last dimension "num_samples"."""
        import pandas

        sizes = self._sizes
        parts = [
            self._run_size(size, seed, progress, store and store.part(f"M{size}")) for size in sizes
        ]
        check_complete(parts)
        index = pandas.Index(sizes, name="num_samples")

        def joined(datasets: Sequence[Any]) -> Any:
            return concat_datasets(datasets, index).transpose(..., "num_samples")

        return Records(
            joined([part.dataset for part in parts]),
            parts[0].config,
            parts[0].provenance,
            parts[0].state if len(parts) == 1 else None,
            joined([part.theory for part in parts]),
        )

    def _run_size(self, size: int, seed: int, progress: bool, store: Store | None) -> Records:
        policy: Any = dataclasses.replace(self.policy, num_samples=size)  # pyright: ignore
        source, dim = gaussian_source(self.source)
        check_rows("policy.num-samples", size, dim)
        return simulate(
            Chain(Gaussian(dim, self.estimator), source, policy),
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            every=self.every,
            metrics=error_metrics(dim),
            reduce=Reduce(),
            progress=progress,
            store=store,
        )

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw errors by generation, and the mean of ln sigma with its expectation if known."""
        setting = Setting.of(records)
        policy = policy_name(setting.policy)
        title = r"mean of $\ln\,\hat\sigma$"
        if is_constant_rate(setting):
            title += " falls at a constant rate"
        log_std = plots.figure_log_std(records.dataset, records.theory, title)
        exact = " The dashed lines are exact expectations." * ("exact" in drawn_labels(log_std))
        at = int(np.argmin(records["num_samples"]))
        smallest = names_of(setting)[at]
        errors = [records[f"{one}_error_quantile"][:, 1, at] for one in ("mean", "std")]
        return {
            "errors": (
                f"Median error for {smallest}: of the mean {change_of(errors[0])}, of the standard "
                f"deviation {change_of(errors[1])}. Errors of both by generation, policy {policy}: "
                "median and 5–95 % of chains.",
                plots.figure_errors(records.dataset),
            ),
            "log_std": (
                f"Mean of ln sigma for {smallest}: {change_of(records['log_std_mean'][:, at])}. "
                f"Mean of ln sigma by generation, policy {policy}.{exact}",
                log_std,
            ),
        }

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation, against theory where known."""
        setting = Setting.of(records)
        last = setting.num_generations
        header = ["M", "mean of ln sigma", "standard error", "median |mu error|"]
        exact = records.theory.get("log_std")
        if exact is not None:
            header.insert(3, "exact mean of ln sigma")
        table = [header]
        for index, size in enumerate(records["num_samples"]):
            error = setting.standard_errors(records["log_std_std"][-1, index])
            cells = [f"{records['log_std_mean'][-1, index]:.4g}", f"{error:.2g}"]
            if exact is not None:
                cells.append(f"{exact.values[-1, index]:.4g}")
            table.append(
                [f"{size:,}", *cells, f"{records['mean_error_quantile'][-1, 1, index]:.4g}"]
            )
        after, policy = counted(last, "generation"), policy_name(setting.policy)
        title = f"Gaussian chains after {after}, policy {policy}"
        found = statements_of(CLAIMS, setting)
        return Summary(title, _sentences(setting), table, found, _finding(setting))


def is_constant_rate(setting: Setting) -> bool:
    """Tell whether each fit multiplies the variance by an independent factor of the same law.

    Args:
      setting: what was run.
    """
    return setting.is_plain_under(Regime.REPLACE) and setting.size is not None


def _finding(setting: Setting) -> str:
    """Say how much of the spread of model 0 is left for every size."""
    if not setting.num_generations:
        return ONE_MODEL
    records = setting.records
    changes = records["log_std_mean"][-1] - records["log_std_mean"][0]
    left = np.exp(np.asarray(changes, np.float64))
    errors = left * setting.standard_errors(np.sum(records["log_std_std"][[0, -1]], axis=0))
    parts = [
        f"{percent_of(*pair)} for M = {size:,}"
        for size, *pair in zip(records["num_samples"], left, errors, strict=True)
    ]
    return (
        f"{after(setting)}, the typical standard deviation relative to model 0 is {listed(parts)}."
    )


def _sentences(setting: Setting) -> list[str]:
    records, family = setting.records, setting.family
    sizes = ", ".join(f"{size:,}" for size in records["num_samples"])
    frozen = np.sum(records["status_count"][-1], axis=-1)
    each = " for each M" if len(records["num_samples"]) > 1 else ""
    divisor = "one less than the rows" if family["estimator"] == "unbiased" else "the rows"
    found = [
        f"M = {sizes}; {setting.extent}{each}. {_ended(frozen)}",
        training_sentence(setting, size="M"),
        f"Original rows: {setting.source_name}. The divisor of the variance is {divisor} of the "
        f"corpus ({family['estimator']}).",
        *several_axes(setting),
    ]
    if family["corpus"] == "moments":
        found.append(
            "Corpora are held as mean and variance, and those of a model's rows are drawn from "
            "their exact laws, without drawing the rows."
        )
    if setting.num_generations:
        found.append(_change(setting))
    return found


def _ended(counts: np.ndarray) -> str:
    """Say how many chains ended early, and why; numbers of chains by status, [code]."""
    reasons = {
        Status.NON_FINITE: "a value was not finite",
        Status.DEGENERATE: "all rows of a corpus were equal",
    }
    ended = [f"{counts[code]:,} because {why}" for code, why in reasons.items() if counts[code]]
    if not ended:
        return "No chain ended early."
    return f"Chains ended early: {', '.join(ended)}. All other numbers leave them out from then on."


def _change(setting: Setting) -> str:
    """Say how much the mean of ln sigma changed in the run."""
    records = setting.records
    means, stds = records["log_std_mean"][[0, -1]], records["log_std_std"][[0, -1]]
    errors = setting.standard_errors(np.sum(stds, axis=0))
    changes = "; ".join(
        f"{name}: {change:+.3g}{plus_minus(error)}"
        if np.isfinite(change)
        else f"{name}: unknown, no chain is left"
        for name, change, error in zip(names_of(setting), means[1] - means[0], errors, strict=True)
    )
    both = " (± the sum of both standard errors)" if setting.num_chains > 1 else ""
    return (
        f"From model 0 to model {setting.num_generations:,} the mean of ln sigma changes by "
        f"{changes}{both}."
    )

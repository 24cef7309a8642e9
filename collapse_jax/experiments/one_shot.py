"""Measure the error of a single fit against the number of rows."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.gaussian_errors import mean_error, std_error
from collapse_jax.families import Gaussian
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Replace
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import listed, mean_of
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, agreement
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted


@dataclasses.dataclass(frozen=True)
class OneShotExperiment(AbstractExperiment):
    """Errors of one fit to M rows of N(0, 1): the statistical error alone.

    Sizes are 10 to 10^7 as in Shumailov et al. 2024; about a minute on two cores. Expect both
    errors to fall as 1 / sqrt(M): E|mean error| = sqrt(2 / (pi M)).
    """

    name = "one-shot"
    topic = "gaussian"
    scales: ClassVar[Scales] = {"smoke": {"most": 100, "num_chains": 1000}}
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.008, "laptop": 0.02, "paper": 0.02}

    arguments: ClassVar[Mapping[str, str]] = {"sizes": "most"}

    most: int = 10_000_000
    """The largest number of rows; sizes are 10, 30, 100, ..."""
    num_chains: int = 10_000
    """Independent fits per size."""

    @property
    def work(self) -> float:
        """Return the number of fits of all sizes."""
        return self.num_chains * math.log10(max(self.most, 10))

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over sizes, with chains that end at generation 0."""
        check.integer("most", self.most, 10)
        sizes = [size for k in range(1, 10) for size in (10**k, 3 * 10**k) if size <= self.most]
        chain = Chain(Gaussian(1), Normal(0.0, 1.0), Replace(10))
        records = sweep(
            chain,
            {"policy.num_samples": sizes},
            key=seed,
            num_chains=self.num_chains,
            num_generations=0,
            metrics=(mean_error, std_error),
            reduce=Reduce(),
            progress=progress,
            store=store,
        )
        exact = np.sqrt(2 / (np.pi * np.array(sizes, np.float64)))
        named = {"long_name": "E |mu_hat - mu| in units of the truth's sigma", "units": "1"}
        curve = dataset_of({"mean_error": (("num_samples",), exact, named)}, {})
        return dataclasses.replace(records, expected=curve)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw both errors against M."""
        panels = []
        titles = {"mean_error": r"$|\hat\mu - \mu|$", "std_error": r"$|\hat\sigma - \sigma|$"}
        for name, title in titles.items():
            low, middle, high = records[f"{name}_quantile"][0]
            exact = records.theory["mean_error"].values if name == "mean_error" else None
            lines = [
                Line("mean", records[f"{name}_mean"][0], exact),
                Line("median, 5–95 %", middle, band=(low, high)),
            ]
            size = records["num_samples"]
            panels.append(Panel(title, "rows M", size, lines, "data units", "log", "log"))
        caption = (
            "Errors of one fit against the number of rows; the dashed line is the exact mean of "
            "the error of the mean."
        )
        return {"errors": (f"{_finding(Setting.of(records))} {caption}", figure_panels(panels))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the errors, with one row per size."""
        setting = Setting.of(records)
        chains = records.config["num_chains"]
        exact = records.theory["mean_error"].values
        table = [["M", "mean |mu error|", "standard error", "exact", "mean |sigma error|"]]
        for index, size in enumerate(records["num_samples"]):
            error = setting.standard_errors(records["mean_error_std"][0, index])
            cells = (records["mean_error_mean"][0, index], error, exact[index])
            last = records["std_error_mean"][0, index]
            table.append([f"{size:,}", *(f"{cell:.3e}" for cell in (*cells, last))])
        sentence = (
            f"{counted(chains, 'independent fit')} to M rows of N(0, 1) for each M, with the "
            "divisor M - 1 of the variance (unbiased); no model is trained on another."
        )
        found = statements_of([CLAIM], setting)
        return Summary("The error of a single fit", [sentence], table, found, _finding(setting))


def _finding(setting: Setting) -> str:
    """Compare the errors of the smallest and the largest size."""
    records = setting.records
    errors = setting.standard_errors(records["mean_error_std"][0])
    ends = [0] if len(errors) == 1 else [0, len(errors) - 1]
    parts = [
        f"{mean_of(float(records['mean_error_mean'][0, k]), float(errors[k]))} with M = "
        f"{records['num_samples'][k]:,} rows"
        for k in ends
    ]
    return f"On average a single fit misses the mean by {listed(parts)}, in units of the std."


def _error(setting: Setting) -> Finding:
    records = setting.records
    return agreement(
        [f"M = {size:,}" for size in records["num_samples"]],
        records["mean_error_mean"][0],
        setting.standard_errors(records["mean_error_std"][0]),
        records.theory["mean_error"].values,
        setting.num_chains,
    )


CLAIM = Claim(
    "The error of a single fit falls as 1/sqrt(M): E|mu error| = sqrt(2/(pi M)) for N(0, 1).",
    "Shumailov et al. 2024, supplement, one-shot errors",
    lambda setting: True,
    _error,
)
"""Claim of the study, made for all of its settings."""

"""Compare replaced, accumulated and subsampled corpora of the paper's Gaussian."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.gaussian_errors import (
    NORMAL,
    check_rows,
    error_metrics,
    gaussian_source,
    several_axes,
)
from collapse_jax.families import Gaussian
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Accumulate, AccumulateSubsample, Replace
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, mean_of
from collapse_jax.results.policy_words import training_sentence
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import (
    FEWEST_CHAINS,
    Finding,
    cannot_tell,
    exceeds,
    few_chains,
    most_errors,
    plus_minus,
)
from collapse_jax.store.store import Store
from collapse_jax.theory import gaussian as theory
from collapse_jax.theory import gaussian_accumulation
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

_LIMIT = np.pi**2 / 6  # sum of 1 / i^2: growth of the squared error if data accumulate


@dataclasses.dataclass(frozen=True)
class RegimesExperiment(AbstractExperiment):
    """Errors of Gaussian chains that replace, accumulate, or subsample accumulated data.

    A generation has M = 100 rows, as in Shumailov et al. 2024 and its supplement; about a
    minute on two cores. Expect the error to grow under replacement until the spread is lost, to
    stay bounded under accumulation, and to grow slowly for a subsample of fixed size.
    """

    name = "regimes"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 200, "num_generations": 20},
        "paper": {"num_samples": 1000, "num_generations": 1000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.012, "laptop": 0.02, "paper": 0.15}

    num_samples: int = 100
    """Rows per generation."""
    estimator: Literal["unbiased", "mle"] = "mle"
    """Divisor of the variance: M - 1 or M (the paper's code)."""
    source: str = NORMAL
    """normal (standard normal rows), or rows of a file: FILE.npy, or FILE:COLUMN of a table, or
    FILE:COLUMN,COLUMN,... for rows of several numbers."""
    num_chains: int = 2000
    """Independent chains per regime."""
    num_generations: int = 500
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over policies."""
        size = check.integer("num_samples", self.num_samples, 2)
        policies = [Replace(size), Accumulate(size), AccumulateSubsample(size)]
        source, dim = gaussian_source(self.source)
        check_rows("num_samples", size, dim)
        chain = Chain(Gaussian(dim, self.estimator), source, policies[0])
        records = sweep(
            chain,
            {"policy": policies},
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            metrics=error_metrics(dim),
            reduce=Reduce(),
            progress=progress,
            store=store,
        )
        names = np.array([type(policy).__name__ for policy in policies])
        dataset = records.dataset.assign_coords(policy=names)
        if self.source != NORMAL:
            return dataclasses.replace(records, source=dataset, expected=None)
        sizes = np.full(self.num_generations + 1, size)
        pooled = gaussian_accumulation.accumulate_mean_squared_error(sizes, self.estimator)
        curves = {
            "replace": theory.mean_squared_error(sizes, self.estimator),
            "accumulate": pooled,
        }
        named = {"long_name": "E (mu_hat - mu)^2 in units of the truth's variance", "units": "1"}
        exact = {name: (("generation",), curve, named) for name, curve in curves.items()}
        return dataclasses.replace(records, source=dataset, expected=dataset_of(exact, {}))

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw errors of mean and spread, one line per regime."""
        fits = records["generation"] + 1
        titles = {"mean_error": r"$|\hat\mu - \mu|$", "std_error": r"$|\hat\sigma - \sigma|$"}
        panels = []
        for name, title in titles.items():
            lines = []
            for index, policy in enumerate(records["policy"]):
                low, middle, high = records[f"{name}_quantile"][:, :, index].T
                lines.append(Line(str(policy), middle, band=(low, high)))
            panels.append(Panel(title, "number of fits", fits, lines, "data units", "log", "log"))
        chains = records.config["num_chains"]
        note = f"median and 5–95 % of {counted(chains, 'chain')}"
        caption = "Errors of mean and standard deviation by number of fits and policy."
        return {
            "errors": (f"{_finding(Setting.of(records))} {caption}", figure_panels(panels, note))
        }

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation."""
        setting = Setting.of(records)
        header = ["policy", "mean of ln sigma", "standard error", "mean squared mu error", "exact"]
        table = [header]
        for index, policy in enumerate(records["policy"]):
            square = (
                records["mean_error_mean"][-1, index] ** 2
                + records["mean_error_std"][-1, index] ** 2
            )
            exact = records.theory.get(str(policy).lower())
            table.append(
                [
                    str(policy),
                    f"{records['log_std_mean'][-1, index]:.4g}",
                    f"{setting.standard_errors(records['log_std_std'][-1, index]):.2g}",
                    f"{square:.4g}",
                    "" if exact is None else f"{exact.values[-1]:.4g}",
                ]
            )
        size = setting.policy["num_samples"]
        sentences = [
            f"{setting.extent} for each policy; M = "
            f"{size:,} rows, original rows: {setting.source_name}, estimator "
            f"{setting.family['estimator']}.",
            *several_axes(setting),
            *(
                f"{name}: {training_sentence(setting, {'type': name}, 'M')}"
                for name in map(str, records["policy"])
            ),
        ]
        title = f"Replace, accumulate, subsample: M = {size:,}"
        found = statements_of(CLAIMS, setting)
        return Summary(title, sentences, table, found, _finding(setting))


def _finding(setting: Setting) -> str:
    """Compare the errors of the mean under the policies."""
    if not setting.num_generations:
        return ONE_MODEL
    squares, errors = _squares(setting)
    pairs = zip(squares[-1], errors[-1], strict=True)
    replaced, pooled, subsampled = (mean_of(*map(float, pair)) for pair in pairs)
    return (
        f"{after(setting, policy=False)}, the mean squared error of the mean is {replaced} if "
        f"corpora replace each other, {pooled} if data accumulate, and {subsampled} for a "
        "subsample of fixed size."
    )


def _is_normal(setting: Setting) -> bool:
    return setting.num_generations >= 1 and setting.source.get("type") == "Normal"


def _squares(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Return mean squares of the mean's error and standard errors, [first or last, policy]."""
    means, stds = (setting.records[f"mean_error_{part}"][[0, -1]] for part in ("mean", "std"))
    squares = np.asarray(means, np.float64) ** 2 + np.asarray(stds, np.float64) ** 2
    return squares, setting.standard_errors(squares * np.sqrt(2))


def _shown(setting: Setting, policies: Sequence[int]) -> str:
    squares, errors = _squares(setting)
    cases = "; ".join(
        f"{setting.records['policy'][k]}: {squares[0, k]:.3g} to {squares[1, k]:.3g}"
        f"{plus_minus(errors[1, k])}"
        for k in policies
    )
    return f"E (mu error)^2, model 0 to {setting.num_generations:,}: {cases}"


def _bounded(setting: Setting) -> Finding:
    """Compare accumulation with its bound, which replacement has to exceed."""
    squares, errors = _squares(setting)
    bound = _LIMIT / setting.policy["num_samples"]
    words = f"{_shown(setting, (0, 1))}; bound {bound:.3g}"
    if setting.num_chains < FEWEST_CHAINS:
        return Finding(words, None, few_chains(setting.num_chains))
    most = most_errors(setting.num_chains)
    if squares[1, 1] > bound + most * errors[1, 1]:
        return Finding(words, False)
    if reason := cannot_tell(errors[1, 1:2], np.array([bound]), setting.num_chains):
        return Finding(words, None, reason)
    grows = squares[1, 0] > bound + most * errors[1, 0]
    return Finding(words, True if grows else None, "replacement has not exceeded the bound")


def _between(setting: Setting) -> Finding:
    squares, errors = _squares(setting)
    words = _shown(setting, (0, 2, 1))
    if setting.num_chains < FEWEST_CHAINS:
        return Finding(words, None, few_chains(setting.num_chains))
    last, of_last = squares[1], errors[1]
    differences = np.array([last[2] - last[1], last[0] - last[2]])
    holds = exceeds(differences, of_last[2] + of_last[[1, 0]], setting.num_chains)
    return Finding(words, holds, "the differences may be chance")


CLAIMS = (
    Claim(
        "The error of the mean grows if each generation replaces the one before; if data "
        "accumulate, its expected square stays below pi^2/6 = 1.64 times sigma^2/M.",
        "Shumailov et al. 2024, supplement; Gerstgrasser et al. 2024, arXiv 2404.01413",
        _is_normal,
        _bounded,
    ),
    Claim(
        "A subsample of fixed size of all data loses less than replacement, and more than "
        "accumulation.",
        "Shumailov et al. 2024, supplement; Kazdan et al. 2024, arXiv 2410.16713",
        _is_normal,
        _between,
    ),
)
"""Claims of the study, each with the settings that it is made for."""

"""Compare replaced, accumulated and subsampled corpora of the paper's Gaussian."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.gaussian import mean_error, std_error
from collapse_jax.families import Gaussian
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Accumulate, AccumulateSubsample, Replace
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.statements import Statement
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store
from collapse_jax.theory import gaussian as theory
from collapse_jax.theory import gaussian_accumulation

_BOUND = np.sqrt(np.pi**2 / 6)  # growth of the error: pooled variances fall as 1 / i^2


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
    num_chains: int = 2000
    """Independent chains per regime."""
    num_generations: int = 500
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over policies."""
        size = self.num_samples
        policies = [Replace(size), Accumulate(size), AccumulateSubsample(size)]
        chain = Chain(Gaussian(1, self.estimator), Normal(0.0, 1.0), policies[0])
        records = sweep(
            chain,
            {"policy": policies},
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            metrics=(mean_error, std_error),
            reduce=Reduce(),
            progress=progress,
            store=store,
        )
        names = np.array([type(policy).__name__ for policy in policies])
        sizes = np.full(self.num_generations + 1, size)
        curves = {}
        if self.estimator == "mle":
            curves["accumulate"] = gaussian_accumulation.accumulate_mean_squared_error(sizes, "mle")
        curves["replace"] = theory.mean_squared_error(sizes, self.estimator)
        named = {"long_name": "E (mu_hat - mu)^2 in units of the truth's variance", "units": "1"}
        exact = {name: (("generation",), curve, named) for name, curve in curves.items()}
        dataset = records.dataset.assign_coords(policy=names)
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
            panels.append(Panel(title, "number of fits", fits, lines, "", "log", "log"))
        chains = records.config["num_chains"]
        note = f"median and 5–95 % of {chains:,} chains"
        return {"errors": ("Errors by generation and regime.", figure_panels(panels, note))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation."""
        chains = records.config["num_chains"]
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
                    f"{records['log_std_mean'][-1, index]:.4f}",
                    f"{records['log_std_std'][-1, index] / np.sqrt(chains):.4f}",
                    f"{square:.5f}",
                    "" if exact is None else f"{exact.values[-1]:.5f}",
                ]
            )
        last = records["generation"][-1]
        sentence = f"{chains:,} chains of {last:,} generations for each regime, sigma_0 = 1."
        return Summary("Replace, accumulate, subsample", [sentence], table, _statements(records))


def _statements(records: Records) -> list[Statement]:
    """Check that errors stay bounded if data accumulate, and that a subsample lies between."""
    initial, last = records["mean_error_quantile"][[0, -1], 1]
    replace, accumulate, subsample = (
        f"{policy}: {initial[index]:.3g} to {last[index]:.3g}"
        for index, policy in enumerate(records["policy"])
    )
    which = f"median of |mu error|, model 0 to {records['generation'][-1]:,}: "
    growth = last / initial
    is_bounded, grows = growth[1] < 1.2 * _BOUND, growth[0] > 2
    return [
        Statement(
            "The error of the mean grows if each generation replaces the one before; if data "
            "accumulate, the error stays below sqrt(pi^2 / 6) = 1.28 times that of model 0.",
            "Shumailov et al. 2024, supplement; Gerstgrasser et al. 2024, arXiv 2404.01413",
            f"{which}{replace}; {accumulate}",
            bool(is_bounded) if grows or not is_bounded else None,
        ),
        Statement(
            "A subsample of fixed size of all data loses less than replacement, and more than "
            "accumulation.",
            "Shumailov et al. 2024, supplement; Kazdan et al. 2024, arXiv 2410.16713",
            f"{which}{subsample}",
            bool(last[1] < last[2] < last[0]),
        ),
    ]

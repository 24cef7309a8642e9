"""Compare growth rates of the corpus, and see for which the error stays finite."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.families import Gaussian
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Replace
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.statements import Statement, equals
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store
from collapse_jax.theory import gaussian as theory

_FEW_FITS = 100  # fits up to which the mean over chains has a useful standard error

GROWTH = {
    "constant": lambda i: np.ones_like(i),
    "linear, i": lambda i: i,
    "i ln i": lambda i: i * np.log(np.maximum(i, np.e)),
    "i^1.5": lambda i: i**1.5,
}


@dataclasses.dataclass(frozen=True)
class GrowingExperiment(AbstractExperiment):
    """E W2^2 of Gaussian chains whose corpora grow: constant, i, i ln i, i^1.5.

    Each corpus replaces its predecessor, the estimator is unbiased; about 20 seconds on two
    cores. By Shumailov et al. 2024, supplement, E W2^2 stays finite if and only if the sum of
    the 1 / M_i is finite: i^1.5 is enough, i ln i is not, which shows only after long runs.
    """

    name = "growing"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 500, "num_generations": 20},
        "paper": {"num_chains": 100_000, "num_generations": 1000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.012, "laptop": 0.014, "paper": 0.02}

    first_size: int = 100
    """Rows M_0 of the first corpus; M_i is M_0 times the growth at i + 1."""
    num_chains: int = 10_000
    """Independent chains per schedule."""
    num_generations: int = 300
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over schedules of sizes."""
        fits = np.arange(1.0, self.num_generations + 2)
        schedules = [np.rint(self.first_size * grow(fits)).astype(int) for grow in GROWTH.values()]
        chain = Chain(Gaussian(1), Normal(0.0, 1.0), Replace(self.first_size))
        records = sweep(
            chain,
            {"policy.num_samples": [sizes.tolist() for sizes in schedules]},
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            reduce=Reduce(),
            progress=progress,
            store=store,
        )
        dataset = records.dataset.assign_coords(num_samples=list(GROWTH))
        curves = [theory.expected_wasserstein2_squared(sizes, "unbiased") for sizes in schedules]
        named = {"long_name": "E W2^2 in units of the truth's variance", "units": "1"}
        values = (("generation", "num_samples"), np.stack(curves, axis=-1), named)
        exact = dataset_of({"wasserstein2_squared": values}, {})
        return dataclasses.replace(records, source=dataset, expected=exact)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the mean squared distance by generation, one line per schedule."""
        exact = records.theory["wasserstein2_squared"].values
        values = records["wasserstein2_squared_mean"]
        lines = [
            Line(str(name), values[:, index], exact[:, index])
            for index, name in enumerate(records["num_samples"])
        ]
        title, fits = r"mean of $W_2^2$(model, truth)", records["generation"] + 1
        panel = Panel(title, "number of fits i", fits, lines, "", "log", "log")
        caption = "Mean squared Wasserstein distance from the truth by growth of the corpus."
        return {"growth": (caption, figure_panels([panel]))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation against theory."""
        chains, last = records.config["num_chains"], records["generation"][-1]
        exact = records.theory["wasserstein2_squared"].values[-1]
        table = [["M_i grows as", "mean of W2^2", "standard error", "exact"]]
        for index, name in enumerate(records["num_samples"]):
            error = records["wasserstein2_squared_std"][-1, index] / np.sqrt(chains)
            mean = records["wasserstein2_squared_mean"][-1, index]
            table.append([str(name), f"{mean:.5f}", f"{error:.5f}", f"{exact[index]:.5f}"])
        sentence = f"{chains:,} chains of {last:,} generations for each schedule of sizes."
        title = "How fast must the corpus grow?"
        return Summary(title, [sentence], table, _statements(records))


def _statements(records: Records) -> list[Statement]:
    """Check that the distance stays finite if the sum of 1/M_i is finite."""
    paper = "Shumailov et al. 2024, supplement, growing corpora"
    mean, exact = (
        records["wasserstein2_squared_mean"],
        records.theory["wasserstein2_squared"].values,
    )
    # Later a few chains decide the mean of the constant schedule.
    early = min(len(mean), _FEW_FITS) - 1
    half = len(mean) // 2
    growth = mean[-1] / mean[half]
    names = records["num_samples"]
    ratios = "; ".join(f"{name}: {ratio:.3g}" for name, ratio in zip(names, growth, strict=True))
    return [
        equals(
            "E W2^2 = sum 1/M_i + 2 (1 - prod a(M_i)), a(M) = E sigma_hat / sigma.",
            paper,
            [f"{name}, model {records['generation'][early]}" for name in names],
            mean[early],
            records["wasserstein2_squared_std"][early] / np.sqrt(records.config["num_chains"]),
            exact[early],
        ),
        Statement(
            "A corpus must grow faster than linearly for the distance to stay finite.",
            paper,
            f"W2^2 of the last model over that of model {records['generation'][half]}: {ratios}",
            bool(growth[3] < 1.1 < growth[0] and np.all(np.diff(growth[[0, 1, 3]]) < 0)),
        ),
    ]

"""Compare the three loops of MAD, with and without sampling bias."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.families import Gaussian
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Fresh, Mixing, Replace
from collapse_jax.results.records import Records
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.statements import MOST_ERRORS, Statement, exceeds
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store


@dataclasses.dataclass(frozen=True)
class MadExperiment(AbstractExperiment):
    """Fully synthetic, synthetic augmentation and fresh-data loops, by sampling bias lambda.

    The loops are those of Alemohammad et al., arXiv 2307.01850, for one-dimensional Gaussians;
    about a minute on two cores. Expect the fully synthetic loop to collapse, faster for smaller
    lambda. A fixed real half delays the collapse and leaves a bias; a fresh real half prevents
    the collapse.
    """

    name = "mad"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 200, "num_generations": 10},
        "paper": {"num_chains": 10_000, "num_generations": 1000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.007, "laptop": 0.02, "paper": 0.4}

    num_samples: int = 100
    """Rows per generation, half of them real in the second and third loop."""
    biases: tuple[float, ...] = (0.8, 0.9, 1.0)
    """Values of lambda: rows are drawn from N(mean, lambda * variance)."""
    num_chains: int = 2000
    """Independent chains per loop and lambda."""
    num_generations: int = 200
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over loops and biases."""
        size = self.num_samples
        augmented = Mixing(size, gamma=0.5, original="data", allocation="fixed")
        loops = {
            "fully synthetic": Replace(size),
            "augmentation": augmented,
            "fresh data": Fresh(size - size // 2, size // 2),
        }
        chain = Chain(Gaussian(1), Normal(0.0, 1.0), Replace(size))
        records = sweep(
            chain,
            {"policy": list(loops.values()), "family.sampling_bias": list(self.biases)},
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            reduce=Reduce(),
            progress=progress,
            store=store,
        )
        return dataclasses.replace(
            records, source=records.dataset.assign_coords(policy=list(loops))
        )

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw ln sigma by generation, a panel per loop."""
        panels = []
        for index, loop in enumerate(records["policy"]):
            lines = [
                Line(f"lambda = {bias:g}", records["log_std_mean"][:, index, k])
                for k, bias in enumerate(records["sampling_bias"])
            ]
            title, generations = f"{loop}: mean of ln sigma", records["generation"]
            panels.append(Panel(title, "generation", generations, lines))
        return {"loops": ("Loss of spread in the three loops.", figure_panels(panels))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation."""
        chains, last = records.config["num_chains"], records["generation"][-1]
        table = [["loop", "lambda", "mean of ln sigma", "standard error", "mean of W2^2"]]
        for index, loop in enumerate(records["policy"]):
            for k, bias in enumerate(records["sampling_bias"]):
                table.append(
                    [
                        str(loop),
                        f"{bias:g}",
                        f"{records['log_std_mean'][-1, index, k]:.4f}",
                        f"{records['log_std_std'][-1, index, k] / np.sqrt(chains):.4f}",
                        f"{records['wasserstein2_squared_mean'][-1, index, k]:.4f}",
                    ]
                )
        sentence = f"{chains:,} chains of {last:,} generations for each loop and lambda."
        return Summary("MAD's loops", [sentence], table, _statements(records))


def _statements(records: Records) -> list[Statement]:
    """Check that without fresh data the spread is lost, faster for a stronger bias."""
    paper = "Alemohammad et al. 2023, arXiv 2307.01850"
    means = records["log_std_mean"][-1]  # [loop, bias]
    errors = records["log_std_std"][-1] / np.sqrt(records.config["num_chains"])
    cells = [
        "; ".join(
            f"lambda = {bias:g}: {mean:.4g} ± {MOST_ERRORS * error:.2g}"
            for bias, mean, error in zip(records["sampling_bias"], *row, strict=True)
        )
        for row in zip(means, errors, strict=True)
    ]
    synthetic, augmented, fresh = means
    early = records["log_std_mean"][len(records["generation"]) // 2, 2]
    return [
        Statement(
            "The fully synthetic loop loses its diversity, faster for a stronger sampling bias.",
            paper,
            f"mean of ln sigma ± 4 standard errors, {cells[0]}",
            exceeds(
                np.append(-synthetic, np.diff(synthetic)),
                np.append(errors[0], errors[0, 1:] + errors[0, :-1]),
            ),
        ),
        Statement(
            "A fixed set of real data delays the loss of diversity.",
            paper,
            f"mean of ln sigma ± 4 standard errors for synthetic augmentation, {cells[1]}",
            exceeds(augmented - synthetic, errors[0] + errors[1]),
        ),
        Statement(
            "Enough fresh real data in every generation prevent the loss of diversity.",
            paper,
            f"mean of ln sigma ± 4 standard errors for the loop with fresh data, {cells[2]}",
            bool(np.all(np.abs(fresh - early) <= 2 * MOST_ERRORS * errors[2])),
        ),
    ]

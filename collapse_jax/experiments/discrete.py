"""Resample the words of a real text again and again, and see which words survive."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.engine.simulate import simulate
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.sources import make_source
from collapse_jax.families import Discrete
from collapse_jax.plots import discrete as plots
from collapse_jax.policies import Replace
from collapse_jax.results.records import Records, check_complete
from collapse_jax.results.statements import Statement, equals
from collapse_jax.store.store import Store


@dataclasses.dataclass(frozen=True)
class DiscreteExperiment(AbstractExperiment):
    """Unigram models of a text, each fitted to the words of its predecessor.

    The default text is the prose of Python's documentation, with thousands of distinct words;
    a generation has as many rows as the text has words. The run takes about 20 seconds on two
    cores. Expect half of the distinct words to be lost within ten generations, and nine in ten
    after 200.
    """

    name = "discrete"
    topic = "discrete"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 8, "num_generations": 10},
        "paper": {"num_chains": 1024, "num_generations": 1000, "every": 20},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.005, "laptop": 0.006, "paper": 0.25}

    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """Policy of training data; num_samples None means the length of the text."""
    source: str = "text"
    """text, docstrings, text:FILE, zipf:K (probabilities 1/rank), or labels as FILE:COLUMN."""
    num_chains: int = 128
    """Independent chains."""
    num_generations: int = 200
    """Last generation."""
    every: int = 5
    """Record every k-th generation, and the last."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Make one run with the probability of every word recorded."""
        chain = Chain(Discrete(), make_source(self.source), self.policy)
        records = simulate(
            chain,
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            every=self.every,
            metrics=("probabilities",),
            progress=progress,
            store=store,
        )
        check_complete([records])
        return records

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw diversity by generation, and the survival of words."""
        return {
            "diversity": (
                "States left, entropy and tail mass by generation.",
                plots.figure_diversity(records.dataset, records.theory),
            ),
            "survival": (
                "Share of chains in which a word is still alive.",
                plots.figure_survival(records.dataset),
            ),
        }

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the first, the middle and the last recorded generation."""
        table = [["generation", "states left", "entropy (nats)", "tail mass", "heterozygosity"]]
        generations = records["generation"]
        for index in sorted({0, len(generations) // 2, len(generations) - 1}):
            cells = [
                f"{np.mean(records[name][index]):.4g} ± {_error(records[name][index]):.2g}"
                for name in ("support_size", "entropy", "tail_mass", "heterozygosity")
            ]
            table.append([f"{generations[index]:,}", *cells])
        absorbed = int(np.sum(records["is_absorbed"][-1]))
        states = records["probabilities"].shape[-1]
        sentences = [
            f"{len(records['chain']):,} chains over {states:,} states; {absorbed} chains have a "
            "single state at the end. The table has means over chains ± standard errors.",
        ]
        title = f"Discrete chains after {generations[-1]:,} generations"
        return Summary(title, sentences, table, _statements(records))


def _statements(records: Records) -> list[Statement]:
    """Check that rare states are lost first, and diversity at the rate of theory."""
    paper = "Shumailov et al. 2024, discrete distributions with exact approximation"
    alive = np.mean(records["probabilities"] > 0, axis=1)  # [generation, state]
    initial = np.mean(records["probabilities"][0], axis=0)
    order = np.argsort(initial)
    rare, common = order[: len(order) // 2], order[-max(1, len(order) // 10) :]
    left = [np.mean(alive[-1][states]) for states in (rare, common)]
    found = [
        Statement(
            "States of low probability are lost first: early collapse.",
            paper,
            f"alive at the end: {left[0]:.1%} of the rarer half of the states, "
            f"{left[1]:.1%} of the most frequent tenth",
            bool(left[0] < left[1]),
        )
    ]
    if "heterozygosity" in records.theory:
        last = records["heterozygosity"][-1]
        found.append(
            equals(
                "The chain ends in a single state with probability one; before, "
                "E(1 - sum p^2) falls by the factor 1 - 1/M per generation.",
                f"{paper}; Wright-Fisher",
                [f"model {records['generation'][-1]:,}"],
                np.array([np.mean(last)]),
                np.array([_error(last)]),
                records.theory["heterozygosity"].values[-1:],
            )
        )
    return found


def _error(values: np.ndarray) -> float:
    return float(np.std(values) / np.sqrt(len(values)))

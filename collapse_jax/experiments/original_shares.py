"""Find how much original data is needed, by share gamma and corpus size M."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.sources import make_source
from collapse_jax.families import Discrete, Gaussian
from collapse_jax.plots.original_shares import figure_keep
from collapse_jax.policies import Mixing
from collapse_jax.results.records import Records
from collapse_jax.results.statements import Statement
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store

SHARES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
A_TENTH = 0.1
ENOUGH = 0.9  # share of the quantity in a fit to original data that counts as preserved


@dataclasses.dataclass(frozen=True)
class _KeepExperiment(AbstractExperiment):
    """A sweep over shares of original data and corpus sizes, with a measure of survival."""

    what: ClassVar[str]

    shares: tuple[float, ...] = SHARES
    """Values of gamma, the share of original rows, newly drawn for each corpus."""
    num_samples: tuple[int, ...] = (100, 300, 1000)
    """Corpus sizes M."""
    num_chains: int = 2000
    """Independent chains per point."""
    num_generations: int = 100
    """Last generation."""

    def make_chain(self) -> Chain:
        """Return the chain whose shares and sizes are varied."""
        raise NotImplementedError

    @staticmethod
    def surviving(records: Records, source: Any) -> np.ndarray:
        """Return the surviving share, relative to a fit to original data.

        Args:
          records: records of the sweep.
          source: the original data.

        Returns:
          Shares, [generation, num_samples, gamma].
        """
        raise NotImplementedError

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over corpus sizes and shares."""
        axes: dict[str, Sequence[Any]] = {
            "policy.num_samples": self.num_samples,
            "policy.gamma": self.shares,
        }
        chain = self.make_chain()
        records = sweep(
            chain,
            axes,
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            every=max(1, self.num_generations // 50),
            progress=progress,
            store=store,
        )
        dims = ("generation", "num_samples", "gamma")
        named = {"long_name": f"{self.what} left, relative to a fit to original data", "units": "1"}
        surviving = (dims, self.surviving(records, chain.source), named)
        return dataclasses.replace(records, source=records.dataset.assign(surviving=surviving))

    @classmethod
    def figures(cls, records: Records) -> Mapping[str, tuple[str, Any]]:  # pyright: ignore
        """Draw a heat map of the last generation, and the surviving share by generation."""
        caption = (
            f"{cls.what} left, relative to a fit to original data: after the last generation by "
            "share of original data and corpus size, and by generation for the largest corpus."
        )
        return {"keep": (caption, figure_keep(records.dataset, cls.what, ENOUGH))}

    @classmethod
    def summarize(cls, records: Records) -> Summary:  # pyright: ignore
        """Summarise the smallest sufficient share for each size."""
        last = records["generation"][-1]
        final, shares = records["surviving"][-1], records["gamma"]
        table = [["M", *(f"gamma = {share:g}" for share in shares)]]
        sentences = [
            f"{len(records['chain']):,} chains of {last:,} generations for each share gamma of "
            f"original rows, newly drawn in every generation. The table has the {cls.what} left, "
            "relative to a fit to M original rows."
        ]
        for size, row in zip(records["num_samples"], final, strict=True):
            table.append([f"{size:,}", *(f"{value:.3f}" for value in row)])
            enough = [share for share, value in zip(shares, row, strict=True) if value >= ENOUGH]
            words = f"gamma = {min(enough):g} is the smallest tried share that preserves"
            if not enough:
                words = "no tried share preserves"
            sentences.append(f"M = {size:,}: {words} {ENOUGH:.0%}.")
        title = f"How much original data is needed? ({cls.what})"
        return Summary(title, sentences, table, cls._statements(records))

    @classmethod
    def _statements(cls, records: Records) -> list[Statement]:
        """Check the paper's finding for language models in these chains."""
        shares = records["gamma"]
        if not {0.0, A_TENTH} <= set(shares):
            return []
        none, tenth = (
            records["surviving"][-1, -1, int(np.flatnonzero(shares == share)[0])]
            for share in (0.0, A_TENTH)
        )
        return [
            Statement(
                "A tenth of original data keeps the loss minor.",
                "Shumailov et al. 2024, for language models",
                f"M = {records['num_samples'][-1]:,}: {tenth:.1%} of the {cls.what} left with a "
                f"tenth of original rows, {none:.1%} without",
                bool(tenth >= ENOUGH),
            )
        ]


@dataclasses.dataclass(frozen=True)
class KeepGaussianExperiment(_KeepExperiment):
    """Original data that a Gaussian chain needs to preserve its spread.

    The measure is the typical standard deviation left, by share of original data and corpus
    size; about 30 seconds on two cores. Expect all spread to be lost without original data,
    faster for smaller M, and most of it to be preserved by a few percent of original data.
    """

    name = "keep-gaussian"
    topic = "gaussian"
    what = "typical standard deviation"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 200, "num_generations": 20, "num_samples": (30,)},
        "paper": {"num_chains": 10_000, "num_samples": (10, 30, 100, 300, 1000)},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.008, "laptop": 0.012, "paper": 0.05}

    num_samples: tuple[int, ...] = (10, 30, 100)
    """Corpus sizes M."""
    num_generations: int = 200
    """Last generation."""

    def make_chain(self) -> Chain:
        """Return a chain of unbiased fits to normal data."""
        return Chain(Gaussian(1), Normal(0.0, 1.0), Mixing(self.num_samples[0]))

    @staticmethod
    def surviving(records: Records, source: Any) -> np.ndarray:
        """Return exp of the mean of ln sigma, relative to generation 0."""
        means = np.nanmean(records["log_std"].astype(np.float64), axis=1)
        return np.exp(means - means[0])


@dataclasses.dataclass(frozen=True)
class KeepWordsExperiment(_KeepExperiment):
    """Original data that a unigram model of a real text needs to preserve its words.

    The measure is the number of distinct words left, by share of original words in each
    corpus; about two minutes on two cores. Expect two words in three to be lost within a
    hundred generations without original words.
    """

    name = "keep-words"
    topic = "discrete"
    what = "distinct words"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 4, "num_generations": 10, "num_samples": (3000,)},
        "paper": {"num_chains": 128, "num_samples": (5000, 15_000, 50_000, 150_000)},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.012, "laptop": 0.035, "paper": 0.5}

    source: str = "docstrings"
    """docstrings (of Python's library), text, text:FILE, zipf:K, or labels as FILE:COLUMN."""
    num_samples: tuple[int, ...] = (5000, 15_000, 50_000)
    """Corpus sizes M."""
    num_chains: int = 16
    """Independent chains per point."""

    def make_chain(self) -> Chain:
        """Return a chain of unigram models of the text."""
        return Chain(Discrete(), make_source(self.source), Mixing(self.num_samples[0]))

    @staticmethod
    def surviving(records: Records, source: Any) -> np.ndarray:
        """Return distinct words, relative to the expected number in M original words."""
        means = np.mean(records["support_size"].astype(np.float64), axis=1)
        return means / _distinct_words(source.law, np.array(records["num_samples"]))[:, None]


def _distinct_words(law: Any, sizes: np.ndarray) -> np.ndarray:
    """Return the expected number of distinct words, sum_i 1 - (1 - p_i)^M, for each M."""
    left_out = np.log1p(-np.asarray(law, np.float64))
    return np.sum(-np.expm1(sizes[:, None] * left_out), axis=1)

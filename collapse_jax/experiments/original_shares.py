"""Find which share of original data preserves a model, by share gamma and corpus size M."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.gaussian_errors import (
    NORMAL,
    check_rows,
    gaussian_source,
    several_axes,
    spread_metrics,
)
from collapse_jax.experiments.original_shares_words import (
    ORIGINALS,
    finding_of,
    originals_of,
    sufficient_words,
)
from collapse_jax.experiments.sources import make_labels, noun_of
from collapse_jax.families import Discrete, Gaussian
from collapse_jax.plots.original_shares import figure_original_shares
from collapse_jax.plots.views import View, grid_view
from collapse_jax.policies import Mixing
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after
from collapse_jax.results.policy_words import VARIED, number, percent, training_sentence
from collapse_jax.results.records import Records
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import (
    FEWEST_CHAINS,
    Finding,
    agreement,
    few_chains,
)
from collapse_jax.store.store import Store
from collapse_jax.utils import check
from collapse_jax.utils.interval import no_values_allowed

SHARES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


@dataclasses.dataclass(frozen=True)
class _OriginalSharesExperiment(AbstractExperiment):
    """A sweep over shares of original data and corpus sizes, with a measure of survival."""

    former: ClassVar[Mapping[str, str]] = {"shares": "original_shares"}

    original: Literal["redrawn", "kept"] = "redrawn"
    """Original rows of a corpus: redrawn from the original law for each corpus, or kept, a random
    subset of D_0."""
    original_shares: tuple[float, ...] = SHARES
    """Values of gamma, the share of original rows."""
    target: float = 0.9
    """Surviving share that is enough, in (0, 1]."""
    num_samples: tuple[int, ...] = (100, 300, 1000)
    """Corpus sizes M."""
    num_chains: int = 2000
    """Independent chains per point."""
    num_generations: int = 100
    """Last generation."""

    def make_chain(self) -> Chain:
        """Return the chain whose shares and sizes are varied."""
        raise NotImplementedError

    def metrics(self, source: Any) -> tuple[Any, ...]:
        """Return the metrics that `surviving` needs.

        Args:
          source: the original data.
        """
        del source
        return ()

    @staticmethod
    def measured(records: Records) -> str:
        """Return what survives, in words.

        Args:
          records: records of the sweep.
        """
        raise NotImplementedError

    @classmethod
    def reference(cls, records: Records) -> str:
        """Return what the surviving share is relative to, in words.

        Args:
          records: records of the sweep.
        """
        raise NotImplementedError

    def surviving(self, records: Records, source: Any) -> np.ndarray:
        """Return the surviving share, relative to the reference.

        Args:
          records: records of the sweep.
          source: the original data.

        Returns:
          Shares, [generation, num_samples, gamma].
        """
        raise NotImplementedError

    @classmethod
    def log_values(cls, records: Records) -> np.ndarray:
        """Return a value of each chain: to first order, the log of what is left is their mean.

        Args:
          records: records of the sweep.

        Returns:
          Values of the last generation, up to a constant, [chain, num_samples, gamma].
        """
        raise NotImplementedError

    def policy(self) -> Mixing:
        """Return the policy whose sizes and shares are varied."""
        return Mixing(self.num_samples[0], original=ORIGINALS[self.original])

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over corpus sizes and shares."""
        remedy = "pass the share that has to survive, such as 0.9"
        check.share("target", self.target, remedy, open_low=True)
        check.not_empty("original_shares", self.original_shares)
        check.not_empty("num_samples", self.num_samples)
        for size in self.num_samples:
            check.integer("num_samples", size, 2)
        for share in self.original_shares:
            check.share("original_shares", share, "pass shares such as 0.1")
        check.distinct("num_samples", self.num_samples)
        check.distinct("original_shares", self.original_shares)
        axes: dict[str, Sequence[Any]] = {
            "policy.num_samples": self.num_samples,
            "policy.gamma": self.original_shares,
        }
        chain = self.make_chain()
        records = sweep(
            chain,
            axes,
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            every=max(1, self.num_generations // 50),
            metrics=self.metrics(chain.source),
            progress=progress,
            store=store,
        )
        records.config["study"] = {"target": self.target, **self._study()}
        dims = ("generation", "num_samples", "gamma")
        what = self.measured(records)
        named = {"long_name": f"{what} left, relative to {self.reference(records)}", "units": "1"}
        surviving = (dims, self.surviving(records, chain.source), named)
        return dataclasses.replace(records, source=records.dataset.assign(surviving=surviving))

    def _study(self) -> dict[str, Any]:
        """Return further settings that sentences need."""
        return {}

    @classmethod
    def figures(cls, records: Records) -> Mapping[str, tuple[str, Any]]:  # pyright: ignore
        """Draw a heat map of the last generation, and the surviving share by generation."""
        what, target = cls.measured(records), records.config["study"]["target"]
        name = f"share of {originals_of(records)} originals"
        caption = (
            f"{cls.summarize(records).finding} {what.capitalize()} left, relative to "
            f"{cls.reference(records)}: after the last "
            f"generation by {name} and corpus size, and by generation for M = "
            f"{records['num_samples'][-1]:,}."
        )
        figure = figure_original_shares(records.dataset, what, name, target)
        return {"original_shares": (caption, figure)}

    @classmethod
    def views(cls, records: Records) -> Mapping[str, View]:  # pyright: ignore
        """Describe the surviving share in every generation, with a target that can be changed."""
        shares = (f"share of {originals_of(records)} originals", records["gamma"])
        view = grid_view(
            {f"{cls.measured(records)} left": records["surviving"]},
            ("rows M", records["num_samples"]),
            shares,
            records["generation"],
            target=records.config["study"]["target"],
            is_share=True,
        )
        return {"original_shares": view}

    @classmethod
    def summarize(cls, records: Records) -> Summary:  # pyright: ignore
        """Summarise the smallest sufficient share for each size."""
        setting = Setting.of(records)
        what, target = cls.measured(records), records.config["study"]["target"]
        final, shares = records["surviving"][-1], records["gamma"]
        table = [["M", *(f"gamma = {number(float(share))}" for share in shares)]]
        originals = originals_of(records)
        policy = {**setting.policy, "gamma": VARIED}
        sentences = [
            f"{setting.extent} for each M and gamma. {training_sentence(setting, policy, 'M')}",
            f"The table has the {what} left, relative to {cls.reference(records)}.",
            f"Original rows: {setting.source_name}.",
            *several_axes(setting),
        ]
        with no_values_allowed():
            spreads = np.nanstd(cls.log_values(records), axis=0)
        errors = final * setting.standard_errors(spreads)  # of exp of a mean
        enough = f"{percent(target)} of the {what}"
        is_few = setting.num_chains < FEWEST_CHAINS
        if is_few:
            reason = few_chains(setting.num_chains)
            sentences.append(
                f"Which share of {originals} originals preserves {enough} is not known: {reason}."
            )
        else:
            sentences.append("Values after ± are standard errors over chains.")
        for size, row, error in zip(records["num_samples"], final, errors, strict=True):
            table.append([f"{size:,}", *(f"{value:#.3g}" for value in row)])
            if not is_few:
                words = sufficient_words(shares, row, error, target, f"{originals} originals")
                sentences.append(f"M = {size:,}: {words.format(enough)}.")
        question = "must be kept" if originals == "kept" else "must be redrawn in every generation"
        title = f"How much original data {question}? Measure: {what}"
        finding = ONE_MODEL
        if setting.num_generations:
            finding = finding_of(records, after(setting, policy=False), enough, is_few)
        return Summary(title, sentences, table, statements_of(cls.claims(), setting), finding)

    @classmethod
    def claims(cls) -> Sequence[Claim]:
        """Return the claims of the study."""
        return ()


@dataclasses.dataclass(frozen=True)
class KeepGaussianExperiment(_OriginalSharesExperiment):
    """Original data that a Gaussian chain needs to preserve its spread.

    The measure is the typical standard deviation left, by share of original data and corpus
    size; about 30 seconds on two cores. Expect all spread to be lost without original data,
    faster for smaller M, and most of it to be preserved by a few percent of redrawn original
    rows. `--original kept` takes the original rows of every corpus from D_0 instead.
    """

    name = "keep-gaussian"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 200, "num_generations": 20, "num_samples": (30,)},
        "paper": {"num_chains": 10_000, "num_samples": (10, 30, 100, 300, 1000)},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.008, "laptop": 0.012, "paper": 0.05}

    source: str = NORMAL
    """normal (standard normal rows), or rows of a file: FILE.npy, or FILE:COLUMN of a table, or
    FILE:COLUMN,COLUMN,... for rows of several numbers."""
    num_samples: tuple[int, ...] = (10, 30, 100)
    """Corpus sizes M."""
    num_generations: int = 200
    """Last generation."""

    def make_chain(self) -> Chain:
        """Return a chain of unbiased fits to the original data."""
        source, dim = gaussian_source(self.source)
        for size in self.num_samples:
            check_rows("num_samples", size, dim)
        return Chain(Gaussian(dim), source, self.policy())

    def metrics(self, source: Any) -> tuple[Any, ...]:
        """Return the measure of spread of rows of several numbers."""
        return spread_metrics(source.row_dim)[:1]

    @staticmethod
    def measured(records: Records) -> str:
        """Return what survives, in words."""
        return "typical standard deviation"

    @classmethod
    def reference(cls, records: Records) -> str:
        """Return what the surviving share is relative to, in words."""
        return "model 0, a fit to M original rows"

    def surviving(self, records: Records, source: Any) -> np.ndarray:
        """Return exp of the mean of ln sigma, relative to generation 0."""
        with no_values_allowed():
            means = np.nanmean(records["log_std"].astype(np.float64), axis=1)
        return np.exp(means - means[0])

    @classmethod
    def log_values(cls, records: Records) -> np.ndarray:
        """Return the fall of ln sigma from generation 0 to the last one."""
        values = records["log_std"].astype(np.float64)
        return values[-1] - values[0]

    @classmethod
    def claims(cls) -> Sequence[Claim]:
        """Return the claim about redrawn rows."""
        return (REDRAWN,)


@dataclasses.dataclass(frozen=True)
class KeepWordsExperiment(_OriginalSharesExperiment):
    """Original data that a unigram model of a real text needs to preserve its words.

    The measure is the number of distinct words left, by share of original words in each
    corpus, of all words or of the rare ones; about two minutes on two cores. Expect two words in
    three to be lost within a hundred generations without original words, and more kept words than
    redrawn ones to be needed: kept words are those of D_0, which lacks rare words for ever.
    """

    name = "keep-words"
    topic = "discrete"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 4, "num_generations": 10, "num_samples": (3000,)},
        "paper": {"num_chains": 128, "num_samples": (5000, 15_000, 50_000, 150_000)},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.012, "laptop": 0.035, "paper": 0.5}

    source: str = "docstrings"
    """docstrings (of Python's library), text, text:FILE, zipf:K, or labels as FILE:COLUMN."""
    rare: float = 1.0
    """Words that are counted: the least frequent ones that make up at most this share of the
    text; 1 for all words."""
    num_samples: tuple[int, ...] = (5000, 15_000, 50_000)
    """Corpus sizes M."""
    num_chains: int = 16
    """Independent chains per point."""

    def make_chain(self) -> Chain:
        """Return a chain of unigram models of the text."""
        remedy = "pass 1 for all words, or a share such as 0.01"
        check.share("rare", self.rare, remedy, open_low=True)
        source = make_labels(self.source)
        if not np.any(self._is_counted(source)):
            allowed = f"no {noun_of(self.source)} of the source is that rare"
            raise check.fail("rare", self.rare, allowed, "pass a larger share, or 1 for all words")
        return Chain(Discrete(), source, self.policy())

    def _study(self) -> dict[str, Any]:
        return {"rare": self.rare, "noun": noun_of(self.source)}

    def _is_counted(self, source: Any) -> np.ndarray:
        """Mark the words that are counted, [state]."""
        law = np.asarray(source.law, np.float64)
        order = np.argsort(law, kind="stable")
        counted = np.zeros(len(law), bool)
        counted[order] = np.cumsum(law[order]) <= self.rare * law.sum() * (1 + 1e-9)
        return counted

    def metrics(self, source: Any) -> tuple[Metric, ...]:
        """Return the number of rare words, if not all words are counted."""
        if self.rare == 1:
            return ()
        counted = self._is_counted(source)

        def rare_words(key, family, params, corpus, source, generation0):
            import jax.numpy as jnp

            return jnp.sum((family.probabilities(params) > 0) & counted, dtype=jnp.int32)

        reads = ("family", "params")
        return (Metric(rare_words, "rare_words", reads=reads, long_name="rare words left"),)

    @staticmethod
    def measured(records: Records) -> str:
        """Return what survives, in words."""
        rare, noun = records.config["study"]["rare"], _noun(records)
        if rare == 1:
            return f"distinct {noun}s"
        return f"rare {noun}s (the least frequent ones, {percent(rare)} of the rows)"

    @classmethod
    def reference(cls, records: Records) -> str:
        """Return what the surviving share is relative to, in words."""
        return f"their expected number in M independent original {_noun(records)}s"

    @classmethod
    def log_values(cls, records: Records) -> np.ndarray:
        """Return the words left in the last generation, relative to their mean."""
        words = _counted_words(records)[-1]
        return words / np.maximum(np.mean(words, axis=0), np.finfo(float).tiny)

    def surviving(self, records: Records, source: Any) -> np.ndarray:
        """Return the words left, relative to the expected number in M original words."""
        means = np.mean(_counted_words(records), axis=1)
        law = np.asarray(source.law, np.float64)[self._is_counted(source)]
        return means / _distinct_words(law, np.array(records["num_samples"]))[:, None]


def _counted_words(records: Records) -> np.ndarray:
    """Return the words left that are counted, [generation, chain, num_samples, gamma]."""
    name = "support_size" if records.config["study"]["rare"] == 1 else "rare_words"
    values = records[name].astype(np.float64)
    return np.where(values < 0, np.nan, values)  # -1 at points that failed


def _noun(records: Records) -> str:
    """Return what a state is called; records of earlier versions do not say."""
    return str(records.config["study"].get("noun", "word"))


def _distinct_words(law: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the expected number of distinct words, sum_i 1 - (1 - p_i)^M, for each M."""
    with np.errstate(divide="ignore"):
        left_out = np.log1p(-law)
    return np.sum(-np.expm1(sizes[:, None] * left_out), axis=1)


_ENOUGH = 0.05  # share of redrawn rows from which variances over chains are well estimated


def _spread(setting: Setting) -> Finding:
    """Compare E sigma^2 of the last model with its expectation, for the largest corpus.

    Shares that have replaced less than a corpus in all generations are left out: their variance
    may still be that of model 0 and says nothing about a limit.
    """
    records = setting.records
    shares, size = records["gamma"], records["num_samples"][-1]
    at = np.flatnonzero((shares >= _ENOUGH) & (shares * setting.num_generations >= 1))
    if not at.size:
        words = f"M = {size:,}: every share is below 1/{setting.num_generations:,}"
        needed = math.ceil(1 / float(np.max(shares)))
        reason = f"too few generations: {setting.num_generations:,}, needs {needed:,}"
        return Finding(words, None, reason)
    squares = np.exp(2 * records["log_std"][-1, :, -1][:, at].astype(np.float64))
    exact = records.theory["variance"].values[-1, -1, at]
    return agreement(
        [f"M = {size:,}, gamma = {number(float(shares[k]))}" for k in at],
        np.mean(squares, axis=0),
        setting.standard_errors(np.std(squares, axis=0)),
        exact,
        setting.num_chains,
    )


def _is_redrawn(setting: Setting) -> bool:
    is_drawn = setting.policy["original"] == "distribution"
    is_enough = bool(np.any(setting.records["gamma"] >= _ENOUGH))
    is_drawn &= setting.source.get("type") == "Normal"
    return is_drawn and is_enough and setting.num_generations >= 1


REDRAWN = Claim(
    "A constant share of redrawn original rows preserves the spread: E sigma^2 tends to a positive "
    "limit.",
    "Shumailov et al. 2024, equation (1) with beta = 0",
    _is_redrawn,
    _spread,
)
"""Claim of the study `keep-gaussian` about redrawn rows."""

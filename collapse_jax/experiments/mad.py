"""Compare the three loops of MAD, with and without sampling bias."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.gaussian_errors import (
    NORMAL,
    check_rows,
    gaussian_source,
    several_axes,
    spread_metrics,
)
from collapse_jax.families import Gaussian
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Fresh, Mixing, Replace
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, percent_of
from collapse_jax.results.policy_words import training_sentence
from collapse_jax.results.provenance import describe
from collapse_jax.results.records import Records
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import (
    FEWEST_CHAINS,
    Finding,
    exceeds,
    few_chains,
    most_errors,
    plus_minus,
)
from collapse_jax.store.store import Store
from collapse_jax.utils import check


@dataclasses.dataclass(frozen=True)
class MadExperiment(AbstractExperiment):
    """Fully synthetic, synthetic augmentation and fresh-data loops, by sampling bias lambda.

    The loops are those of Alemohammad et al., arXiv 2307.01850, for one-dimensional Gaussians;
    about a minute on two cores. Expect the fully synthetic loop to collapse, faster for smaller
    lambda. A kept real half, chosen from D_0 for every corpus, delays the collapse and leaves a
    bias; a redrawn real half prevents the collapse.
    """

    name = "mad"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 200, "num_generations": 10},
        "paper": {"num_chains": 10_000, "num_generations": 1000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.007, "laptop": 0.02, "paper": 0.4}

    arguments: ClassVar[Mapping[str, str]] = {"sampling_bias": "biases"}

    num_samples: int = 100
    """Rows of a corpus, half of them real in the second and third loop: kept, and redrawn."""
    biases: tuple[float, ...] = (0.8, 0.9, 1.0)
    """Values of lambda: rows are drawn from N(mean, lambda * variance)."""
    source: str = NORMAL
    """normal (standard normal rows), or rows of a file: FILE.npy, or FILE:COLUMN of a table, or
    FILE:COLUMN,COLUMN,... for rows of several numbers."""
    num_chains: int = 2000
    """Independent chains per loop and lambda."""
    num_generations: int = 200
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over loops and biases."""
        check.integer("num_samples", self.num_samples, 2)
        check.not_empty("biases", self.biases)
        for bias in self.biases:
            Gaussian(1, sampling_bias=bias)  # refuses a bad one before the sweep
        check.distinct("biases", self.biases)
        size = self.num_samples
        loops = {
            "fully synthetic": Replace(size),
            "augmentation": augmentation(size),
            "fresh data": fresh_data(size),
        }
        source, dim = gaussian_source(self.source)
        check_rows("num_samples", size, dim)
        chain = Chain(Gaussian(dim), source, Replace(size))
        records = sweep(
            chain,
            {"policy": list(loops.values()), "family.sampling_bias": list(self.biases)},
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            metrics=spread_metrics(dim),
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
            panels.append(Panel(title, "generation", generations, lines, "ln sigma"))
        caption = (
            "Mean of ln sigma by generation, a panel for each loop and a line for each lambda."
        )
        return {"loops": (f"{_finding(Setting.of(records))} {caption}", figure_panels(panels))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation."""
        setting = Setting.of(records)
        table = [["loop", "lambda", "mean of ln sigma", "standard error", "mean of W2^2"]]
        for index, loop in enumerate(records["policy"]):
            for k, bias in enumerate(records["sampling_bias"]):
                table.append(
                    [
                        str(loop),
                        f"{bias:g}",
                        f"{records['log_std_mean'][-1, index, k]:.4g}",
                        f"{setting.standard_errors(records['log_std_std'][-1, index, k]):.2g}",
                        f"{records['wasserstein2_squared_mean'][-1, index, k]:.4g}",
                    ]
                )
        size = int(setting.policy["num_samples"])
        sentences = [
            f"{setting.extent} for each loop and lambda; {size:,} rows in "
            f"each corpus, original rows: {setting.source_name}, unbiased estimator; rows are "
            "drawn from N(mean, lambda variance).",
            *several_axes(setting),
            f"Fully synthetic: {training_sentence(setting, describe(Replace(size)))}",
            f"Augmentation: {training_sentence(setting, describe(augmentation(size)))}",
            f"Fresh data: {training_sentence(setting, describe(fresh_data(size)))}",
        ]
        found = statements_of(CLAIMS, setting)
        return Summary("MAD's loops", sentences, table, found, _finding(setting))


def _finding(setting: Setting) -> str:
    """Compare what is left of the spread in the loops, at the least biased lambda."""
    if not setting.num_generations:
        return ONE_MODEL
    records = setting.records
    best = int(np.argmin(np.abs(records["sampling_bias"] - 1)))
    means, stds = (records[f"log_std_{part}"][[0, -1], :, best] for part in ("mean", "std"))
    left = np.exp(np.asarray(means[1] - means[0], np.float64))
    errors = left * setting.standard_errors(np.sum(stds, axis=0))
    shares = [percent_of(*map(float, pair)) for pair in zip(left, errors, strict=True)]
    return (
        f"{after(setting, policy=False)} with lambda = {records['sampling_bias'][best]:g}, the "
        f"typical standard deviation is {shares[0]} of model 0's in the fully synthetic loop, "
        f"{shares[1]} with a kept real half and {shares[2]} with a redrawn real half."
    )


def augmentation(size: int) -> Mixing:
    """Return the loop whose real half is kept: a random half of D_0 in every corpus.

    Args:
      size: rows of a corpus.
    """
    return Mixing(size, gamma=0.5, original="data", allocation="fixed")


def fresh_data(size: int) -> Fresh:
    """Return the loop whose real half is redrawn for every corpus.

    Args:
      size: rows of a corpus.
    """
    return Fresh(size - size // 2, size // 2)


def _biased(setting: Setting) -> np.ndarray:
    """Return the indices of the biases up to 1, in increasing order of lambda."""
    biases = setting.records["sampling_bias"]
    order = np.argsort(biases, kind="stable")
    return order[biases[order] <= 1]


def _means(setting: Setting, record: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """Return means of ln sigma and their standard errors, [loop, bias up to 1]."""
    records, use = setting.records, _biased(setting)
    means, stds = (records[f"log_std_{part}"][record][:, use] for part in ("mean", "std"))
    return np.asarray(means, np.float64), setting.standard_errors(stds)


def _shown(setting: Setting, loop: int) -> str:
    means, errors = _means(setting)
    cells = "; ".join(
        f"lambda = {bias:g}: {mean:.4g}{plus_minus(error, 2)}"
        for bias, mean, error in zip(
            setting.records["sampling_bias"][_biased(setting)],
            means[loop],
            errors[loop],
            strict=True,
        )
    )
    return f"mean of ln sigma of model {setting.num_generations:,}, {cells}"


def _synthetic_text(setting: Setting) -> str:
    several = ", faster for a stronger sampling bias" if len(_biased(setting)) > 1 else ""
    return f"The fully synthetic loop loses its diversity{several}."


def _synthetic(setting: Setting) -> Finding:
    (means, *_), (errors, *_) = _means(setting)
    differences = np.append(-means, np.diff(means))
    both = np.append(errors, errors[1:] + errors[:-1])
    return _decided(setting, _shown(setting, 0), exceeds(differences, both, setting.num_chains))


def _delayed(setting: Setting) -> Finding:
    (synthetic, augmented, _), errors = _means(setting)
    holds = exceeds(augmented - synthetic, errors[0] + errors[1], setting.num_chains)
    return _decided(setting, f"synthetic augmentation: {_shown(setting, 1)}", holds)


def _prevented(setting: Setting) -> Finding:
    """Compare the change in the second half of the run with that of the synthetic loop."""
    half = len(setting.records["generation"]) // 2
    (before, of_before), (after, of_after) = _means(setting, half), _means(setting)
    change, allowed = after - before, most_errors(setting.num_chains) * (of_before + of_after)
    changes = "; ".join(
        f"lambda = {bias:g}: {fresh:+.2g} ({synthetic:+.2g})"
        for bias, fresh, synthetic in zip(
            setting.records["sampling_bias"][_biased(setting)], change[2], change[0], strict=True
        )
    )
    words = (
        f"{_shown(setting, 2)}; change since model {setting.records['generation'][half]:,} (in "
        f"brackets: of the fully synthetic loop), {changes}"
    )
    if np.any(change[2] < -allowed[2]):
        return _decided(setting, words, False)
    is_resolved = np.all(allowed[2] < -change[0] / 2)  # the loss that was prevented
    return _decided(setting, words, True if is_resolved else None)


def _decided(setting: Setting, words: str, holds: bool | None) -> Finding:
    if setting.num_chains < FEWEST_CHAINS:
        return Finding(words, None, few_chains(setting.num_chains))
    return Finding(words, holds, "too few chains or generations")


def _is_made(setting: Setting) -> bool:
    return setting.num_generations >= 1 and bool(len(_biased(setting)))


_PAPER = "Alemohammad et al. 2023, arXiv 2307.01850"
CLAIMS = (
    Claim(_synthetic_text, _PAPER, _is_made, _synthetic),
    Claim("Kept real data delay the loss of diversity.", _PAPER, _is_made, _delayed),
    Claim(
        "Enough redrawn real data in every generation prevent the loss of diversity.",
        _PAPER,
        _is_made,
        _prevented,
    ),
)
"""Claims of the study about biases lambda up to 1."""

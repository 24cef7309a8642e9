"""Measure how fast the error of a growing pool falls, by its share of new original rows."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.moment_metrics import SQUARED_ERROR
from collapse_jax.families import Gaussian
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Accumulate
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, listed
from collapse_jax.results.policy_words import percent, training_sentence
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, agreement
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store
from collapse_jax.theory import pools
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

_SPAN = 100  # ratio of the two generations between which the exponent is measured
_MOST_SHARES = 100  # points of a sweep


@dataclasses.dataclass(frozen=True)
class HumanShareExperiment(AbstractExperiment):
    """The error of models that learn from all rows so far, by the share that people write.

    Every generation adds as many rows to the pool, a share of them original and the rest from
    the newest model (arXiv 2602.16065); about a minute on two cores. Expect the root mean
    square error to fall as N^-share for N rows in the pool, and from a share of one half on as
    N^-1/2: synthetic rows then do no lasting harm, and no good.
    """

    name = "human-share"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 500, "num_generations": 200},
        "paper": {"num_chains": 20_000, "num_generations": 200_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.006, "laptop": 0.01, "paper": 0.1}

    num_added: int = 20
    """Rows that a generation adds, original ones included."""
    shares: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 0.9)
    """Shares of original rows, below 1; num_added times a share is a whole number."""
    num_chains: int = 4000
    """Independent chains per share."""
    num_generations: int = 20_000
    """Last generation; the error is compared with that of a hundredth of the generations."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over shares."""
        originals = self._originals()
        generations = check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        policies = [Accumulate(self.num_added - rows, rows) for rows in originals]
        records = sweep(
            Chain(Gaussian(1, "mle"), Normal(0.0, 1.0), policies[0]),
            {"policy": policies},
            key=seed,
            num_chains=self.num_chains,
            num_generations=generations,
            every=max(1, generations // _SPAN),
            metrics=(SQUARED_ERROR,),
            reduce=Reduce(quantiles=()),
            progress=progress,
            store=store,
        )
        recorded = records["generation"]
        sizes = [np.full(generations + 1, self.num_added - rows) for rows in originals]
        errors = [
            pools.pooled_error(made, rows)[recorded]
            for made, rows in zip(sizes, originals, strict=True)
        ]
        named = {"long_name": "E (mu_hat - mu)^2 in units of the truth's variance", "units": "1"}
        values = (("generation", "policy"), np.stack(errors, axis=-1), named)
        shares = np.array(originals) / self.num_added
        labels = [f"{percent(float(share))} original" for share in shares]
        dataset = records.dataset.assign_coords(policy=labels, original_share=("policy", shares))
        exact = dataset_of({"squared_error": values}, {})
        return dataclasses.replace(records, source=dataset, expected=exact)

    def _originals(self) -> list[int]:
        """Return the original rows of a generation for every share.

        Raises:
          ArgumentError: for shares outside [0, 1), or that are no whole numbers of rows.
        """
        size = check.integer("num_added", self.num_added, 2)
        check.not_empty("shares", self.shares)
        check.distinct("shares", self.shares)
        if len(self.shares) > _MOST_SHARES:
            shown = check.Shown(f"{len(self.shares)} shares")
            raise check.fail("shares", shown, f"at most {_MOST_SHARES} are run", "pass fewer")
        originals = []
        for index, share in enumerate(self.shares):
            name, remedy = f"shares[{index}]", f"pass a multiple of 1/{size} below 1"
            rows = check.number(name, share, 0, 1, remedy) * size
            if abs(rows - round(rows)) > 1e-6 or round(rows) >= size:
                allowed = f"of num_added={size} rows it must leave a whole number to the model"
                raise check.fail(name, share, allowed, remedy)
            originals.append(round(rows))
        return originals

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the worth of the pool, and the exponent of its error."""
        added = _added(Setting.of(records))
        rows = added * (records["generation"] + 1)
        values, exact = records["squared_error_mean"], records.theory["squared_error"].values
        lines = [
            Line(str(label), 1 / values[:, k], 1 / exact[:, k])
            for k, label in enumerate(records["policy"])
        ]
        shares = records["original_share"]
        worth = Panel(
            "original rows that the pool is worth",
            "rows",
            rows,
            lines,
            "original rows",
            "log",
            "log",
        )
        caption = "Original rows that the pool is worth, by its rows and its share of original ones"
        panels = [worth]
        if _early(records):
            order = np.argsort(shares)
            found, limit = _exponents(values), pools.error_exponent(shares)
            exponents = [
                Line("simulated", found[order], _exponents(exact)[order]),
                Line("min(1/2, share)", limit[order]),
            ]
            title = "exponent of the error"
            panels.append(
                Panel(title, "share of original rows", shares[order], exponents, "a", marker="o")
            )
            caption += ", and the exponent a of its root mean square error N^-a by that share"
        caption = f"{_finding(Setting.of(records))} {caption}. The dashed lines are exact."
        return {"worth": (caption, figure_panels(panels))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise worth and exponent, with one row per share."""
        setting = Setting.of(records)
        added, shares = _added(setting), records["original_share"]
        pool = added * (setting.num_generations + 1)
        values, exact = records["squared_error_mean"], records.theory["squared_error"].values
        table = [
            ["share", "original rows", "rows that the pool is worth", "exact", "exponent",
             "standard error", "exact", "min(1/2, share)"]
        ]  # fmt: skip
        found, errors = _exponents(values), _errors(setting)
        for k, share in enumerate(shares):
            cells = [percent(float(share)), f"{pool * share:,.0f}", f"{1 / values[-1, k]:,.4g}"]
            cells += [f"{1 / exact[-1, k]:,.4g}", f"{found[k]:.3f}", f"{errors[k]:.1g}"]
            limit = pools.error_exponent(float(share))
            table.append([*cells, f"{_exponents(exact)[k]:.3f}", f"{limit:.3g}"])
        first = _early(records)
        sentences = [
            f"{setting.extent} for each share. {_training(setting)} The truth is N(0, 1), "
            "estimator mle.",
            f"In the end the pool has {pool:,} rows. It is worth as many original rows as have an "
            "equal error. The exponent compares the root mean square errors of models "
            f"{records['generation'][first]:,} and {setting.num_generations:,}.",
        ]
        title = "What is a pool worth, by its share of original rows?"
        return Summary(title, sentences, table, statements_of(CLAIMS, setting), _finding(setting))


def _training(setting: Setting) -> str:
    if setting.num_generations == 0:
        return training_sentence(setting)
    return (
        "Every model after model 0 is trained on all rows so far: a generation adds "
        f"{counted(_added(setting), 'row')}, original ones by the share and the others drawn from "
        "its predecessor."
    )


def _added(setting: Setting) -> int:
    return int(setting.policy["num_samples"]) + int(setting.policy.get("num_original") or 0)


def _early(records: Records) -> int:
    """Return the index of the record at a hundredth of the generations; 0 if there is none."""
    return 1 if records["generation"][-1] >= _SPAN else 0


def _exponents(errors: np.ndarray) -> np.ndarray:
    """Return -d ln rms / d ln generation between the early and the last record, [share].

    Args:
      errors: mean squared errors, [generation, share]; NaN for a run that is too short.
    """
    if len(errors) <= _SPAN // 2:
        return np.full(errors.shape[1], np.nan)
    return np.log(errors[1] / errors[-1]) / (2 * np.log(_SPAN))


def _errors(setting: Setting) -> np.ndarray:
    """Return standard errors of the exponents, as if the two errors were independent, [share]."""
    records = setting.records
    stds = records["squared_error_std"][[_early(records), -1]]
    relative = setting.standard_errors(stds) / records["squared_error_mean"][[_early(records), -1]]
    return np.sqrt(np.sum(relative**2, axis=0)) / (2 * np.log(_SPAN))


def _exponent(setting: Setting) -> Finding:
    records = setting.records
    exact = _exponents(records.theory["squared_error"].values)
    return agreement(
        [f"share {share:.4g}" for share in records["original_share"]],
        _exponents(records["squared_error_mean"]),
        _errors(setting),
        exact,
        setting.num_chains,
        np.full(len(exact), 0.05),
    )


CLAIMS = (
    Claim(
        "The root mean square error of models of a pool of N rows falls as N^-a, a = min(1/2, "
        "share of original rows).",
        "arXiv 2602.16065; tested by the exact error of finite pools",
        lambda setting: setting.num_generations >= _SPAN,
        _exponent,
    ),
)
"""Claims of the study, each with the settings that it is made for."""


def _finding(setting: Setting) -> str:
    """Return what the largest and the smallest share of original rows are worth."""
    if setting.num_generations == 0:
        return ONE_MODEL
    shares, exact = setting.records["original_share"], setting.records.theory["squared_error"]
    worth = 1 / exact.values[-1]
    low, high = int(np.argmin(shares)), int(np.argmax(shares))
    pool = _added(setting) * (setting.num_generations + 1)
    words = [
        f"{worth[k]:,.0f} original ones where {percent(float(shares[k]))} of them are original"
        for k in dict.fromkeys((low, high))
    ]
    return f"{after(setting, policy=False)} {pool:,} pooled rows are worth {listed(words)}."

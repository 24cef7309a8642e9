"""Ask how good a detector of synthetic rows must be to keep the spread of a law."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.moment_metrics import VARIANCE
from collapse_jax.families import Gaussian
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Detector, Mixing
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, listed, percent_of
from collapse_jax.results.policy_words import VARIED, percent, training_sentence
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, agreement
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store
from collapse_jax.theory import effective_share
from collapse_jax.theory.gaussian_accumulation import fresh_share_moments
from collapse_jax.utils import check


@dataclasses.dataclass(frozen=True)
class DetectorExperiment(AbstractExperiment):
    """The spread of Gaussian chains whose rows pass a detector, by how often it errs.

    Of the rows at hand a share gamma is original. A detector passes most of these rows, and some
    of the model's; those that pass are trained on. About half a minute on two cores. Expect the
    detector to act as a larger gamma: with few false passes most of the spread is preserved,
    although nearly all rows at hand are synthetic.
    """

    name = "detector"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 500, "num_generations": 50},
        "paper": {"num_chains": 100_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.007, "laptop": 0.01, "paper": 0.03}

    num_samples: int = 100
    """Rows that pass the detector, in every generation."""
    shares: tuple[float, ...] = (0.001, 0.01, 0.1)
    """Shares gamma of original rows before the detector, above 0."""
    true_pass: float = 0.9
    """Probability that an original row passes."""
    false_passes: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9)
    """Probabilities that a row of the model passes."""
    target: float = 0.9
    """Share of the variance that shall be preserved, below 1."""
    num_chains: int = 4000
    """Independent chains per detector and share."""
    num_generations: int = 400
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over shares and false passes."""
        check.integer("num_samples", self.num_samples, 2)
        generations = check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        remedy = "pass probabilities, e.g. 0.01"
        check.number("target", self.target, 0, 1, "pass a share of the variance")
        for name in ("shares", "false_passes"):
            check.each_number(name, getattr(self, name), 0, 1, remedy, open_low=True)
        detector = Detector(self.true_pass, self.false_passes[0])
        policy = Mixing(self.num_samples, gamma=self.shares[0], detector=detector)
        records = sweep(
            Chain(Gaussian(1, "mle"), Normal(0.0, 1.0), policy),
            {
                "policy.detector.false_pass": list(self.false_passes),
                "policy.gamma": list(self.shares),
            },
            key=seed,
            num_chains=self.num_chains,
            num_generations=generations,
            every=max(1, generations // 10),
            metrics=(VARIANCE,),
            reduce=Reduce(quantiles=()),
            progress=progress,
            store=store,
        )
        shares = effective_share(
            np.array(self.shares), self.true_pass, np.array(self.false_passes)[:, None]
        )
        sizes, recorded = np.full(generations + 1, self.num_samples), records["generation"]
        variance = [
            [fresh_share_moments(sizes, share, "mle").variance[recorded] for share in row]
            for row in shares
        ]
        named = {"long_name": "E sigma^2 in units of the truth's variance", "units": "1"}
        of_share = {"long_name": "share of original rows behind the detector", "units": "1"}
        axes = ("false_pass", "gamma")
        exact = dataset_of(
            {
                "fitted_variance": (
                    ("generation", *axes),
                    np.moveaxis(np.array(variance), -1, 0),
                    named,
                ),
                "effective_share": (axes, shares, of_share),
            },
            {},
        )
        return dataclasses.replace(records, expected=exact)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the preserved variance against false passes, and against the effective share."""
        found = records["fitted_variance_mean"][-1]
        exact = records.theory["fitted_variance"].values[-1]
        order = np.argsort(records["false_pass"])
        lines = [
            Line(f"gamma = {share:.4g}", found[order, k], exact[order, k])
            for k, share in enumerate(records["gamma"])
        ]
        title, x = r"E $\sigma^2$ of the last model", records["false_pass"][order]
        panel = Panel(title, "false passes", x, lines, "variance of rows = 1", "log", marker="o")
        caption = (
            f"Expected variance of model {records['generation'][-1]:,} by the probability that a "
            "synthetic row passes the detector, and by the share gamma of original rows before "
            "it. The dashed lines are exact."
        )
        return {"variance": (f"{_finding(Setting.of(records))} {caption}", figure_panels([panel]))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the preserved variance, with one row per detector and share."""
        setting = Setting.of(records)
        detector = setting.policy["detector"]
        exact = records.theory["fitted_variance"].values[-1]
        shares = records.theory["effective_share"].values
        means = records["fitted_variance_mean"][-1]
        errors = setting.standard_errors(records["fitted_variance_std"][-1])
        table = [
            ["gamma", "false passes", "effective share", "E sigma^2", "standard error", "exact"]
        ]
        for k, gamma in enumerate(records["gamma"]):
            for j, passes in enumerate(records["false_pass"]):
                numbers = (shares[j, k], means[j, k], errors[j, k], exact[j, k])
                table.append([f"{gamma:.4g}", f"{passes:.4g}", *(f"{one:.3g}" for one in numbers)])
        varied = {"gamma": VARIED, "detector": {**detector, "false_pass": VARIED}}
        sentences = [
            f"{setting.extent} for each share and detector. "
            f"{training_sentence(setting, {**setting.policy, **varied})} The truth is N(0, 1), "
            "estimator mle.",
            *_demands(records),
        ]
        title = "How good must a detector of synthetic rows be?"
        return Summary(title, sentences, table, statements_of(CLAIMS, setting), _finding(setting))


def _demands(records: Records) -> list[str]:
    """Say for each share which of the tried detectors preserve the wanted variance."""
    target = float(records.config.get("experiment", {}).get("target", 0.9))
    exact = records.theory["fitted_variance"].values[-1]
    sentences = []
    for k, gamma in enumerate(records["gamma"]):
        passing = records["false_pass"][exact[:, k] >= target]
        words = f"With gamma = {gamma:.4g}, {percent(target)} of the variance are preserved "
        if passing.size:
            words += f"if at most {np.max(passing):.4g} of the synthetic rows pass"
        else:
            words += "by none of the detectors that were tried"
        sentences.append(f"{words}, by exact expectation.")
    return sentences


def _variance(setting: Setting) -> Finding:
    records = setting.records
    exact = records.theory["fitted_variance"].values[-1]
    names = [
        f"false passes {passes:.4g}, gamma {gamma:.4g}"
        for passes in records["false_pass"]
        for gamma in records["gamma"]
    ]
    errors = setting.standard_errors(records["fitted_variance_std"][-1])
    means = records["fitted_variance_mean"][-1]
    return agreement(names, means.ravel(), errors.ravel(), exact.ravel(), setting.num_chains)


CLAIMS = (
    Claim(
        "A detector that passes original rows with probability s and synthetic ones with f turns "
        "the share gamma into gamma s / (gamma s + (1 - gamma) f).",
        "Bayes' rule; tested by E sigma^2 of chains with redrawn rows, equation (1) of Shumailov "
        "et al. 2024",
        lambda setting: setting.num_generations >= 1,
        _variance,
    ),
)
"""Claims of the study, each with the settings that it is made for."""


def _finding(setting: Setting) -> str:
    """Return the expected variance with the best and the worst detector, at the largest share."""
    if setting.num_generations == 0:
        return ONE_MODEL
    records = setting.records
    gammas, passes = records["gamma"], records["false_pass"]
    share = int(np.argmax(gammas))
    kept = records.theory["fitted_variance"].values[-1][:, share]
    words = [
        f"{percent_of(kept[j])} where {percent_of(passes[j])} of the synthetic rows pass"
        for j in dict.fromkeys((int(np.argmin(passes)), int(np.argmax(passes))))
    ]
    return (
        f"{after(setting, policy=False)} and with gamma = {gammas[share]:.4g} the detector leaves "
        f"{listed(words)} of the variance."
    )

"""Find the best weight of new real rows next to synthetic rows."""

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
from collapse_jax.policies import Fresh
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after
from collapse_jax.results.policy_words import VARIED, training_sentence
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, agreement
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store
from collapse_jax.theory import gaussian_accumulation
from collapse_jax.utils import check

_MOST_WEIGHTS = 1000  # points of a sweep
_STATIONARY = 1e-4  # share of the initial error that is left: less than chance adds


@dataclasses.dataclass(frozen=True)
class WeightingExperiment(AbstractExperiment):
    """The error of the mean against the weight of fresh real rows, and its minimum.

    The setting is that of He et al., arXiv 2502.18049, with a refitted variance; about 20
    seconds on two cores. For as many real rows as synthetic ones, expect the smallest error at
    a weight of 0.618, the golden ratio, and not at 0.5, the share of real rows.
    """

    name = "weighting"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 2000, "num_generations": 30, "num_weights": 7},
        "paper": {"num_chains": 1_000_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.004, "laptop": 0.008, "paper": 0.03}

    num_samples: int = 200
    """Synthetic rows per generation."""
    num_original: int = 200
    """New real rows per generation."""
    num_weights: int = 17
    """Number of weights between 0.2 and 1."""
    num_chains: int = 50_000
    """Independent chains per weight."""
    num_generations: int = 60
    """Last generation; the error is stationary long before."""

    @property
    def work(self) -> float:
        """Return the generations of the chains of all weights."""
        return super().work * self.num_weights

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over weights."""
        check.integer("num_samples", self.num_samples, 2)
        check.integer("num_original", self.num_original, 1)
        check.integer("num_weights", self.num_weights, 1, _MOST_WEIGHTS)
        weights = np.linspace(0.2, 1.0, self.num_weights)
        policy = Fresh(self.num_samples, self.num_original, weight=0.5)
        chain = Chain(Gaussian(1, "mle"), Normal(0.0, 1.0), policy)
        records = sweep(
            chain,
            {"policy.weight": weights.tolist()},
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            every=max(1, self.num_generations // 10),
            metrics=(SQUARED_ERROR,),
            reduce=Reduce(),
            progress=progress,
            store=store,
        )
        sizes = self.num_samples, self.num_original
        curves = {
            "squared_error": gaussian_accumulation.weighted_fresh_error(
                weights, *sizes, refit=True
            ),
            "known_variance": gaussian_accumulation.weighted_fresh_error(
                weights, *sizes, refit=False
            ),
        }
        named = {"long_name": "E (mu_hat - mu)^2 in units of the truth's variance", "units": "1"}
        exact = {name: (("weight",), curve, named) for name, curve in curves.items()}
        best = gaussian_accumulation.best_fresh_weight(*sizes)
        named = {"long_name": "weight of least error", "units": "1"}
        theory = dataset_of({**exact, "best_weight": ((), np.array(best), named)}, {})
        return dataclasses.replace(records, expected=theory)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the error against the weight."""
        known = records.theory["known_variance"].values
        lines = [
            Line(
                "simulated",
                records["squared_error_mean"][-1],
                records.theory["squared_error"].values,
            ),
            Line("variance known, He et al.", known),
        ]
        best = float(records.theory["best_weight"].values)
        title = rf"E $(\hat\mu - \mu)^2$; best weight with known variance {best:.3f}"
        panel = Panel(
            title, "weight of real rows", records["weight"], lines, "data units squared", marker="o"
        )
        caption = (
            f"Mean squared error of the mean of model {records['generation'][-1]:,} by the weight "
            "of redrawn real rows, its exact stationary value with a fitted variance (dashed), and "
            "that with a known variance."
        )
        finding = WeightingExperiment.summarize(records).finding
        return {"weights": (f"{finding} {caption}", figure_panels([panel]))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the errors, with one row per weight."""
        setting = Setting.of(records)
        mean, exact = records["squared_error_mean"][-1], records.theory["squared_error"].values
        error = setting.standard_errors(records["squared_error_std"][-1])
        table = [["weight", "E (mu - mu_0)^2", "standard error", "exact, stationary"]]
        for row in zip(records["weight"], mean, error, exact, strict=True):
            table.append([f"{row[0]:.4g}", *(f"{value:.3e}" for value in row[1:])])
        best = float(records.theory["best_weight"].values)
        policy = {**setting.policy, "weight": VARIED}
        sentences = [
            f"{setting.extent} for each weight. {training_sentence(setting, policy)} The truth is "
            "N(0, 1), estimator mle.",
            f"{_smallest(records['weight'], mean)}; theory with a known variance: {best:.3f}.",
        ]
        found = statements_of(CLAIMS, setting)
        smallest = f"{sentences[-1][0].lower()}{sentences[-1][1:]}"
        finding = f"{after(setting, policy=False)}, {smallest}"
        finding = finding if setting.num_generations else ONE_MODEL
        return Summary("The weight of redrawn real rows", sentences, table, found, finding)


def _smallest(weights: np.ndarray, means: np.ndarray) -> str:
    """Say at which weight the error is smallest, among those at which a chain is left."""
    known = np.flatnonzero(np.isfinite(means))
    if not known.size:
        return "No error was seen, for no chain is left"
    least = known[np.argmin(means[known])]
    return f"The smallest error was seen at weight {weights[least]:.4g}"


def _text(setting: Setting) -> str:
    made, real = (setting.policy[name] for name in ("num_samples", "num_original"))
    golden = ", the golden ratio," if made == real else ""
    best = gaussian_accumulation.best_fresh_weight(made, real)
    return (
        f"With a known variance the stationary error is smallest at the weight {best:.3f}{golden} "
        f"of the real rows, more than their share {real / (made + real):.3g} of the rows."
    )


def _error(setting: Setting) -> Finding:
    """Compare errors with those of a fitted variance, where the run is long enough for them.

    The claim is about a minimum. Chance must therefore be smaller than what separates the least
    expected error from those at the smallest and the largest weight. Few squares underestimate
    their spread, which is at least about that of the square of a normal number.
    """
    records = setting.records
    weights, exact = records["weight"], records.theory["squared_error"].values
    is_stationary = (1 - weights) ** (2 * setting.num_generations) < _STATIONARY
    at = np.flatnonzero(is_stationary)
    stds = np.maximum(records["squared_error_std"][-1], np.sqrt(2) * exact)
    found = agreement(
        [f"weight {weights[k]:.4g}" for k in at],
        records["squared_error_mean"][-1][at],
        setting.standard_errors(stds[at]),
        exact[at],
        setting.num_chains,
        _gaps(exact[at]),
    )
    if len(at) < len(weights):
        reason = f"too few generations ({setting.num_generations:,}) for small weights"
        return Finding(found.words, None, reason)
    if found.holds and int(np.argmin(exact)) in (0, len(exact) - 1):
        return Finding(found.words, None, "the tried weights are not on both sides of the minimum")
    return found


def _gaps(exact: np.ndarray) -> np.ndarray:
    """Return half of what separates the least error from those at both ends, where it counts."""
    gaps = np.full(len(exact), np.inf)
    best = int(np.argmin(exact)) if len(exact) else 0
    ends = [k for k in (0, len(exact) - 1) if k != best and len(exact) > 1]
    gaps[ends] = (exact[ends] - exact[best]) / 2
    if ends:
        gaps[best] = np.min(gaps[ends])
    return gaps


CLAIMS = (
    Claim(
        _text,
        "He et al. 2025, arXiv 2502.18049; tested by the formula for a fitted variance",
        lambda setting: setting.num_generations >= 1 and setting.policy["num_original"] > 0,
        _error,
    ),
)
"""Claims of the study, each with the settings that it is made for."""

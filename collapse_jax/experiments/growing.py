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
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, mean_of
from collapse_jax.results.policy_words import training_sentence
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import (
    FEWEST_CHAINS,
    Finding,
    agreement,
    exceeds,
    few_chains,
    most_errors,
    plus_minus,
)
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store
from collapse_jax.theory import gaussian as theory
from collapse_jax.utils import check

_MANY_FITS = 10_000  # fits whose sum of 1 / M_i is computed: the rest is added by its integral
_FEW_FITS = 100  # fits up to which the mean over chains has a useful standard error

GROWTH = {
    "constant": lambda i: np.ones_like(i),
    "linear, i": lambda i: i,
    "max(i, i ln i)": lambda i: i * np.log(np.maximum(i, np.e)),
    "i^1.5": lambda i: i**1.5,
}


@dataclasses.dataclass(frozen=True)
class GrowingExperiment(AbstractExperiment):
    """E W2^2 of Gaussian chains whose corpora grow: constant, i, max(i, i ln i), i^1.5.

    Each corpus replaces its predecessor, the estimator is unbiased; about 20 seconds on two
    cores. By Shumailov et al. 2024, supplement, E W2^2 stays finite if and only if the sum of
    the 1 / M_i is finite: i^1.5 is enough, i ln i is not, which shows only after long runs. i ln i
    begins at 0; here it is at least i, which is larger for i = 1 and 2 only.
    """

    name = "growing"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 500, "num_generations": 20},
        "paper": {"num_chains": 100_000, "num_generations": 1000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.012, "laptop": 0.014, "paper": 0.02}

    first_size: int = 100
    """Rows M_1 of D_0, the corpus of the first fit; fit i has M_1 times the growth at i."""
    num_chains: int = 10_000
    """Independent chains per schedule."""
    num_generations: int = 300
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over schedules of sizes."""
        schedules = self._schedules()
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

    def _schedules(self) -> list[np.ndarray]:
        """Return the sizes of every schedule.

        Raises:
          ArgumentError: if one of them exceeds the largest corpus.
        """
        check.integer("first_size", self.first_size, 2)
        check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        fits = np.arange(1.0, self.num_generations + 2)
        largest = max(float(grow(fits[-1:])[0]) for grow in GROWTH.values())
        if self.first_size * largest > check.MAX_SIZE:
            most = int(check.MAX_SIZE / largest)
            allowed = (
                f"with num_generations={self.num_generations} the last corpus would have "
                f"{self.first_size * largest:,.0f} rows, more than {check.MAX_SIZE:,}"
            )
            remedy = "pass a smaller num_generations"
            if most >= 2:
                remedy = f"pass first_size={most} at most, or a smaller num_generations"
            raise check.fail("first_size", self.first_size, allowed, remedy)
        return [np.rint(self.first_size * grow(fits)).astype(int) for grow in GROWTH.values()]

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
        panel = Panel(title, "number of fits i", fits, lines, "data units squared", "log", "log")
        caption = (
            "Mean of the squared Wasserstein distance from the truth by growth of the corpus, "
            "policy replace. The dashed lines are exact expectations."
        )
        return {"growth": (f"{_finding(Setting.of(records))} {caption}", figure_panels([panel]))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation against theory."""
        setting = Setting.of(records)
        exact = records.theory["wasserstein2_squared"].values[-1]
        table = [["M_i grows as", "mean of W2^2", "standard error", "exact"]]
        for index, name in enumerate(records["num_samples"]):
            error = setting.standard_errors(records["wasserstein2_squared_std"][-1, index])
            mean = records["wasserstein2_squared_mean"][-1, index]
            table.append([str(name), f"{mean:.4g}", f"{error:.2g}", f"{exact[index]:.4g}"])
        first = records.config["chain"]["policy"]["num_samples"]
        sentences = [
            f"{setting.extent} for each schedule of sizes, M_1 = {first:,} rows in D_0.",
            f"{training_sentence(setting, {'type': 'Replace'}, 'M_i')} The truth is N(0, 1), and "
            "the divisor of the variance is M_i - 1 (unbiased).",
        ]
        title = "How fast must the corpus grow? Policy replace"
        found = statements_of(CLAIMS, setting)
        return Summary(title, sentences, table, found, _finding(setting))


def _finding(setting: Setting) -> str:
    """Compare the constant corpus with that which grows fastest."""
    if not setting.num_generations:
        return ONE_MODEL
    means, stds = (setting.records[f"wasserstein2_squared_{part}"][-1] for part in ("mean", "std"))
    errors = setting.standard_errors(stds)
    constant, fastest = (mean_of(float(means[k]), float(errors[k])) for k in (0, -1))
    return (
        f"{after(setting, policy=False)}, the mean squared distance from the truth is {constant} "
        f"if every corpus replaces its predecessor in the same size, and {fastest} if corpora "
        "grow as i^1.5."
    )


def _distance(setting: Setting) -> Finding:
    """Compare distances with the formula; later a few chains decide the constant schedule."""
    records, exact = setting.records, setting.records.theory["wasserstein2_squared"].values
    early = min(len(exact), _FEW_FITS) - 1
    return agreement(
        [f"{name}, model {records['generation'][early]}" for name in records["num_samples"]],
        records["wasserstein2_squared_mean"][early],
        setting.standard_errors(records["wasserstein2_squared_std"][early]),
        exact[early],
        setting.num_chains,
    )


def _divergence(setting: Setting) -> Finding:
    """Compare the last distances of i^1.5 and of slower growth with the limit of i^1.5."""
    records = setting.records
    first = int(setting.policy["num_samples"])
    early = min(len(records["generation"]), _FEW_FITS) - 1
    means = records["wasserstein2_squared_mean"][early]
    errors = setting.standard_errors(records["wasserstein2_squared_std"][early])
    fits = np.arange(1.0, _MANY_FITS)
    sizes = np.rint(first * GROWTH["i^1.5"](fits)).astype(np.int64)
    tail = 3 / (first * np.sqrt(_MANY_FITS))  # 3/2 of the sum of the 1 / M_i that are left
    limit = float(theory.expected_wasserstein2_squared(sizes, "unbiased")[-1]) + tail
    shown = [f"{mean:.3g}{plus_minus(error)}" for mean, error in zip(means, errors, strict=True)]
    words = (
        f"model {records['generation'][early]}: constant {shown[0]}, linear {shown[1]}, i^1.5 "
        f"{shown[3]} with the limit {limit:.3g}"
    )
    if setting.num_chains < FEWEST_CHAINS:
        return Finding(words, None, few_chains(setting.num_chains))
    if means[3] - most_errors(setting.num_chains) * errors[3] > limit:
        return Finding(words, False)
    holds = exceeds(means[:2] - limit, errors[:2], setting.num_chains)
    holds = holds or None  # slower growth may not have passed the limit yet
    return Finding(words, holds, "too few generations or chains")


CLAIMS = (
    Claim(
        "E W2^2 = sum 1/M_i + 2 (1 - prod a(M_i)), a(M) = E sigma_hat / sigma, for the unbiased "
        "variance.",
        "Shumailov et al. 2024, supplement, growing corpora",
        lambda setting: setting.num_generations >= 1,
        _distance,
    ),
    Claim(
        "A corpus must grow faster than linearly for the distance to stay finite: with i^1.5 it "
        "stays below a limit, which constant and linear corpora pass.",
        "Shumailov et al. 2024, supplement, growing corpora",
        lambda setting: setting.num_generations >= 1,
        _divergence,
    ),
)
"""Claims of the study, each with the settings that it is made for."""

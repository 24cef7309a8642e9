"""Compare replaced and accumulated labels of linear regressions, with self-training beside."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.families.regression import LinearRegression
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Accumulate, Replace
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, mean_of
from collapse_jax.results.policy_words import training_sentence
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, agreement
from collapse_jax.sources.regression import LinearModel
from collapse_jax.store.store import Store
from collapse_jax.theory import regression as theory
from collapse_jax.utils import check

_SPIKED = {"dim": 300, "size": 200, "spike": 60.0, "norm": 1.0, "noise": 1.0}
"""The example of arXiv 2602.14029: more covariates than rows, one direction of large variance."""


@dataclasses.dataclass(frozen=True)
class RegressionExperiment(AbstractExperiment):
    """Errors of linear regressions whose labels come from their predecessor.

    Labels are replaced, or accumulate, as in Gerstgrasser et al. 2024; about a quarter of a
    minute on two cores. Expect the error to grow by the same amount in every generation if
    labels are replaced, and to stay below pi^2 / 6 of that of one fit if they accumulate.
    """

    name = "regression"
    topic = "regression"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 500, "num_generations": 20},
        "paper": {"num_chains": 50_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.006, "laptop": 0.008, "paper": 0.05}

    num_samples: int = 100
    """Rows T of a generation."""
    dim: int = 10
    """Covariates d, standard normal."""
    noise: float = 1.0
    """Standard deviation sigma of the labels."""
    num_chains: int = 4000
    """Independent chains per policy."""
    num_generations: int = 50
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over the two policies."""
        dim = check.integer("dim", self.dim, 1, 1024)
        remedy = "pass more rows than covariates: with fewer the variance of the error is infinite"
        size = check.integer("num_samples", self.num_samples, dim + 4, remedy=remedy)
        noise = check.number("noise", self.noise, 0, 1e15, "pass a standard deviation > 0")
        generations = check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        policies = [Replace(size), Accumulate(size)]
        source = LinearModel(np.full(dim, dim**-0.5), noise)
        records = sweep(
            Chain(LinearRegression(dim), source, policies[0]),
            {"policy": policies},
            key=seed,
            num_chains=self.num_chains,
            num_generations=generations,
            reduce=Reduce(quantiles=()),
            progress=progress,
            store=store,
        )
        names = np.array([type(policy).__name__ for policy in policies])
        sizes = np.full(generations + 1, size)
        curves = [
            theory.replace_expected_error(sizes, dim),
            theory.accumulate_expected_error(sizes, dim),
        ]
        named = {"long_name": "E (b_g - b)^T Sigma (b_g - b)", "units": "1"}
        of_teacher = {"long_name": "asymptotic risk of self-training", "units": "1"}
        exact = dataset_of(
            {
                "error": (("generation", "policy"), noise**2 * np.stack(curves, axis=1), named),
                "self_training": (
                    ("generation",),
                    theory.self_training_risk(num_generations=generations, **_SPIKED),
                    of_teacher,
                ),
            },
            {},
        )
        dataset = records.dataset.assign_coords(policy=names)
        return dataclasses.replace(records, source=dataset, expected=exact)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the error of both policies, and the risk of self-training."""
        fits, exact = records["generation"] + 1, records.theory
        lines = [
            Line(str(policy), records["error_mean"][:, k], exact["error"].values[:, k])
            for k, policy in enumerate(records["policy"])
        ]
        title = r"E $(b_g - b)^T \Sigma (b_g - b)$"
        risk = Line("p = 300, n = 200", exact["self_training"].values)
        panels = [
            Panel(title, "number of fits", fits, lines, "excess risk"),
            Panel("risk of self-training", "number of fits", fits, [risk], "asymptotic risk"),
        ]
        caption = (
            "Expected error by number of fits and policy; the dashed lines are exact. Right: the "
            "asymptotic risk of arXiv 2602.14029, where only the first labels have noise, which "
            "falls before it rises."
        )
        return {"error": (f"{_finding(Setting.of(records))} {caption}", figure_panels(panels))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation."""
        setting = Setting.of(records)
        size = setting.policy["num_samples"]
        means = records["error_mean"][-1]
        errors = setting.standard_errors(records["error_std"][-1])
        exact = records.theory["error"].values[-1]
        table = [["policy", "E error", "standard error", "exact"]]
        for k, policy in enumerate(records["policy"]):
            table.append([str(policy), *(f"{one[k]:.4g}" for one in (means, errors, exact))])
        sentences = [
            f"{setting.extent} for each policy; T = {size:,} rows of {setting.family['dim']} "
            "standard normal covariates, least squares.",
            *(
                f"{name}: {training_sentence(setting, {'type': name}, 'T')}"
                for name in map(str, records["policy"])
            ),
        ]
        title = f"Replace or accumulate labels of a regression: T = {size:,}"
        found = statements_of(CLAIMS, setting)
        return Summary(title, sentences, table, found, _finding(setting))


def _errors(setting: Setting, policy: int) -> Finding:
    """Compare the error under one policy with its expectation, at three generations."""
    records, last = setting.records, setting.num_generations
    indices = sorted({0, last // 2, last})
    names = [f"generation {index}" for index in indices]
    means = records["error_mean"][indices, policy]
    errors = setting.standard_errors(records["error_std"][indices, policy])
    exact = records.theory["error"].values[indices, policy]
    return agreement(names, means, errors, exact, setting.num_chains)


CLAIMS = (
    Claim(
        "If labels are replaced, n fits have the expected error n sigma^2 d / (T - d - 1).",
        "Gerstgrasser et al., arXiv 2404.01413, theorem 1",
        lambda setting: setting.num_generations >= 1,
        lambda setting: _errors(setting, 0),
    ),
    Claim(
        "If labels accumulate, the expected error is about sigma^2 d / T times the sum of 1 / i^2, "
        "which is bounded by pi^2 / 6.",
        "Gerstgrasser et al., arXiv 2404.01413, theorem 2; tested by the exact sum for finite T",
        lambda setting: setting.num_generations >= 1,
        lambda setting: _errors(setting, 1),
    ),
)
"""Claims of the study, each with the settings that it is made for."""


def _finding(setting: Setting) -> str:
    """Compare the errors under the two policies."""
    if setting.num_generations == 0:
        return ONE_MODEL
    means = setting.records["error_mean"][-1]
    errors = setting.standard_errors(setting.records["error_std"][-1])
    pairs = zip(map(float, means), map(float, errors), strict=True)
    replaced, pooled = (mean_of(*pair) for pair in pairs)
    return (
        f"{after(setting, policy=False)} the expected error is {replaced} if labels replace each "
        f"other, and {pooled} if they accumulate."
    )

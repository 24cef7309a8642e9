"""Ask how long rare events survive in chains of fitted Poisson rates."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.families.poisson import Poisson
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Replace
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, listed, percent_of
from collapse_jax.results.policy_words import training_sentence
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, agreement
from collapse_jax.sources.rate_laws import PoissonLaw
from collapse_jax.store.store import Store
from collapse_jax.theory.rates import poisson_absorption
from collapse_jax.utils import check


@dataclasses.dataclass(frozen=True)
class RatesExperiment(AbstractExperiment):
    """Survival of events whose rate is refitted to its own Poisson numbers.

    A rate that is once fitted to rows without an event stays 0, as in Suresh et al. 2024; about
    a quarter of a minute on two cores. Expect rare events to be lost first, and every event in
    the end: n fits lose an event of the truth with a probability that tends to 1 as 1 - 2 M rate
    / n.
    """

    name = "rates"
    topic = "rates"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 500, "num_generations": 50},
        "paper": {"num_chains": 200_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.005, "laptop": 0.006, "paper": 0.03}

    num_samples: int = 100
    """Rows M of a generation."""
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3)
    """Expected numbers of events in an original row, above 0."""
    num_chains: int = 10_000
    """Independent chains per rate."""
    num_generations: int = 200
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over rates."""
        size = check.integer("num_samples", self.num_samples, 1)
        generations = check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        remedy = "pass numbers of events, e.g. 0.01"
        check.each_number("rates", self.rates, 0, 1e6, remedy, open_low=True)
        records = sweep(
            Chain(Poisson(), PoissonLaw(self.rates[0]), Replace(size)),
            {"source.rate": list(self.rates)},
            key=seed,
            num_chains=self.num_chains,
            num_generations=generations,
            every=max(1, generations // 50),
            reduce=Reduce(quantiles=()),
            progress=progress,
            store=store,
        )
        sizes, recorded = np.full(generations + 1, size), records["generation"]
        lost = [poisson_absorption(rate, sizes)[recorded] for rate in self.rates]
        named = {"long_name": "probability that the event is lost", "units": "1"}
        table = {"is_absorbed": (("generation", "rate"), np.stack(lost, axis=1), named)}
        return dataclasses.replace(records, expected=dataset_of(table, {}))

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the share of chains that lost the event, one line per rate."""
        exact = records.theory["is_absorbed"].values
        lines = [
            Line(f"rate {rate:.4g}", records["is_absorbed_mean"][:, k], exact[:, k])
            for k, rate in enumerate(records["rate"])
        ]
        fits = records["generation"] + 1
        panel = Panel("the event is lost", "number of fits", fits, lines, "share of chains", "log")
        caption = (
            "Share of chains in which the event is lost, by number of fits and by its rate in the "
            "truth. The dashed lines are exact."
        )
        return {"lost": (f"{_finding(Setting.of(records))} {caption}", figure_panels([panel]))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation, with one row per rate."""
        setting = Setting.of(records)
        size = setting.policy["num_samples"]
        shares = records["is_absorbed_mean"][-1]
        errors = setting.standard_errors(records["is_absorbed_std"][-1])
        exact = records.theory["is_absorbed"].values[-1]
        means = records["rate_mean"][-1]
        table = [["rate", "share lost", "standard error", "exact", "E rate"]]
        for k, rate in enumerate(records["rate"]):
            numbers = (shares[k], errors[k], exact[k], means[k])
            table.append([f"{rate:.4g}", *(f"{one:.3g}" for one in numbers)])
        sentences = [
            f"{setting.extent} for each rate. {training_sentence(setting)} The truth is Poisson, "
            "and a rate is fitted by the mean of its rows.",
        ]
        title = f"How long do rare events survive? M = {size:,}"
        return Summary(title, sentences, table, statements_of(CLAIMS, setting), _finding(setting))


def _losses(setting: Setting) -> Finding:
    records = setting.records
    names = [f"rate {rate:.4g}" for rate in records["rate"]]
    means = records["is_absorbed_mean"][-1]
    errors = setting.standard_errors(records["is_absorbed_std"][-1])
    exact = records.theory["is_absorbed"].values[-1]
    return agreement(names, means, errors, exact, setting.num_chains)


CLAIMS = (
    Claim(
        "After k fits to M rows a Poisson rate lambda is not yet 0 with probability "
        "1 - exp(-M lambda t_k), t_1 = 1, t_{k+1} = 1 - exp(-t_k).",
        "Suresh et al., arXiv 2412.17646",
        lambda setting: setting.num_generations >= 1,
        _losses,
    ),
)
"""Claims of the study, each with the settings that it is made for."""


def _finding(setting: Setting) -> str:
    """Return the shares of chains that lost the rarest and the most frequent event."""
    if setting.num_generations == 0:
        return ONE_MODEL
    records = setting.records
    rates, shares = records["rate"], records["is_absorbed_mean"][-1]
    order = np.argsort(rates)
    words = [
        f"{percent_of(shares[k])} of the chains at a rate of {rates[k]:.4g}"
        for k in dict.fromkeys((int(order[0]), int(order[-1])))
    ]
    return f"{after(setting, policy=False)} the event is lost in {listed(words)}."

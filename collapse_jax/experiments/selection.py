"""Ask how fast the answer that raters prefer takes over, by how many candidates they see."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.families import Discrete
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Replace
from collapse_jax.policies.selections import BestOf
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, listed, percent_of
from collapse_jax.results.policy_words import percent
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, agreement
from collapse_jax.sources import Categorical
from collapse_jax.store.store import Store
from collapse_jax.theory import selected
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

_MOST_ROWS = 2000  # of a corpus whose chain is enumerated
_MOST_CANDIDATES = 4096


@dataclasses.dataclass(frozen=True)
class Preference:
    """A reward of the states 0 and 1: raters prefer state 1."""

    advantage: float

    def __call__(self, states: Any) -> Any:
        """Return the reward of states."""
        return jnp.asarray(self.advantage * states, jnp.result_type(float))


def preferred_share(key, family, params, corpus, source, generation0):
    """Return the model's probability of the preferred state; a metric, see `collapse_jax.Metric`.

    Dimensionless, in [0, 1].
    """
    return family.probabilities(params)[1]


@dataclasses.dataclass(frozen=True)
class SelectionExperiment(AbstractExperiment):
    """The share of the answer that raters prefer, by the number of candidates that they see.

    Of two answers one has the higher reward. Every row of a corpus is one of K candidates of the
    newest model, chosen by softmax (Ferbach et al., arXiv 2407.09499); about half a minute on two
    cores. Expect the preferred answer to take over the faster the more candidates there are, and
    the other one to be lost for ever, although raters only prefer, and never forbid.
    """

    name = "selection"
    topic = "discrete"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 500, "candidates": (1, 2), "num_generations": 20},
        "paper": {"num_chains": 100_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.007, "laptop": 0.01, "paper": 0.03}

    num_samples: int = 60
    """Rows per generation, at most 2,000."""
    share: float = 0.1
    """Share of the preferred answer in the original law."""
    advantage: float = 0.2
    """Difference of the rewards over the temperature of the raters."""
    candidates: tuple[int, ...] = (1, 2, 4, 16)
    """Numbers of candidates; 1 is no choice."""
    num_chains: int = 4000
    """Independent chains per number of candidates."""
    num_generations: int = 200
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over numbers of candidates."""
        size = check.integer("num_samples", self.num_samples, 1, _MOST_ROWS)
        generations = check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        remedy = "pass a share of the rows, e.g. 0.1"
        share = check.number("share", self.share, 0, 1, remedy)
        remedy = "pass the difference of two rewards, e.g. 0.2"
        advantage = check.number("advantage", self.advantage, -100, 100, remedy)
        check.not_empty("candidates", self.candidates)
        check.distinct("candidates", self.candidates)
        for index, number in enumerate(self.candidates):
            check.integer(f"candidates[{index}]", number, 1, _MOST_CANDIDATES)
        policies = [
            Replace(size, selection=BestOf(number, Preference(advantage)))
            for number in self.candidates
        ]
        records = sweep(
            Chain(Discrete(corpus="counts"), Categorical([1 - share, share]), policies[0]),
            {"policy": policies},
            key=seed,
            num_chains=self.num_chains,
            num_generations=generations,
            every=max(1, generations // 100),
            metrics=(Metric(preferred_share, reads=("family", "params")),),
            reduce=Reduce(quantiles=()),
            progress=progress,
            store=store,
        )
        labels = [counted(number, "candidate") for number in self.candidates]
        dataset = records.dataset.assign_coords(
            policy=labels, candidates=("policy", np.array(self.candidates))
        )
        shares, recorded = np.arange(size + 1) / size, records["generation"]
        laws = [
            selected.preferred_counts(share, advantage, number, size, generations)[recorded]
            for number in self.candidates
        ]
        axes = ("generation", "policy")
        of_share = {"long_name": "expected share of the preferred answer", "units": "1"}
        of_loss = {"long_name": "probability that one answer is lost", "units": "1"}
        mean = np.stack([law @ shares for law in laws], axis=-1)
        lost = np.stack([law[:, 0] + law[:, -1] for law in laws], axis=-1)
        exact = dataset_of(
            {"preferred_share": (axes, mean, of_share), "is_absorbed": (axes, lost, of_loss)}, {}
        )
        return dataclasses.replace(records, source=dataset, expected=exact)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the preferred share and the loss of an answer, one line for each number."""
        panels = []
        titles = {
            "preferred_share": "share of the preferred answer",
            "is_absorbed": "share of chains that lost an answer",
        }
        for name, title in titles.items():
            found, exact = records[f"{name}_mean"], records.theory[name].values
            lines = [
                Line(counted(int(number), "candidate"), found[:, k], exact[:, k])
                for k, number in enumerate(records["candidates"])
            ]
            panels.append(Panel(title, "generation", records["generation"], lines, "share"))
        caption = (
            "Mean share of the preferred answer, and share of chains in which one answer is lost, "
            "by the number of candidates of each row. The dashed lines are exact."
        )
        return {"preferred": (f"{_finding(Setting.of(records))} {caption}", figure_panels(panels))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation, with one row per number of candidates."""
        setting = Setting.of(records)
        experiment = records.config.get("experiment", {})
        table = [["candidates", "preferred share", "standard error", "exact", "lost", "exact"]]
        shares, lost = _last(records, "preferred_share"), _last(records, "is_absorbed")
        errors = setting.standard_errors(records["preferred_share_std"][-1])
        for k, number in enumerate(records["candidates"]):
            cells = (shares[0][k], errors[k], shares[1][k], lost[0][k], lost[1][k])
            table.append([f"{number:,}", *(f"{one:.3g}" for one in cells)])
        sentences = [
            f"{setting.extent} for each number of candidates; "
            f"M = {counted(int(setting.policy['num_samples']), 'row')}.",
            ONE_MODEL
            if setting.num_generations == 0
            else "Every row of a later corpus is one of several candidates of the predecessor, "
            "chosen by softmax of their rewards, which differ by "
            f"{experiment.get('advantage', 'a fixed number')} over the temperature between two "
            "answers.",
        ]
        title = "How fast does the preferred answer take over?"
        return Summary(title, sentences, table, statements_of(CLAIMS, setting), _finding(setting))


def _last(records: Records, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return means and expectations of the last generation, [candidates] each."""
    return records[f"{name}_mean"][-1], records.theory[name].values[-1]


def _shares(setting: Setting) -> Finding:
    records = setting.records
    found, exact = _last(records, "preferred_share")
    errors = setting.standard_errors(records["preferred_share_std"][-1])
    names = [counted(int(number), "candidate") for number in records["candidates"]]
    return agreement(names, found, errors, exact, setting.num_chains)


CLAIMS = (
    Claim(
        "Where each row is one of K candidates, chosen by softmax of rewards, frequencies follow "
        "Wright-Fisher with selection.",
        "Ferbach et al. 2024, arXiv 2407.09499, with finite corpora; tested by the enumerated "
        "chain",
        lambda setting: setting.num_generations >= 1,
        _shares,
    ),
)
"""Claims of the study, each with the settings that it is made for."""


def _finding(setting: Setting) -> str:
    """Return the expected share with the fewest and with the most candidates."""
    if setting.num_generations == 0:
        return ONE_MODEL
    records = setting.records
    numbers, (_, exact) = records["candidates"], _last(records, "preferred_share")
    words = [
        f"{percent_of(exact[k])} with {counted(int(numbers[k]), 'candidate')}"
        for k in dict.fromkeys((int(np.argmin(numbers)), int(np.argmax(numbers))))
    ]
    start = percent(float(records.theory["preferred_share"].values[0, 0]))
    return (
        f"{after(setting, policy=False)} the preferred answer, {start} of the original rows, has "
        f"an expected share of {listed(words)}."
    )

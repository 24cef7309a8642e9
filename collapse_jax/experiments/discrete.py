"""Resample the words of a real text again and again, and see which words survive."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.engine.simulate import simulate
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.discrete_claims import CLAIMS
from collapse_jax.experiments.sources import make_labels, noun_of
from collapse_jax.families import Discrete
from collapse_jax.plots import discrete as plots
from collapse_jax.plots.style import drawn_labels
from collapse_jax.plots.views import View, words_view
from collapse_jax.policies import Replace
from collapse_jax.results.claims import statements_of
from collapse_jax.results.findings import ONE_MODEL, after, change_of, mean_of, percent_of
from collapse_jax.results.policy_words import number, policy_name, training_sentence
from collapse_jax.results.records import Records, check_complete
from collapse_jax.results.setting import Setting
from collapse_jax.store.store import Store
from collapse_jax.utils.counted import counted
from collapse_jax.utils.status import is_frozen


@dataclasses.dataclass(frozen=True)
class DiscreteExperiment(AbstractExperiment):
    """Unigram models of a text, each fitted to the words of its predecessor.

    The default text is the prose of Python's documentation, with thousands of distinct words;
    a generation has as many rows as the text has words. The run takes about 20 seconds on two
    cores. Under the policy replace, expect half of the distinct words to be lost within ten
    generations, and nine in ten after 200.
    """

    name = "discrete"
    topic = "discrete"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 8, "num_generations": 10},
        "paper": {"num_chains": 1024, "num_generations": 1000, "every": 20},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.005, "laptop": 0.006, "paper": 0.25}

    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """Policy of training data; num_samples None means the length of the text."""
    source: str = "text"
    """text, docstrings, text:FILE, zipf:K (probabilities 1/rank), or labels as FILE:COLUMN."""
    num_chains: int = 128
    """Independent chains."""
    num_generations: int = 200
    """Last generation."""
    every: int = 5
    """Record every k-th generation, and the last."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Make one run with the probability of every word recorded."""
        chain = Chain(Discrete(), make_labels(self.source), self.policy)
        records = simulate(
            chain,
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            every=self.every,
            metrics=("probabilities",),
            progress=progress,
            store=store,
        )
        check_complete([records])
        return records

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw diversity by generation, and the survival of states."""
        setting = Setting.of(records)
        policy, noun = policy_name(setting.policy), _noun(setting)
        diversity = plots.figure_diversity(records.dataset, records.theory)
        exact = " The dashed lines are exact expectations." * ("exact" in drawn_labels(diversity))
        names = {
            "support_size": "states left",
            "entropy": "entropy in nats",
            "tail_mass": "tail mass",
        }
        changes = [
            f"{words} {change_of(np.median(records[name], axis=1))}"
            for name, words in names.items()
        ]
        alive = np.mean(records["probabilities"][[0, -1]] > 0, axis=(1, 2))
        return {
            "diversity": (
                f"Medians: {'; '.join(changes)}. States left, entropy and tail mass by "
                f"generation, policy {policy}: median and 5–95 % of chains.{exact}",
                diversity,
            ),
            "survival": (
                f"{percent_of(float(alive[-1] / alive[0]))} of the {noun}s of model 0 are alive in "
                f"the last model, on average. Share of chains in which a {noun} has positive "
                f"probability, policy {policy}.",
                plots.figure_survival(records.dataset, noun),
            ),
        }

    @staticmethod
    def views(records: Records) -> Mapping[str, View]:
        """Describe the survival of every state, with a search."""
        return {"survival": words_view(records.dataset, _noun(Setting.of(records)))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the first, the middle and the last recorded generation."""
        table = [["generation", "states left", "entropy (nats)", "tail mass", "heterozygosity"]]
        generations = records["generation"]
        for index in sorted({0, len(generations) // 2, len(generations) - 1}):
            is_running = ~is_frozen(records["status"][index])
            cells = [
                _mean_and_error(records[name][index][is_running])
                for name in ("support_size", "entropy", "tail_mass", "heterozygosity")
            ]
            table.append([f"{generations[index]:,}", *cells])
        setting = Setting.of(records)
        policy = policy_name(setting.policy)
        title = f"Discrete chains after {counted(generations[-1], 'generation')}, policy {policy}"
        found = statements_of(CLAIMS, setting)
        return Summary(title, _sentences(setting), table, found, _finding(setting))


def _noun(setting: Setting) -> str:
    """Return what a state is called: a word where the original rows are a text."""
    return noun_of(setting.source_name)


def _finding(setting: Setting) -> str:
    """Say how many states are left."""
    if not setting.num_generations:
        return ONE_MODEL
    support, noun = setting.records["support_size"].astype(np.float64), _noun(setting)
    left = support[-1][~is_frozen(setting.records["status"][-1])]
    first = float(np.mean(support[0]))
    if not left.size:
        return f"{after(setting)}, no chain is left, and model 0 had {mean_of(first)} {noun}s."
    error = setting.standard_errors(np.std(left)) if left.size > 1 else np.nan
    share = percent_of(float(np.mean(left)) / first)
    return (
        f"{after(setting)}, a model has {mean_of(float(np.mean(left)), float(error))} different "
        f"{noun}s, {share} of the {mean_of(first)} of model 0."
    )


def _sentences(setting: Setting) -> list[str]:
    records = setting.records
    is_running = ~is_frozen(records["status"][-1])
    absorbed, stopped = int(np.sum(records["is_absorbed"][-1][is_running])), setting.num_stopped
    states, chains = records["probabilities"].shape[-1], setting.num_chains
    has = "has" if absorbed == 1 else "have"
    found = [
        f"{counted(chains, 'chain')} over {counted(states, 'state')}; {absorbed:,} of them {has} a "
        f"single state after {counted(setting.num_generations, 'generation')}.",
        training_sentence(setting),
        f"Original rows: {setting.source_name}.",
    ]
    tempered = [
        f"{name} = {number(setting.family[name])}"
        for name, neutral in _NEUTRAL.items()
        if setting.family.get(name, neutral) != neutral
    ]
    if tempered:
        found.append(f"Models are fitted and drawn from with {', '.join(tempered)}.")
    if stopped:
        those = "1 chain" if stopped == 1 else f"{stopped:,} chains"
        found.append(f"{those} stopped early, for want of rows; all numbers leave them out.")
    if chains > 1:
        found.append("The table has means over chains ± standard errors.")
    return found


_NEUTRAL = {"smoothing": 0.0, "temperature": 1.0, "top_p": 1.0, "min_probability": 0.0}


def _mean_and_error(values: np.ndarray) -> str:
    """Return the mean over chains and, for several chains, its standard error."""
    if not len(values):
        return "no chain is left"
    mean = f"{np.mean(values, dtype=np.float64):.4g}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {np.std(values, dtype=np.float64, ddof=1) / np.sqrt(len(values)):.2g}"

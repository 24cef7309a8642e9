"""Ask how diverse models stay that train on each other's rows, by their number."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.ecosystem import Ecosystem
from collapse_jax.core.metric import Metric
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.families import Discrete
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Replace
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
from collapse_jax.theory.ecosystem import expected_similarity
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

_MOST_MODELS = 32  # each is traced: more take minutes to compile


@dataclasses.dataclass(frozen=True)
class Diversity:
    """A metric: the probability that two rows differ, within a model and within groups of models.

    Groups are consecutive models. Two rows of a group are those of two models of it, drawn with
    replacement.

    Attributes:
      sizes: models of a group; 1 is a model alone.
    """

    sizes: tuple[int, ...]

    def __call__(self, key, family, params, corpus, source, generation0) -> Any:
        """Return diversities [size], dimensionless, in [0, 1]; means over groups."""
        laws = jnp.stack([family.family.probabilities(model) for model in params])
        found = []
        for size in self.sizes:
            of_group = laws.reshape(-1, size, laws.shape[-1]).mean(axis=1)
            found.append(1 - jnp.mean(jnp.sum(of_group**2, axis=-1)))
        return jnp.stack(found)


@dataclasses.dataclass(frozen=True)
class EcosystemExperiment(AbstractExperiment):
    """Diversity of models that train on each other's rows, by number and share of own rows.

    A fixed number of models is divided into groups of equal size. A row of a model's next corpus is
    its own with a probability, and otherwise that of another model of its group (arXiv 2512.15011,
    2505.21677); about a minute on two cores. Expect groups to lose diversity more slowly the larger
    they are, and models that mostly train on own rows to stay different from one another, although
    each of them collapses.
    """

    name = "ecosystem"
    topic = "discrete"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 100, "num_models": 2, "own_shares": (0.5, 0.9),
                  "num_generations": 20},
        "paper": {"num_chains": 20_000, "num_models": 8},
    }  # fmt: skip
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.015, "laptop": 0.03, "paper": 0.3}

    num_samples: int = 50
    """Rows of each model per generation."""
    num_states: int = 20
    """Equally likely states of the original law."""
    num_models: int = 4
    """Models, in groups of each size that divides their number, at most 32."""
    own_shares: tuple[float, ...] = (0.2, 0.5, 0.9, 1.0)
    """Probabilities that a row is of the model itself."""
    original_share: float = 0.0
    """Probability that a row is original; the other shares are of the rest."""
    num_chains: int = 1000
    """Independent sets of models per share and group."""
    num_generations: int = 100
    """Last generation."""

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """Return the numbers of models that a group may have."""
        return tuple(n for n in range(1, self.num_models + 1) if self.num_models % n == 0)

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over groups and shares."""
        size = check.integer("num_samples", self.num_samples, 1)
        states = check.integer("num_states", self.num_states, 2)
        check.integer("num_models", self.num_models, 1, _MOST_MODELS)
        generations = check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        remedy = "pass a probability, e.g. 0.5"
        original = check.number("original_share", self.original_share, 0, 1, remedy)
        check.each_number("own_shares", self.own_shares, 0, 1, remedy)
        sizes, law = self.group_sizes, np.full(states, 1 / states)
        chain = Chain(Discrete(corpus="counts"), Categorical(law), Replace(size))
        points = [(number, share) for number in sizes for share in self.own_shares]
        weights = [
            (1 - original) * exchange(self.num_models, number, share) for number, share in points
        ]
        joint = [Ecosystem(chain, one).joint for one in weights]
        records = sweep(
            joint[0],
            {"family": [one.family for one in joint]},
            key=seed,
            num_chains=self.num_chains,
            num_generations=generations,
            every=max(1, generations // 20),
            metrics=(Metric(Diversity(sizes), "diversity", ("size",), reads=("family", "params")),),
            reduce=Reduce(quantiles=()),
            progress=progress,
            store=store,
        )
        groups, shares = (np.array(part) for part in zip(*points, strict=True))
        labels = [f"{counted(number, 'model')}, {percent(share)} own" for number, share in points]
        dataset = records.dataset.assign_coords(
            family=labels,
            group=("family", groups),
            own_share=("family", shares),
            size=np.array(sizes),
        )
        similar = [expected_similarity(one, law, [size] * (generations + 1)) for one in weights]
        named = {"long_name": "expected probability that two rows differ", "units": "1"}
        exact = np.stack([_within(one[records["generation"]], sizes) for one in similar], axis=-1)
        expected = dataset_of({"diversity": (("generation", "size", "family"), exact, named)}, {})
        return dataclasses.replace(records, source=dataset, expected=expected)

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the diversity of groups and of single models against the size of a group."""
        titles = {"diversity of a group": _of_groups, "diversity of a model": _of_models}
        panels = []
        for title, part in titles.items():
            found, exact = part(records)
            lines = []
            for share in np.unique(records["own_share"]):
                here = records["own_share"] == share
                lines.append(Line(f"{percent(float(share))} own rows", found[0, here], exact[here]))
            x = np.unique(records["group"])
            panels.append(Panel(title, "models in a group", x, lines, "probability", marker="o"))
        caption = (
            f"Probability that two rows differ in generation {records['generation'][-1]:,}, for "
            "two rows of a group and two of one model. The dashed lines are exact."
        )
        return {"diversity": (f"{_finding(Setting.of(records))} {caption}", figure_panels(panels))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise diversities, with one row per group and share."""
        setting = Setting.of(records)
        experiment = records.config.get("experiment", {})
        table = [["models in a group", "own rows", "diversity of a group", "standard error",
                  "exact", "diversity of a model", "standard error", "exact"]]  # fmt: skip
        found, exact = _of_groups(records)
        alone, exact_alone = _of_models(records)
        for k, (group, share) in enumerate(
            zip(records["group"], records["own_share"], strict=True)
        ):
            numbers = [found[0, k], setting.standard_errors(found[1, k]), exact[k]]
            numbers += [alone[0, k], setting.standard_errors(alone[1, k]), exact_alone[k]]
            table.append([f"{group:,}", percent(float(share)), *(f"{x:.3g}" for x in numbers)])
        size = counted(int(setting.policy["num_samples"]), "row")
        original = float(experiment.get("original_share", 0.0))
        sentences = [
            f"{setting.extent} for each group and share; a corpus has {size}, and the truth is "
            "uniform.",
            ONE_MODEL
            if setting.num_generations == 0
            else "A row of a model after model 0 is its own with a fixed probability, and "
            "otherwise of another model of its group, drawn from the models of the generation "
            "before.",
        ]
        if original:
            sentences.append(f"Of all rows {percent(original)} are original.")
        title = "How diverse are models that train on each other?"
        return Summary(title, sentences, table, statements_of(CLAIMS, setting), _finding(setting))


def exchange(num_models: int, group: int, own_share: float) -> np.ndarray:
    """Return the weights of models in groups, [model, model]; 1 on the diagonal for groups of one.

    Args:
      num_models: a multiple of `group`.
      group: models of a group.
      own_share: probability that a row is of the model itself.
    """
    if group == 1:
        return np.eye(num_models)
    other = (1 - own_share) / (group - 1)
    block = np.full((group, group), other) + np.diag(np.full(group, own_share - other))
    return np.kron(np.eye(num_models // group), block)


def _within(similarity: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Return 1 - the mean similarity within groups, [generation, size]."""
    models, found = similarity.shape[-1], []
    for size in sizes:
        inside = np.kron(np.eye(models // size), np.ones((size, size)))
        found.append(1 - (similarity * inside).sum(axis=(1, 2)) / inside.sum())
    return np.stack(found, axis=-1)


def _of_groups(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and std [2, point], and expectation [point], of the diversity of each group."""
    sizes = list(records["size"])
    index = np.array([sizes.index(group) for group in records["group"]])
    return _chosen(records, index)


def _of_models(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of single models."""
    return _chosen(records, np.zeros(len(records["group"]), int))


def _chosen(records: Records, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = np.arange(len(index))
    parts = [records[f"diversity_{part}"][-1][index, points] for part in ("mean", "std")]
    return np.stack(parts), records.theory["diversity"].values[-1][index, points]


def _diversity(setting: Setting) -> Finding:
    records = setting.records
    found, exact = _of_groups(records)
    errors = setting.standard_errors(found[1])
    return agreement(list(map(str, records["family"])), found[0], errors, exact, setting.num_chains)


CLAIMS = (
    Claim(
        "Two rows of models that train on each other are equal with probability S = W J W^T, or "
        "by a common parent row in one corpus.",
        "Coalescent of two rows; models that train on each other's output: arXiv 2512.15011, "
        "2505.21677",
        lambda setting: setting.num_generations >= 1,
        _diversity,
    ),
)
"""Claims of the study, each with the settings that it is made for."""


def _finding(setting: Setting) -> str:
    """Return the expected diversity of models alone and of the largest group."""
    if setting.num_generations == 0:
        return ONE_MODEL
    records = setting.records
    start = records.theory["diversity"].values[0, 0, 0]
    _, exact = _of_groups(records)
    group, share = records["group"], records["own_share"]
    lowest = np.flatnonzero(share == share.min())
    words = []
    for k in dict.fromkeys((int(lowest[0]), int(lowest[-1]))):
        name = "a model alone has" if group[k] == 1 else f"{group[k]} models together have"
        words.append(f"{name} {percent_of(exact[k] / start)}")
    return f"{after(setting, policy=False)} {listed(words)} of the diversity of model 0."

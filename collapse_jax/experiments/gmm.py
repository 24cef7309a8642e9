"""Follow the drift and collapse of the paper's Gaussian mixtures in the plane, by corpus size."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.source import AbstractSource
from collapse_jax.engine.check_only import check_only
from collapse_jax.engine.simulate import simulate
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.gaussian import one_size
from collapse_jax.experiments.gmm_claims import CLAIMS
from collapse_jax.experiments.sources import make_rows
from collapse_jax.families import GaussianMixture
from collapse_jax.plots import gaussian_mixture as plots
from collapse_jax.plots.views import View, film_view
from collapse_jax.policies import Replace
from collapse_jax.results.claims import statements_of
from collapse_jax.results.findings import ONE_MODEL, after, listed, percent_of
from collapse_jax.results.policy_words import policy_name, training_sentence
from collapse_jax.results.records import Records, check_complete, dataset_of
from collapse_jax.results.setting import Setting
from collapse_jax.sources import Normal, NormalMixture
from collapse_jax.store.store import Store
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.status import is_frozen

BLOB, PAIR = "blob", "pair"
SNAPSHOTS = (0, 50, 100, 150, 200, 350, 2000)
_EVERY = 50  # generations between records of chain 0: divides all snapshots
_LEVELS = (0.05, 0.5, 0.95)  # of the recorded quantiles
_FEWEST = 2  # chains of a size, so that quantiles have a range


def truth(name: str) -> AbstractSource:
    """Return the source of original rows.

    Args:
      name: blob, pair or a file of rows.

    Raises:
      ArgumentError: for rows of fewer than two numbers, or a file that cannot be read.
    """
    means = [[-2.0, 0.0], [2.0, 0.0]]
    known = {
        BLOB: Normal(np.zeros(2), np.eye(2)),
        PAIR: NormalMixture([0.5, 0.5], means, [np.eye(2), np.eye(2)]),
    }
    return make_rows(name, known, 2)


@dataclasses.dataclass(frozen=True)
class GmmExperiment(AbstractExperiment):
    """Two-component mixtures fitted to one normal blob, again and again (Shumailov et al. 2024).

    The settings are those of the paper's public code: five corpus sizes, 2,050 generations,
    k-means starts; about three minutes on two cores. Under the policy replace, expect small
    corpora to lose their spread, and large ones to drift; no variance is ever floored.
    """

    name = "gmm"
    topic = "gmm"
    scales: ClassVar[Scales] = {
        "smoke": {"sizes": (100, 200), "num_chains": 4, "num_generations": 60},
        "paper": {"most_rows": 3_200_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.018, "laptop": 0.06, "paper": 0.8}

    size_meaning: ClassVar[str] = "M, in all generations; None for those of --sizes."

    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """Policy of training data, with one num_samples for all generations; None means `sizes`."""
    sizes: tuple[int, ...] = (500, 1000, 10_000, 50_000, 200_000)
    """Rows M of a generation, one study per size."""
    source: str = BLOB
    """blob (a standard normal law), pair (two of them, at -2 and 2), or rows of two numbers or more
    from FILE.npy, from FILE:COLUMN,COLUMN,... of a table, or from lists in FILE:COLUMN."""
    num_components: int = 2
    """Number K of components."""
    start: Literal["kmeans", "kmeans++", "random_from_data", "previous"] = "kmeans"
    """Start of EM in every generation."""
    num_chains: int = 64
    """Independent chains per corpus size."""
    most_rows: int = 200_000
    """The most rows of all chains of a size: large corpora have fewer chains, but at least 2."""
    num_generations: int = 2050
    """Last generation."""

    def _chains(self) -> dict[int, int]:
        """Return the number of chains of every size.

        Raises:
          ArgumentError: for bad sizes, or a bad number of rows.
        """
        given = self.policy.num_samples
        sizes = self.sizes if given is None else (one_size(given),)
        check.not_empty("sizes", sizes)
        for index, size in enumerate(sizes):
            check.integer(f"sizes[{index}]", size, 2)
        check.distinct("sizes", sizes)
        check.integer("most-rows", self.most_rows, 1)
        return {size: min(self.num_chains, max(_FEWEST, self.most_rows // size)) for size in sizes}

    @property
    def work(self) -> float:
        """Return the rows of all chains and generations."""
        rows = sum(size * count for size, count in self._chains().items())
        return float(rows) * (self.num_generations + 1) * self.num_components

    def check(self, seed: int) -> None:
        """Refuse bad settings of every size."""
        for size, count in self._chains().items():
            with check_only():
                self._simulate(size, seed, False, num_chains=count)

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Make one run per size with quantiles over chains, and snapshots for the first size."""
        sizes, chains = zip(*self._chains().items(), strict=True)
        parts = [
            self._simulate(
                size, seed, progress, num_chains=count, store=store and store.part(f"M{size}")
            )
            for size, count in zip(sizes, chains, strict=True)
        ]
        one = self._one_chain(sizes[0], seed, store and store.part("snapshots"))
        check_complete([*parts, one])
        variables = _curves(parts)
        named = {"long_name": "chains of a size", "units": "chains"}
        variables["num_chains"] = (("num_samples",), np.array(chains), named)
        variables |= self._snapshots(one)
        coordinates = {
            "generation": parts[0].dataset["generation"],
            "quantile": ("quantile", np.array(_LEVELS)),
            "num_samples": ("num_samples", np.array(sizes)),
            "snapshot": ("snapshot", np.array(self._wanted())),
        }
        dataset = dataset_of(variables, coordinates)
        return Records(dataset, parts[-1].config, parts[-1].provenance)

    def _simulate(self, size: int, seed: int, progress: bool, **more: Any) -> Records:
        source = truth(self.source)
        assert source.row_dim is not None
        family = GaussianMixture(self.num_components, source.row_dim, init=self.start)
        policy: Any = dataclasses.replace(self.policy, num_samples=size)  # pyright: ignore
        settings = {
            "num_generations": self.num_generations,
            "metrics": ("log_spreads", "effective_components"),
        }
        return simulate(
            Chain(family, source, policy),
            key=seed,
            progress=progress,
            **(settings | more),
        )

    def _one_chain(self, size: int, seed: int, store: Store | None) -> Records:
        """Run chain 0 again, with its rows recorded."""
        settings = {"num_generations": self._wanted()[-1], "every": _EVERY}
        return self._simulate(
            size, seed, False, num_chains=1, metrics=("samples",), store=store, **settings
        )

    def _wanted(self) -> list[int]:
        """Return the generations of snapshots."""
        return [generation for generation in SNAPSHOTS if generation <= self.num_generations]

    def _snapshots(self, records: Records) -> dict[str, Any]:
        """Return rows and model of a chain at the wanted generations."""
        indices = np.searchsorted(records["generation"], self._wanted())
        found = {}
        for name in ("samples", "weights", "means", "covariances"):
            one = records.dataset[name]
            dims = ("snapshot", *one.dims[2:])
            found[f"snapshot_{name}"] = (dims, one.values[indices, 0], one.attrs)
        return found

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw snapshots of one chain, and curves by corpus size."""
        size, policy = records["num_samples"][0], policy_name(Setting.of(records).policy)
        return {
            "snapshots": (
                f"Chain 0 of M = {size:,}, policy {policy}: rows of the corpus, and ellipses with "
                "68 and 95 % of a component, in the first two coordinates.",
                plots.figure_snapshots(records.dataset),
            ),
            "curves": (
                f"{_finding(Setting.of(records))} Distance from model 0, spread and number of "
                f"components by generation, policy {policy}: median and 5–95 % of chains.",
                plots.figure_curves(records.dataset),
            ),
        }

    @staticmethod
    def views(records: Records) -> Mapping[str, View]:
        """Describe the snapshots as a film."""
        return {"snapshots": film_view(records.dataset)}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation."""
        last = records["generation"][-1]
        header = ["M", "chains", "median ln L2^2", "median ln std", "components", "chains stopped"]
        table = [header]
        for index, size in enumerate(records["num_samples"]):
            at = (-1, 1, index)
            table.append(
                [
                    f"{size:,}",
                    f"{records['num_chains'][index]}",
                    f"{records['log_l2_squared_quantile'][at]:.3g}",
                    f"{records['log_spread_quantile'][at]:.3g}",
                    f"{records['effective_components_quantile'][at]:.3g}",
                    f"{records['stopped'][index]}",
                ]
            )
        setting = Setting.of(records)
        source, policy = setting.source_name, policy_name(setting.policy)
        start = _STARTS[setting.family["init"]]
        sentences = [
            f"{counted(last, 'generation')}; original rows: {source}; mixtures of "
            f"{counted(setting.family['num_components'], 'component')}, fitted by EM from {start}; "
            "a component that loses its rows is removed.",
            training_sentence(setting, size="M"),
            "The L2 distance is that from model 0; std is the geometric mean over components of "
            "sqrt(trace / dim). "
            "A chain stops where a value is not finite, or its rows span fewer dimensions.",
        ]
        title = f"Gaussian mixtures, {source}, policy {policy}"
        found = statements_of(CLAIMS, setting)
        return Summary(title, sentences, table, found, _finding(setting))


def _finding(setting: Setting) -> str:
    """Say how much of the spread of the components is left for every size."""
    if not setting.num_generations:
        return ONE_MODEL
    records = setting.records
    medians = records["log_spread_quantile"][:, 1, :].astype(np.float64)
    with np.errstate(invalid="ignore"):
        left = np.exp(medians[-1] - medians[0])
    parts = [
        f"{percent_of(float(share))} for M = {size:,}"
        for size, share in zip(records["num_samples"], left, strict=True)
    ]
    words = "the median spread of components relative to model 0"
    return f"{after(setting)}, {words} is {listed(parts)}."


_STARTS = {
    "kmeans": "k-means",
    "kmeans++": "k-means++ centres",
    "random_from_data": "random rows",
    "previous": "the previous model",
}


@dataclasses.dataclass(frozen=True)
class GmmPairExperiment(GmmExperiment):
    """Two-component mixtures fitted to rows of two normal laws, as in the paper's supplement.

    The clusters are 4 standard deviations apart; the run takes about three minutes on two cores.
    Under the policy replace, expect both clusters to survive if the corpus is large, and to merge
    or vanish if not.
    """

    name = "gmm-pair"

    source: str = PAIR
    """pair (standard normal laws at -2 and 2), blob (a single one), or rows of FILE.npy or of
    FILE:COLUMN,COLUMN,... of a table."""


_UNITS = {
    "log_l2_squared": "1",
    "log_spread": "1",
    "effective_components": "components",
    "num_iterations": "iterations",
    "log_likelihood": "nats per row",
}


def _curves(parts: list[Records]) -> dict[str, Any]:
    """Return quantiles over the chains of every size, [generation, quantile, num_samples]."""
    quantities: dict[str, Any] = {
        "log_l2_squared": lambda part: part["log_l2_squared"],
        "log_spread": lambda part: part["log_spreads"].mean(axis=-1),
        "effective_components": lambda part: part["effective_components"],
        "num_iterations": lambda part: part["num_iterations"],
        "log_likelihood": lambda part: part["log_likelihood"],
    }
    dims = ("generation", "quantile", "num_samples")
    variables = {
        f"{name}_quantile": (
            dims,
            np.stack([_quantiles(quantity(part)) for part in parts], axis=-1),
            {
                "long_name": f"quantile over chains of {name.replace('_', ' ')}",
                "units": _UNITS[name],
            },
        )
        for name, quantity in quantities.items()
    }
    stopped = [int(np.sum(is_frozen(part["status"][-1]))) for part in parts]
    named = {"long_name": "chains that ended before the last generation", "units": "chains"}
    return variables | {"stopped": (("num_samples",), np.array(stopped), named)}


def _quantiles(values: np.ndarray) -> np.ndarray:
    """Return quantiles over chains as order statistics, so that one may be -inf.

    The result is [generation, quantile] for values [generation, chain].
    """
    method: Any = "inverted_cdf"
    with warnings.catch_warnings():  # NumPy warns where every chain is frozen
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.moveaxis(np.nanquantile(values, _LEVELS, axis=1, method=method), 0, 1)

"""Measure how fast mean and spread of the paper's one-dimensional Gaussian go wrong."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.engine.simulate import simulate
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.experiments.sources import NORMAL, make_source
from collapse_jax.families import Gaussian
from collapse_jax.plots import gaussian as plots
from collapse_jax.policies import Replace
from collapse_jax.results.records import Records, check_complete, concat_datasets
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.statements import Statement, equals
from collapse_jax.store.store import Store
from collapse_jax.utils import check

PAPER_SIZES = (100, 500, 1000, 10_000)


def _mean_error(key, family, params, corpus, source, generation0):
    return abs(params.mean[0] - source.truth.mean[0])


def _std_error(key, family, params, corpus, source, generation0):
    import jax.numpy as jnp

    return abs(jnp.exp(params.log_scale[0]) - jnp.exp(source.truth.log_scale[0]))


_READS = ("params", "source")
mean_error = Metric(
    _mean_error,
    "mean_error",
    unit="data units",
    reads=_READS,
    long_name="|mu_hat - mu|",
    is_relative=True,
)
std_error = Metric(
    _std_error, "std_error", unit="data units", reads=_READS, long_name="|sigma_hat - sigma|"
)


@dataclasses.dataclass(frozen=True)
class GaussianExperiment(AbstractExperiment):
    """Normal models fitted to normal data, again and again (Shumailov et al. 2024, Fig. 2).

    The default is the paper's four corpus sizes with 4,096 chains each, about 25 seconds on two
    cores. Expect ln sigma to fall per generation by 1/(2 M) under "unbiased" and by 1/M if the
    estimator is "mle".
    """

    name = "gaussian"
    topic = "gaussian"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 300, "num_generations": 20},
        "paper": {"num_chains": 100_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.011, "laptop": 0.012, "paper": 0.02}

    policy: AbstractPolicy = dataclasses.field(default_factory=Replace)
    """Policy of training data; num_samples None means 100, 500, 1000 and 10000."""
    estimator: Literal["unbiased", "mle"] = "unbiased"
    """Divisor of the variance: M - 1 or M."""
    source: str = NORMAL
    """normal (standard normal rows), or rows of a file: FILE.npy, or FILE:COLUMN of a table."""
    num_chains: int = 4096
    """Independent chains per corpus size."""
    num_generations: int = 1000
    """Last generation."""
    every: int = 1
    """Record every k-th generation, and the last."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Run every size, and join the runs along a last dimension "num_samples"."""
        import pandas

        given = self.policy.num_samples
        sizes = PAPER_SIZES if given is None else (check.integer("policy.num-samples", given, 2),)
        parts = [
            self._run_size(size, seed, progress, store and store.part(f"M{size}")) for size in sizes
        ]
        check_complete(parts)
        index = pandas.Index(sizes, name="num_samples")

        def joined(datasets: Sequence[Any]) -> Any:
            return concat_datasets(datasets, index).transpose(..., "num_samples")

        return Records(
            joined([part.dataset for part in parts]),
            parts[0].config,
            parts[0].provenance,
            parts[0].state if len(parts) == 1 else None,
            joined([part.theory for part in parts]),
        )

    def _run_size(self, size: int, seed: int, progress: bool, store: Store | None) -> Records:
        policy: Any = dataclasses.replace(self.policy, num_samples=size)  # pyright: ignore
        chain = Chain(Gaussian(1, self.estimator), make_source(self.source, as_rows=True), policy)
        return simulate(
            chain,
            key=seed,
            num_chains=self.num_chains,
            num_generations=self.num_generations,
            every=self.every,
            metrics=(mean_error, std_error),
            reduce=Reduce(),
            progress=progress,
            store=store,
        )

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw errors by generation, and the loss of variance against theory."""
        return {
            "errors": (
                "Errors of mean and standard deviation by generation.",
                plots.figure_errors(records.dataset),
            ),
            "log_std": (
                "Mean of ln sigma by generation, with its exact expectation.",
                plots.figure_log_std(records.dataset, records.theory),
            ),
        }

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation, against theory where known."""
        chains, last = records.config["num_chains"], records["generation"][-1]
        header = ["M", "mean of ln sigma", "standard error", "exact", "median |mu error|"]
        table = [header]
        exact = records.theory.get("log_std")
        for index, size in enumerate(records["num_samples"]):
            error = records["log_std_std"][-1, index] / np.sqrt(chains)
            table.append(
                [
                    f"{size:,}",
                    f"{records['log_std_mean'][-1, index]:.4f}",
                    f"{error:.4f}",
                    "" if exact is None else f"{exact.values[-1, index]:.4f}",
                    f"{records['mean_error_quantile'][-1, 1, index]:.4f}",
                ]
            )
        frozen = int(np.sum(records["status_count"][-1, 1:]))
        sentences = [
            f"{chains:,} chains of {last:,} generations for each corpus size M; "
            f"{frozen} chains had a status other than ok.",
            "Every model is fitted to M rows of the model before; mean and variance are drawn "
            "from their exact laws, without drawing the rows.",
        ]
        title = f"Gaussian chains after {last:,} generations"
        return Summary(title, sentences, table, _statements(records))


def _statements(records: Records) -> list[Statement]:
    """Check that errors grow, the spread is lost, and the distance agrees with theory."""
    sizes, chains = records["num_samples"], records.config["num_chains"]
    names = [f"M = {size:,}" for size in sizes]
    errors = records["mean_error_quantile"][:, 1]
    ranges = [
        f"{name}: {first:.3g} to {last:.3g}"
        for name, first, last in zip(names, errors[0], errors[-1], strict=True)
    ]
    grows = bool(np.all(errors[-1] > errors[0]) and np.all(np.diff(errors[-1]) < 0))
    found = [
        Statement(
            "The error of the mean grows with the generations, faster for fewer rows.",
            "Shumailov et al. 2024, one-dimensional Gaussian",
            f"median of |mu error|, first to last model: {'; '.join(ranges)}",
            grows,
        )
    ]
    if "log_std" in records.theory:
        found.append(
            equals(
                "The spread is lost: E ln sigma_n = n/2 [psi((M-1)/2) - ln((M-1)/2)], with "
                "the divisor M, not M-1, under mle.",
                "Shumailov et al. 2024, theorem on Gaussian models; law of chi-square",
                names,
                records["log_std_mean"][-1],
                records["log_std_std"][-1] / np.sqrt(chains),
                records.theory["log_std"].values[-1],
            )
        )
        # After more fits than rows a few chains decide the mean: its standard error is useless.
        last = [np.searchsorted(records["generation"], size, "right") - 1 for size in sizes]
        at = (np.array(last), np.arange(len(sizes)))
        found.append(
            equals(
                "The expected squared Wasserstein distance from the truth grows as n/M, and "
                "without bound under the unbiased estimator.",
                "Shumailov et al. 2024, theorem on Gaussian models and supplement",
                [
                    f"{name}, model {records['generation'][index]:,}"
                    for name, index in zip(names, last, strict=True)
                ],
                records["wasserstein2_squared_mean"][at],
                records["wasserstein2_squared_std"][at] / np.sqrt(chains),
                records.theory["wasserstein2_squared"].values[at],
            )
        )
    return found

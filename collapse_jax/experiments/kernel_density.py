"""Ask whether kernel density chains collapse: the verdict depends on the metric."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.engine.sweep import sweep
from collapse_jax.experiments.base import AbstractExperiment, Scales, Summary
from collapse_jax.families.kernel_density import KernelDensity
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.policies import Replace
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, listed, mean_of, percent_of
from collapse_jax.results.policy_words import training_sentence
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import Finding, agreement
from collapse_jax.sources import Normal
from collapse_jax.store.store import Store
from collapse_jax.theory import kernel_density as theory
from collapse_jax.utils import check

_FREQUENCY = 2.0  # of the detail, in 1 / standard deviations of the truth


def fitted_variance(key, family, params, corpus, source, generation0):
    """Return the variance of the density in squared data units; a metric."""
    return jnp.exp(2 * params.log_scale) * params.variance[0]


def detail(key, family, params, corpus, source, generation0):
    """Return E cos(2 x) under the density, its detail at this frequency; a metric."""
    unit = jnp.exp(params.log_scale)
    rows = params.location[0] + unit * params.rows[:, 0]
    width = unit * params.kernel[0, 0]
    return jnp.mean(jnp.cos(_FREQUENCY * rows)) * jnp.exp(-((_FREQUENCY * width) ** 2) / 2)


_METRICS = (
    Metric(fitted_variance, unit="data units squared", long_name="variance of the density"),
    Metric(detail, long_name="E cos(2 x) under the density"),
)
_NAMES = tuple(str(metric.name) for metric in _METRICS)


@dataclasses.dataclass(frozen=True)
class KernelDensityExperiment(AbstractExperiment):
    """Variance and detail of kernel density chains, by the width of the kernel.

    Rows are resampled with normal noise, after Borji, arXiv 2410.12954; about half a minute on
    two cores. Expect wide kernels to make the variance grow and narrow ones to lose it, while
    the detail is lost in either case: whether a chain collapses depends on the metric.
    """

    name = "kernel-density"
    topic = "kernel-density"
    scales: ClassVar[Scales] = {
        "smoke": {"num_chains": 300, "num_generations": 30, "bandwidths": (0.1, 0.5)},
        "paper": {"num_chains": 20_000},
    }
    hours: ClassVar[Mapping[str, float]] = {"smoke": 0.008, "laptop": 0.012, "paper": 0.05}

    num_samples: int = 30
    """Rows M of a generation."""
    bandwidths: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5)
    """Standard deviations h of the kernel; that of the truth is 1."""
    num_chains: int = 2000
    """Independent chains per width."""
    num_generations: int = 100
    """Last generation."""

    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Sweep over widths."""
        size = check.integer("num_samples", self.num_samples, 2)
        generations = check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        remedy = "pass standard deviations of the kernel, e.g. 0.2"
        check.each_number("bandwidths", self.bandwidths, 0, 1e6, remedy, open_low=True)
        records = sweep(
            Chain(KernelDensity(1, self.bandwidths[0]), Normal(0.0, 1.0), Replace(size)),
            {"family.bandwidth": list(self.bandwidths)},
            key=seed,
            num_chains=self.num_chains,
            num_generations=generations,
            metrics=_METRICS,
            reduce=Reduce(quantiles=()),
            progress=progress,
            store=store,
        )
        sizes, factor = np.full(generations + 1, size), np.exp(-(_FREQUENCY**2) / 2)
        variances, details = [], []
        for width in self.bandwidths:
            variances.append(theory.expected_moments(sizes, width).model_variance)
            own = factor * np.exp(-((width * _FREQUENCY) ** 2) / 2)
            details.append(own * theory.characteristic_factor(_FREQUENCY, width, generations))
        axes, recorded = ("generation", "bandwidth"), records["generation"]
        named = [{"long_name": f"E of the {word}", "units": "1"} for word in ("variance", "detail")]
        table = {
            name: (axes, np.stack(curves, axis=1)[recorded], words)
            for name, curves, words in zip(_NAMES, (variances, details), named, strict=True)
        }
        return dataclasses.replace(records, expected=dataset_of(table, {}))

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw variance and detail against the number of fits, one line per width."""
        fits, panels = records["generation"] + 1, []
        titles = {"E variance, truth 1": "truth = 1", "E cos(2x), truth 0.135": "expectation"}
        for name, (title, unit) in zip(_NAMES, titles.items(), strict=True):
            means, exact = records[f"{name}_mean"], records.theory[name].values
            lines = [
                Line(f"h = {width:.4g}", means[:, k], exact[:, k])
                for k, width in enumerate(records["bandwidth"])
            ]
            panels.append(Panel(title, "number of fits", fits, lines, unit, "log"))
        caption = (
            "Expected variance of the density, and its detail E cos(2x), by number of fits and by "
            "the width h of the kernel. The dashed lines are exact."
        )
        return {"metrics": (f"{_finding(Setting.of(records))} {caption}", figure_panels(panels))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise the last generation, with one row per width."""
        setting = Setting.of(records)
        size = setting.policy["num_samples"]
        table = [["h", "E variance", "exact", "E cos(2x)", "exact"]]
        for k, width in enumerate(records["bandwidth"]):
            row = [f"{width:.4g}"]
            for name in _NAMES:
                error = setting.standard_errors(records[f"{name}_std"])[-1, k]
                exact = records.theory[name].values[-1, k]
                row += [f"{records[f'{name}_mean'][-1, k]:.3g} ± {error:.1g}", f"{exact:.3g}"]
            table.append(row)
        sentences = [
            f"{setting.extent} for each width of the kernel. {training_sentence(setting)} The "
            "truth is N(0, 1), with variance 1 and E cos(2x) = 0.135."
        ]
        title = f"Do kernel density chains collapse? M = {size:,}"
        return Summary(title, sentences, table, statements_of(CLAIMS, setting), _finding(setting))


def _moments(setting: Setting) -> Finding:
    """Compare both metrics of the last models with their expectations."""
    records = setting.records
    names = [f"{name}, h {width:.4g}" for name in _NAMES for width in records["bandwidth"]]
    means, stds, exact = (
        np.concatenate([part(name)[-1] for name in _NAMES])
        for part in (
            lambda name: records[f"{name}_mean"],
            lambda name: records[f"{name}_std"],
            lambda name: records.theory[name].values,
        )
    )
    errors = setting.standard_errors(stds)
    gaps = np.maximum(np.abs(exact) / 2, np.repeat([0.5, 0.05], len(records["bandwidth"])))
    return agreement(names, means, errors, exact, setting.num_chains, gaps)


CLAIMS = (
    Claim(
        "Resampling loses variance and the kernel adds h^2: E s^2 follows (1 - 1/M)(s^2 + h^2) and "
        "tends to (M - 1) h^2, while the kernel multiplies a characteristic function by its own.",
        "derived; the setting is that of Borji, arXiv 2410.12954",
        lambda setting: setting.num_generations >= 1,
        _moments,
    ),
)
"""Claims of the study, each with the settings that it is made for."""


def _finding(setting: Setting) -> str:
    """Return variance and detail with the narrowest and the widest kernel."""
    if setting.num_generations == 0:
        return ONE_MODEL
    records = setting.records
    widths = records["bandwidth"]
    variance, detail = (records.theory[name].values[-1] for name in _NAMES)
    left = detail / np.exp(-(_FREQUENCY**2) / 2)
    words = [
        f"{mean_of(float(variance[k]))} with {percent_of(left[k])} of the detail at "
        f"h = {widths[k]:.4g}"
        for k in dict.fromkeys((int(np.argmin(widths)), int(np.argmax(widths))))
    ]
    return (
        f"{after(setting, policy=False)} the expected variance of the density, 1 in the truth, is "
        f"{listed(words)}."
    )

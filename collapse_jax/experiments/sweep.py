"""Draw and summarise any sweep: all variables of the last generation over the grid."""

import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from collapse_jax.experiments.base import EXPERIMENTS, Summary
from collapse_jax.plots.grid import MOST_PANELS, figure_grid
from collapse_jax.plots.views import View, grid_view
from collapse_jax.results.grid import axis_names
from collapse_jax.results.policy_words import VARIED, number, training_sentence
from collapse_jax.results.records import Records
from collapse_jax.results.setting import Setting
from collapse_jax.utils.counted import counted

_LEVELS = (0.05, 0.5, 0.95)  # of chains: a mean outside of them is not typical
_MOST_PARTS = 8  # entries of a further dimension: more panels would not fit a page
_NO_SETTINGS = ("--out", "--overwrite", "--quiet", "--retry")  # what a repetition may change
_MOST_ROWS = 60  # points in the table of a report, so that it stays readable


def final_means(records: Records) -> dict[str, np.ndarray]:
    """Return the mean over chains of every scalar variable in the last generation.

    Args:
      records: records of a sweep; if they are reduced, the recorded means are taken.

    Returns:
      Means by variable, [axis, ...]; medians where `means_by_generation` has medians.
    """
    return {name: values[-1] for name, values in means_by_generation(records).items()}


def means_by_generation(records: Records) -> dict[str, np.ndarray]:
    """Return the mean over chains of every scalar variable, in every generation.

    A mean that lies outside 5 to 95 % of the chains says nothing about a chain: a few extreme
    ones decide it. Such a variable is replaced by its median, and its name says so.

    Args:
      records: records of a sweep; if they are reduced, the recorded means are taken.

    Returns:
      Means by variable, [generation, axis, ...].
    """
    axes, means = axis_names(records.config["axes"], records.dataset.data_vars), {}
    is_reduced = records.config.get("reduce") is not None
    for name, one in records.variables.items():
        is_mean = one.dims[:1] == ("generation",) and (not is_reduced or name.endswith("_mean"))
        if not is_mean or name == "status":
            continue
        label = str(name).removesuffix("_mean") if is_reduced else str(name)
        low, middle, high = _quantiles(records, label, one)
        if "chain" in one.dims:
            one = one.astype(np.float64).mean("chain", skipna=False)
        if middle is not None and _is_outside(one[-1], low[-1], high[-1]):
            one, label = middle, f"{label}, median"
        one = one.squeeze([dim for dim in one.dims if dim not in axes and one.sizes[dim] == 1])
        one = one if "generation" in one.dims else one.expand_dims("generation")
        for words, part in _parts(one, axes):
            means[label + words] = part.transpose("generation", *axes).values
    return means


def _quantiles(records: Records, label: str, values: Any) -> tuple[Any, Any, Any]:
    """Return the quantiles 5, 50 and 95 % over chains, None where they are not known."""
    if "chain" in values.dims:
        with warnings.catch_warnings():  # NumPy warns where every chain is frozen
            warnings.simplefilter("ignore", RuntimeWarning)
            found = values.astype(np.float64).quantile(_LEVELS, "chain", skipna=True)
    elif f"{label}_quantile" in records.variables:
        found = records.variables[f"{label}_quantile"]
        if any(level not in found["quantile"].values for level in _LEVELS):
            return None, None, None
    else:
        return None, None, None
    low, middle, high = (found.sel(quantile=level, drop=True) for level in _LEVELS)
    return low, middle, high


def _is_outside(mean: Any, low: Any, high: Any) -> bool:
    """Tell whether a mean lies outside an interval anywhere, beyond rounding."""
    slack = 1e-6 * np.maximum(np.abs(low), np.abs(high))
    return bool(((mean < low - slack) | (mean > high + slack)).any())


def _parts(values: Any, axes: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield a scalar over the grid, or one for each entry of a single further dimension."""
    further = [dim for dim in values.dims if dim not in (*axes, "generation")]
    if not further:
        yield "", values
    elif len(further) == 1 and further[0] in values.coords:
        (dim,) = further
        for value in values[dim].values[:_MOST_PARTS]:
            yield f", {dim} {value}", values.sel({dim: value})


def _varying(means: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the variables that differ from point to point; all of them if none does."""
    found = {}
    for name, values in means.items():
        known = values[np.isfinite(values)]
        if known.size and np.min(known) < np.max(known):
            found[name] = values
    return found or dict(means)


class SweepView:
    """The figures and the summary of a sweep over any experiment."""

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw one panel per variable.

        Args:
          records: records of a sweep.

        Returns:
          Caption and matplotlib Figure by name of the file.
        """
        names = axis_names(records.config["axes"], records.dataset.data_vars)
        axes = {name: records[name] for name in names}
        means = _finished(records, final_means(records))
        varying = _varying(means)
        shown, further = min(MOST_PANELS, len(varying)), names[2:]
        caption = (
            f"{_finding(records, names, means)} Means over chains in generation "
            f"{records['generation'][-1]:,}, over the grid"
        )
        if shown < len(means):
            caption += f", of {shown} of {len(means)} variables"
        if further:
            caption += f", at the first value of {' and '.join(further)}"
        return {"sweep": (f"{caption}.", figure_grid(axes, varying))}

    @staticmethod
    def views(records: Records) -> Mapping[str, View]:
        """Describe the means over two axes in every generation.

        Args:
          records: records of a sweep.

        Returns:
          The view of the figure; none with a single axis, whose curves are enough.
        """
        names = axis_names(records.config["axes"], records.dataset.data_vars)
        if len(names) < 2:
            return {}
        last = _varying(_finished(records, final_means(records)))
        means = means_by_generation(records)
        planes = {name: means[name].reshape(*means[name].shape[:3], -1)[..., 0] for name in last}
        rows, columns = ((name, records[name].tolist()) for name in names[:2])
        return {"sweep": grid_view(planes, rows, columns, records["generation"])}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """Summarise a sweep, with one row per point.

        Args:
          records: records of a sweep.
        """
        names = axis_names(records.config["axes"], records.dataset.data_vars)
        means = _finished(records, final_means(records))
        table = [[*names, *means]]
        shape = tuple(len(records[name]) for name in names)
        failed = {tuple(failure["point"]) for failure in records.config["failures"]}
        for point in list(np.ndindex(shape))[:_MOST_ROWS]:
            where = [str(records[name][k]) for name, k in zip(names, point, strict=True)]
            cells = (f"{values[point]:.4g}" for values in means.values())
            table.append([*where, *(cells if point not in failed else ["failed"] * len(means))])
        failures = records.config["failures"]
        experiment = records.config["experiment"]["name"]
        number = int(np.prod(shape))
        sentences = [
            f"{counted(number, 'point')} of the experiment {experiment!r}, {len(failures)} of "
            f"which failed; means over chains in generation {records['generation'][-1]:,}.",
            f"Varied: {'; '.join(_axis(records, name) for name in names)}.",
            *_policy(records, experiment),
        ]
        if number > _MOST_ROWS:
            sentences.insert(1, f"The table has the first {_MOST_ROWS} points.")
        title = f"Sweep of {experiment} over {' and '.join(names)}"
        return Summary(title, sentences, table, finding=_finding(records, names, means))


def _finding(records: Records, names: Sequence[str], means: Mapping[str, np.ndarray]) -> str:
    """Say at which points the first variable that varies is smallest and largest."""
    generation = records["generation"][-1]
    for variable, values in means.items():
        known = values[np.isfinite(values)]
        if not known.size or np.min(known) == np.max(known):
            continue
        ends = []
        for find in (np.nanargmin, np.nanargmax):
            point = np.unravel_index(
                find(np.where(np.isfinite(values), values, np.nan)), values.shape
            )
            where = ", ".join(
                f"{name} = {_shown(records[name][k])}" for name, k in zip(names, point, strict=True)
            )
            ends.append(f"{values[point]:.4g} at {where}")
        name, comma, _ = variable.partition(", median")
        which = f"median of {name}" if comma else f"mean of {name}"
        return f"The {which} in generation {generation:,} is {ends[0]}, and {ends[1]}."
    return f"No variable differs from point to point in generation {generation:,}."


def _shown(value: Any) -> str:
    return number(value.item() if isinstance(value, np.generic) else value)


def _axis(records: Records, name: str) -> str:
    values = [number(one) for one in records[name].tolist()]
    return f"{name} = {', '.join(values)}"


def _policy(records: Records, experiment: str) -> list[str]:
    """Say what models are trained on, if one policy with varied shares and sizes is swept."""
    dims, policy = records.dataset.dims, dict(Setting.of(records).policy)
    kind = EXPERIMENTS.get(experiment)
    has_policy = kind is not None and "policy" in getattr(kind, "__dataclass_fields__", {})
    axes = {path for path in records.config["axes"] if path.startswith("policy")}
    known = {"policy.num_samples", "policy.beta", "policy.gamma"}
    if not policy or not has_policy or "study" in dims or axes - known:
        return []
    size = "M" if "num_samples" in dims else ""
    policy |= {name: VARIED for name in ("beta", "gamma") if f"policy.{name}" in axes}
    return [training_sentence(Setting.of(records), policy, size)]


def command_words(records: Records) -> str:
    """Return the command of a sweep, without its output directory and overwriting.

    Args:
      records: records of a sweep.
    """
    arguments, shown, is_path = records.config["experiment"]["arguments"], [], False
    for argument in arguments:
        if not is_path and not argument.startswith(_NO_SETTINGS):
            shown.append(argument)
        is_path = argument == "--out"
    return f"collapse sweep {shlex.join(shown)}"


def _finished(records: Records, means: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the means with NaN at the points that failed."""
    found = {name: np.array(values, np.float64) for name, values in means.items()}
    for failure in records.config["failures"]:
        for values in found.values():
            values[tuple(failure["point"])] = np.nan
    return found

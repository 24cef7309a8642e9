"""What any sweep looks like: every variable of the last generation over the grid."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collapse_jax.experiments.base import Summary
from collapse_jax.plots.grid import figure_grid
from collapse_jax.results.records import Records

_MOST_ROWS = 60


def final_means(records: Records) -> dict[str, np.ndarray]:
    """Mean over chains of every scalar variable in the last generation, [axis, ...]."""
    names = _axes(records)
    means = {}
    for name, one in records.variables.items():
        if name.startswith("status") or name.endswith("_std") or one.dims[0] != "generation":
            continue
        values, dims = one.values[-1], list(one.dims[1:])
        if "chain" in dims:
            values = np.mean(values, axis=dims.index("chain"), dtype=np.float64)
            dims.remove("chain")
        single = [k for k, dim in enumerate(dims) if dim not in names and values.shape[k] == 1]
        if len(dims) - len(single) == len(names):
            means[name.removesuffix("_mean")] = np.squeeze(values, tuple(single))
    return means


def _axes(records: Records) -> list[str]:
    paths = list(records.config["axes"])
    short = [path.rsplit(".", maxsplit=1)[-1] for path in paths]
    return [
        name if short.count(name) == 1 else path for name, path in zip(short, paths, strict=True)
    ]


class SweepView:
    """Figures and summary of a sweep over any experiment."""

    @staticmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """One panel per variable."""
        names = _axes(records)
        axes = {name: records[name] for name in names}
        caption = "Means over chains in the last generation, over the grid."
        return {"sweep": (caption, figure_grid(axes, final_means(records)))}

    @staticmethod
    def summarize(records: Records) -> Summary:
        """One row per point."""
        names, means = _axes(records), final_means(records)
        table = [[*names, *means]]
        shape = tuple(len(records[name]) for name in names)
        for point in list(np.ndindex(shape))[:_MOST_ROWS]:
            where = [str(records[name][k]) for name, k in zip(names, point, strict=True)]
            table.append([*where, *(f"{values[point]:.4g}" for values in means.values())])
        failures = records.config["failures"]
        experiment = records.config["experiment"]["name"]
        sentences = [
            f"{int(np.prod(shape))} points of the experiment {experiment!r}, {len(failures)} of "
            f"which failed; means over chains in generation {records['generation'][-1]:,}.",
            *(f"Failed: {failure['label']}: {failure['error']}" for failure in failures),
        ]
        return Summary(f"Sweep of {experiment} over {' and '.join(names)}", sentences, table)

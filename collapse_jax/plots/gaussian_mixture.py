"""Draw figures of Gaussian mixtures: snapshots with ellipses, and curves by corpus size."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.plots.style import COLOURS, new_figure, styled

if TYPE_CHECKING:
    from xarray import Dataset


@styled
def figure_snapshots(data: "Dataset") -> Any:
    """Draw rows of one chain and the fitted components, in the first two coordinates.

    The upper panels have the window of generation 0, the lower panels a window of their own,
    as far as the digits of a row resolve it. Ellipses contain 68 and 95 % of a component's
    mass.

    Args:
      data: records of `snapshot_samples` [snapshot, slot, dim], `snapshot_weights` [snapshot,
        component], `snapshot_means`, `snapshot_covariances` and the coordinate "snapshot".

    Returns:
      A matplotlib Figure.
    """
    generations = data["snapshot"].values
    figure, axes = new_figure(2.0 * len(generations), 3.4, 2, len(generations))
    rows = data["snapshot_samples"].values[..., :2]
    home = _window(rows[0])
    for index, generation in enumerate(generations):
        own = _window(rows[index])
        for axis, (centre, reach, _) in zip(axes[:, index], (home, own), strict=True):
            axis.scatter(*rows[index].T, s=2, color="#9a9a9a", linewidths=0, rasterized=True)
            _draw_components(axis, data, index)
            axis.set_xlim(centre[0] - reach, centre[0] + reach)
            axis.set_ylim(centre[1] - reach, centre[1] + reach)
            axis.set_aspect("equal")
            axis.set_xticks([])
            axis.set_yticks([])
        axes[0, index].set_title(f"model {generation:,}", fontsize=9)
        axes[1, index].set_xlabel(f"width {'' if own.is_resolved else '< '}{2 * own.reach:.2g}")
    axes[0, 0].set_ylabel("window of model 0")
    axes[1, 0].set_ylabel("own window")
    return figure


class _Window(NamedTuple):
    """A square window: centre, half width, and whether its rows differ beyond rounding."""

    centre: np.ndarray
    reach: float
    is_resolved: bool


def _window(rows: np.ndarray) -> _Window:
    """Return a square window that holds the rows."""
    rows = rows[np.isfinite(rows[:, 0])]
    if not len(rows):
        return _Window(np.zeros(2), 1.0, is_resolved=True)
    low, high = rows.min(axis=0), rows.max(axis=0)
    centre, reach = (low + high) / 2, 0.6 * float(np.max(high - low))
    finest = 4 * float(np.finfo(rows.dtype).eps * np.max(np.abs(centre)))
    least = max(finest, float(np.finfo(float).tiny))
    return _Window(centre, max(reach, least), reach > finest)


def _draw_components(axis: Any, data: "Dataset", index: int) -> None:
    from matplotlib.patches import Ellipse

    components = zip(
        data["snapshot_weights"].values[index],
        data["snapshot_means"].values[index],
        data["snapshot_covariances"].values[index],
        strict=True,
    )
    for k, (weight, mean, covariance) in enumerate(components):
        if not weight > 0:  # 0: a removed component; NaN: a frozen chain
            continue
        values, vectors = np.linalg.eigh(covariance[:2, :2].astype(float))
        lengths = 2 * np.sqrt(np.maximum(values, 0))
        angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
        for share in (0.68, 0.95):
            width, height = lengths * np.sqrt(-2 * np.log1p(-share))
            colour = COLOURS[k % len(COLOURS)]
            style: Any = {"fill": False, "edgecolor": colour, "linewidth": 1.4}
            axis.add_patch(Ellipse(mean[:2], width, height, angle=angle, **style))


def figure_curves(data: "Dataset") -> Any:
    """Draw distance to model 0, spread and number of components, one line per corpus size.

    Args:
      data: records of `log_l2_squared_quantile`, `log_spread_quantile` and
        `effective_components_quantile`, [generation, quantile, num_samples].

    Returns:
      A matplotlib Figure.
    """
    after = data["generation"].values > 0
    fits = data["generation"].values[after]
    panels = [
        Panel(title, "generation", fits, _lines(data, name, after), unit, xscale="log")
        for title, name, unit in (
            (r"$\ln \int (f_0 - f_g)^2$", "log_l2_squared", "from model 0"),
            ("ln std of a component", "log_spread", "std in data units"),
            ("components", "effective_components", "effective number"),
        )
    ]
    return figure_panels(panels, "median of chains, and 5–95 %")


def _lines(data: "Dataset", name: str, after: np.ndarray) -> list[Line]:
    values = data[f"{name}_quantile"].values[after]
    return [
        Line(f"M = {size:,}", values[:, 1, k], band=(values[:, 0, k], values[:, 2, k]))
        for k, size in enumerate(data["num_samples"].values)
    ]

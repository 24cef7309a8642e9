"""Draw figures of curves: simulated curves solid, exact expectations dashed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.plots.style import COLOURS, new_figure, scale_logarithmically, show_range, styled


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve with its exact expectation and a band.

    Attributes:
      label: name in the legend.
      values: the curve, [point].
      exact: its exact expectation, [point], or None.
      band: lower and upper end of the band, [point] each, or None.
    """

    label: str
    values: np.ndarray
    exact: np.ndarray | None = None
    band: tuple[np.ndarray, np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Panel:
    """Curves over one axis.

    Attributes:
      title: title of the panel.
      xlabel: label of the horizontal axis.
      x: positions of the points, [point].
      lines: the curves.
      ylabel: label of the vertical axis.
      xscale: "linear" or "log".
      yscale: "linear" or "log".
      marker: matplotlib marker of the points, none by default.
    """

    title: str
    xlabel: str
    x: np.ndarray
    lines: Sequence[Line]
    ylabel: str = ""
    xscale: str = "linear"
    yscale: str = "linear"
    marker: str = ""


@styled
def figure_panels(panels: Sequence[Panel], note: str = "") -> Any:
    """Draw panels side by side, with a legend in the first one.

    Args:
      panels: the panels.
      note: a line above the panels.

    Returns:
      A matplotlib Figure.
    """
    figure, axes = new_figure(4.8 * len(panels), 3.9, 1, len(panels))
    for axis, panel in zip(axes[0], panels, strict=True):
        label: str | None = "exact"
        for index, line in enumerate(panel.lines):
            colour = COLOURS[index % len(COLOURS)]
            if line.band is not None:
                axis.fill_between(panel.x, *line.band, color=colour, alpha=0.15, linewidth=0)
            axis.plot(panel.x, line.values, panel.marker + "-", color=colour, label=line.label)
            if line.exact is not None:
                axis.plot(panel.x, line.exact, "k--", linewidth=0.9, label=label)
                label = None
        axis.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel)
        logarithmic = {"x": panel.xscale, "y": panel.yscale}
        scale_logarithmically(axis, "".join(k for k, v in logarithmic.items() if v == "log"))
        if len(panel.x):
            show_range(axis, panel.x[0], panel.x[-1])
    axes[0, 0].legend()
    if note:
        figure.suptitle(note, fontsize=9, x=0.99, ha="right")
    return figure

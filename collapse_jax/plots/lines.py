"""Draw figures of curves: simulated curves solid, exact expectations dashed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.plots.style import (
    COLOURS,
    mark_logarithms,
    new_figure,
    scale_logarithmically,
    show_range,
    styled,
)

_COLUMNS = 2  # panels in a row, and
_MOST_MULTIPLES = 5  # curves with bands in a row, so that labels stay readable on a page
COMPARISON = "comparison"
"""The gid of curves that other panels of the figure have, too."""
_OTHERS = "#b8b8b8"  # of the medians of the other columns


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
    """Draw panels, two in a row; curves whose bands would overlap get a column each.

    Args:
      panels: the panels.
      note: a line above the panels.

    Returns:
      A matplotlib Figure.
    """
    most = max(sum(line.band is not None for line in panel.lines) for panel in panels)
    if 1 < most <= _MOST_MULTIPLES:
        figure = _multiples(panels)
    else:
        figure = _side_by_side(panels, has_bands=most <= 1)
    if note:
        figure.suptitle(note, fontsize=9, x=0.99, ha="right")
    return figure


def _side_by_side(panels: Sequence[Panel], *, has_bands: bool) -> Any:
    """Draw all curves of a panel together, with a legend in the first one."""
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    width = 6.4 if len(panels) == 1 else 4.6 * columns
    figure, axes = new_figure(width, 3.9 * rows, rows, columns)
    for axis, panel in zip(axes.flat, panels, strict=False):
        for index, line in enumerate(panel.lines):
            _draw(axis, panel, line, COLOURS[index % len(COLOURS)], has_band=has_bands)
        axis.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel)
        _scale(axis, panel)
    for axis in axes.flat[len(panels) :]:
        figure.delaxes(axis)
    if any(line.label for line in panels[0].lines):
        axes[0, 0].legend()
    return figure


def _multiples(panels: Sequence[Panel]) -> Any:
    """Draw a row for each panel and a column for each curve, with the other curves in grey."""
    columns = max(len(panel.lines) for panel in panels)
    width = max(2.3 * columns, 6.0)
    figure, axes = new_figure(
        width, 2.5 * len(panels) + 0.4, len(panels), columns, sharex="col", sharey="row"
    )
    for row, panel in zip(axes, panels, strict=True):
        for index, (axis, line) in enumerate(zip(row, panel.lines, strict=False)):
            for other in panel.lines:
                if other is not line:
                    axis.plot(panel.x, other.values, color=_OTHERS, linewidth=0.8, gid=COMPARISON)
            _draw(axis, panel, line, COLOURS[index % len(COLOURS)], has_band=True)
            axis.set_title(line.label, fontsize=10)
            _scale(axis, panel)
        unit = f",\n{panel.ylabel}" if panel.ylabel else ""
        row[0].set_ylabel(f"{panel.title}{unit}")
        for axis in row[len(panel.lines) :]:
            axis.set_visible(False)
    for axis, panel in zip(axes[-1], [panels[-1]] * columns, strict=True):
        axis.set_xlabel(panel.xlabel)
    return figure


def _draw(axis: Any, panel: Panel, line: Line, colour: str, *, has_band: bool) -> None:
    """Draw a curve with its band and its exact expectation, which the legend names once."""
    if line.band is not None and has_band:
        axis.fill_between(panel.x, *line.band, color=colour, alpha=0.15, linewidth=0)
    axis.plot(panel.x, line.values, panel.marker + "-", color=colour, label=line.label)
    if line.exact is not None:
        is_named = "exact" in axis.get_legend_handles_labels()[1]
        label = None if is_named else "exact"
        axis.plot(panel.x, line.exact, "k--", linewidth=0.9, label=label)


def _scale(axis: Any, panel: Panel) -> None:
    """Make axes logarithmic where asked for, and show the range of the points."""
    logarithmic = {"x": panel.xscale, "y": panel.yscale}
    scale_logarithmically(axis, "".join(k for k, v in logarithmic.items() if v == "log"))
    if len(panel.x):
        show_range(axis, panel.x[0], panel.x[-1])
    mark_logarithms(axis.xaxis)
    mark_logarithms(axis.yaxis)

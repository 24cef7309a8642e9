"""Figures of curves: simulated ones solid, exact expectations dashed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.plots.style import COLOURS, new_figure, styled


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve, what is known of it exactly, and the range it was drawn from."""

    label: str
    values: np.ndarray
    exact: np.ndarray | None = None
    band: tuple[np.ndarray, np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Panel:
    """Curves over one axis."""

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
    """Panels side by side, with a legend in the first."""
    figure, axes = new_figure(4.8 * len(panels), 3.9, 1, len(panels))
    for axis, panel in zip(axes[0], panels, strict=True):
        for place, line in enumerate(panel.lines):
            colour = COLOURS[place % len(COLOURS)]
            if line.band is not None:
                axis.fill_between(panel.x, *line.band, color=colour, alpha=0.15, linewidth=0)
            axis.plot(panel.x, line.values, panel.marker + "-", color=colour, label=line.label)
            if line.exact is not None:
                label = "exact" if place == 0 else None
                axis.plot(panel.x, line.exact, "k--", linewidth=0.9, label=label)
        axis.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel)
        axis.set(xscale=panel.xscale, yscale=panel.yscale)
        axis.set_xlim(panel.x[0], panel.x[-1])
    axes[0, 0].legend()
    if note:
        figure.suptitle(note, fontsize=9, x=0.99, ha="right")
    return figure

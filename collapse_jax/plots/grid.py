"""Draw figures over a grid of settings: lines for one axis, heat maps for two."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collapse_jax.plots.style import COLOURS, new_figure, styled

MOST_PANELS = 6  # panels of a figure: more would be too small to read
_COLUMNS = 2  # panels in a row, so that labels stay readable on a page
_EQUAL = 0.179  # luminance on which black and white have the same contrast, 4.58
_MOST_NUMBERS = 250  # cells of a heat map with numbers: in smaller cells they would overlap


@styled
def figure_grid(axes: Mapping[str, np.ndarray], variables: Mapping[str, np.ndarray]) -> Any:
    """Draw a panel for each of the first six variables.

    Args:
      axes: the values along each axis of the grid, by name.
      variables: values by name, [axis, ...]; beyond two axes, only the first value of every
        further axis is shown.

    Returns:
      A matplotlib Figure.
    """
    names = list(axes)
    chosen = dict(list(variables.items())[:MOST_PANELS])
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure, panels = new_figure(4.6 * columns, 3.5 * rows, rows, columns)
    for panel, (name, values) in zip(panels.flat, chosen.items(), strict=False):
        plane = values.reshape(*values.shape[:2], -1)[..., 0] if len(names) > 2 else values
        if len(names) == 1:
            draw_line(panel, axes[names[0]], plane, names[0])
            panel.set_ylabel(name)
        else:
            draw_heat_map(panel, plane, axes[names[0]], axes[names[1]], names[0], names[1])
            figure.colorbar(panel.images[-1], ax=panel, pad=0.02)
        panel.set_title(name)
    for panel in panels.flat[len(chosen) :]:
        panel.set_visible(False)
    if len(names) > 2:
        fixed = ", ".join(f"{name} = {axes[name][0]}" for name in names[2:])
        figure.suptitle(fixed, fontsize=9, x=0.99, ha="right")
    return figure


def draw_line(panel: Any, positions: np.ndarray, values: np.ndarray, name: str) -> None:
    """Draw values against numbers, or against names in order.

    Args:
      panel: matplotlib Axes.
      positions: numbers or names, [point].
      values: the values, [point].
      name: label of the horizontal axis.
    """
    if positions.dtype.kind in "if":
        panel.plot(positions, values, "o-", color=COLOURS[0])
        if np.all(positions > 0) and np.max(positions) > 20 * np.min(positions):
            panel.set_xscale("log")
    else:
        panel.plot(np.arange(len(positions)), values, "o", color=COLOURS[0])
        panel.set_xticks(np.arange(len(positions)), positions)
    panel.set_xlabel(name)


def draw_heat_map(
    panel: Any,
    values: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    row_name: str,
    column_name: str,
    *,
    limits: tuple[float, float] | None = None,
    form: str = "{:.3g}",
) -> None:
    """Draw numbers as colours, and write them out if there are few.

    Args:
      panel: matplotlib Axes.
      values: the numbers, [row, column].
      rows: values of the vertical axis, [row].
      columns: values of the horizontal axis, [column].
      row_name: label of the vertical axis.
      column_name: label of the horizontal axis.
      limits: lowest and highest number of the colours; None for those of the values.
      form: format of the numbers.
    """
    finite = values[np.isfinite(values)]
    low, high = limits or ((finite.min(), finite.max()) if finite.size else (0.0, 1.0))
    panel.imshow(values, aspect="auto", cmap="viridis", vmin=low, vmax=high, origin="lower")
    panel.grid(visible=False)
    panel.set_xticks(np.arange(len(columns)), [_tick(value) for value in columns], rotation=45)
    panel.set_yticks(np.arange(len(rows)), [_tick(value) for value in rows])
    panel.set(xlabel=column_name, ylabel=row_name)
    if values.size > _MOST_NUMBERS:
        return
    colours = panel.images[-1].to_rgba(values)[..., :3]
    for (row, column), value in np.ndenumerate(values):
        colour = "black" if _luminance(colours[row, column]) > _EQUAL else "white"
        text = form.format(value) if np.isfinite(value) else "failed"
        panel.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)


def _luminance(colour: np.ndarray) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _tick(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)

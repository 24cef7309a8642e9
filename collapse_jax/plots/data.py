"""Write a figure with its numbers: as pictures, as a table, and as an interactive figure."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.plots.lines import COMPARISON
from collapse_jax.plots.style import save_figure
from collapse_jax.plots.views import figure_view

_HEADER = ("panel", "curve", "x", "y", "value")


def save_with_numbers(
    figure: Any, directory: Path, name: str, view: Mapping[str, Any] | None = None
) -> Path:
    """Write a figure as `name`.png, .pdf, .csv, and .json where it can be interactive.

    Args:
      figure: a matplotlib Figure.
      directory: the folder, made if it does not exist.
      name: name of the files without suffix.
      view: the interactive figure, see `plots.views`; None for the curves of the figure.

    Returns:
      The path of the PNG file.
    """
    picture, _ = save_figure(figure, directory, name)
    write_figure_data(figure, picture.with_suffix(".csv"))
    view, file = view or figure_view(figure), picture.with_suffix(".json")
    if view is None:
        file.unlink(missing_ok=True)  # of an earlier version of the figure
    else:
        file.write_text(json.dumps(view, separators=(",", ":"), allow_nan=False), encoding="utf-8")
    return picture


def write_figure_data(figure: Any, path: Path) -> Path:
    """Write the points of all curves and the cells of all heat maps of a figure as CSV.

    Args:
      figure: a matplotlib Figure.
      path: the file.

    Returns:
      `path`. Columns are panel, curve, x, y, and value, which only cells of heat maps have.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        for panel, axis in _panels(figure):
            writer.writerows([panel, *row] for row in _rows(axis))
    return path


def _panels(figure: Any) -> Iterator[tuple[str, Any]]:
    """Yield the panels of a figure by title, with the vertical label where titles repeat."""
    titles = [axis.get_title() or axis.get_title("left") for axis in figure.axes]
    label = ""
    for number, (title, axis) in enumerate(zip(titles, figure.axes, strict=True)):
        label = axis.get_ylabel() or label  # panels of a row share that of the first one
        if axis.get_visible() and axis.get_label() != "<colorbar>":
            is_repeated = titles.count(title) > 1 and bool(title)
            name = title or f"panel {number + 1}"
            yield f"{name}: {' '.join(label.split())}" if is_repeated else name, axis


def _rows(axis: Any) -> Iterator[tuple[Any, ...]]:
    """Yield curve, x, y and value of every point of an axis."""
    lines = [line for line in axis.get_lines() if line.get_gid() != COMPARISON]
    for index, line in enumerate(lines):
        label = str(line.get_label())
        label = f"curve {index + 1}" if label.startswith("_") else label
        for x, y in zip(line.get_xdata(orig=True), line.get_ydata(orig=True), strict=False):
            yield label, _number(x), _number(y), ""
    for bars in axis.containers:
        for bar in bars:
            if hasattr(bar, "get_height"):
                yield (
                    "bars",
                    _number(bar.get_x() + bar.get_width() / 2),
                    _number(bar.get_height()),
                    "",
                )
    for band in axis.collections:
        if (mesh := getattr(band, "_coordinates", None)) is not None:
            yield from _cells(band.get_array(), mesh)
        elif hasattr(band, "get_paths") and str(band.get_label())[:1] != "_":
            for one in band.get_paths():
                for x, y in one.vertices:
                    yield f"outline of {band.get_label()}", _number(x), _number(y), ""
    for image in axis.images:
        values = np.asarray(image.get_array())
        if values.ndim == 2:
            names = (
                _ticks(axis.get_xticklabels(), values.shape[1]),
                _ticks(axis.get_yticklabels(), values.shape[0]),
            )
            for (row, column), value in np.ndenumerate(values):
                yield "cells", names[0][column], names[1][row], _number(value)


def _cells(values: Any, mesh: np.ndarray) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of a mesh by their centres."""
    centres = (mesh[:-1, :-1] + mesh[1:, 1:]) / 2
    for index, value in np.ndenumerate(np.asarray(values).reshape(centres.shape[:2])):
        x, y = centres[index]
        yield "cells", _number(x), _number(y), _number(value)


def _ticks(labels: Any, number: int) -> list[str]:
    """Return the labels of the cells along an axis, or their indices."""
    texts = [label.get_text() for label in labels]
    return texts if len(texts) == number else [str(index) for index in range(number)]


def _number(value: Any) -> str:
    return f"{float(value):.9g}"

"""Write the numbers of a figure as a table."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_HEADER = ("panel", "curve", "x", "y", "value")


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
        for number, axis in enumerate(figure.axes):
            if axis.get_visible() and axis.get_label() != "<colorbar>":
                panel = axis.get_title() or axis.get_title("left") or f"panel {number + 1}"
                writer.writerows([panel, *row] for row in _rows(axis))
    return path


def _rows(axis: Any) -> Iterator[tuple[Any, ...]]:
    """Yield curve, x, y and value of every point of an axis."""
    for index, line in enumerate(axis.get_lines()):
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

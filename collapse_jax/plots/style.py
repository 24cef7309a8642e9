"""Set the style of all figures, and save figures."""

import functools
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.utils.paths import user_path

# Okabe & Ito's palette, distinct for colour-blind readers.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
WIDTH = 9.2  # inches: the width of a page, on which labels have the size that they are drawn with
DPI = 160  # dots per inch of PNG files: sharp on screens, small in a repository
_FEW = 1e3  # ratio of the ends of an axis up to which decades alone would be too few marks
_SETTINGS: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "pdf.fonttype": 42,
}


def config_of(data: Any) -> dict[str, Any]:
    """Return the settings of a run, which are JSON among the attributes of a dataset.

    Args:
      data: an ``xarray.Dataset``.
    """
    return json.loads(data.attrs.get("config", "{}"))


def num_chains_of(data: Any) -> int:
    """Return the number of chains of a run, also of reduced records.

    Args:
      data: an ``xarray.Dataset``.
    """
    return int(config_of(data).get("num_chains", data.sizes.get("chain", 0)))


def styled(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function draw in the style of the library.

    Args:
      draw: a function that draws.

    Returns:
      The function, run within the style.
    """

    @functools.wraps(draw)
    def drawing(*arguments: Any, **settings: Any) -> Any:
        import matplotlib as mpl

        with mpl.rc_context(_SETTINGS):
            return draw(*arguments, **settings)

    return drawing


def new_figure(width: float, height: float, rows: int, columns: int, **kwargs: Any) -> Any:
    """Make a figure with a grid of axes, for functions that are `styled`.

    Args:
      width: inches; at most `WIDTH` is taken.
      height: inches.
      rows: rows of axes.
      columns: columns of axes.
      kwargs: other arguments of matplotlib's `Figure.subplots`.

    Returns:
      A matplotlib Figure, and its Axes [row, column].
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(min(width, WIDTH), height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def drawn_labels(figure: Any) -> set[str]:
    """Return the labels of the curves and bands that a figure shows, for its caption.

    Args:
      figure: a matplotlib Figure.

    Returns:
      Labels without the names that matplotlib gives to unnamed curves; "exact" is among them
      if a label begins with this word.
    """
    found = {
        str(label)
        for axis in figure.axes
        if axis.get_visible()
        for label in axis.get_legend_handles_labels()[1]
    }
    return found | {"exact"} if any(label.startswith("exact") for label in found) else found


def show_range(axes: Any, low: float, high: float) -> None:
    """Limit the horizontal axis to a range, if the range has a length.

    Args:
      axes: matplotlib Axes.
      low: left end.
      high: right end; for a single generation, both ends are the same and nothing changes.
    """
    if low < high:
        is_shown = low > 0 or axes.get_xscale() != "log"  # a logarithmic axis has no 0
        axes.set_xlim(low if is_shown else None, high)


def scale_logarithmically(axes: Any, which: str) -> None:
    """Make axes logarithmic that have something positive to show, after the last curve.

    matplotlib refuses data without a positive number, such as errors of models that are exact.

    Args:
      axes: matplotlib Axes.
      which: "x", "y" or "xy".
    """
    for name in which:
        if np.isfinite(getattr(axes.dataLim, f"minpos{name}")):
            axes.set(**{f"{name}scale": "log"})


def mark_logarithms(axis: Any) -> None:
    """Mark 1, 2 and 5 of every decade by plain numbers, along a short logarithmic axis.

    Args:
      axis: `axes.xaxis` or `axes.yaxis`, after the last curve is drawn; linear and long axes
        are not changed.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if axis.get_scale() == "log" and high <= _FEW * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:,g}")
        axis.set_minor_formatter(NullFormatter())


def save_figure(figure: Any, directory: str | Path, name: str) -> list[Path]:
    """Write a figure as `name`.png and `name`.pdf.

    Args:
      figure: a matplotlib Figure.
      directory: the folder, made if it does not exist.
      name: name of the files without suffix.

    Returns:
      The paths of both files.
    """
    directory = user_path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    picture, page = directory / f"{name}.png", directory / f"{name}.pdf"
    layout = figure.get_layout_engine()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(picture, dpi=DPI, metadata={"Software": None})
        figure.set_layout_engine("none")  # arranging the panels again would take longer than a page
        figure.savefig(page, dpi=DPI, metadata={"CreationDate": None})
    figure.set_layout_engine(layout)
    _warn_once_of_glyphs(caught)
    return [picture, page]


def _warn_once_of_glyphs(caught: Sequence[warnings.WarningMessage]) -> None:
    """Repeat warnings, but one for all characters without a glyph: Matplotlib warns of each."""
    others = [one for one in caught if "missing from font" not in str(one.message)]
    for one in others:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if len(others) < len(caught):
        warnings.warn(
            "some characters are boxes in figures, since Matplotlib's font lacks them; set its "
            "rcParams['font.family'] to a font that has them",
            stacklevel=3,
        )

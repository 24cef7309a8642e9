"""Describe interactive figures as JSON, which collapse_jax/report/assets/viewer.js draws.

A view has a "kind":

- "panels": curves, bands and points, "panels" [panel], or [frame][panel] with "frames"; "columns"
  is the most panels in a row.
- "grid": variables over two settings and over "frames", with a target that the reader may change.
- "words": the share of chains in which each state is alive, by generation, with a search.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.style import COLOURS

if TYPE_CHECKING:
    from xarray import Dataset

View = dict[str, Any]
_MOST_POINTS = 400  # of a curve: more cannot be told apart on a screen
_MOST_CURVES = 60  # of a panel
_MOST_BYTES = 900_000  # of the survival of words, so that a page stays below 3 MB
_FEWEST_FRAMES = 12  # generations of survival that stay where states are many
_MOST_ROWS = 500  # of a corpus in a film
_OUTLINE = 61  # points of an ellipse
_TEX = (
    (r"\hat\mu", "μ̂"), (r"\hat\sigma", "σ̂"), (r"\mu", "μ"), (r"\sigma", "σ"), (r"\gamma", "γ"),
    (r"\Sigma", "Σ"), ("^T", "ᵀ"),
    (r"\int", "∫"), (r"\log", "log"), (r"\ln", "ln"), (r"\,", " "), ("_{10}", "₁₀"), ("_2", "₂"),
    ("_0", "₀"), ("^2", "²"), ("$", ""),
)  # fmt: skip


def figure_view(figure: Any) -> View | None:
    """Read curves, bands and points from a figure.

    Args:
      figure: a matplotlib Figure.

    Returns:
      A view of the kind "panels"; None for a figure of images or heat maps.
    """
    axes = [axis for axis in figure.axes if axis.get_visible() and axis.axison]
    if not axes or any(axis.images for axis in axes):
        return None
    panels = [_panel(axis) for axis in axes]
    panels = [one for one in panels if one["series"]]
    grid = axes[0].get_subplotspec()
    columns = grid.get_gridspec().ncols if grid is not None else 1
    return {"kind": "panels", "columns": columns, "panels": panels} if panels else None


def generations_view(figure: Any) -> View | None:
    """Turn a figure with one curve per generation into a film, with the first as comparison.

    Args:
      figure: a matplotlib Figure whose panels have labelled curves of the same generations.

    Returns:
      A view with a frame per curve; None as for `figure_view`.
    """
    view = figure_view(figure)
    if view is None:
        return None
    names = [one["name"] for one in view["panels"][0]["series"] if one["name"]]
    frames = []
    for name in names:
        panels = []
        for panel in view["panels"]:
            known = {one["name"]: one for one in panel["series"]}
            chosen = [
                known[key] | {"name": f"model {key}", "style": style, "color": colour}
                for key, style, colour in (
                    (names[0], "dashed", "#000000"),
                    (name, "line", COLOURS[0]),
                )
                if key in known
            ]
            panels.append(panel | {"series": chosen})
        frames.append(panels)
    return {"kind": "panels", "frames": {"name": "generation", "labels": names}, "panels": frames}


def panels_view(panels: Sequence[Mapping[str, Any]]) -> View:
    """Describe curves by generation, without a figure.

    Args:
      panels: each with "title", "x" [point], "lines" (name, values [point], style "line" or
        "dashed"), "band" (name, lower and upper ends [point]) or None, and a "color" #RRGGBB.

    Returns:
      A view of the kind "panels".
    """
    found = []
    for one in panels:
        kept = _spread(len(one["x"]), _MOST_POINTS)
        x = _numbers(one["x"][kept])
        series = [
            {
                "name": name, "x": x, "y": _numbers(values[kept]), "style": style,
                "color": one["color"] if style == "line" else "#000000",
            }
            for name, values, style in one["lines"]
        ]  # fmt: skip
        bands = []
        if one["band"] is not None:
            name, low, high = one["band"]
            ends = {"low": _numbers(low[kept]), "high": _numbers(high[kept])}
            bands.append({"name": name, "x": x, **ends, "color": one["color"]})
        found.append(
            {
                "title": one["title"], "xlabel": "generation", "ylabel": "", "xlog": False,
                "ylog": False, "series": series, "bands": bands,
            }
        )  # fmt: skip
    return {"kind": "panels", "panels": found}


def words_view(data: "Dataset", noun: str) -> View:
    """Describe the survival of all states, which `plots.discrete.figure_survival` draws in part.

    Args:
      data: records of `probabilities` [generation, chain, state].
      noun: what a state is called, "word" for example.

    Returns:
      A view of the kind "words". Where states are many, generations and rare states are left out.
    """
    probabilities = data["probabilities"].values
    order = np.argsort(-np.mean(probabilities[0], axis=0), kind="stable")
    names = data["state"].values if "state" in data.coords else np.arange(probabilities.shape[2])
    most = max(_FEWEST_FRAMES, _MOST_BYTES // max(1, len(order)))
    times = _spread(len(probabilities), most)
    order = order[: _MOST_BYTES // len(times)]
    alive = np.mean(probabilities[times] > 0, axis=1)[:, order]  # [generation, state]
    chains = probabilities.shape[1]
    scale = min(chains, 255)  # of a byte: exact up to 255 chains
    shares = np.round(alive.T * scale).astype(np.uint8)
    return {
        "kind": "words",
        "noun": noun,
        "states": [str(names[index]) for index in order],
        "generations": data["generation"].values[times].tolist(),
        "chains": chains,
        "scale": scale,
        "shares": base64.b64encode(shares.tobytes()).decode(),
    }


def grid_view(
    variables: Mapping[str, np.ndarray],
    rows: tuple[str, Iterable[Any]],
    columns: tuple[str, Iterable[Any]],
    generations: np.ndarray,
    *,
    target: float | None = None,
    is_share: bool = False,
) -> View:
    """Describe variables over two settings and over generations.

    Args:
      variables: values by name, [generation, row, column].
      rows: name of the vertical axis, and its values.
      columns: name of the horizontal axis, and its values.
      generations: of the records.
      target: a number that the reader may change, from which on cells are marked.
      is_share: whether values are shares of 1, shown in percent.

    Returns:
      A view of the kind "grid".
    """
    times = _spread(len(generations), _MOST_POINTS // 4)
    form, limits = ("percent", [0.0, 1.0]) if is_share else ("number", None)
    return {
        "kind": "grid",
        "variables": [
            {"name": name, "form": form, "limits": limits, "values": _nested(values[times])}
            for name, values in variables.items()
        ],
        "rows": {"name": rows[0], "labels": [_label(one) for one in rows[1]]},
        "columns": {"name": columns[0], "labels": [_label(one) for one in columns[1]]},
        "frames": {"name": "generation", "labels": [f"{generations[k]:,}" for k in times]},
        "target": target,
    }


def film_view(data: "Dataset") -> View:
    """Describe rows of one chain and its fitted components as a film over generations.

    Args:
      data: records of snapshots, see `plots.gaussian_mixture.figure_snapshots`.

    Returns:
      A view of the kind "panels" with a frame per snapshot; ellipses hold 95 % of a component.
    """
    generations = data["snapshot"].values
    rows = data["snapshot_samples"].values[..., :2]
    frames = []
    for index, generation in enumerate(generations):
        here = rows[index][np.isfinite(rows[index]).all(axis=1)][:_MOST_ROWS]
        series = [
            {"name": "rows", "x": _numbers(here[:, 0]), "y": _numbers(here[:, 1]),
             "color": "#8a8a8a", "style": "points"},
            *_outlines(data, index),
        ]  # fmt: skip
        frames.append(
            [
                _square("window of generation 0", series, rows[0]),
                _square(f"own window, generation {generation:,}", series, here),
            ]
        )
    labels = [f"{generation:,}" for generation in generations]
    return {"kind": "panels", "frames": {"name": "generation", "labels": labels}, "panels": frames}


def _square(title: str, series: Sequence[View], rows: np.ndarray) -> View:
    """Return a panel with equal units along both axes, around the rows."""
    rows = rows[np.isfinite(rows).all(axis=1)]
    low, high = (rows.min(axis=0), rows.max(axis=0)) if len(rows) else (-np.ones(2), np.ones(2))
    centre, reach = (low + high) / 2, max(0.6 * float(np.max(high - low)), 1e-30)
    limits = [_numbers([middle - reach, middle + reach]) for middle in centre]
    return {
        "title": title, "xlabel": "first coordinate", "ylabel": "second coordinate",
        "xlog": False, "ylog": False, "xrange": limits[0], "yrange": limits[1],
        "series": list(series), "bands": [], "equal": True,
        "note": f"Width of the window: {2 * reach:.3g}.",
    }  # fmt: skip


def _outlines(data: "Dataset", index: int) -> list[View]:
    """Return an ellipse with 95 % of the mass of every component that is left."""
    angles, found = np.linspace(0, 2 * np.pi, _OUTLINE), []
    circle = np.sqrt(-2 * np.log(0.05)) * np.stack([np.cos(angles), np.sin(angles)])
    for k, weight in enumerate(data["snapshot_weights"].values[index]):
        if not weight > 0:
            continue
        mean = data["snapshot_means"].values[index, k, :2].astype(float)
        covariance = data["snapshot_covariances"].values[index, k, :2, :2].astype(float)
        values, vectors = np.linalg.eigh(covariance)
        x, y = mean[:, None] + vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)
        colour = COLOURS[k % len(COLOURS)]
        name = f"component {k + 1}, weight {weight:.2f}"
        found.append(
            {"name": name, "x": _numbers(x), "y": _numbers(y), "color": colour, "style": "line"}
        )
    return found


def _panel(axis: Any) -> View:
    """Return the curves and bands of matplotlib Axes, with their limits."""
    title = axis.get_title() or axis.get_title("left")
    series = [_series(axis, line) for line in axis.get_lines()[:_MOST_CURVES]]
    bands = [
        _band(one) for one in axis.collections if type(one).__name__.endswith("PolyCollection")
    ]
    shown: View = {
        "title": _plain(title),
        "xlabel": _label_of(axis, "x"),
        "ylabel": _label_of(axis, "y"),
        "xlog": axis.get_xscale() == "log",
        "ylog": axis.get_yscale() == "log",
        "xrange": _numbers(axis.get_xlim()),
        "yrange": _numbers(axis.get_ylim()),
        "series": [one for one in series if one["x"]],
        "bands": [one for one in bands if one["x"]],
    }
    if not _is_numeric(axis):
        marks = zip(axis.get_xticks(), axis.get_xticklabels(), strict=True)
        shown["xnames"] = {f"{position:g}": label.get_text() for position, label in marks}
    return shown


def _label_of(axis: Any, which: str) -> str:
    """Return the label of an axis, "x" or "y", or of one that is shared with it."""
    siblings = getattr(axis, f"get_shared_{which}_axes")().get_siblings(axis)
    labels = [getattr(one, f"get_{which}label")() for one in (axis, *siblings)]
    return _plain(next((label for label in labels if label), ""))


def _is_numeric(axis: Any) -> bool:
    """Tell whether positions, not names of settings, are marked along the horizontal axis."""
    from matplotlib.ticker import FixedFormatter

    return not isinstance(axis.xaxis.get_major_formatter(), FixedFormatter)


def _series(axis: Any, line: Any) -> View:
    """Return a curve; one across the whole panel takes the limits of its axis."""
    x, y = (np.asarray(one, np.float64) for one in line.get_data(orig=False))
    if line.get_transform() == axis.get_yaxis_transform():
        x = np.asarray(axis.get_xlim(), np.float64)
        y = np.broadcast_to(y[:1], x.shape)
    kept = _spread(len(x), _MOST_POINTS)
    marker = line.get_marker() not in (None, "", "None", " ")
    style = "line" if line.get_linestyle() == "-" else "dashed"
    if line.get_linestyle() in ("None", "", " "):
        style = "points"
    return {
        "name": _name(line), "x": _numbers(x[kept]), "y": _numbers(y[kept]),
        "color": _hex(line.get_color()), "style": style, "marker": marker and len(kept) < 40,
        "width": round(1.1 * float(line.get_linewidth()), 2),
    }  # fmt: skip


def _band(collection: Any) -> View:
    """Return lower and upper ends of a filled band at each of its positions."""
    ends: dict[float, list[float]] = {}
    for path in collection.get_paths():
        for x, y in path.vertices:
            ends.setdefault(float(x), []).append(float(y))
    x = np.array(sorted(ends))
    x = x[_spread(len(x), _MOST_POINTS)]
    low, high = ([find(ends[one]) for one in x] for find in (min, max))
    colour = _hex(collection.get_facecolor()[0])
    return {
        "name": _name(collection), "x": _numbers(x), "low": _numbers(low), "high": _numbers(high),
        "color": colour,
    }  # fmt: skip


def _name(artist: Any) -> str:
    label = str(artist.get_label())
    return "" if label.startswith("_") else _plain(label)


def _hex(colour: Any) -> str:
    from matplotlib.colors import to_hex

    return to_hex(colour).upper()


def _plain(label: str) -> str:
    """Return a label without TeX.

    >>> _plain(r"error, $|\\hat\\mu - \\mu|$")
    'error, |μ̂ - μ|'
    """
    if "$" in label:
        for tex, character in _TEX:
            label = label.replace(tex, character)
    return re.sub(r"\s+", " ", label)


def _spread(number: int, most: int) -> np.ndarray:
    """Return at most `most` indices below a number, with the first and the last."""
    return np.unique(np.linspace(0, max(number - 1, 0), min(number, most)).round().astype(int))


def _numbers(values: Iterable[Any]) -> list[float | None]:
    """Return numbers with five digits, None for those that are not finite."""
    array = np.asarray(values, np.float64)
    return [float(f"{one:.5g}") if np.isfinite(one) else None for one in array]


def _nested(values: np.ndarray) -> list[Any]:
    return _numbers(values) if values.ndim == 1 else [_nested(one) for one in values]


def _label(value: Any) -> str:
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)

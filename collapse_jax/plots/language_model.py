"""Figures of chains of language models: perplexity and diversity by generation.

Each takes its studies by label: records, or their ``xarray.Dataset``. NaN is left out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from collapse_jax.plots.style import COLOURS, mark_logarithms, new_figure, styled
from collapse_jax.utils.interval import mean_over_chains

Studies = Mapping[str, Any]

_BINS = 40
_BULK = 0.999  # of the blocks are in the bins
_TAIL_POINTS = 400
_LEGEND_ROWS = 12
_FAR = 3  # zero-shot perplexities so many times the largest are told, not drawn
_WIDE = 20  # times the smallest perplexity: from there on the axis is logarithmic
_MARKERS = "os^DvPX"
_DIVERSITY = (
    ("distinct_1", "different 1-grams", "share of 1-grams"),
    ("distinct_2", "different 2-grams", "share of 2-grams"),
    ("distinct_3", "different 3-grams", "share of 3-grams"),
    ("repetition_rate", "4-grams again in a block", "share of 4-grams"),
    ("unigram_entropy", "entropy of tokens", "nats"),
    ("tail_share", "tokens of the rare tail", "share of tokens"),
    ("unique_share", "different blocks", "share of blocks"),
)


@styled
def perplexity_histograms(studies: Studies) -> Any:
    """Perplexities that model 0 gives to the blocks of every corpus, runs together.

    Left the density of all but the 0.1 % that are largest, over a logarithmic axis; right the
    share of blocks at or beyond a perplexity, to the largest; a row per study (the paper's
    figure 1b and 1c).

    Args:
      studies: with `corpus_perplexity` [generation, chain, slot], NaN where a slot is empty.
    """
    figure, axes = new_figure(9.6, 3.9 * len(studies), len(studies), 2, sharex="col")
    tables = [_values(records, "corpus_perplexity") for records in studies.values()]
    edges = _edges(np.concatenate([table.ravel() for table in tables]))
    for row, (label, records), table in zip(axes, studies.items(), tables, strict=True):
        generations = _values(records, "generation")
        for values, style in zip(table, _styles(generations), strict=True):
            found = np.sort(values[~np.isnan(values)])
            row[0].plot(*_density(found, edges), **style)
            row[1].plot(*_tail(found), **style)
        prefix = f"{label}: " if label else ""
        row[0].set(title=f"{prefix}density", ylabel="share of blocks per decade", xscale="log")
        row[1].set(title="far tail", ylabel="share of blocks ≥ x", xscale="log", yscale="log")
        row[0].set_ylim(bottom=0)
        row[1].legend(title="corpus of", loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axis in axes[-1]:
        axis.set_xlabel("perplexity of a block under model 0, x")
        mark_logarithms(axis.xaxis)
    return figure


@styled
def perplexity_by_generation(studies: Studies) -> Any:
    """Perplexity of the original test text: a thin line per run, their mean, its 95 % interval.

    Both are those of the loss, ln perplexity; the axis is logarithmic where perplexities
    differ much.

    Args:
      studies: with `test_perplexity` [generation, chain] and, if it is to be shown,
        `zero_shot_perplexity` likewise, of which the mean at the first generation is taken.
    """
    figure, axes = new_figure(6.4, 4.2, 1, 1)
    axis = axes[0, 0]
    for place, (label, records) in enumerate(studies.items()):
        _draw_runs(axis, records, "test_perplexity", place, label, of_logs=True)
    seen = np.concatenate([_values(one, "test_perplexity").ravel() for one in studies.values()])
    seen = seen[np.isfinite(seen)]
    if seen.size and seen.max() > _WIDE * seen.min():
        axis.set_yscale("log")
    _draw_zero_shot(axis, studies, seen)
    mark_logarithms(axis.yaxis)
    axis.set(title="perplexity of the original test text", ylabel="perplexity")
    _mark_generations(axis)
    axis.legend()
    note = "thin: runs; mean of ln perplexity and its 95 % t interval"
    figure.suptitle(note, fontsize=9, x=0.99, ha="right")
    return figure


@styled
def diversity(studies: Studies) -> Any:
    """Diversity of the corpora by generation: a thin line per run, and their mean.

    Args:
      studies: with `distinct_1`, `distinct_2`, `distinct_3`, `repetition_rate`,
        `unigram_entropy`, `tail_share` and `unique_share`, [generation, chain].
    """
    figure, axes = new_figure(13.2, 5.8, 2, 4)
    *panels, last = axes.flat
    for axis, (name, title, unit) in zip(panels, _DIVERSITY, strict=True):
        for place, (label, records) in enumerate(studies.items()):
            _draw_runs(axis, records, name, place, label)
        axis.set(title=title, ylabel=unit)
        _mark_generations(axis)
    last.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    last.legend(handles, labels, loc="center", title="thin: runs")
    return figure


@styled
def validation_curves(studies: Studies) -> Any:
    """Loss of the original validation text by epoch: thin lines runs, their mean, their minima.

    Args:
      studies: with `validation_loss` [generation, chain, epoch], nats per token.
    """
    width = 5.4 * len(studies) + 1.0
    figure, axes = new_figure(width, 3.9, 1, len(studies), sharey=True)
    for axis, (label, records) in zip(axes[0], studies.items(), strict=True):
        losses = _values(records, "validation_loss")
        epochs = np.arange(1, losses.shape[2] + 1)
        for runs, style in zip(losses, _styles(_values(records, "generation")), strict=True):
            mean = mean_over_chains(runs.T).mean
            colour = style["color"]
            axis.plot(epochs, runs.T, color=colour, linewidth=0.6, alpha=0.5)
            axis.plot(epochs, mean, **style)
            trained = runs[np.isfinite(runs).any(axis=1)]
            best = np.nanargmin(trained, axis=1) if len(trained) else np.zeros(0, int)
            lowest = trained[np.arange(len(trained)), best]
            axis.scatter(epochs[best], lowest, s=12, color=colour, zorder=3)
        axis.set(title=label or "validation loss", xlabel="epoch")
        _count(axis)
    axes[0, 0].set_ylabel("nats per token")
    axes[0, -1].legend(title="model", loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle("thin: runs; dots: weights that are kept", fontsize=9, x=0.99, ha="right")
    return figure


def _values(records: Any, name: str) -> np.ndarray:
    return np.asarray(records[name], dtype=np.float64)


def _draw_runs(
    axis: Any, records: Any, name: str, place: int, label: str, *, of_logs: bool = False
) -> None:
    """The runs of a study, and their mean; that of logarithms has a band, its interval."""
    generations, values = _values(records, "generation"), _values(records, name)
    colour = COLOURS[place % len(COLOURS)]
    found = mean_over_chains(np.log(values) if of_logs else values)
    mean = np.exp(found.mean) if of_logs else found.mean
    if of_logs:
        band = np.exp(found.mean - found.half_width), np.exp(found.mean + found.half_width)
        axis.fill_between(generations, *band, color=colour, alpha=0.15, lw=0)
    axis.plot(generations, values, color=colour, linewidth=0.6, alpha=0.5)
    runs = values.shape[1]
    what = f"mean of {runs:,} runs" if runs > 1 else "one run"
    style = {"marker": _MARKERS[place % len(_MARKERS)], "markersize": 4, "color": colour}
    axis.plot(generations, mean, label=f"{label}, {what}" if label else what, **style)


def _draw_zero_shot(axis: Any, studies: Studies, seen: np.ndarray) -> None:
    """A line at the perplexity before any training, or its number if it is far off."""
    with_it = [one for one in studies.values() if "zero_shot_perplexity" in one.variables]
    if not with_it:
        return
    first = _values(with_it[0], "zero_shot_perplexity")[:1]
    level = float(mean_over_chains(first).mean[0])
    if not np.isfinite(level):
        return
    if level > _FAR * np.max(seen, initial=0):
        axis.plot([], [], "k:", linewidth=1.2, label=f"before training: {level:,.0f}, not drawn")
    else:
        axis.axhline(
            level, color="k", ls=":", linewidth=1.2, label=f"before training: {level:,.1f}"
        )


def _styles(generations: np.ndarray) -> list[dict[str, Any]]:
    """A colour for every generation, and a label for some if they are many."""
    import matplotlib as mpl

    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(generations)))
    step = -(-len(generations) // _LEGEND_ROWS)
    return [
        {
            "color": colour,
            "label": _named(generation) if place % step == 0 else None,
        }
        for place, (generation, colour) in enumerate(zip(generations, colours, strict=True))
    ]


def _named(generation: float, gap: str = " ") -> str:
    return f"0{gap}(real data)" if generation == 0 else f"{generation:.0f}"


def _mark_generations(axis: Any) -> None:
    """Whole numbers along the axis, of which 0 is called real."""
    _count(axis)
    axis.xaxis.set_major_formatter(lambda value, _: _named(value, "\n"))
    axis.set_xlabel("generation")


def _count(axis: Any) -> None:
    """Whole numbers along the axis."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def _edges(values: np.ndarray) -> Float[np.ndarray, " edge"]:
    """Edges of bins of equal ratio around the bulk of the values."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, (0, _BULK)) if values.size else (1.0, 10.0)
    return np.geomspace(low / 1.05, high * 1.05, _BINS + 1)


def _density(
    found: np.ndarray, edges: np.ndarray
) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, " bin"]]:
    """Middles of bins, and the share of values in each per decade; nothing of nothing."""
    if not found.size:
        return np.zeros(0), np.zeros(0)
    shares = np.histogram(found, edges)[0] / found.size
    return np.sqrt(edges[1:] * edges[:-1]), shares / np.diff(np.log10(edges))


def _tail(
    found: np.ndarray,
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Some of the sorted values, and the share of values that are at least as large."""
    number = found.size
    if not number:
        return found, found
    beyond = np.unique(np.geomspace(1, number, _TAIL_POINTS).round().astype(int))
    return found[number - beyond], beyond / number

"""Draw figures of chains of language models: perplexity and diversity by generation.

Each function takes studies by label: records, or their ``xarray.Dataset``. NaN is left out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from collapse_jax.plots.style import (
    COLOURS,
    mark_logarithms,
    new_figure,
    scale_logarithmically,
    styled,
)
from collapse_jax.utils.interval import has_intervals, mean_over_chains

Studies = Mapping[str, Any]

_BINS = 40  # of a histogram
_BULK = 0.999  # share of blocks within the bins: the rest would stretch the axis
_TAIL_POINTS = 400  # of a curve of the tail: more cannot be seen
_LEGEND_ROWS = 12  # the most lines of a legend
_FAR = 3  # ratio to the largest perplexity above which zero-shot is a number in the legend
_WIDE = 20  # ratio of perplexities above which the axis is logarithmic
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
    """Draw the perplexities of all blocks of every corpus under model 0, runs together.

    Each study is a row (figures 1b and 1c of Shumailov et al. 2024). The left panel has the
    density over a logarithmic axis, without the largest 0.1 %; the right panel has the share
    of blocks at or beyond a perplexity, up to the largest.

    Args:
      studies: records of `corpus_perplexity` [generation, chain, slot], NaN for empty slots.

    Returns:
      A matplotlib Figure.
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
        row[0].set(title=f"{prefix}density", ylabel="share of blocks per decade")
        row[1].set(title="far tail", ylabel="share of blocks ≥ x")
        scale_logarithmically(row[0], "x")
        scale_logarithmically(row[1], "xy")
        row[0].set_ylim(bottom=0)
        row[1].legend(title="corpus of", loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axis in axes[-1]:
        axis.set_xlabel("perplexity of a block under model 0, x")
        mark_logarithms(axis.xaxis)
    return figure


@styled
def perplexity_by_generation(studies: Studies) -> Any:
    """Draw the perplexity of the original test text: runs, their mean and its 95 % interval.

    Mean and interval are computed for the loss, ln perplexity; the axis is logarithmic where
    perplexities differ much.

    Args:
      studies: records of `test_perplexity` [generation, chain] and optionally of
        `zero_shot_perplexity` [generation, chain], whose mean in the first record is drawn.

    Returns:
      A matplotlib Figure.
    """
    figure, axes = new_figure(6.4, 4.2, 1, 1)
    axis = axes[0, 0]
    for index, (label, records) in enumerate(studies.items()):
        _draw_runs(axis, records, "test_perplexity", index, label, of_logs=True)
    seen = np.concatenate([_values(one, "test_perplexity").ravel() for one in studies.values()])
    seen = seen[np.isfinite(seen)]
    if seen.size and seen.max() > _WIDE * seen.min():
        scale_logarithmically(axis, "y")
    _draw_zero_shot(axis, studies, seen)
    mark_logarithms(axis.yaxis)
    axis.set(title="perplexity of the original test text", ylabel="perplexity")
    _mark_generations(axis)
    axis.legend()
    if any(has_intervals(_values(one, "test_perplexity")) for one in studies.values()):
        note = "thin: runs; mean of ln perplexity and its 95 % t interval"
        figure.suptitle(note, fontsize=9, x=0.99, ha="right")
    return figure


@styled
def diversity(studies: Studies) -> Any:
    """Draw the diversity of the corpora by generation: a thin line per run, and their mean.

    Args:
      studies: records of `distinct_1`, `distinct_2`, `distinct_3`, `repetition_rate`,
        `unigram_entropy`, `tail_share` and `unique_share`, [generation, chain].

    Returns:
      A matplotlib Figure.
    """
    figure, axes = new_figure(9.2, 8.4, 3, 3)
    *panels, spare, last = axes.flat
    figure.delaxes(spare)
    for axis, (name, title, unit) in zip(panels, _DIVERSITY, strict=True):
        for index, (label, records) in enumerate(studies.items()):
            _draw_runs(axis, records, name, index, label)
        axis.set(title=title, ylabel=unit)
        _mark_generations(axis)
    last.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    last.legend(handles, labels, loc="center", title="thin: runs")
    return figure


@styled
def validation_curves(studies: Studies) -> Any:
    """Draw the loss of the original validation text by epoch: runs, their mean and minima.

    Args:
      studies: records of `validation_loss` [generation, chain, epoch], nats per token.

    Returns:
      A matplotlib Figure.
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
    figure.suptitle("thin: runs; dots: chosen weights", fontsize=9, x=0.99, ha="right")
    return figure


def _values(records: Any, name: str) -> np.ndarray:
    return np.asarray(records[name], dtype=np.float64)


def _draw_runs(
    axis: Any, records: Any, name: str, index: int, label: str, *, of_logs: bool = False
) -> None:
    """Draw the runs of a study and their mean; a mean of logarithms has a band, its interval."""
    generations, values = _values(records, "generation"), _values(records, name)
    colour = COLOURS[index % len(COLOURS)]
    found = mean_over_chains(np.log(values) if of_logs else values)
    mean = np.exp(found.mean) if of_logs else found.mean
    if of_logs:
        band = np.exp(found.mean - found.half_width), np.exp(found.mean + found.half_width)
        axis.fill_between(generations, *band, color=colour, alpha=0.15, lw=0)
    axis.plot(generations, values, color=colour, linewidth=0.6, alpha=0.5)
    runs = values.shape[1]
    legend = f"mean of {runs:,} runs" if runs > 1 else "one run"
    style = {"marker": _MARKERS[index % len(_MARKERS)], "markersize": 4, "color": colour}
    axis.plot(generations, mean, label=f"{label}, {legend}" if label else legend, **style)


def _draw_zero_shot(axis: Any, studies: Studies, seen: np.ndarray) -> None:
    """Draw a line at the perplexity before any training; if far off, only name its number."""
    with_it = [one for one in studies.values() if "zero_shot_perplexity" in one.variables]
    if not with_it:
        return
    initial = _values(with_it[0], "zero_shot_perplexity")[:1]
    level = float(mean_over_chains(initial).mean[0])
    if not np.isfinite(level):
        return
    if level > _FAR * np.max(seen, initial=0):
        axis.plot([], [], "k:", linewidth=1.2, label=f"before training: {level:,.0f}, not drawn")
    else:
        axis.axhline(
            level, color="k", ls=":", linewidth=1.2, label=f"before training: {level:,.1f}"
        )


def _styles(generations: np.ndarray) -> list[dict[str, Any]]:
    """Return a colour for every generation, and a label for some if they are many."""
    import matplotlib as mpl

    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(generations)))
    step = -(-len(generations) // _LEGEND_ROWS)
    return [
        {
            "color": colour,
            "label": _named(generation) if index % step == 0 else None,
        }
        for index, (generation, colour) in enumerate(zip(generations, colours, strict=True))
    ]


def _named(generation: float, gap: str = " ") -> str:
    return f"0{gap}(real data)" if generation == 0 else f"{generation:.0f}"


def _mark_generations(axis: Any) -> None:
    """Mark whole numbers along the axis, and name 0 the real data."""
    _count(axis)
    axis.xaxis.set_major_formatter(lambda value, _: _named(value, "\n"))
    axis.set_xlabel("generation")


def _count(axis: Any) -> None:
    """Mark whole numbers along the axis."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def _edges(values: np.ndarray) -> Float[np.ndarray, " edge"]:
    """Return edges of bins of equal ratio around the bulk of the values."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, (0, _BULK)) if values.size else (1.0, 10.0)
    return np.geomspace(low / 1.05, high * 1.05, _BINS + 1)


def _density(
    found: np.ndarray, edges: np.ndarray
) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, " bin"]]:
    """Return middles of bins, and the share of values per decade in each; empty if no value."""
    if not found.size:
        return np.zeros(0), np.zeros(0)
    shares = np.histogram(found, edges)[0] / found.size
    return np.sqrt(edges[1:] * edges[:-1]), shares / np.diff(np.log10(edges))


def _tail(
    found: np.ndarray,
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Return some of the sorted values, and the share of values that are at least as large."""
    number = found.size
    if not number:
        return found, found
    beyond = np.unique(np.geomspace(1, number, _TAIL_POINTS).round().astype(int))
    return found[number - beyond], beyond / number

"""Figures of discrete chains: what is left, and which words survive."""

from typing import Any

import numpy as np

from collapse_jax.plots.style import COLOURS, new_figure, styled

_ROWS = 40


@styled
def figure_diversity(records: Any) -> Any:
    """Support size, entropy and tail mass by generation: median and 5-95 % of chains."""
    figure, axes = new_figure(11, 3.5, 1, 3)
    generations = records["generation"]
    panels = (
        ("support_size", "states left", "number of states"),
        ("entropy", "entropy", "nats"),
        ("tail_mass", "mass of the original tail", "probability"),
    )
    for place, (axis, (name, title, unit)) in enumerate(zip(axes[0], panels, strict=True)):
        low, middle, high = np.quantile(records[name], (0.05, 0.5, 0.95), axis=1)
        axis.fill_between(generations, low, high, color=COLOURS[place], alpha=0.2, linewidth=0)
        axis.plot(generations, middle, color=COLOURS[place])
        if name in records.theory:
            axis.plot(generations, records.theory[name].values, "k--", lw=0.9, label="exact mean")
            axis.legend()
        axis.set(title=title, ylabel=unit, xlabel="generation", xlim=(0, generations[-1]))
        axis.set_ylim(bottom=0)
    chains = len(records["chain"])
    figure.suptitle(f"median and 5–95 % of {chains:,} chains", fontsize=9, x=0.99, ha="right")
    return figure


@styled
def figure_survival(records: Any) -> Any:
    """Share of chains in which a state still lives, by generation, for states of many ranks.

    Args:
      records: with `probabilities` [generation, chain, state]; states are in order of
        frequency, and the coordinate "state", if any, names them.
    """
    alive = np.mean(records["probabilities"] > 0, axis=1)  # [generation, state]
    states = alive.shape[1]
    ranks = np.unique(np.geomspace(1, states, _ROWS).round().astype(int)) - 1
    names = records["state"] if "state" in records.coordinates else np.arange(states)
    figure, axes = new_figure(7.2, 7.6, 1, 1)
    axis, generations = axes[0, 0], records["generation"]
    axis.grid(visible=False)
    picture = axis.pcolormesh(
        generations, np.arange(len(ranks)), alive[:, ranks].T, cmap="viridis", vmin=0, vmax=1,
        shading="nearest",
    )  # fmt: skip
    if len(generations) > 1:
        axis.set_xlim(generations[0], generations[-1])  # not half a record beyond
    axis.invert_yaxis()
    labels = [f"{str(names[rank])[:18]}  {rank + 1:,}" for rank in ranks]
    axis.set_yticks(np.arange(len(ranks)), labels, fontsize=8)
    axis.set(xlabel="generation", title="which words survive (rank by frequency in the original)")
    bar = figure.colorbar(picture, ax=axis, shrink=0.5, pad=0.02)
    bar.set_label("share of chains in which the word is alive")
    return figure

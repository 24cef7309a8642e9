"""Draw figures of discrete chains: diversity, and the survival of words."""

from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.style import COLOURS, new_figure, show_range, styled
from collapse_jax.utils.counted import counted

if TYPE_CHECKING:
    from xarray import Dataset

_ROWS = 40  # ranks of states in the figure of survival, so that labels stay readable


@styled
def figure_diversity(data: "Dataset", theory: "Dataset | None" = None) -> Any:
    """Draw support size, entropy and tail mass by generation: median and 5-95 % of chains.

    Args:
      data: records of `support_size`, `entropy` and `tail_mass`, [generation, chain].
      theory: exact means of these variables, as far as they are known.

    Returns:
      A matplotlib Figure.
    """
    figure, axes = new_figure(9.2, 3.3, 1, 3)
    generations = data["generation"].values
    panels = (
        ("support_size", "states left", "number of states"),
        ("entropy", "entropy", "nats"),
        ("tail_mass", "mass of the original tail", "probability"),
    )
    colour = COLOURS[0]
    for axis, (name, title, unit) in zip(axes[0], panels, strict=True):
        low, middle, high = np.quantile(data[name].values, (0.05, 0.5, 0.95), axis=1)
        axis.fill_between(generations, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.plot(generations, middle, color=colour, label="median")
        if theory is not None and name in theory:
            axis.plot(generations, theory[name].values, "k--", lw=0.9, label="exact mean")
        axis.legend()
        axis.set(title=title, ylabel=unit, xlabel="generation")
        show_range(axis, 0, generations[-1])
        axis.set_ylim(bottom=0)
    chains = len(data["chain"].values)
    figure.suptitle(
        f"median and 5–95 % of {counted(chains, 'chain')}", fontsize=9, x=0.99, ha="right"
    )
    return figure


@styled
def figure_survival(data: "Dataset", noun: str = "state") -> Any:
    """Draw the share of chains in which a state survives, by generation, for many ranks.

    Ranks are those of the mean probability in the first record; the coordinate "state", if any,
    names the states.

    Args:
      data: records of `probabilities` [generation, chain, state].
      noun: what a state is called, "word" for example.

    Returns:
      A matplotlib Figure.
    """
    figure, axes = new_figure(7.2, 7.6, 1, 1)
    draw_survival(axes[0, 0], data, noun)
    return figure


def draw_survival(axis: Any, data: "Dataset", noun: str = "state") -> None:
    """Draw the survival of states on given Axes, see `figure_survival`.

    Args:
      axis: matplotlib Axes.
      data: records of `probabilities` [generation, chain, state].
      noun: what a state is called, "word" for example.
    """
    probabilities = data["probabilities"].values
    alive = np.mean(probabilities > 0, axis=1)  # [generation, state]
    order = np.argsort(-np.mean(probabilities[0], axis=0), kind="stable")
    states = alive.shape[1]
    ranks = np.unique(np.geomspace(1, states, _ROWS).round().astype(int)) - 1
    names = data["state"].values if "state" in data.coords else np.arange(states)
    generations = data["generation"].values
    axis.grid(visible=False)
    picture = axis.pcolormesh(
        generations, np.arange(len(ranks)), alive[:, order[ranks]].T, cmap="viridis", vmin=0,
        vmax=1, shading="nearest",
    )  # fmt: skip
    show_range(axis, generations[0], generations[-1])  # pcolormesh adds half a record
    axis.invert_yaxis()
    labels = [f"{str(names[order[rank]])[:18]}  {rank + 1:,}" for rank in ranks]
    axis.set_yticks(np.arange(len(ranks)), labels, fontsize=8)
    title = f"which {noun}s survive (rank by probability in model {generations[0]})"
    axis.set(xlabel="generation", title=title)
    bar = axis.figure.colorbar(picture, ax=axis, shrink=0.5, pad=0.02)
    bar.set_label(f"share of chains in which the {noun} is alive")

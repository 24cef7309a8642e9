"""Draw the figure that answers how much original data is needed."""

from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.grid import draw_heat_map
from collapse_jax.plots.style import new_figure, styled

if TYPE_CHECKING:
    from xarray import Dataset


@styled
def figure_keep(data: "Dataset", what: str, enough: float) -> Any:
    """Draw the surviving share in the last generation over gamma and M, and by generation.

    Args:
      data: records of `surviving` [generation, num_samples, gamma], relative to a fit to
        original data.
      what: name of the surviving quantity.
      enough: the least share that counts as preserved, marked in both panels.

    Returns:
      A matplotlib Figure.
    """
    import matplotlib as mpl

    figure, axes = new_figure(11.5, 4.3, 1, 2, width_ratios=(1.35, 1))
    final, shares, sizes = (
        data["surviving"].values[-1],
        data["gamma"].values,
        data["num_samples"].values,
    )
    left, right = axes[0]
    labels = np.array([f"{share:g}" for share in shares])
    rows = np.array([f"{size:,}" for size in sizes])
    draw_heat_map(
        left, final, rows, labels, "rows M", "share of original data, gamma",
        limits=(0.0, 1.0), form="{:.0%}",
    )  # fmt: skip
    for row, values in enumerate(final):
        sufficient = np.flatnonzero(values >= enough)
        if sufficient.size:
            edge = sufficient[0] - 0.5
            left.plot([edge, edge], [row - 0.5, row + 0.5], color="#D55E00", linewidth=3)
    last = data["generation"].values[-1]
    left.set_title(f"{what} left after {last:,} generations; right of orange: {enough:.0%}")
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(shares)))
    for index, colour in enumerate(colours):
        curve = data["surviving"].values[:, -1, index]
        right.plot(data["generation"].values, curve, color=colour, label=f"{shares[index]:g}")
    right.axhline(enough, color="#D55E00", linewidth=1.5)
    right.set(xlabel="generation", title=f"M = {sizes[-1]:,}, by gamma", ylim=(0, None))
    right.set_xlim(0, last)
    right.legend(title="gamma", fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure

"""Draw the figure that answers how much original data is needed."""

from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.grid import draw_heat_map
from collapse_jax.plots.style import new_figure, show_range, styled
from collapse_jax.utils.counted import counted

if TYPE_CHECKING:
    from xarray import Dataset


def __getattr__(name: str) -> Any:
    """Name the successor of a function of version 0.1."""
    if name == "figure_keep":
        raise AttributeError("figure_keep is now figure_original_shares")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@styled
def figure_original_shares(data: "Dataset", what: str, share: str, target: float) -> Any:
    """Draw the surviving share in the last generation over gamma and M, and by generation.

    Args:
      data: records of `surviving` [generation, num_samples, gamma], relative to a fit to
        original data.
      what: name of the surviving quantity.
      share: name of the share gamma, for example "share of kept originals".
      target: the least surviving share that is enough; a line in both panels where it is met.

    Returns:
      A matplotlib Figure.
    """
    import matplotlib as mpl

    figure, axes = new_figure(9.2, 4.4, 1, 2, width_ratios=(1.35, 1))
    final, shares, sizes = (
        data["surviving"].values[-1],
        data["gamma"].values,
        data["num_samples"].values,
    )
    left, right = axes[0]
    labels = np.array([f"{share:g}" for share in shares])
    rows = np.array([f"{size:,}" for size in sizes])
    draw_heat_map(
        left, final, rows, labels, "rows M", f"{share}, gamma",
        limits=(0.0, 1.0), form="{:.0%}",
    )  # fmt: skip
    title = ""
    for row, values in enumerate(final):
        short = np.flatnonzero(~(values >= target))
        edge = (short[-1] + 1 if short.size else 0) - 0.5  # right of it, every share is enough
        if edge < len(shares) - 1:
            title = f"\nright of orange: at least {target:.0%}"
            left.plot([edge, edge], [row - 0.5, row + 0.5], color="#D55E00", linewidth=3)
    last = data["generation"].values[-1]
    left.set_title(f"{what} left\nafter {counted(last, 'generation')}{title}", fontsize=10)
    bar = figure.colorbar(left.images[-1], ax=left, format="{x:.0%}", pad=0.02)
    bar.set_label("share left")
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(shares)))
    for index, colour in enumerate(colours):
        curve = data["surviving"].values[:, -1, index]
        right.plot(data["generation"].values, curve, color=colour, label=f"{shares[index]:g}")
    right.axhline(target, color="#D55E00", linewidth=1.5)
    right.set(
        xlabel="generation",
        ylabel="share left",
        title=f"M = {sizes[-1]:,}, by gamma",
        ylim=(0, None),
    )
    show_range(right, 0, last)
    right.legend(title="gamma", fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure

"""Draw figures of Gaussian chains, with one line per corpus size."""

from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.plots.style import COLOURS, new_figure, num_chains_of, show_range, styled
from collapse_jax.utils.counted import counted

if TYPE_CHECKING:
    from xarray import Dataset


def figure_errors(data: "Dataset") -> Any:
    """Draw |mu_hat - mu| and |sigma_hat - sigma| by generation: median and 5-95 % of chains.

    Args:
      data: records of `mean_error_quantile` and `std_error_quantile`, [generation, quantile,
        num_samples], with the coordinates "quantile" (0.05, 0.5, 0.95) and "num_samples".

    Returns:
      A matplotlib Figure.
    """
    names = {
        "mean_error_quantile": r"error of the mean, $|\hat\mu - \mu|$",
        "std_error_quantile": r"error of the std, $|\hat\sigma - \sigma|$",
    }
    fits, panels = data["generation"].values + 1, []
    for name, title in names.items():
        lines = []
        for index, size in enumerate(data["num_samples"].values):
            low, middle, high = np.moveaxis(data[name].values[..., index], 1, 0)
            lines.append(Line(f"M = {size:,}", middle, band=(low, high)))
        unit = data[name].attrs.get("units", "data units")
        panels.append(Panel(title, "fits, generation + 1", fits, lines, unit, "log", "log"))
    note = f"median and 5–95 % of {counted(num_chains_of(data), 'chain')}"
    return figure_panels(panels, note)


@styled
def figure_log_std(data: "Dataset", theory: "Dataset | None" = None, title: str = "") -> Any:
    """Draw the mean of ln sigma by generation, and its exact expectation if known.

    Args:
      data: records of `log_std_mean` [generation, num_samples], with "num_samples".
      theory: expectations of `log_std` [generation, num_samples], if known.
      title: of the panel.

    Returns:
      A matplotlib Figure.
    """
    figure, axes = new_figure(6.4, 3.9, 1, 1)
    axis, fits = axes[0, 0], data["generation"].values + 1
    for index, size in enumerate(data["num_samples"].values):
        colour = COLOURS[index % len(COLOURS)]
        axis.plot(fits, data["log_std_mean"].values[:, index], color=colour, label=f"M = {size:,}")
    if theory is not None and "log_std" in theory:
        curves = theory["log_std"].values
        for index in range(curves.shape[1]):
            label = "exact expectation" if index == 0 else None
            axis.plot(fits, curves[:, index], "k--", linewidth=0.9, label=label)
    axis.set(
        title=title or r"mean of $\ln\,\hat\sigma$",
        ylabel=r"$\ln\,\hat\sigma$, $\hat\sigma$ in data units",
    )
    axis.set(xlabel="number of fits, generation + 1")
    show_range(axis, 0, fits[-1])
    axis.legend()
    return figure

"""Draw figures of Gaussian chains, with one line per corpus size."""

from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.style import (
    COLOURS,
    new_figure,
    num_chains_of,
    scale_logarithmically,
    show_range,
    styled,
)
from collapse_jax.utils.counted import counted

if TYPE_CHECKING:
    from xarray import Dataset


@styled
def figure_errors(data: "Dataset") -> Any:
    """Draw |mu_hat - mu| and |sigma_hat - sigma| by generation: median and 5-95 % of chains.

    Args:
      data: records of `mean_error_quantile` and `std_error_quantile`, [generation, quantile,
        num_samples], with the coordinates "quantile" (0.05, 0.5, 0.95) and "num_samples".

    Returns:
      A matplotlib Figure.
    """
    figure, axes = new_figure(9.6, 3.9, 1, 2, sharex=True)
    fits = data["generation"].values + 1
    names = (
        ("mean_error_quantile", r"error of the mean, $|\hat\mu - \mu|$"),
        ("std_error_quantile", r"error of the std, $|\hat\sigma - \sigma|$"),
    )
    for axis, (name, title) in zip(axes[0], names, strict=True):
        for index, size in enumerate(data["num_samples"].values):
            low, middle, high = np.moveaxis(data[name].values[..., index], 1, 0)
            colour = COLOURS[index % len(COLOURS)]
            axis.fill_between(fits, low, high, color=colour, alpha=0.15, linewidth=0)
            axis.plot(fits, middle, color=colour, label=f"M = {size:,}")
        axis.set(title=title, xlabel="number of fits, generation + 1")
        scale_logarithmically(axis, "xy")
        show_range(axis, 1, fits[-1])
    axes[0, 0].set_ylabel(data[names[0][0]].attrs.get("units", "data units"))
    axes[0, 0].legend()
    chains = num_chains_of(data)
    figure.suptitle(
        f"median and 5–95 % of {counted(chains, 'chain')}", fontsize=9, x=0.99, ha="right"
    )
    return figure


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
    axis.set(title=title or r"mean of $\ln\,\hat\sigma$", ylabel=r"$\hat\sigma$ in data units")
    axis.set(xlabel="number of fits, generation + 1")
    show_range(axis, 0, fits[-1])
    axis.legend()
    return figure

"""Figures of Gaussian chains, one line per corpus size."""

from typing import Any

import numpy as np

from collapse_jax.plots.style import COLOURS, new_figure, styled


@styled
def figure_errors(records: Any) -> Any:
    """|mu_hat - mu| and |sigma_hat - sigma| by generation: median and 5-95 % of chains.

    Args:
      records: with `mean_error_quantile` and `std_error_quantile`, [generation, quantile,
        num_samples], and the coordinates "quantile" (0.05, 0.5, 0.95) and "num_samples".
    """
    figure, axes = new_figure(9.6, 3.9, 1, 2, sharex=True)
    fits = records["generation"] + 1
    names = (
        ("mean_error_quantile", r"error of the mean, $|\hat\mu - \mu|\,/\,\sigma$"),
        ("std_error_quantile", r"error of the std, $|\hat\sigma - \sigma|\,/\,\sigma$"),
    )
    for axis, (name, title) in zip(axes[0], names, strict=True):
        for place, size in enumerate(records["num_samples"]):
            low, middle, high = np.moveaxis(records[name][..., place], 1, 0)
            colour = COLOURS[place % len(COLOURS)]
            axis.fill_between(fits, low, high, color=colour, alpha=0.15, linewidth=0)
            axis.plot(fits, middle, color=colour, label=f"M = {size:,}")
        axis.set(xscale="log", yscale="log", title=title, xlabel="number of fits, generation + 1")
        axis.set_xlim(1, fits[-1])
    axes[0, 0].legend()
    chains = records.config["num_chains"]
    figure.suptitle(f"median and 5–95 % of {chains:,} chains", fontsize=9, x=0.99, ha="right")
    return figure


@styled
def figure_log_std(records: Any) -> Any:
    """Mean of ln sigma by generation, and its exact expectation.

    Args:
      records: with `log_std_mean` [generation, num_samples] and the theory curve "log_std".
    """
    figure, axes = new_figure(6.4, 3.9, 1, 1)
    axis, fits = axes[0, 0], records["generation"] + 1
    for place, size in enumerate(records["num_samples"]):
        colour = COLOURS[place % len(COLOURS)]
        axis.plot(fits, records["log_std_mean"][:, place], color=colour, label=f"M = {size:,}")
    if "log_std" in records.theory:
        curves = records.theory["log_std"].values
        for place in range(curves.shape[1]):
            label = "exact expectation" if place == 0 else None
            axis.plot(fits, curves[:, place], "k--", linewidth=0.9, label=label)
    axis.set(title=r"mean of $\ln\,(\hat\sigma/\sigma)$: variance is lost at a constant rate")
    axis.set(xlabel="number of fits, generation + 1", ylabel="nats", xlim=(0, fits[-1]))
    axis.legend()
    return figure

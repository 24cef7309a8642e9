"""Draw figures of chains of image models: samples, latents and classes by generation."""

from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.style import COLOURS, config_of, new_figure, styled
from collapse_jax.utils.counted import counted
from collapse_jax.utils.interval import mean_over_chains

if TYPE_CHECKING:
    from xarray import Dataset

_COLUMNS = 12  # images of a generation
_MOST_ROWS = 11  # generations of a figure: more would be too small to read


def _shown(generations: np.ndarray, most: int) -> np.ndarray:
    """Return indices of at most `most` generations, with the first and the last."""
    return np.unique(np.linspace(0, len(generations) - 1, min(most, len(generations))).astype(int))


def _mean(values: np.ndarray) -> np.ndarray:
    """Return means over runs of [generation, chain, ...]; NaN where training diverged in all."""
    return mean_over_chains(np.moveaxis(values, 1, -1)).mean


@styled
def figure_samples(data: "Dataset") -> Any:
    """Draw images of the first chain, a row per generation.

    Args:
      data: records of `images` [generation, chain, image, row, column].

    Returns:
      A matplotlib Figure.
    """
    generations = data["generation"].values
    indices = _shown(generations, _MOST_ROWS)
    figure, axes = new_figure(0.6 * _COLUMNS + 0.8, 0.6 * len(indices), len(indices), _COLUMNS)
    for row, index in enumerate(indices):
        for column, axis in enumerate(axes[row]):
            image = data["images"].values[index, 0, column]
            axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        label = f"model {generations[index]}"
        axes[row, 0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    return figure


@styled
def figure_density(data: "Dataset") -> Any:
    """Draw the density of the first encoder's latent means by generation, runs together.

    Args:
      data: records of `latent_histogram` [generation, chain, bin], with the coordinate "bin".

    Returns:
      A matplotlib Figure.
    """
    import matplotlib as mpl

    generations, centres = data["generation"].values, data["bin"].values
    shares = _mean(data["latent_histogram"].values)
    density = shares / (centres[1] - centres[0])
    figure, axes = new_figure(5.2, 3.9, 1, 1)
    indices = _shown(generations, _MOST_ROWS)
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(indices)))
    for index, colour in zip(indices, colours, strict=True):
        axes[0, 0].plot(centres, density[index], color=colour, label=f"{generations[index]}")
    axes[0, 0].set(title="latents of decoded images", xlabel="latent mean", ylabel="density")
    axes[0, 0].legend(title="model", ncols=2)
    return figure


@styled
def figure_latents(data: "Dataset") -> Any:
    """Draw mean and std of the latents by generation: a line per run, and a band of one std.

    Args:
      data: records of `latent_mean`, `latent_std`, `latent_mean_100` and `latent_std_100`,
        [generation, chain].

    Returns:
      A matplotlib Figure.
    """
    generations = data["generation"].values
    figure, axes = new_figure(8.4, 6.4, 2, 2, sharex=True)
    number = config_of(data)["chain"]["family"]["num_evaluated"]
    for row, quantity in enumerate(("mean", "std")):
        for column, (suffix, count) in enumerate((("_100", 100), ("", number))):
            axis, values = axes[row, column], data[f"latent_{quantity}{suffix}"].values
            middle = _mean(values)
            spread = np.sqrt(_mean((values - middle[:, None]) ** 2))
            axis.fill_between(
                generations, middle - spread, middle + spread, color=COLOURS[0], alpha=0.15, lw=0
            )
            axis.plot(generations, values, color=COLOURS[0], linewidth=0.8, alpha=0.6)
            axis.plot(generations, middle, "o-", color=COLOURS[0], markersize=3)
            axis.set_title(f"{quantity} of latents, {counted(count, 'image')}")
            axis.set_ylabel("latent units")
    for axis in axes[1]:
        axis.set_xlabel("generation")
        axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


@styled
def figure_quality(data: "Dataset") -> Any:
    """Draw ELBO, pixel variance, precision and recall by generation: a line per run.

    Args:
      data: records of `elbo`, `pixel_variance`, `precision` and `recall`, [generation, chain].

    Returns:
      A matplotlib Figure.
    """
    generations = data["generation"].values
    titles = {
        "elbo": ("ELBO of test images", "nats per image"),
        "pixel_variance": ("pixel variance", "intensity squared"),
        "precision": ("precision (k = 5)", "share of images"),
        "recall": ("recall (k = 5)", "share of images"),
    }
    figure, axes = new_figure(8.4, 6.4, 2, 2, sharex=True)
    for axis, (name, (title, unit)) in zip(axes.flat, titles.items(), strict=True):
        axis.plot(generations, data[name].values, color=COLOURS[0], linewidth=0.8, alpha=0.6)
        axis.plot(generations, _mean(data[name].values), "o-", color=COLOURS[0], ms=3)
        axis.set(title=title, ylabel=unit)
    for axis in axes[1]:
        axis.set_xlabel("generation")
        axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


@styled
def figure_classes(data: "Dataset") -> Any:
    """Draw the share of every class by generation, with original shares dotted at the left.

    Args:
      data: records of `class_shares` [generation, chain, class], whose mean over runs is
        drawn, and of `original_shares` [class].

    Returns:
      A matplotlib Figure.
    """
    import matplotlib as mpl

    generations = data["generation"].values
    shares = _mean(data["class_shares"].values)
    figure, axes = new_figure(5.6, 3.9, 1, 1)
    colours = mpl.colormaps["tab10" if shares.shape[1] <= 10 else "viridis"](
        np.arange(shares.shape[1]) if shares.shape[1] <= 10 else np.linspace(0, 1, shares.shape[1])
    )
    start = generations[0] - 0.5
    for index, colour in enumerate(colours):
        axes[0, 0].plot(generations, shares[:, index], "o-", ms=3, color=colour, label=f"{index}")
        original = data["original_shares"].values[index]
        axes[0, 0].plot([start, generations[0]], [original, shares[0, index]], ":", color=colour)
    axes[0, 0].set(title="classes of decoded images", xlabel="generation", ylabel="share")
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 0].legend(title="class", ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure

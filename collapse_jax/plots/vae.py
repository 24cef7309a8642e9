"""Figures of chains of image models: samples, latents and classes by generation."""

from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.style import COLOURS, config_of, new_figure, styled

if TYPE_CHECKING:
    from xarray import Dataset

_COLUMNS = 12
_MOST_ROWS = 11


def _shown(generations: np.ndarray, most: int) -> np.ndarray:
    """Places of at most so many generations, the first and the last among them."""
    return np.unique(np.linspace(0, len(generations) - 1, min(most, len(generations))).astype(int))


@styled
def figure_samples(data: "Dataset") -> Any:
    """Images of the first chain, a row per generation.

    Args:
      data: with `images` [generation, chain, image, row, column].
    """
    generations = data["generation"].values
    places = _shown(generations, _MOST_ROWS)
    figure, axes = new_figure(0.6 * _COLUMNS + 0.8, 0.6 * len(places), len(places), _COLUMNS)
    for row, place in enumerate(places):
        for column, axis in enumerate(axes[row]):
            image = data["images"].values[place, 0, column]
            axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        label = f"model {generations[place]}"
        axes[row, 0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    return figure


@styled
def figure_density(data: "Dataset") -> Any:
    """Density of the first encoder's latent means by generation, runs together.

    Args:
      data: with `latent_histogram` [generation, chain, bin] and the coordinate "bin".
    """
    import matplotlib as mpl

    generations, centres = data["generation"].values, data["bin"].values
    shares = np.nanmean(data["latent_histogram"].values, axis=1)
    density = shares / (centres[1] - centres[0])
    figure, axes = new_figure(5.2, 3.9, 1, 1)
    places = _shown(generations, _MOST_ROWS)
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(places)))
    for place, colour in zip(places, colours, strict=True):
        axes[0, 0].plot(centres, density[place], color=colour, label=f"{generations[place]}")
    axes[0, 0].set(title="latents of decoded images", xlabel="latent mean", ylabel="density")
    axes[0, 0].legend(title="model", ncols=2)
    return figure


@styled
def figure_latents(data: "Dataset") -> Any:
    """Mean and std of the latents by generation: one line per run, and their band.

    Args:
      data: with `latent_mean`, `latent_std` and the same of 100 images, [generation, chain].
    """
    generations = data["generation"].values
    figure, axes = new_figure(8.4, 6.4, 2, 2, sharex=True)
    number = config_of(data)["chain"]["family"]["num_evaluated"]
    for row, quantity in enumerate(("mean", "std")):
        for column, (suffix, count) in enumerate((("_100", 100), ("", number))):
            axis, values = axes[row, column], data[f"latent_{quantity}{suffix}"].values
            middle, spread = np.nanmean(values, axis=1), np.nanstd(values, axis=1)
            axis.fill_between(
                generations, middle - spread, middle + spread, color=COLOURS[0], alpha=0.15, lw=0
            )
            axis.plot(generations, values, color=COLOURS[0], linewidth=0.8, alpha=0.6)
            axis.plot(generations, middle, "o-", color=COLOURS[0], markersize=3)
            axis.set_title(f"{quantity} of latents, {count:,} images")
    for axis in axes[1]:
        axis.set_xlabel("generation")
    return figure


@styled
def figure_quality(data: "Dataset") -> Any:
    """ELBO, pixel variance, precision and recall by generation: one line per run.

    Args:
      data: with these variables, [generation, chain].
    """
    generations = data["generation"].values
    titles = {
        "elbo": "ELBO of held-out images (nats)",
        "pixel_variance": "pixel variance",
        "precision": "precision (k = 5)",
        "recall": "recall (k = 5)",
    }
    figure, axes = new_figure(8.4, 6.4, 2, 2, sharex=True)
    for axis, (name, title) in zip(axes.flat, titles.items(), strict=True):
        axis.plot(generations, data[name].values, color=COLOURS[0], linewidth=0.8, alpha=0.6)
        axis.plot(generations, np.nanmean(data[name].values, axis=1), "o-", color=COLOURS[0], ms=3)
        axis.set_title(title)
    for axis in axes[1]:
        axis.set_xlabel("generation")
    return figure


@styled
def figure_classes(data: "Dataset") -> Any:
    """Share of every class by generation, mean over runs; the original's dotted at the left.

    Args:
      data: with `class_shares` [generation, chain, class] and `original_shares` [class].
    """
    import matplotlib as mpl

    generations = data["generation"].values
    shares = np.nanmean(data["class_shares"].values, axis=1)
    figure, axes = new_figure(5.6, 3.9, 1, 1)
    colours = mpl.colormaps["tab10" if shares.shape[1] <= 10 else "viridis"](
        np.arange(shares.shape[1]) if shares.shape[1] <= 10 else np.linspace(0, 1, shares.shape[1])
    )
    start = generations[0] - 0.5
    for place, colour in enumerate(colours):
        axes[0, 0].plot(generations, shares[:, place], "o-", ms=3, color=colour, label=f"{place}")
        original = data["original_shares"].values[place]
        axes[0, 0].plot([start, generations[0]], [original, shares[0, place]], ":", color=colour)
    axes[0, 0].set(title="classes of decoded images", xlabel="generation", ylabel="share")
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 0].legend(title="class", ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure

"""Draw figures of any run: bands of its variables over chains, by generation."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.style import COLOURS, config_of, show_range, styled
from collapse_jax.utils import check
from collapse_jax.utils.check import ArgumentError

if TYPE_CHECKING:
    from xarray import Dataset

_OWN = {
    "Gaussian": ("log_std", "wasserstein2_squared", "log_det_covariance", "trace_covariance"),
    "Discrete": ("support_size", "entropy", "tail_mass"),
    "GaussianMixture": ("log_l2_squared", "log_likelihood", "num_iterations"),
    "VAE": ("elbo", "latent_mean", "latent_std", "pixel_variance", "precision", "recall"),
    "LanguageModel": ("test_perplexity", "distinct_2", "unigram_entropy", "tail_share"),
}
"""Variables of a family's own figure, one panel each, as far as they are recorded."""

_MOST = 6  # panels of a family that is not listed: more would be too small to read
_COLUMNS = 3  # panels in a row
_LEVELS = (0.05, 0.5, 0.95)  # levels of the band and its middle
_SUFFIXES = ("_quantile", "_mean")  # ends of the names of reduced variables


class RecordsPlot:
    """The figures of the records of a run; ``records.plot()`` draws the family's own figure.

    Args:
      data: variables and coordinates.
      theory: exact expectations, as far as they are known.
    """

    def __init__(self, data: "Dataset", theory: "Dataset") -> None:
        self._data = data
        self._theory = theory

    @styled
    def __call__(self) -> Any:
        """Draw the family's own figure, a band over chains for each of its main variables.

        Returns:
          An array of matplotlib Axes, one for each panel.

        Raises:
          ArgumentError: if no scalar variable was recorded.
        """
        import matplotlib.pyplot as plt

        names = self._names()
        if not names:
            raise ArgumentError(
                "records have no scalar variable to draw by generation; draw one point of a "
                "sweep, or records.dataset with xarray's own plots"
            )
        columns = min(_COLUMNS, len(names))
        rows = -(-len(names) // columns)
        size = (3.8 * columns, 3.2 * rows)
        figure, axes = plt.subplots(
            rows, columns, figsize=size, squeeze=False, layout="constrained"
        )
        for axis, name in zip(axes.flat, names, strict=False):
            self.band(name, axis)
        for axis in axes.flat[len(names) :]:
            figure.delaxes(axis)
        return axes.ravel()[: len(names)]

    @styled
    def band(self, name: str, ax: Any = None) -> Any:
        """Draw the median of a variable and 5 to 95 % of chains by generation.

        For reduced records, draw the recorded quantiles, or mean and standard deviation. The
        exact expectation is a dashed line.

        Args:
          name: name of a scalar variable.
          ax: matplotlib Axes to draw on; None for new ones.

        Returns:
          The Axes.

        Raises:
          ArgumentError: if the variable was not recorded or is not a scalar.
        """
        axis = _axes(ax)
        generations = self._data["generation"].values
        low, middle, high = self._band(name)
        labels = self._band_labels(name)
        style = {"color": COLOURS[0], "alpha": 0.2, "linewidth": 0}
        axis.fill_between(generations, low, high, label=labels[1], **style)
        axis.plot(generations, middle, color=COLOURS[0], label=labels[0])
        if name in self._theory.data_vars:
            exact = self._theory[name].values
            axis.plot(generations, exact, "k--", lw=0.9, label="exact mean")
        axis.legend()
        self._label(axis, name)
        return axis

    @styled
    def line(self, name: str, ax: Any = None, most: int = 50) -> Any:
        """Draw a variable by generation, a line for each of the first chains.

        Args:
          name: name of a scalar variable, in records that are not reduced.
          ax: matplotlib Axes to draw on; None for new ones.
          most: the most chains, at least 1.

        Returns:
          The Axes.

        Raises:
          ArgumentError: if the variable was not recorded for every chain or is not a scalar,
            or `most` is below 1.
        """
        most = check.integer("most", most, 1)
        if name not in self._data or self._data[name].dims != ("generation", "chain"):
            raise ArgumentError(f"name={name!r} is not allowed: {self._known()}")
        axis = _axes(ax)
        values = self._data[name].values[:, :most]
        axis.plot(self._data["generation"].values, values, color=COLOURS[0], lw=0.6, alpha=0.5)
        self._label(axis, name)
        return axis

    def _names(self) -> list[str]:
        """Return the variables of the family's own figure, or the first scalar ones."""
        family = config_of(self._data).get("chain", {}).get("family", {}).get("type")
        scalar = [name for name in self._scalar() if name not in ("status", "acceptance")]
        return [name for name in _OWN.get(family, ()) if name in scalar] or scalar[:_MOST]

    def _scalar(self) -> list[str]:
        """Return the variables with one number per chain, also those that were reduced."""
        found = []
        for name, one in self._data.data_vars.items():
            suffix = next((end for end in _SUFFIXES if str(name).endswith(end)), "")
            if one.dims == ("generation", "chain"):
                found.append(str(name))
            elif suffix and one.dims in (("generation", "quantile"), ("generation",)):
                found.append(str(name).removesuffix(suffix))
        return list(dict.fromkeys(found))

    def _band(self, name: str) -> np.ndarray:
        """Return lower end, middle and upper end, [3, generation]."""
        data = self._data
        if name in data and data[name].dims == ("generation", "chain"):
            with warnings.catch_warnings():  # NumPy warns where every chain is frozen
                warnings.simplefilter("ignore", RuntimeWarning)
                return np.nanquantile(data[name].values.astype(float), _LEVELS, axis=1)
        quantile = f"{name}_quantile"
        if quantile in data and data[quantile].dims == ("generation", "quantile"):
            values = data[quantile].values
            return np.stack([values[:, 0], values[:, values.shape[1] // 2], values[:, -1]])
        if f"{name}_mean" in data and data[f"{name}_mean"].dims == ("generation",):
            mean = data[f"{name}_mean"].values
            std = data[f"{name}_std"].values if f"{name}_std" in data else np.zeros_like(mean)
            return np.stack([mean - std, mean, mean + std])
        raise ArgumentError(f"name={name!r} is not allowed: {self._known()}")

    def _band_labels(self, name: str) -> tuple[str, str]:
        """Return the labels of the middle and of the band."""
        if name in self._data:
            return "median", "5 to 95 % of chains"
        if f"{name}_quantile" in self._data:
            levels = self._data["quantile"].values
            middle = levels[len(levels) // 2]
            return f"quantile {middle:g}", f"quantiles {levels[0]:g} to {levels[-1]:g}"
        return "mean", "one standard deviation"

    def _known(self) -> str:
        return f"it must be one of {', '.join(self._scalar()) or 'none'}; pass one of these"

    def _label(self, axis: Any, name: str) -> None:
        recorded = [name, *(f"{name}{end}" for end in _SUFFIXES)]
        attributes = next(self._data[one].attrs for one in recorded if one in self._data)
        generations = self._data["generation"].values
        unit = attributes.get("units", "1")
        unit = "dimensionless" if unit == "1" else unit
        axis.set(title=name, xlabel="generation", ylabel=unit)
        show_range(axis, generations[0], generations[-1])


def _axes(ax: Any) -> Any:
    """Return the given Axes, or new ones, which notebooks show."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(5.2, 3.6), layout="constrained")[1]

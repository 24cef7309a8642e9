"""Draw figures of any run: bands of its variables over chains, by generation."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.plots.discrete import draw_survival
from collapse_jax.plots.grid import draw_heat_map
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

_RUN_DIMS = ("generation", "chain", "quantile", "code")  # of any run: axes of a sweep are others
_MOST_SNAPSHOTS = 4  # generations of which rows are drawn
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

    @styled
    def heatmap(self, name: str, ax: Any = None, generation: int = -1) -> Any:
        """Draw the median over chains of a variable over the two axes of a sweep.

        Args:
          name: name of a scalar variable of records of `sweep`; for reduced records that of the
            recorded one, such as log_std_mean.
          ax: matplotlib Axes to draw on; None for new ones.
          generation: index of the record, the last by default.

        Returns:
          The Axes, with a colour bar.

        Raises:
          ArgumentError: if the variable was not recorded, or does not vary along two axes.
        """
        data = self._data
        dims = [dim for dim in data[name].dims if dim not in _RUN_DIMS] if name in data else []
        known = [
            str(one)
            for one, values in data.data_vars.items()
            if len([dim for dim in values.dims if dim not in _RUN_DIMS]) == 2
        ]
        if len(dims) != 2 or "generation" not in data[name].dims:
            allowed = f"it must vary along two axes, as {', '.join(known[:8]) or 'none here'}"
            raise check.fail("name", name, allowed, "sweep over two axes, or name one of these")
        records = len(data["generation"].values)
        check.integer("generation", generation, -records, records - 1)
        one = data[name].isel(generation=generation)
        if "chain" in one.dims:
            one = one.astype(float).median("chain")
        values = one.transpose(*dims).values.astype(float)
        axis = _axes(ax)
        rows, columns = (_labels(data, dim) for dim in dims)
        draw_heat_map(axis, values, rows, columns, str(dims[0]), str(dims[1]))
        bar = axis.figure.colorbar(axis.images[-1], ax=axis)
        unit = str(data[name].attrs.get("units", "1"))
        median = ", median over chains" if "chain" in data[name].dims else ""
        bar.set_label(f"{'dimensionless' if unit == '1' else unit}{median}")
        axis.set_title(f"{name}, generation {data['generation'].values[generation]:,}")
        return axis

    @styled
    def survival(self, ax: Any = None, noun: str = "state") -> Any:
        """Draw the share of chains in which a state survives, by generation and rank.

        Args:
          ax: matplotlib Axes to draw on; None for new ones.
          noun: what a state is called, "word" for example.

        Returns:
          The Axes, with a colour bar.

        Raises:
          ArgumentError: if the probabilities of states were not recorded.
        """
        name = "probabilities"
        if name not in self._data or self._data[name].dims != ("generation", "chain", "state"):
            shown = check.Shown("not recorded for every chain")
            allowed = "survival is drawn from the probabilities of a discrete family"
            raise check.fail(name, shown, allowed, 'pass metrics=["probabilities"] to simulate')
        axis = _axes(ax, (7.2, 7.6))
        draw_survival(axis, self._data, noun)
        return axis

    @styled
    def samples(self, ax: Any = None, chain: int = 0) -> Any:
        """Draw what the models of a chain are trained on, or the images that they decode.

        Args:
          ax: an array of at least one matplotlib Axes, one for each generation that is shown; None
            for new ones. Images always get new ones.
          chain: index of the chain.

        Returns:
          An array of matplotlib Axes: [generation] for rows, with the last record at the end, and
          [generation, image] for images.

        Raises:
          ArgumentError: if neither `samples` nor `images` were recorded, or there is no such chain.
        """
        data = self._data
        if not {"samples", "images"} & set(data.data_vars):
            shown = check.Shown("not recorded")
            allowed = "rows or images of a chain are drawn"
            raise check.fail("samples", shown, allowed, 'pass metrics=["samples"] to simulate')
        chain = check.integer("chain", chain, 0, len(data["chain"].values) - 1)
        data = data.isel(chain=slice(chain, chain + 1))
        if "images" in data:
            from collapse_jax.plots.vae import figure_samples

            axes = np.array(figure_samples(data).axes)
            rows = len({one.get_subplotspec().rowspan.start for one in axes})
            return axes.reshape(rows, -1)
        given = None if ax is None else np.atleast_1d(np.asarray(ax, object)).ravel()
        number = min(_MOST_SNAPSHOTS, len(data["generation"].values))
        if given is None:
            import matplotlib.pyplot as plt

            size = (2.6 * number, 2.9)
            given = plt.subplots(1, number, figsize=size, squeeze=False, layout="constrained")[1][0]
        indices = np.linspace(0, len(data["generation"].values) - 1, len(given)).round().astype(int)
        for axis, index in zip(given, indices, strict=True):
            _draw_rows(axis, data["samples"].values[index, 0])
            axis.set_title(f"generation {data['generation'].values[index]:,}")
        return given

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


def _labels(data: "Dataset", dim: Any) -> np.ndarray:
    """Return the labels of an axis: its coordinate, or indices."""
    return data[dim].values if dim in data.coords else np.arange(data.sizes[dim])


def _draw_rows(axis: Any, rows: np.ndarray) -> None:
    """Draw rows of a corpus: a histogram of numbers, or the first two numbers of each."""
    rows = rows[np.isfinite(rows).all(axis=-1)]
    if rows.shape[1] == 1:
        axis.hist(rows[:, 0], bins="auto", color=COLOURS[0])
        axis.set(xlabel="data units", ylabel="rows")
        return
    axis.scatter(rows[:, 0], rows[:, 1], s=4, color=COLOURS[0], linewidths=0)
    axis.set(xlabel="[0], data units", ylabel="[1], data units")


def _axes(ax: Any, size: tuple[float, float] = (5.2, 3.6)) -> Any:
    """Return the given Axes, or new ones of a size in inches, which notebooks show."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]

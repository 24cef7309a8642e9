"""Join runs at the points of a grid into one result with the grid's axes as dimensions."""

import functools
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from collapse_jax.results.provenance import describe
from collapse_jax.results.records import Records, concat_datasets, dataset_of
from collapse_jax.utils import check, memory

if TYPE_CHECKING:
    import xarray

Point = tuple[int, ...]
_FILL = {"f": np.nan, "i": -1}  # value of a failed point, by kind of dtype; 0 for other kinds
_MOST_SHOWN = 8  # values of a schedule that a label has


class Grid:
    """The records of the points of a grid.

    The axes of the grid become the last dimensions of every variable. A failed point
    holds NaN, -1 for integers and False for truth values, and is listed with the error in
    ``records.config["failures"]``; its `status` is -1.

    Args:
      axes: the values along each axis, by path such as "policy.num_samples"; the dimension
        is named by the path's last part, or by the whole path if the last part is not unique.
      earlier: records of an earlier run of the same grid; `points` are then its failures.

    Raises:
      ArgumentError: for an axis without values or with a number or text twice, or records of
        another grid.
    """

    def __init__(self, axes: Mapping[str, Sequence[Any]], earlier: Records | None = None) -> None:
        remedy = "pass {'policy.gamma': [0, 0.1]}"
        check.instance("axes", axes, Mapping, "it must be a dict of values by path", remedy)
        if not axes:
            raise check.fail("axes", {}, "a grid needs an axis", remedy)
        for path, values in axes.items():
            is_sequence = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
            if not is_sequence or len(values) == 0:
                allowed = "an axis is a sequence of at least one value"
                raise check.fail(f"axes[{path!r}]", values, allowed, "pass a list of values")
            check.distinct(f"axes[{path!r}]", values)
        self.axes = {path: list(values) for path, values in axes.items()}
        self.shape = tuple(len(values) for values in self.axes.values())
        self.names = axis_names(self.axes, taken=())
        self.failures: dict[Point, str] = {}
        self._datasets: dict[Point, xarray.Dataset] = {}
        self._theories: dict[Point, Any] = {}  # records, or a function that makes the theory
        self._settings: tuple[dict[str, Any], dict[str, Any]] | None = None
        if earlier is not None:
            self._resume(earlier)

    @property
    def points(self) -> list[Point]:
        """Return the points to run: all, or the failures of an earlier run."""
        return list(self.failures) or self._all_points

    @property
    def has_records(self) -> bool:
        """Tell whether any point has records."""
        return self._settings is not None

    @property
    def _all_points(self) -> list[Point]:
        return list(itertools.product(*map(range, self.shape)))

    def values(self, point: Point) -> dict[str, Any]:
        """Return the value on each axis, by path.

        Args:
          point: an index along every axis.
        """
        pairs = zip(self.axes.items(), point, strict=True)
        return {path: values[index] for (path, values), index in pairs}

    def label(self, point: Point) -> str:
        """Return the settings of a point as text.

        Args:
          point: an index along every axis.
        """
        return ", ".join(f"{path}={_shown(value)}" for path, value in self.values(point).items())

    def add(self, point: Point, records: Records) -> None:
        """Take the records of a point.

        Args:
          point: an index along every axis.
          records: records of the run at the point.

        Raises:
          ArgumentError: if shapes differ from those at other points, or memory is too small.
        """
        if not self._datasets:
            self.names = axis_names(self.axes, taken=records.dataset.data_vars)
        dataset = self._without_axes(records.dataset)
        if not self._datasets:
            number = int(np.prod(self.shape))
            memory.check({"records of the grid": dataset.nbytes * number})
        for known in itertools.islice(self._datasets.values(), 1):
            _check_same(known, dataset)
        self._settings = self._settings or (records.config, records.provenance)
        self._datasets[point] = dataset
        self._theories[point] = records
        self.failures.pop(point, None)

    def fail(self, point: Point, error: BaseException) -> None:
        """Note the error of a point without records.

        Args:
          point: an index along every axis.
          error: the error of its run.
        """
        self.failures[point] = f"{type(error).__name__}: {' '.join(str(error).split())}"

    def records(self) -> Records:
        """Return the records of all points so far.

        Raises:
          ArgumentError: if no point succeeded: the argument that all refuse, or the first error.
        """
        if self._settings is None:
            point, reason = next(iter(self.failures.items()))
            kind, _, message = reason.partition(": ")
            if kind == check.ArgumentError.__name__ and set(self.failures.values()) == {reason}:
                raise check.ArgumentError(message)
            raise check.ArgumentError(
                f"every point of the grid failed; at {self.label(point)}: {reason}"
            )
        config = {
            **self._settings[0],
            "axes": {path: describe(values) for path, values in self.axes.items()},
            "failures": [
                {"point": list(point), "label": self.label(point), "error": reason}
                for point, reason in sorted(self.failures.items())
            ],
        }
        source = self._stacked(self._datasets)
        theory = functools.partial(self._theory, dict(self._theories))
        return Records(source, config, self._settings[1], None, theory)

    def _theory(self, theories: Mapping[Point, Any]) -> "xarray.Dataset":
        """Return the curves of all points, NaN for curves that are unknown at a point."""
        found = {}
        for point, one in theories.items():
            theory = one.theory if isinstance(one, Records) else one()
            found[point] = self._without_axes(theory)
        templates: dict[Any, Any] = {}
        for dataset in found.values():
            templates.update(dataset.data_vars)
        if not templates:
            return dataset_of({}, {})
        whole = {}
        for point, dataset in found.items():
            lacking = {name: one for name, one in templates.items() if name not in dataset}
            whole[point] = dataset.assign({name: _filled(one) for name, one in lacking.items()})
        stacked = self._stacked(whole)
        for name, one in stacked.data_vars.items():
            one.attrs.update(_widest_limits([part[name].attrs for part in whole.values()]))
        return stacked

    def _stacked(self, parts: Mapping[Point, "xarray.Dataset"]) -> "xarray.Dataset":
        """Return one dataset whose last dimensions are the axes; failed points are filled."""
        import pandas

        filler = _filled(next(iter(parts.values())))
        level = {point: parts.get(point, filler) for point in self._all_points}
        indices = [
            pandas.Index(_coordinate(values), name=name)
            for name, values in zip(self.names, self.axes.values(), strict=True)
        ]
        for index in reversed(indices):
            shorter: dict[Point, list[xarray.Dataset]] = {}
            for point, dataset in level.items():
                shorter.setdefault(point[:-1], []).append(dataset)
            level = {point: concat_datasets(some, index) for point, some in shorter.items()}
        stacked = level[()].transpose(..., *self.names)
        is_event = "first_event" in stacked
        return stacked.set_coords("first_event") if is_event else stacked

    def _without_axes(self, dataset: "xarray.Dataset") -> "xarray.Dataset":
        """Return a dataset without dimensions of one entry that are axes of the grid.

        `first_event` differs from point to point and therefore becomes a variable.
        """
        dims = [name for name in self.names if dataset.sizes.get(name) == 1]
        squeezed = dataset.squeeze(dims, drop=True) if dims else dataset
        is_event = "first_event" in squeezed.coords
        return squeezed.reset_coords("first_event") if is_event else squeezed

    def _resume(self, earlier: Records) -> None:
        """Take the successful points of an earlier run."""
        described = {path: describe(values) for path, values in self.axes.items()}
        self.names = axis_names(self.axes, taken=earlier.dataset.data_vars)
        if earlier.config.get("axes") != described:
            allowed = "the records are those of another grid"
            raise check.fail("axes", list(self.axes), allowed, "pass the axes they were made with")
        if not earlier.config["failures"]:
            allowed = "no point of it failed"
            raise check.fail("earlier", "records", allowed, "there is nothing to run again")
        for failure in earlier.config["failures"]:
            self.failures[tuple(failure["point"])] = failure["error"]
        for point in self._all_points:
            if point not in self.failures:
                self._datasets[point] = self._at(earlier.dataset, point)
                theory = functools.partial(self._at, earlier.theory, point)
                self._theories[point] = theory
        self._settings = earlier.config, earlier.provenance

    def _at(self, dataset: "xarray.Dataset", point: Point) -> "xarray.Dataset":
        """Return the part of a grid's dataset that belongs to a point."""
        pairs = zip(self.names, point, strict=True)
        indices = {name: index for name, index in pairs if name in dataset.dims}
        return self._without_axes(dataset.isel(indices, drop=True))


def failure_sentences(config: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every point of a grid that failed.

    Args:
      config: of records; there is no sentence for a run that is no grid.
    """
    return [
        f"Failed: {failure['label']}: {failure['error']}" for failure in config.get("failures", ())
    ]


def axis_names(axes: Mapping[str, Any], taken: Collection[Any]) -> list[str]:
    """Return the name of the dimension of each axis of a grid.

    Args:
      axes: by path; the name is the path's last part, or the path where that is not unique.
      taken: names of recorded variables, which no dimension may have.

    Returns:
      A name for every axis, in their order.
    """
    short = [path.rsplit(".", maxsplit=1)[-1] for path in axes]
    pairs = zip(short, axes, strict=True)
    return [name if short.count(name) == 1 and name not in taken else path for name, path in pairs]


def _shown(value: Any) -> str:
    """Return a value as text; of a schedule its ends."""
    if isinstance(value, (list, tuple, np.ndarray)) and len(value) > _MOST_SHOWN:
        return f"[{value[0]}, {value[1]}, ..., {value[-1]}]"
    return str(value)


def _filled(dataset: Any) -> Any:
    """Return NaN, -1 or False in the shapes of a dataset or an array."""

    def filled(one: Any) -> Any:
        return one.copy(data=np.full(one.shape, _FILL.get(one.dtype.kind, 0), one.dtype))

    if hasattr(dataset, "data_vars"):
        return dataset.assign({name: filled(one) for name, one in dataset.data_vars.items()})
    return filled(dataset)


def _widest_limits(attributes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the ends of an interval that holds the values at every point of a grid."""
    limits = {}
    for end, widest in (("valid_min", min), ("valid_max", max)):
        known = [one[end] for one in attributes if end in one]
        if known:
            limits[end] = widest(known)
    return limits


def _check_same(known: "xarray.Dataset", other: "xarray.Dataset") -> None:
    """Refuse records with other variables or shapes."""
    if known.data_vars.keys() != other.data_vars.keys():
        shown = sorted(map(str, known.data_vars.keys() ^ other.data_vars.keys()))
        allowed = "every point must record the same variables"
        raise check.fail("variables of a point", shown, allowed, "choose another axis")
    for name, one in other.data_vars.items():
        shape = known[name].shape
        if one.shape != shape:
            shown = check.Shown(f"array of shape {one.shape}")
            allowed = f"at other points it has shape {shape}"
            raise check.fail(str(name), shown, allowed, "choose another axis or other metrics")


def _coordinate(values: Sequence[Any]) -> np.ndarray:
    """Return numbers unchanged, and other values as text."""
    if all(isinstance(value, int | float | np.number) for value in values):
        return np.array(values)
    return np.array([value if isinstance(value, str) else str(describe(value)) for value in values])

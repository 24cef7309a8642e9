"""Many runs, one for each point of a grid, as one result with the grid's axes as dimensions."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from collapse_jax.results.provenance import describe
from collapse_jax.results.records import Records, Variable
from collapse_jax.utils import check, memory

Point = tuple[int, ...]


class Grid:
    """Collects the records of the points of a grid.

    The axes of the grid become the last dimensions of every variable. A point that failed
    holds NaN, -1 for integers and False for truth values, and is listed with the error in
    ``records.config["failures"]``; its `status` is -1.

    Args:
      axes: the values along each axis, by path such as "policy.num_samples"; the dimension
        is named by the path's last part, or the whole path where that is not unique.
      earlier: records of an earlier run of the same grid; `points` are then its failures.

    Raises:
      ValueError: for an axis without values, or records of another grid.
    """

    def __init__(self, axes: Mapping[str, Sequence[Any]], earlier: Records | None = None) -> None:
        if not axes:
            raise check.fail("axes", {}, "a grid needs an axis", "pass {'policy.gamma': [0, 0.1]}")
        for path, values in axes.items():
            is_sequence = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
            if not is_sequence or len(values) == 0:
                allowed = "an axis is a sequence of at least one value"
                raise check.fail(f"axes[{path!r}]", values, allowed, "pass a list of values")
        self.axes = {path: list(values) for path, values in axes.items()}
        self.shape = tuple(len(values) for values in self.axes.values())
        self.failures: dict[Point, str] = {}
        self._variables: dict[str, Variable] = {}
        self._earlier: Mapping[str, Variable] = {}
        self._expected: dict[Point, Records] = {}
        self._coordinates: dict[str, Variable] = {}
        self._settings: tuple[dict[str, Any], dict[str, Any]] | None = None
        if earlier is not None:
            self._continue(earlier)

    @property
    def names(self) -> list[str]:
        """Name of the dimension of each axis."""
        short = [path.rsplit(".", maxsplit=1)[-1] for path in self.axes]
        return [
            name if short.count(name) == 1 else path
            for name, path in zip(short, self.axes, strict=True)
        ]

    @property
    def points(self) -> list[Point]:
        """The points to run: all, or those that failed before."""
        return list(self.failures) or list(itertools.product(*map(range, self.shape)))

    def values(self, point: Point) -> dict[str, Any]:
        """The value on each axis, by path."""
        pairs = zip(self.axes.items(), point, strict=True)
        return {path: values[place] for (path, values), place in pairs}

    def label(self, point: Point) -> str:
        """The point in words."""
        return ", ".join(f"{path}={value}" for path, value in self.values(point).items())

    def add(self, point: Point, records: Records) -> None:
        """Keep the records of a point.

        Raises:
          ValueError: if they differ in shape from the earlier ones, or do not fit in memory.
        """
        variables = dict(self._without_axes(records.variables))
        coordinates = dict(self._without_axes(records.coordinates))
        event = coordinates.pop("first_event", None)
        if event is not None:
            variables["first_event"] = event
        if not self._variables:
            needed = sum(variable.values.nbytes for variable in variables.values())
            memory.check({"records of the grid": needed * int(np.prod(self.shape))})
            self._variables = {name: self._room(one) for name, one in variables.items()}
            self._coordinates = coordinates
            self._settings = records.config, records.provenance
        if self._variables.keys() != variables.keys():
            shown = sorted(self._variables.keys() ^ variables.keys())
            allowed = "every point must record the same variables"
            raise check.fail("variables of a point", shown, allowed, "choose another axis")
        _check_same_shape(self._variables, variables)
        for name, one in variables.items():
            self._variables[name].values[(..., *point)] = one.values
        self._expected[point] = Records({}, {}, {}, {}, None, records.expected)
        self.failures.pop(point, None)

    def fail(self, point: Point, error: BaseException) -> None:
        """Note why a point has no records."""
        self.failures[point] = f"{type(error).__name__}: {' '.join(str(error).split())}"

    def records(self) -> Records:
        """Everything so far.

        Raises:
          ValueError: if no point succeeded, with the first error.
        """
        if self._settings is None:
            point, reason = next(iter(self.failures.items()))
            raise ValueError(f"every point of the grid failed; at {self.label(point)}: {reason}")
        variables = dict(self._variables)
        coordinates = dict(self._coordinates)
        if "first_event" in variables:
            coordinates["first_event"] = variables.pop("first_event")
        for name, values in zip(self.names, self.axes.values(), strict=True):
            coordinates[name] = Variable((name,), _coordinate(values))
        config = {
            **self._settings[0],
            "axes": {path: describe(values) for path, values in self.axes.items()},
            "failures": [
                {"point": list(point), "label": self.label(point), "error": reason}
                for point, reason in sorted(self.failures.items())
            ],
        }
        return Records(variables, coordinates, config, self._settings[1], None, self._theory)

    def _theory(self) -> dict[str, Variable]:
        """The curves of every point; not every point has every curve."""
        table = {name: Variable(one.dims, one.values.copy()) for name, one in self._earlier.items()}
        for point, records in self._expected.items():
            for name, one in self._without_axes(records.theory):
                if name not in table:
                    table[name] = self._room(one)
                table[name].values[(..., *point)] = one.values
        return table

    def _room(self, one: Variable) -> Variable:
        """NaN, -1 or False in the shape of a variable and the grid; points lie whole in memory."""
        fill = {"f": np.nan, "i": -1}.get(one.values.dtype.kind, 0)
        values = np.full((*self.shape, *one.values.shape), fill, one.values.dtype)
        last = range(-len(self.shape), 0)
        values = np.moveaxis(values, range(len(self.shape)), last)
        return Variable((*one.dims, *self.names), values, one.attributes)

    def _without_axes(self, table: Mapping[str, Variable]) -> Iterator[tuple[str, Variable]]:
        """Without dimensions of length one that are axes of the grid, and their coordinates."""
        for name, one in table.items():
            if name in self.names and one.dims == (name,):
                continue
            places = tuple(k for k, dim in enumerate(one.dims) if dim in self.names)
            dims = tuple(dim for dim in one.dims if dim not in self.names)
            yield name, Variable(dims, np.squeeze(one.values, places), one.attributes)

    def _continue(self, earlier: Records) -> None:
        described = {path: describe(values) for path, values in self.axes.items()}
        if earlier.config.get("axes") != described:
            allowed = "the records are those of another grid"
            raise check.fail("axes", list(self.axes), allowed, "pass the axes they were made with")
        if not earlier.config["failures"]:
            allowed = "no point of it failed"
            raise check.fail("earlier", "records", allowed, "there is nothing to run again")
        for failure in earlier.config["failures"]:
            self.failures[tuple(failure["point"])] = failure["error"]
        self._variables = {
            name: Variable(one.dims, one.values.copy()) for name, one in earlier.variables.items()
        }
        self._earlier = earlier.theory
        self._coordinates = {
            name: one for name, one in earlier.coordinates.items() if name not in self.names
        }
        if "first_event" in self._coordinates:
            event = self._coordinates.pop("first_event")
            self._variables["first_event"] = Variable(event.dims, event.values.copy())
        self._settings = earlier.config, earlier.provenance


def _check_same_shape(table: Mapping[str, Variable], news: Mapping[str, Variable]) -> None:
    for name, one in news.items():
        known = table[name].values.shape[: one.values.ndim]
        if one.values.shape != known:
            shown = check.Shown(f"array of shape {one.values.shape}")
            allowed = f"at other points it has shape {known}"
            raise check.fail(name, shown, allowed, "choose another axis or other metrics")


def _coordinate(values: Sequence[Any]) -> np.ndarray:
    """Numbers as they are, anything else in words."""
    if all(isinstance(value, int | float | np.number) for value in values):
        return np.array(values)
    return np.array([value if isinstance(value, str) else str(describe(value)) for value in values])

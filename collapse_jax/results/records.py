"""What a run measured: named arrays with coordinates, where they come from, how to go on."""

import dataclasses
import datetime
import functools
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from collapse_jax.results.run_state import RunState

_THEORY = "theory.zarr"


@dataclasses.dataclass(frozen=True, eq=False)
class Variable:
    """An array with a name for every axis."""

    dims: tuple[str, ...]
    values: np.ndarray
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.dims) != np.ndim(self.values):
            shape = np.shape(self.values)
            raise ValueError(
                f"dims={self.dims} is not allowed: the values have shape {shape}; name each axis"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """The result of `simulate`.

    Attributes:
      variables: data by name; dims ("generation", "chain", ...) come first unless reduced.
      coordinates: "generation", "chain", "first_event" (generation of absorption or of
        status > 0, -1 if none; along "chain"), "quantile", "code", "state".
      config: the chain and the arguments of the run, as JSON-able values.
      provenance: versions, dtype, device, key, time, git commit.
      state: what continues the run.
      expected: what `theory` shows, or a function that computes it when it is asked for.
    """

    variables: dict[str, Variable]
    coordinates: dict[str, Variable]
    config: dict[str, Any]
    provenance: dict[str, Any]
    state: RunState | None = None
    expected: dict[str, Variable] | Callable[[], dict[str, Variable]] = dataclasses.field(
        default_factory=dict
    )

    def __getitem__(self, name: str) -> np.ndarray:
        """The values of a variable or coordinate."""
        for table in (self.variables, self.coordinates):
            if name in table:
                return table[name].values
        known = ", ".join([*self.variables, *self.coordinates])
        raise KeyError(f"no variable {name!r}; there are {known}")

    @functools.cached_property
    def theory(self) -> dict[str, Variable]:
        """Exact expectations by name of variable, as far as they are known.

        NAME_variance is the variance of NAME over chains; in one dimension "variance" is
        E sigma^2. dims ("generation", ...) without "chain". Empty if nothing is known.
        """
        return self.expected() if callable(self.expected) else self.expected

    @functools.cached_property
    def dataset(self) -> Any:
        """An ``xarray.Dataset``; config and provenance are JSON in its attributes."""
        attributes = {
            "config": json.dumps(self.config),
            "provenance": json.dumps(self.provenance),
        }
        return _dataset(self.variables, self.coordinates, attributes)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a run directory: config.json, provenance.json, records.zarr, state/, ...

        It is written under a temporary name and renamed, so that it is there whole or
        not at all. ``xarray.open_zarr(path / "records.zarr")`` reads the records.

        Args:
          path: the directory to make.
          overwrite: whether to replace a run directory of that name.

        Returns:
          `path`.

        Raises:
          ValueError: if something is at `path` and is not to be replaced.
        """
        path = Path(path)
        if path.exists():
            _check_replaceable(path, overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            self._write(temporary)
            temporary.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return path

    def _write(self, path: Path) -> None:
        for name, content in (("config", self.config), ("provenance", self.provenance)):
            (path / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
        _write_zarr(self.dataset, path / "records.zarr")
        if self.theory:
            used = {dim for variable in self.theory.values() for dim in variable.dims}
            coordinates = {name: self.coordinates[name] for name in used & self.coordinates.keys()}
            _write_zarr(_dataset(self.theory, coordinates, {}), path / _THEORY)
        if self.state is not None:
            self.state.save(path / "state")
        (path / "figures").mkdir()
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = {"time": now, "event": "saved", "variables": sorted(self.variables)}
        (path / "journal.jsonl").write_text(json.dumps(line) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a run directory.

        Raises:
          ValueError: if `path` is no run directory or a part of it cannot be read.
        """
        path = Path(path)
        if not (path / "config.json").is_file() or not (path / "records.zarr").is_dir():
            raise ValueError(
                f"path={str(path)!r} is not allowed: it is no run directory (config.json and "
                "records.zarr are missing); pass what Records.save or `collapse run --out` made"
            )
        try:
            config = json.loads((path / "config.json").read_text())
            provenance = json.loads((path / "provenance.json").read_text())
            variables, coordinates = _read_zarr(path / "records.zarr")
            theory = _read_zarr(path / _THEORY)[0] if (path / _THEORY).is_dir() else {}
            state = RunState.load(path / "state") if (path / "state").is_dir() else None
        except (OSError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"path={str(path)!r} is not allowed: the run directory is damaged ({reason}); "
                "run it again"
            ) from error
        return cls(variables, coordinates, config, provenance, state, theory)

    @classmethod
    def concatenate(cls, parts: Sequence["Records"]) -> "Records":
        """One result from runs of the same chain.

        Runs with the same generations and different chains are joined along "chain",
        runs with the same chains and later generations along "generation".

        Raises:
          ValueError: if they do not fit together, naming what differs, or are reduced.
        """
        if not parts:
            raise ValueError("parts=[] is not allowed: there is nothing to join; pass Records")
        first, *rest = parts
        result = first
        for other in rest:
            result = _join(result, other)
        return result


def _check_replaceable(path: Path, overwrite: bool) -> None:
    if not overwrite:
        raise ValueError(
            f"path={str(path)!r} is not allowed: it exists; pass another path or overwrite=True"
        )
    is_run = (path / "config.json").is_file() and (path / "records.zarr").is_dir()
    if not is_run and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(
            f"path={str(path)!r} is not allowed: it is no run directory and will not be "
            "replaced; pass another path"
        )


def _dataset(
    variables: Mapping[str, Variable], coordinates: Mapping[str, Variable], attributes: dict
) -> Any:
    import xarray

    def tables(items: Mapping[str, Variable]) -> dict[str, Any]:
        return {
            name: (item.dims, item.values, dict(item.attributes)) for name, item in items.items()
        }

    return xarray.Dataset(tables(variables), tables(coordinates), attributes)


def _write_zarr(dataset: Any, path: Path) -> None:
    """Integers fill with -1 and floats with NaN: an unwritten chunk never reads as data."""
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        if np.issubdtype(variable.dtype, np.signedinteger):
            encoding[name] = {"fill_value": -1}
        elif np.issubdtype(variable.dtype, np.floating):
            encoding[name] = {"fill_value": np.nan}
        elif variable.dtype.kind == "U":
            dataset = dataset.assign_coords({name: variable.astype("O")})
    with warnings.catch_warnings():
        # One file of metadata opens without a warning; writing it is what zarr warns of.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        dataset.to_zarr(path, encoding=encoding, zarr_format=3, consolidated=True)


def _read_zarr(path: Path) -> tuple[dict[str, Variable], dict[str, Variable]]:
    import xarray

    with xarray.open_zarr(path, chunks=None, mask_and_scale=False) as dataset:

        def tables(items: Any) -> dict[str, Variable]:
            return {
                str(name): Variable(tuple(map(str, item.dims)), item.values)
                for name, item in items.items()
            }

        return tables(dataset.data_vars), tables(dataset.coords)


def _join(left: Records, right: Records) -> Records:
    if left.variables.keys() != right.variables.keys():
        names = sorted(left.variables.keys() ^ right.variables.keys())
        raise ValueError(f"parts differ in their variables {names}; join runs of the same metrics")
    if left.config.get("chain") != right.config.get("chain"):
        raise ValueError("parts differ in their chain; join runs of the same chain")
    if "chain" not in left.coordinates or "chain" not in right.coordinates:
        raise ValueError("parts are reduced over chains; run all chains in one call of simulate")
    same_generations = np.array_equal(left["generation"], right["generation"])
    same_chains = np.array_equal(left["chain"], right["chain"])
    if same_generations and np.intersect1d(left["chain"], right["chain"]).size == 0:
        return _along("chain", left, right, None, left.expected)
    if same_chains and left["generation"][-1] < right["generation"][0]:

        def expected() -> dict[str, Variable]:
            return {
                name: _concatenate("generation", curve, right.theory[name])
                for name, curve in left.theory.items()
                if name in right.theory
            }

        return _along("generation", left, right, right.state, expected)
    raise ValueError(
        "parts overlap: they must have the same generations and different chains, or the same "
        "chains and later generations; use first_chain= or state="
    )


def _concatenate(dim: str, one: Variable, other: Variable) -> Variable:
    """Both along a dimension; the second where they do not have it."""
    if dim not in one.dims:
        return other
    axis = one.dims.index(dim)
    return Variable(one.dims, np.concatenate([one.values, other.values], axis), one.attributes)


def _along(
    dim: str,
    left: Records,
    right: Records,
    state: RunState | None,
    expected: dict[str, Variable] | Callable[[], dict[str, Variable]],
) -> Records:
    names = left.variables.keys()
    config = dict(left.config)
    if dim == "chain":
        config["num_chains"] = left.config["num_chains"] + right.config["num_chains"]
    else:
        config["num_generations"] = right.config["num_generations"]
    return Records(
        {name: _concatenate(dim, left.variables[name], right.variables[name]) for name in names},
        {
            name: _concatenate(dim, coordinate, right.coordinates[name])
            for name, coordinate in left.coordinates.items()
        },
        config,
        left.provenance,
        state,
        expected,
    )

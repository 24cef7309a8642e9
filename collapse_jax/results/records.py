"""What a run measured: named arrays with coordinates, where they come from, how to go on."""

import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from collapse_jax.results import saved
from collapse_jax.results.run_state import RunState, StateFile
from collapse_jax.results.variable import Variable
from collapse_jax.store.directory import is_run, save
from collapse_jax.store.files import Content


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
      missing: ids (first, last) of chains that a run on disk has not finished.

    >>> import tempfile
    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> records = cj.simulate(chain, key=0, num_chains=64, num_generations=20)
    >>> records["log_std"].shape, records["generation"][-1].tolist()
    ((21, 64), 20)
    >>> records.theory["log_std"].values[-1].round(4).tolist()
    -0.1064
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = records.save(f"{folder}/run")
    ...     again = cj.Records.load(path)
    ...     bool((again["log_std"] == records["log_std"]).all())
    True
    """

    variables: Mapping[str, Variable]
    coordinates: Mapping[str, Variable]
    config: dict[str, Any]
    provenance: dict[str, Any]
    state: RunState | None = None
    expected: Mapping[str, Variable] | Callable[[], Mapping[str, Variable]] = dataclasses.field(
        default_factory=dict
    )
    missing: tuple[tuple[int, int], ...] = ()

    def __getitem__(self, name: str) -> np.ndarray:
        """The values of a variable or coordinate."""
        for table in (self.variables, self.coordinates):
            if name in table:
                return table[name].values
        known = ", ".join([*self.variables, *self.coordinates])
        raise KeyError(f"no variable {name!r}; there are {known}")

    @functools.cached_property
    def theory(self) -> Mapping[str, Variable]:
        """Exact expectations by name of variable, as far as they are known.

        NAME_variance is the variance of NAME over chains; in one dimension "variance" is
        E sigma^2. dims ("generation", ...) without "chain". Empty if nothing is known.
        """
        return self.expected() if callable(self.expected) else self.expected

    @functools.cached_property
    def dataset(self) -> Any:
        """An ``xarray.Dataset``; config and provenance are JSON in its attributes.

        Of a run on disk it is lazy: values are read as they are used.
        """
        import xarray

        if isinstance(self.variables, saved.StoredTable):
            return xarray.open_zarr(self.variables.path, chunks=None, mask_and_scale=False)
        attributes = {
            "config": json.dumps(self.config),
            "provenance": json.dumps(self.provenance),
        }
        variables, coordinates = (
            {name: (one.dims, one.values, one.attributes) for name, one in table.items()}
            for table in (self.variables, self.coordinates)
        )
        return xarray.Dataset(variables, coordinates, attributes)

    def save(
        self, path: str | Path, *, overwrite: bool = False, preserve: Collection[str] = ()
    ) -> Path:
        """Write a run directory: config.json, provenance.json, records.zarr, state/, ...

        It is there whole or not at all, and a journal has the checksum of every file.
        ``xarray.open_zarr(path / "records.zarr")`` reads the records.

        Args:
          path: the directory to make.
          overwrite: whether to replace a run directory of that name.
          preserve: names of files and directories in it that stay.

        Returns:
          `path`.

        Raises:
          ValueError: if something is at `path` and is not to be replaced.
        """
        path = Path(path)
        if path.exists():
            _check_replaceable(path, overwrite, preserve)
        save(path, self._contents, replace=overwrite, preserve=preserve)
        return path

    def _contents(self) -> dict[str, Content]:
        """The files of a run directory."""
        variables, coordinates = map(saved.arrays, (self.variables, self.coordinates))
        contents = saved.frame(self.config, self.provenance, variables, coordinates)
        contents |= saved.theory_files(self.theory, self.coordinates)
        if self.state is not None:
            content = self.state.contents()
            pattern = StateFile.pattern(0, self.state.generation)
            contents[pattern.format(crc=content.entry.crc)] = content
        return contents

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a run directory, also of a run that goes on; every file is checked first.

        Variables are read from disk when they are first asked for.

        Raises:
          ValueError: if `path` is no run directory or a file of it is damaged, naming it.
        """
        path = Path(path)
        if not is_run(path):
            raise ValueError(
                f"path={str(path)!r} is not allowed: it is no run directory (config.json and "
                "records.zarr are missing); pass what Records.save or `collapse run --out` made"
            )
        return cls(**saved.read(path)._asdict())

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


class IncompleteError(ValueError):
    """A run of several processes of which some have not made their chains."""


def check_complete(parts: Sequence[Records]) -> None:
    """Refuse runs with missing chains.

    Raises:
      IncompleteError: naming the chains.
    """
    for part in parts:
        if part.missing:
            listed = ", ".join(f"{first} to {last}" for first, last in part.missing)
            raise IncompleteError(f"chains {listed} are missing; `collapse resume` makes them")


def _check_replaceable(path: Path, overwrite: bool, preserve: Collection[str]) -> None:
    """Refuse to replace what is no run, or is not to be replaced.

    Raises:
      ValueError: naming the path.
    """
    if not overwrite:
        raise ValueError(
            f"path={str(path)!r} is not allowed: it exists; pass another path or overwrite=True"
        )
    others = path.is_dir() and {one.name for one in path.iterdir()} - set(preserve)
    if not is_run(path) and (not path.is_dir() or others):
        raise ValueError(
            f"path={str(path)!r} is not allowed: it is no run directory and will not be "
            "replaced; pass another path"
        )


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
    expected: Mapping[str, Variable] | Callable[[], Mapping[str, Variable]],
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

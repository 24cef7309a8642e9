"""Define `Records`: a labelled dataset, its theory, its provenance, and the state of the run."""

import dataclasses
import functools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from collapse_jax.config import names_successors
from collapse_jax.results import saved
from collapse_jax.results.run_state import RunState, StateFile
from collapse_jax.results.summary import html_of, text_of
from collapse_jax.store.archive import is_archive
from collapse_jax.store.directory import check_removable, is_run, save
from collapse_jax.store.files import Content, damaged
from collapse_jax.utils import check, memory
from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.paths import user_path

if TYPE_CHECKING:
    import xarray

Table = Mapping[str, tuple[tuple[str, ...], Any, Mapping[str, Any]]]
"""Dims, values and attributes of variables by name, in the form of `xarray.Dataset`."""


def dataset_of(variables: Table, coordinates: Table) -> "xarray.Dataset":
    """Return a dataset without copying any values.

    Args:
      variables: dims, values and attributes by name.
      coordinates: dims, values and attributes by name.
    """
    import xarray

    return xarray.Dataset(dict(variables), dict(coordinates))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Records:
    """The result of `simulate`: one ``xarray.Dataset`` with its provenance.

    ``records["log_std"]`` is a NumPy array, ``records.dataset`` the dataset with dims
    ("generation", "chain", ...), units and long names, ``records.plot()`` the family's figure.

    Args:
      source: the dataset, or a function that makes the dataset on first use.
      config: the chain and the arguments of the run, as JSON-able values.
      provenance: versions, dtype, device, key, time, git commit.
      state: the final chains, from which `simulate` resumes the run.
      expected: exact expectations as a dataset, a function that computes them, or None.
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

    source: Any
    config: dict[str, Any]
    provenance: dict[str, Any]
    state: RunState | None = None
    expected: Any = None
    missing: tuple[tuple[int, int], ...] = ()

    @functools.cached_property
    def dataset(self) -> "xarray.Dataset":
        """Return variables and coordinates, with config and provenance as JSON in the attributes.

        Values of a run on disk are read on use.
        """
        dataset: Any = self.source() if callable(self.source) else self.source
        for name in ("config", "provenance"):
            dataset.attrs[name] = json.dumps(getattr(self, name))
        return dataset

    @functools.cached_property
    def theory(self) -> "xarray.Dataset":
        """Return exact expectations by name of variable, as far as they are known.

        NAME_variance is the variance of NAME over chains; in one dimension "variance" is
        E sigma^2. Dims are ("generation", ...) without "chain". Empty if none is known.
        """
        found: Any = self.expected() if callable(self.expected) else self.expected
        return dataset_of({}, {}) if found is None else found

    @property
    def variables(self) -> Mapping[str, Any]:
        """Return the data variables of the dataset, ``xarray.DataArray`` by name."""
        return self.dataset.data_vars  # pyright: ignore

    @property
    def coordinates(self) -> Mapping[str, Any]:
        """Return the coordinates of the dataset, ``xarray.DataArray`` by name.

        "generation", "chain", "first_event" (generation of absorption or of status > 0, -1 if
        none; along "chain"), "quantile", "code", "state".
        """
        return self.dataset.coords  # pyright: ignore

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the values of a variable or coordinate.

        Raises:
          KeyError: if there is none of this name.
          StoreError: if the file of the values is damaged.
        """
        if name not in self.dataset.variables:
            known = ", ".join(map(str, self.dataset.variables))
            raise KeyError(f"no variable {name!r}; there are {known}")
        try:
            return self.dataset[name].values
        except (ValueError, OSError) as error:
            reason = f"it cannot be read ({' '.join(str(error).split())[:100]})"
            path = self.dataset.encoding.get("source", "records")
            raise damaged(Path(path) / name, reason, "load the run again") from error

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a variable or coordinate of this name."""
        return name in self.dataset.variables

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the data variables, as over those of ``records.dataset``."""
        return iter(map(str, self.variables))

    def __len__(self) -> int:
        """Return the number of data variables."""
        return len(self.variables)

    def __bool__(self) -> bool:
        """Return True: records of a run without variables are records, too."""
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value, also records on disk, which the reader may not see.

        Raises:
          ArgumentError: if the values do not fit in memory.
        """
        size = self.dataset.nbytes
        if size > memory.available():
            raise ArgumentError(
                f"records of {size / 2**30:.1f} GiB cannot be pickled, they need more memory than "
                "there is; pass the path of their run directory and use Records.load"
            )
        dataset, theory = self.dataset.compute(), self.theory.compute()
        fields = (dataset, self.config, self.provenance, self.state, theory, self.missing)
        return type(self), fields

    def __copy__(self) -> Self:
        """Return records that share all values with these."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __repr__(self) -> str:
        """Return a summary of the run and its variables."""
        return text_of(self)

    def _repr_html_(self) -> str:
        """Return the summary for a notebook."""
        return html_of(self)

    @property
    def plot(self) -> Any:
        """Return a callable that draws the family's own figure, ``records.plot()``."""
        from collapse_jax.plots.records import RecordsPlot

        return RecordsPlot(self.dataset, self.theory)

    def to_netcdf(self, path: str | Path) -> Path:
        """Write the dataset as a NetCDF file that ``xarray.open_dataset`` reads.

        Without the packages netCDF4 and h5netcdf the file has version 3, which has no integers of
        more than 32 bits: those are then written as the float64 numbers that are equal to them.

        Args:
          path: the file.

        Returns:
          `path`.

        Raises:
          ArgumentError: for integers that version 3 cannot hold exactly.
        """
        path = user_path(path)
        self.dataset.to_netcdf(path, encoding=netcdf_encoding(self.dataset))
        return path

    @names_successors("Records.save", {"keep": "preserve"})
    def save(
        self, path: str | Path, *, overwrite: bool = False, preserve: Collection[str] = ()
    ) -> Path:
        """Write a run directory: config.json, provenance.json, records.zarr, state/, ...

        The directory exists as a whole or not at all; a journal has the checksum of every file.
        ``xarray.open_zarr(path / "records.zarr")`` reads the records.

        Args:
          path: the directory to make.
          overwrite: whether to replace a run directory of that name.
          preserve: names of files and directories within `path` that are not removed.

        Returns:
          `path`.

        Raises:
          ArgumentError: if `path` exists and is not to be replaced.
        """
        path = user_path(path)
        if path.exists():
            _check_replaceable(path, overwrite, preserve)
        save(path, self._contents, replace=overwrite, preserve=preserve)
        return path

    def _contents(self) -> dict[str, Content]:
        """Return the files of a run directory."""
        variables, coordinates = map(saved.arrays, (self.variables, self.coordinates))
        contents = saved.run_files(self.config, self.provenance, variables, coordinates)
        contents |= saved.theory_files(self.theory)
        if self.state is not None:
            content = self.state.contents()
            pattern = StateFile.pattern(0, self.state.generation)
            contents[pattern.format(crc=content.entry.crc)] = content
        return contents

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Check all files of a run and read it, also if the run has not ended.

        Variables are read from disk on first use.

        Args:
          path: the run directory, or the archive that `collapse pack` made of it.

        Raises:
          ArgumentError: if `path` is neither.
          StoreError: if a file is damaged; the message names the file.
        """
        path = user_path(path)
        if path.is_file() and not is_archive(path):
            raise ArgumentError(
                f"path={str(path)!r} is not allowed: it is a file and no archive of "
                "`collapse pack`; pass such an archive or a run directory"
            )
        if not path.is_file() and not is_run(path):
            raise ArgumentError(
                f"path={str(path)!r} is not allowed: it is not a run directory (config.json and "
                "records.zarr are missing); pass the path of Records.save or `collapse run --out`"
            )
        return cls(**saved.read(path)._asdict())

    @classmethod
    def concatenate(cls, parts: Sequence["Records"]) -> "Records":
        """Join runs of the same chain into one result.

        Runs with the same generations and different chains are joined along "chain",
        runs with the same chains, the same key and the next generations along "generation".

        Args:
          parts: the runs, in the order in which they are joined.

        Raises:
          ArgumentError: if parts differ in other respects, leave out generations, or are reduced
            over chains.
        """
        allowed, remedy = "it must be a sequence of Records", "pass [first, second]"
        if isinstance(parts, (cls, str)) or not np.iterable(parts):
            raise check.fail("parts", check.Shown(type(parts).__name__), allowed, remedy)
        for index, part in enumerate(parts):
            if not isinstance(part, cls):
                shown = check.Shown(type(part).__name__)
                raise check.fail(f"parts[{index}]", shown, "it must be Records", remedy)
        if not parts:
            raise ArgumentError("parts=[] is not allowed: there is nothing to join; pass Records")
        return functools.reduce(_join, parts)


class IncompleteError(ArgumentError):
    """A run with chains that other processes have not made yet."""


def check_complete(parts: Sequence[Records]) -> None:
    """Refuse runs with missing chains.

    Args:
      parts: the runs.

    Raises:
      IncompleteError: if chains are missing; the message names them.
    """
    for part in parts:
        if part.missing:
            listed = chains_in_words(part.missing)
            verb = "are" if listed.startswith("chains") else "is"
            raise IncompleteError(f"{listed} {verb} missing; run `collapse resume`")


def chains_in_words(ranges: Sequence[tuple[int, int]]) -> str:
    """List chains in words.

    Args:
      ranges: ids (first, last), at least one pair.

    >>> chains_in_words([(3, 3)]), chains_in_words([(0, 1), (4, 4)])
    ('chain 3', 'chains 0 to 1, 4')
    """
    listed = [f"{low}" if low == high else f"{low} to {high}" for low, high in ranges]
    is_one = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    return f"{'chain' if is_one else 'chains'} {', '.join(listed)}"


def _check_replaceable(path: Path, overwrite: bool, preserve: Collection[str]) -> None:
    """Refuse to replace files that are no run, and to replace a run without `overwrite`."""
    if not overwrite:
        raise ArgumentError(
            f"path={str(path)!r} is not allowed: it exists; pass another path or overwrite=True"
        )
    if not path.is_dir() or {one.name for one in path.iterdir()} - set(preserve):
        check_removable(path)


def _join(left: Records, right: Records) -> Records:
    """Join two runs along the dimension in which they differ."""
    if left.variables.keys() != right.variables.keys():
        names = sorted(map(str, left.variables.keys() ^ right.variables.keys()))
        raise ArgumentError(
            f"parts differ in their variables {names}; join runs of the same metrics"
        )
    if left.config.get("chain") != right.config.get("chain"):
        raise ArgumentError("parts differ in their chain; join runs of the same chain")
    if "chain" not in left.coordinates or "chain" not in right.coordinates:
        raise ArgumentError("parts are reduced over chains; run all chains in one call of simulate")
    same_generations = np.array_equal(left["generation"], right["generation"])
    same_chains = np.array_equal(left["chain"], right["chain"])
    if same_generations and np.intersect1d(left["chain"], right["chain"]).size == 0:
        return _along("chain", left, right)
    if same_chains and left["generation"][-1] < right["generation"][0]:
        _check_next(left, right)
        return _along("generation", left, right)
    raise ArgumentError(
        "parts overlap: they must have the same generations and different chains, or the same "
        "chains and later generations; use first_chain= or state="
    )


def _check_next(left: Records, right: Records) -> None:
    """Refuse a run that does not resume where the other ends."""
    last, first = int(left["generation"][-1]), int(right["generation"][0])
    every = right.config.get("every", 1)
    if first - last > every:
        raise ArgumentError(
            f"parts leave out generations {last + 1} to {first - 1}: one ends with {last} and "
            f"the next records every={every} from {first} on; resume a run with state=records.state"
        )
    if left.provenance.get("key") != right.provenance.get("key"):
        raise ArgumentError(
            f"parts differ in their key: {left.provenance.get('key')} and "
            f"{right.provenance.get('key')}; join generations of the same run"
        )


def _along(dim: str, left: Records, right: Records) -> Records:
    """Join two runs along a dimension; later generations have the later state."""
    config = dict(left.config)
    number = "num_chains" if dim == "chain" else "num_generations"
    config[number] = right.config[number]
    expected, state = left.expected, None
    if dim == "chain":
        config[number] += left.config[number]
    else:
        expected = functools.partial(_later_theory, left, right)
        state = right.state
    source = concat_datasets([left.dataset, right.dataset], dim)
    return Records(source, config, left.provenance, state, expected)


def _later_theory(left: Records, right: Records) -> "xarray.Dataset":
    names = [name for name in left.theory.data_vars if name in right.theory]
    return concat_datasets([left.theory[names], right.theory[names]], "generation")


_EXACT = 2**53  # below it every integer is a float64


def netcdf_encoding(dataset: "xarray.Dataset") -> dict[Any, dict[str, str]]:
    """Return the encoding with which a NetCDF file has the values of a dataset.

    Args:
      dataset: the dataset.

    Returns:
      By name of variable or coordinate: float64 for integers that the NetCDF format 3 lacks;
      empty if a package for format 4 is installed.

    Raises:
      ArgumentError: for integers of which float64 is not exact.
    """
    from xarray.backends import list_engines

    if {"netcdf4", "h5netcdf"} & list_engines().keys():
        return {}
    encoding = {}
    for name, one in dataset.variables.items():
        if one.dtype.kind not in "iu" or one.dtype.itemsize < 4 or one.size == 0:
            continue
        low, high = int(one.min()), int(one.max())
        if low >= -(2**31) and high < 2**31:
            continue
        if max(-low, high) > _EXACT:
            raise ArgumentError(
                f"variable {name!r} is not allowed: it has integers beyond 2^53, which NetCDF 3 "
                "cannot hold; install netCDF4 or h5netcdf, or use Records.save"
            )
        encoding[name] = {"dtype": "float64"}
    return encoding


def concat_datasets(parts: Sequence["xarray.Dataset"], dim: Any) -> "xarray.Dataset":
    """Join datasets along an existing dimension, or along a new one, which becomes the first.

    Along an existing dimension, the last part gives the variables without this dimension.

    Args:
      parts: datasets with the same variables.
      dim: a name, or a ``pandas.Index`` with a value for each part.
    """
    import xarray

    is_old = isinstance(dim, str) and dim in parts[0].dims
    joined = xarray.concat(
        list(parts),
        dim,
        data_vars="minimal" if is_old else "all",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    for name, one in joined.data_vars.items():  # see `engine.metadata.attributes_of`
        if any(part[name].attrs.get("location") != one.attrs.get("location") for part in parts):
            one.attrs.pop("location", None)
    if is_old:
        last = parts[-1].variables
        joined = joined.assign(
            {name: last[name] for name in joined.data_vars if dim not in joined[name].dims}
        )
        joined = joined.assign_coords(
            {name: last[name] for name in joined.coords if dim not in joined[name].dims}
        )
    return joined

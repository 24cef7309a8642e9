"""Write and read the contents of a run directory: names, arrays and numbers."""

import dataclasses
import functools
import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.results.run_state import RunState, StateFile
from collapse_jax.store import archive
from collapse_jax.store.arrays import Array, group_files
from collapse_jax.store.directory import RECORDS, THEORY, is_begun, is_run, verify
from collapse_jax.store.files import Content, StoreError, content_of
from collapse_jax.store.journal import Ledger


class Layout(NamedTuple):
    """The cut of a run into files.

    Attributes:
      chain_batch: chains of a batch, each of which has its own files.
      records: recorded generations of a file.
    """

    chain_batch: int
    records: int


class Parts(NamedTuple):
    """The fields of `Records`."""

    source: Any
    config: dict[str, Any]
    provenance: dict[str, Any]
    state: RunState | None
    expected: Any
    missing: tuple[tuple[int, int], ...]


def arrays(table: Mapping[Any, Any]) -> dict[str, Array]:
    """Return data arrays of a dataset as arrays to write.

    Args:
      table: data variables or coordinates, ``xarray.DataArray`` by name.
    """
    return {
        str(name): Array.of(tuple(map(str, one.dims)), _writable(one.values), one.attrs)
        for name, one in table.items()
    }


def _writable(values: Any) -> np.ndarray:
    """Return texts as NumPy strings of one width, and other values unchanged."""
    values = np.asarray(values)
    return np.array(values.tolist()) if values.dtype.kind in "OT" else values


def run_files(
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    variables: Mapping[str, Array],
    coordinates: Mapping[str, Array],
    *,
    is_part: bool = False,
) -> dict[str, Content]:
    """Return the files config.json, provenance.json and records.zarr.

    Args:
      config: settings of the run, as JSON-able values.
      provenance: versions, dtype, device, key, time, git commit.
      variables: arrays of records, with their values or without.
      coordinates: arrays of coordinates, with their values or without.
      is_part: whether the run is part of a study.

    Returns:
      Contents by name of the file.
    """
    told = {"config": config, "provenance": provenance}
    texts = {f"{name}.json": json.dumps(one, indent=1) + "\n" for name, one in told.items()}
    attributes = {name: json.dumps(one) for name, one in told.items()}
    both = {**variables, **coordinates}
    records = group_files(RECORDS, both, list(coordinates), attributes, is_consolidated=is_part)
    return {name: content_of([text.encode()]) for name, text in texts.items()} | records


def theory_files(theory: Any) -> dict[str, Content]:
    """Return the files of theory.zarr, none without expectations.

    Args:
      theory: a dataset of expectations.

    Returns:
      Contents by name of the file.
    """
    if not theory.data_vars:
        return {}
    coordinates = arrays(theory.coords)
    return group_files(THEORY, arrays(theory.data_vars) | coordinates, list(coordinates))


def open_dataset(path: Any) -> Any:
    """Return the dataset of a group on disk, with values that are read on use.

    Args:
      path: the directory of the group, or another store of zarr.
    """
    import xarray

    dataset = xarray.open_zarr(path, chunks=None, mask_and_scale=False, decode_times=False)
    texts = {name: one for name, one in dataset.coords.items() if one.dtype.kind in "OT"}
    # zarr reads texts as StringDType; records in memory have plain NumPy strings.
    plain = {name: (one.dims, np.array(one.values.tolist())) for name, one in texts.items()}
    return dataset.assign_coords(plain)


def read(path: Path) -> Parts:
    """Check a run against its journal, and read it.

    Args:
      path: the run directory, or the archive of a run.

    Raises:
      StoreError: if a file has changed; the message names the file.
    """
    return _read_archive(path) if path.is_file() else read_parts(path, verify(path))


def read_parts(path: Path, ledger: Ledger) -> Parts:
    """Read a run directory that has been checked.

    Args:
      path: the run directory.
      ledger: the contents of its journal.
    """
    config, provenance = _settings(ledger, path)
    source = functools.partial(open_dataset, path / RECORDS)
    has_theory = (path / THEORY).is_dir()
    theory = functools.partial(open_dataset, path / THEORY) if has_theory else None
    last = last_states(ledger.files).values()
    has_state = ledger.is_finished and last
    state = _state(path, last, config) if has_state else None
    missing = missing_chains(ledger, config)
    return Parts(source, config, provenance, state, theory, missing)


def _state(path: Any, files: Iterable[StateFile], config: Mapping[str, Any]) -> RunState:
    """Read the chains of a run in a directory or an archive, with the settings of the run."""
    state = RunState.load([path / one.name for one in files])
    settings = {name: config.get(name) for name in ("chain", "metrics")}
    return dataclasses.replace(state, **settings)


def _settings(ledger: Ledger, path: Path | zipfile.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read config and provenance of a run, with the seconds that its journal has."""
    config = json.loads((path / "config.json").read_text())
    provenance = json.loads((path / "provenance.json").read_text())
    for name in ("compile_seconds", "run_seconds"):
        spent = [event[name] for event in ledger.events if name in event]
        provenance |= {name: sum(spent)} if spent else {}
    return config, provenance


def _read_archive(path: Path) -> Parts:
    """Check the archive of a run against its journal, and read it.

    Raises:
      StoreError: if the archive is damaged.
    """
    ledger = archive.verify(path)
    files = zipfile.Path(path, archive.FILES)
    config, provenance = _settings(ledger, files)
    states = last_states(ledger.files).values()
    state = _state(files, states, config) if states else None
    theory = functools.partial(_archived_theory, path)
    has_theory = any(name.startswith(f"{THEORY}/") for name in ledger.files)
    source = functools.partial(_open_archive, path)
    return Parts(source, config, provenance, state, theory if has_theory else None, ())


def _open_archive(path: Path) -> Any:
    """Return the dataset of an archive, with values that are read on use."""
    from zarr.storage import ZipStore

    return open_dataset(ZipStore(path, mode="r"))


def _archived_theory(path: Path) -> Any:
    """Return the theory of an archive, which is small, in memory."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as file:
        prefix = f"{archive.FILES}{THEORY}/"
        file.extractall(folder, [name for name in file.namelist() if name.startswith(prefix)])
        return open_dataset(Path(folder) / prefix).load()


def layout_of(ledger: Ledger) -> Layout | None:
    """Return the layout of a run; None if the run was saved in one piece.

    Args:
      ledger: the contents of the run's journal.
    """
    found = [event["layout"] for event in ledger.events if "layout" in event]
    return Layout(*found[-1]) if found else None


def layout_at(path: Path) -> Layout | None:
    """Return the layout of the run at `path`; None if there is no run yet.

    Args:
      path: the run directory.

    Raises:
      StoreError: if `path` holds files that are no run, or a run saved in one piece.
    """
    if not is_begun(path):
        return None
    layout = layout_of(Ledger.read(path))
    if layout is None:
        raise StoreError(
            f"store={str(path)!r} is not allowed: it was saved in one piece; pass another path"
        )
    return layout


def is_stored(path: Path) -> bool:
    """Tell whether `path` holds a run that was written while it was made.

    Args:
      path: a run directory.
    """
    return is_run(path) and layout_of(Ledger.read(path)) is not None


def last_states(files: Iterable[str]) -> dict[int, StateFile]:
    """Return the latest state of every batch that has a state, by number of the batch.

    Args:
      files: relative names of the files of a run.
    """
    found = sorted(filter(None, map(StateFile.parse, files)))
    return {one.batch: one for one in found}


def missing_chains(ledger: Ledger, config: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """Return first and last id of every range of unfinished chains.

    Args:
      ledger: the contents of the run's journal.
      config: the settings of the run.
    """
    layout = layout_of(ledger)
    if layout is None or ledger.is_finished:
        return ()
    states, last = last_states(ledger.files), config["num_generations"]
    ranges: list[tuple[int, int]] = []
    for batch, begin in enumerate(range(0, config["num_chains"], layout.chain_batch)):
        if batch in states and states[batch].generation == last:
            continue
        low = config["first_chain"] + begin
        high = min(low + layout.chain_batch, config["first_chain"] + config["num_chains"]) - 1
        joins = bool(ranges) and ranges[-1][1] == low - 1
        ranges[-1:] = [(ranges[-1][0], high)] if joins else [*ranges[-1:], (low, high)]
    return tuple(ranges)

"""Write and read what a run directory holds: names, arrays and numbers."""

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.results.run_state import RunState, StateFile
from collapse_jax.store.arrays import Array, group_files
from collapse_jax.store.directory import RECORDS, THEORY, is_begun, is_run, verify
from collapse_jax.store.files import Content, StoreError, content_of
from collapse_jax.store.journal import Ledger


class Layout(NamedTuple):
    """How a run is cut into files: chains of a batch, and records of a file."""

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
    """Return data arrays of a dataset as arrays to write."""
    return {
        str(name): Array.of(tuple(map(str, one.dims)), _writable(one.values), one.attrs)
        for name, one in table.items()
    }


def _writable(values: Any) -> np.ndarray:
    """Return texts with one width, as NumPy holds them, and anything else unchanged."""
    values = np.asarray(values)
    return np.array(values.tolist()) if values.dtype.kind in "OT" else values


def run_files(
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    variables: Mapping[str, Array],
    coordinates: Mapping[str, Array],
) -> dict[str, Content]:
    """Return config.json, provenance.json and records.zarr, with the values that are known."""
    both = {"config": config, "provenance": provenance}
    texts = {f"{name}.json": json.dumps(one, indent=1) + "\n" for name, one in both.items()}
    attributes = {name: json.dumps(one) for name, one in both.items()}
    records = group_files(RECORDS, {**variables, **coordinates}, list(coordinates), attributes)
    return {name: content_of([text.encode()]) for name, text in texts.items()} | records


def theory_files(theory: Any) -> dict[str, Content]:
    """Return theory.zarr, if anything is known.

    Args:
      theory: a dataset of expectations.
    """
    if not theory.data_vars:
        return {}
    coordinates = arrays(theory.coords)
    return group_files(THEORY, arrays(theory.data_vars) | coordinates, list(coordinates))


def open_dataset(path: Path) -> Any:
    """Return the dataset of a group on disk, whose values are read when they are used."""
    import xarray

    dataset = xarray.open_zarr(path, chunks=None, mask_and_scale=False, decode_times=False)
    texts = {name: one for name, one in dataset.coords.items() if one.dtype.kind in "OT"}
    # StringDType, as zarr reads it, to NumPy's own.
    plain = {name: (one.dims, np.array(one.values.tolist())) for name, one in texts.items()}
    return dataset.assign_coords(plain)


def read(path: Path) -> Parts:
    """Read everything in a run directory, checked against its journal.

    Raises:
      StoreError: naming the file that is not as it was left.
    """
    return read_parts(path, verify(path))


def read_parts(path: Path, ledger: Ledger) -> Parts:
    """Read a run directory that is known to be whole."""
    config = json.loads((path / "config.json").read_text())
    provenance = json.loads((path / "provenance.json").read_text())
    for name in ("compile_seconds", "run_seconds"):
        spent = [event[name] for event in ledger.events if name in event]
        provenance |= {name: sum(spent)} if spent else {}
    source = functools.partial(open_dataset, path / RECORDS)
    has_theory = (path / THEORY).is_dir()
    theory = functools.partial(open_dataset, path / THEORY) if has_theory else None
    last = last_states(ledger.files).values()
    has_state = ledger.is_finished and last
    state = RunState.load([path / one.name for one in last]) if has_state else None
    missing = missing_chains(ledger, config)
    return Parts(source, config, provenance, state, theory, missing)


def layout_of(ledger: Ledger) -> Layout | None:
    """Return how a run is cut into files; None if it was saved in one piece."""
    found = [event["layout"] for event in ledger.events if "layout" in event]
    return Layout(*found[-1]) if found else None


def layout_at(path: Path) -> Layout | None:
    """Return the layout of the run at `path`; None if there is none yet.

    Raises:
      StoreError: if something else is there.
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
    """Tell whether a run was written to `path` while it was made."""
    return is_run(path) and layout_of(Ledger.read(path)) is not None


def last_states(files: Iterable[str]) -> dict[int, StateFile]:
    """Return the latest state of every batch that has one, among the files of a run."""
    found = sorted(filter(None, map(StateFile.parse, files)))
    return {one.batch: one for one in found}


def missing_chains(ledger: Ledger, config: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """Return first and last id of every range of chains that is not finished."""
    layout = layout_of(ledger)
    if layout is None or ledger.is_finished:
        return ()
    states, last = last_states(ledger.files), config["num_generations"]
    ranges: list[tuple[int, int]] = []
    for batch, begin in enumerate(range(0, config["num_chains"], layout.chain_batch)):
        if batch in states and states[batch].generation == last:
            continue
        first = config["first_chain"] + begin
        end = min(first + layout.chain_batch, config["first_chain"] + config["num_chains"]) - 1
        joins = bool(ranges) and ranges[-1][1] == first - 1
        ranges[-1:] = [(ranges[-1][0], end)] if joins else [*ranges[-1:], (first, end)]
    return tuple(ranges)

"""What lies in a run directory, and the way back to names, arrays and numbers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.results.run_state import RunState, StateFile
from collapse_jax.results.variable import Variable
from collapse_jax.store.arrays import Array, array_names, group_files, read_array
from collapse_jax.store.directory import RECORDS, THEORY, is_begun, is_run, verify
from collapse_jax.store.files import Content, StoreError, content_of, damaged
from collapse_jax.store.journal import Ledger


class StoredTable(Mapping[str, Variable]):
    """Variables of a group on disk, read when they are first asked for."""

    def __init__(self, path: Path, dims: Mapping[str, tuple[str, ...]]) -> None:
        self.path = path
        self._dims = dims
        self._read: dict[str, Variable] = {}

    def __getitem__(self, name: str) -> Variable:
        if name not in self._read:
            dims = self._dims[name]
            try:
                values = read_array(self.path, name)
            except ValueError as error:
                reason = f"it cannot be read ({' '.join(str(error).split())[:100]})"
                raise damaged(self.path / name, reason, "load the run again") from error
            self._read[name] = Variable(dims, values)
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._dims

    def __iter__(self) -> Iterator[str]:
        return iter(self._dims)

    def __len__(self) -> int:
        return len(self._dims)


class Layout(NamedTuple):
    """How a run is cut into files: chains of a batch, and records of a file."""

    chain_batch: int
    records: int


class Parts(NamedTuple):
    """The fields of `Records`."""

    variables: Mapping[str, Variable]
    coordinates: Mapping[str, Variable]
    config: dict[str, Any]
    provenance: dict[str, Any]
    state: RunState | None
    expected: Mapping[str, Variable]
    missing: tuple[tuple[int, int], ...]


def arrays(table: Mapping[str, Variable]) -> dict[str, Array]:
    """Variables as arrays to be written."""
    return {name: Array.of(one.dims, np.asarray(one.values)) for name, one in table.items()}


def frame(
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    variables: Mapping[str, Array],
    coordinates: Mapping[str, Array],
) -> dict[str, Content]:
    """config.json, provenance.json and records.zarr, with the values that are known."""
    both = {"config": config, "provenance": provenance}
    texts = {f"{name}.json": json.dumps(one, indent=1) + "\n" for name, one in both.items()}
    attributes = {name: json.dumps(one) for name, one in both.items()}
    records = group_files(RECORDS, {**variables, **coordinates}, list(coordinates), attributes)
    return {name: content_of([text.encode()]) for name, text in texts.items()} | records


def theory_files(
    theory: Mapping[str, Variable], coordinates: Mapping[str, Variable]
) -> dict[str, Content]:
    """theory.zarr, if anything is known, with the coordinates it needs."""
    if not theory:
        return {}
    used = {dim for one in theory.values() for dim in one.dims}
    needed = {name: coordinates[name] for name in sorted(used & coordinates.keys())}
    return group_files(THEORY, arrays(theory) | arrays(needed), list(needed))


def read(path: Path) -> Parts:
    """Everything in a run directory, checked against its journal.

    Raises:
      StoreError: naming the file that is not as it was left.
    """
    return read_parts(path, verify(path))


def read_parts(path: Path, ledger: Ledger) -> Parts:
    """The same of a directory that is known to be whole."""
    config = json.loads((path / "config.json").read_text())
    provenance = json.loads((path / "provenance.json").read_text())
    for name in ("compile_seconds", "run_seconds"):
        spent = [event[name] for event in ledger.events if name in event]
        provenance |= {name: sum(spent)} if spent else {}
    variables, coordinates = _tables(path / RECORDS)
    theory = _tables(path / THEORY)[0] if (path / THEORY).is_dir() else {}
    last = last_states(ledger.files).values()
    has_state = ledger.is_finished and last
    state = RunState.load([path / one.name for one in last]) if has_state else None
    missing = missing_chains(ledger, config)
    return Parts(variables, coordinates, config, provenance, state, theory, missing)


def _tables(path: Path) -> tuple[StoredTable, StoredTable]:
    """Variables and coordinates of a group."""
    dims, names = array_names(path)
    variables = {name: one for name, one in dims.items() if name not in names}
    coordinates = {name: one for name, one in dims.items() if name in names}
    return StoredTable(path, variables), StoredTable(path, coordinates)


def layout_of(ledger: Ledger) -> Layout | None:
    """How a run is cut into files; None if it was saved in one piece."""
    found = [event["layout"] for event in ledger.events if "layout" in event]
    return Layout(*found[-1]) if found else None


def layout_at(path: Path) -> Layout | None:
    """The layout of the run at `path`; None if there is none yet.

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
    """Whether a run was kept at `path` while it was made."""
    return is_run(path) and layout_of(Ledger.read(path)) is not None


def last_states(files: Iterable[str]) -> dict[int, StateFile]:
    """The latest state of every batch that has one, among the files of a run."""
    found = sorted(filter(None, map(StateFile.parse, files)))
    return {one.batch: one for one in found}


def missing_chains(ledger: Ledger, config: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """First and last id of every range of chains that is not finished."""
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

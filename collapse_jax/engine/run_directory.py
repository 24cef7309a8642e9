"""Make a run directory, extend it, and check that it holds the requested run."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from collapse_jax.engine.expected import expected_curves
from collapse_jax.engine.metadata import (
    attributes_of,
    config_of,
    coordinates_of,
    event_coordinate,
    provenance_of,
    quantities_of,
    reduced_table,
)
from collapse_jax.engine.program import record_like
from collapse_jax.engine.run_spec import RunSpec
from collapse_jax.results import saved
from collapse_jax.results.reduce import HostRecords
from collapse_jax.results.run_state import RunState, StateFile
from collapse_jax.store.arrays import Array, chunk_name
from collapse_jax.store.directory import RECORDS, THEORY, Writer, unexpected_file, unlisted_files
from collapse_jax.store.files import Content, StoreError
from collapse_jax.utils import instructions
from collapse_jax.utils.counted import counted

_MACHINE = ("key", "dtype", "matmul_precision", "backend", "versions.jax", "versions.jaxlib")
_GROWS = ("num_chains", "num_generations")
_SHOWN = 3  # differences in a message, so that it stays one readable line
_LONGEST = 60  # characters of a value in a message


def build(spec: RunSpec) -> dict[str, Content]:
    """Return the files of config, provenance, and metadata and coordinates of the records.

    Args:
      spec: the run, with a store.

    Returns:
      Contents by name of the file.
    """
    assert spec.store is not None
    config = config_of(spec) | dict(spec.store.notes)
    is_part = spec.store.is_part
    return saved.run_files(config, provenance_of(spec), *_declared(spec), is_part=is_part)


def _declared(spec: RunSpec) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the arrays of records, whose values are written later, and the coordinates."""
    number, known = len(spec.generations), quantities_of(spec)
    if spec.reduce is None:
        table = {
            name: (
                ("generation", "chain", *known[name].dims),
                one,
                attributes_of(known[name], spec.positions.get(name)),
            )
            for name, one in spec.stored_shape.items()
        }
        arrays = {
            name: Array(
                dims,
                (number, spec.num_chains, *one.shape[1:]),
                one.dtype,
                chunk_shape(spec, one.shape[1:]),
                attributes=attributes,
            )
            for name, (dims, one, attributes) in table.items()
        }
    else:
        like, event = host_records_like(spec, slice(0, 1)), np.zeros(1, np.int32)
        table = reduced_table(spec, [like], event, spec.generations[:1])
        arrays = {}
        for name, (dims, values, attributes) in table.items():
            shape = (number, *values.shape[1:])
            arrays[name] = Array(dims, shape, values.dtype, shape, attributes=attributes)
    coordinates = {
        name: Array.of(dims, values, attributes)
        for name, (dims, values, attributes) in coordinates_of(spec, table).items()
    }
    if spec.reduce is None:
        chunk = chunk_shape(spec, ())[1:]
        dims, _, attributes = event_coordinate(np.zeros(0, np.int32))["first_event"]
        shape, dtype = (spec.num_chains,), np.dtype(np.int32)
        coordinates["first_event"] = Array(dims, shape, dtype, chunk, attributes=attributes)
    return arrays, coordinates


_OTHERS = ("config.json", "provenance.json", f"{RECORDS}/zarr.json", "lock", "lock-end")


def count_files(spec: RunSpec) -> int:
    """Count the files of the run directory when the run is complete, for quotas of files.

    While a run writes, a few temporary files come to them, and the unfinished work of families on
    the host; `collapse` adds figures and a page.

    Args:
      spec: the run, with a store.

    Returns:
      Number of files, without directories.
    """
    assert spec.store is not None
    records, coordinates = _declared(spec)
    arrays = [*records.values(), *coordinates.values()]
    number = sum(one.num_chunks for one in arrays) + len(spec.batches()) + len(_OTHERS)
    if not spec.store.is_part:
        theory = expected_curves(spec.chain, quantities_of(spec), spec.generations)
        number += len(arrays) + len(saved.theory_files(theory))  # each has metadata
    processes = spec.store.process[1]  # each has a journal, and a lock if they are several
    return number + processes + (processes if processes > 1 else 0)


def extend(spec: RunSpec, writer: Writer, earlier: dict[str, Any]) -> None:
    """Extend a run directory for more chains or generations.

    The last batch is run again if it gets more chains. Every batch is run again if there are
    so many more chains that batches of the old size would be slow.

    Args:
      spec: the larger run.
      writer: writes the run directory.
      earlier: the stored config.

    Raises:
      StoreError: if more generations would change the chains.
    """
    assert spec.layout is not None
    last = earlier["num_generations"]
    if spec.program.horizon and last != spec.num_generations:
        raise StoreError(
            f"num_generations={spec.num_generations} is not allowed: with "
            f"{type(spec.chain.policy).__name__} a corpus has the slots of "
            f"{counted(last, 'generation')}, and with more slots sums are rounded differently; "
            "use a new directory"
        )
    whole = earlier["num_chains"] // spec.layout.chain_batch
    if earlier["num_chains"] == spec.num_chains:
        whole = len(spec.batches())
    if saved.layout_of(writer.refresh()) != spec.layout:
        whole = 0
    valid = {name for number in range(whole) for name in record_files(spec, number)}
    states = saved.last_states(writer.files)
    valid |= {one.name for number, one in states.items() if number < whole}
    removed = [name for name in writer.files if name not in valid]
    writer.rebuild(build(spec), removed, spec.layout)


def drop_orphans(spec: RunSpec, writer: Writer) -> None:
    """Remove checkpoints of this process that are missing in the journal after a crash.

    Files of records that are missing in the journal stay: the run compares its new files with
    them.

    Args:
      spec: the run.
      writer: writes the run directory.

    Raises:
      StoreError: for a file that no crash of this run can have left.
    """
    ledger, batches = writer.refresh(), spec.batches()
    records = {name for number in range(len(batches)) for name in record_files(spec, number)}
    for name in unlisted_files(writer.path, ledger):
        path, state = writer.path / name, StateFile.parse(name)
        merged = spec.reduce is not None and re.fullmatch(rf"{RECORDS}/\w+/c(\.0)+", name)
        if name in records or name.startswith(f"{THEORY}/") or merged:
            continue
        if state is None or state.batch >= len(batches):
            raise unexpected_file(path)
        if state.batch not in spec.own_batches:
            continue
        found, begin = RunState.read(path), spec.first_chain + batches[state.batch].start
        if (found.key, found.first_chain) != (spec.key, begin):
            raise unexpected_file(path)
        path.unlink()


def chunk_shape(spec: RunSpec, rest: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a file of records.

    Args:
      spec: the run, with a store.
      rest: shape of one value.
    """
    assert spec.layout is not None
    return (spec.layout.records, spec.layout.chain_batch, *rest)


def record_file(variable: str, index: int, number: int, ndim: int) -> str:
    """Return the name of a file of records.

    Args:
      variable: name of the variable.
      index: number of the file along generations.
      number: number of the batch.
      ndim: number of axes, with generation and chain.
    """
    return f"{RECORDS}/{chunk_name(variable, (index, number, *[0] * (ndim - 2)))}"


def event_file(number: int) -> str:
    """Return the name of the file of the first events of a batch.

    Args:
      number: number of the batch.
    """
    return f"{RECORDS}/{chunk_name('first_event', (number,))}"


def record_files(spec: RunSpec, number: int, begin: int = 0) -> list[str]:
    """Return the names of all files of a batch from a record on.

    Args:
      spec: the run, with a store.
      number: number of the batch.
      begin: index of the record.
    """
    if spec.reduce is not None:
        return []
    assert spec.layout is not None
    length = spec.layout.records
    indices = range(begin // length, -(-len(spec.generations) // length))
    shapes = spec.record_shape.items()
    names = [record_file(name, k, number, one.ndim + 1) for name, one in shapes for k in indices]
    return [*names, event_file(number)]


def host_records_like(spec: RunSpec, chains: slice) -> HostRecords:
    """Return zeros in the shapes of one record of a batch on the host.

    Args:
      spec: the run.
      chains: indices of the batch among all chains of the run.
    """
    program = spec.program._replace(raw=spec.num_raw(chains.start))
    record = record_like(program, spec.record_shape, spec.width)
    zeros = jax.tree.map(lambda leaf: np.zeros((1, *leaf.shape), leaf.dtype), record)
    return spec.to_host(zeros, 1, chains)


def check_same(
    path: Path, config: Mapping[str, Any], provenance: Mapping[str, Any], *, may_grow: bool
) -> dict[str, Any] | None:
    """Compare all settings that decide the bits of a run with those of a run directory.

    Args:
      path: the run directory.
      config: the config of the requested run.
      provenance: the provenance of this process.
      may_grow: whether the requested run may have more chains or generations.

    Returns:
      The stored config if the requested run is larger, else None.

    Raises:
      StoreError: if other settings differ; the message names them.
    """
    stored = json.loads((path / "config.json").read_text())
    made = json.loads((path / "provenance.json").read_text())
    config, provenance = json.loads(json.dumps([config, provenance]))
    _check_version(path, made, provenance)
    _check_instructions(path, made, provenance)
    differ = dict(_differences({name: stored.get(name) for name in config}, config))
    machine = dict(_differences(made, provenance))
    differ |= {name: machine[name] for name in _MACHINE if name in machine}
    grows = {name: pair for name, pair in differ.items() if name in _GROWS and pair[0] < pair[1]}
    if not differ or (may_grow and grows.keys() == differ.keys()):
        return stored if grows else None
    listed = [
        f"{name} is {_shown(one)} there and {_shown(two)} now"
        for name, (one, two) in differ.items()
    ]
    more = "" if len(listed) <= _SHOWN else f" and {len(listed) - _SHOWN} more"
    remedy = "resume it with the settings it was made with, or pass another path"
    if grows.keys() == differ.keys():
        remedy = "use `collapse extend`, or Store(path, extend=True), for more of the same run"
    raise StoreError(
        f"store={str(path)!r} is not allowed: it holds another run: "
        f"{', '.join(listed[:_SHOWN])}{more}; {remedy}"
    )


def _check_version(path: Path, made: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse a run of another minor version of the library, whose programs may differ."""
    pair = [str(one.get("versions", {}).get("collapse-jax")) for one in (made, now)]
    if pair[0].split(".")[:2] != pair[1].split(".")[:2]:
        raise StoreError(
            f"store={str(path)!r} is not allowed: collapse_jax {pair[0]} made it and this is "
            f"{pair[1]}, whose numbers may differ; finish it with {pair[0]}, or pass another path"
        )


def _check_instructions(path: Path, made: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse a run of a CPU with other instruction sets, which round differently."""
    found = instructions.difference(made.get("instructions"), now["instructions"])
    if found is not None:
        raise StoreError(f"store={str(path)!r} is not allowed: {found}")


def _differences(one: Any, other: Any, name: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the differences of two JSON values: a dotted name and both values."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        same = one.get("type") == other.get("type")
        for key in [*one, *(other.keys() - one.keys())] if same else ["type"]:
            dotted = f"{name}.{key}" if name else key
            yield from _differences(one.get(key), other.get(key), dotted)
    elif one != other:
        yield name, (one, other)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

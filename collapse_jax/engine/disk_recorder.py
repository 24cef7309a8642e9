"""A run in a run directory: opened, written by one thread, and finished."""

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, Self

import jax
import numpy as np

from collapse_jax.core.host_context import DurableHostContext, HostContext
from collapse_jax.engine.expected import expected_curves
from collapse_jax.engine.metadata import (
    axes_of,
    config_of,
    coordinates_of,
    provenance_of,
    reduced_variables,
)
from collapse_jax.engine.program import Carry
from collapse_jax.engine.recorder import BatchRecorder
from collapse_jax.engine.run_directory import (
    build,
    check_same,
    chunk_shape,
    drop_orphans,
    event_file,
    extend,
    host_records_like,
    record_file,
    record_files,
)
from collapse_jax.engine.run_spec import Call, RunSpec
from collapse_jax.results import saved
from collapse_jax.results.records import Records
from collapse_jax.results.reduce import HostRecords, join, to_host
from collapse_jax.results.run_state import RunState, StateFile, read_pending
from collapse_jax.results.variable import Variable
from collapse_jax.store.arrays import chunk, chunk_name, read_chunk
from collapse_jax.store.directory import RECORDS, Contents, Writer, begin, writing
from collapse_jax.store.files import Content
from collapse_jax.store.lock import exclusive
from collapse_jax.store.unfinished_work import WORK, UnfinishedWork


class Run(Protocol):
    """What a batch knows of its run."""

    spec: RunSpec
    writer: Writer
    seconds: float

    def submit(self, task: Any) -> Future:
        """Let the writing thread do this after what it was given before."""
        ...


class DiskBatch:
    """A `BatchRecorder` whose records lie on disk, but for those that fill no file yet."""

    def __init__(self, run: Run, number: int, chains: slice, state: StateFile | None) -> None:
        assert run.spec.layout is not None
        self.chains = chains
        self.generation = -1 if state is None else state.generation
        self._run = run
        self._number = number
        self._state = None if state is None else state.name
        self._length = run.spec.layout.records
        self._pieces: list[HostRecords] = []
        self._first = 0  # place of the first record among the pieces
        self._written = time.monotonic()
        self._shelf = UnfinishedWork(run.writer.path / WORK / f"{number:06d}")

    def leaves(self) -> tuple[np.ndarray, ...] | None:
        """The chains as they are on disk; files of records beyond them are dropped."""
        if self._state is None:
            return None
        spec, path = self._run.spec, self._run.writer.path / self._state
        state, kept = RunState.read(path), read_pending(path)
        done = spec.num_records(self.generation)
        if spec.reduce is None:
            self._first = done - done % self._length
        if kept:
            structure = jax.tree.structure(host_records_like(spec, self.chains))
            self._pieces = [jax.tree.unflatten(structure, kept)]
        elif self._first < done:
            self._pieces = [{"raw": self._read_file(done // self._length)}]
        count = done - self._first
        self._pieces = [jax.tree.map(lambda leaf: leaf[:count], piece) for piece in self._pieces]
        beyond = record_files(spec, self._number, self._first)
        if beyond := [name for name in beyond if name in self._run.writer.files]:
            self._checkpoint(state, beyond=beyond)
        return state.leaves

    def place(self, stopping: threading.Event) -> HostContext:
        """One whose unfinished work lies in the run directory."""
        return DurableHostContext(
            self._shelf, self._run.seconds, self._run.spec.shared_devices, stopping
        )

    def add(self, call: Call, records: dict[str, Any], carry: Carry) -> Future | None:
        """Take the records of a call, write the files they fill, and now and then a state."""
        spec, busy = self._run.spec, None
        if call.is_kept:
            self._pieces.append(to_host(records, call.times, self.chains, spec.reduce))
        if call.is_kept and spec.reduce is None:
            if spec.num_records(call.end) % self._length == 0:  # no call goes beyond
                busy = self._write_records()
            else:  # it waits for the rest of its file, and its memory for the next call
                self._pieces[-1] = jax.tree.map(np.array, self._pieces[-1])
        is_due = time.monotonic() - self._written >= self._run.seconds
        if is_due and call.end < spec.num_generations:
            self.stop(call.end, carry)
        return busy

    def stop(self, generation: int, carry: Carry) -> None:
        """Write what is needed to go on from a generation that is not the last."""
        if generation >= 0:
            self._checkpoint(self._state_at(generation, carry))

    def end(self, carry: Carry) -> None:
        """Write the last records and the final states."""
        spec = self._run.spec
        state = self._state_at(spec.num_generations, carry)
        contents: Contents = {}
        if spec.reduce is None:
            events = jax.tree.unflatten(spec.structure, state.leaves).first_event
            content = chunk([events], chunk_shape(spec, ())[1:])
            records = self._record_files(self._pieces, self._first // self._length)
            contents = {**records, event_file(self._number): content}
            self._pieces = []
        self._checkpoint(state, contents=contents)
        self._run.submit(self._shelf.clear)

    def _state_at(self, generation: int, carry: Carry) -> RunState:
        size, spec = self.chains.stop - self.chains.start, self._run.spec
        leaves = tuple(np.array(leaf)[:size] for leaf in jax.tree.leaves(carry))
        return RunState(generation, spec.first_chain + self.chains.start, spec.key, leaves)

    def _checkpoint(
        self, state: RunState, contents: Contents | None = None, beyond: Iterable[str] = ()
    ) -> None:
        """Write the chains and the pieces, in place of the last such file and files beyond.

        Args:
          state: the chains.
          contents: files of records to be written with it.
          beyond: files of records that count no more.
        """
        self._pieces = [join(self._pieces)] if self._pieces else []
        pattern = StateFile.pattern(self._number, state.generation)
        own = {pattern: state.contents(jax.tree.leaves(self._pieces))}
        staged = self._run.writer.stage({**(contents or {}), **own})

        def publish() -> None:
            earlier = [] if self._state is None else [self._state]
            added = self._run.writer.add("state", staged, [*earlier, *beyond])
            self._state = list(added)[-1]

        self._run.submit(publish)
        self._written = time.monotonic()

    def _write_records(self) -> Future:
        """Write the pieces, which fill a file of each variable."""
        writer, pieces, place = self._run.writer, self._pieces, self._first // self._length
        self._pieces = []
        self._first += self._length

        def write() -> None:
            writer.add("records", writer.stage(self._record_files(pieces, place)))

        return self._run.submit(write)

    def _record_files(self, pieces: Sequence[HostRecords], place: int) -> dict[str, Content]:
        """Records as a file of each variable, `place` in the order of files."""
        spec, contents = self._run.spec, {}
        for name in pieces[0]["raw"] if pieces else ():
            parts = [piece["raw"][name] for piece in pieces]
            file = record_file(name, place, self._number, parts[0].ndim)
            contents[file] = chunk(parts, chunk_shape(spec, parts[0].shape[2:]))
        return contents

    def _read_file(self, place: int) -> dict[str, np.ndarray]:
        """Records of the file that is not full, of each variable."""
        spec, root = self._run.spec, self._run.writer.path
        found = {}
        for name, one in spec.record_shape.items():
            path = root / record_file(name, place, self._number, one.ndim + 1)
            values = read_chunk(path, one.dtype, chunk_shape(spec, one.shape[1:]))
            found[name] = values[:, : self.chains.stop - self.chains.start]
        return found


_WAITING = 4  # writes that may wait for the disk


class Interrupted(KeyboardInterrupt):
    """An interrupt of a run that goes on where it was when the same call is made again."""


class DiskRecorder:
    """A `Recorder` that keeps everything in a run directory.

    One thread writes, so that nobody computes for want of a disk.
    """

    def __init__(self, spec: RunSpec, writer: Writer) -> None:
        assert spec.store is not None
        self.spec = spec
        self.writer = writer
        self.seconds = spec.store.seconds
        self.stopping = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._room = threading.BoundedSemaphore(_WAITING)
        self._error: BaseException | None = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, spec: RunSpec) -> Iterator[Self]:
        """The run directory of a spec, made, continued or extended.

        Raises:
          ValueError: if it is another run's, or damaged, or another process writes it.
          Interrupted: for an interrupt, once what was in hand is on the disk.
        """
        assert spec.store is not None
        path = spec.store.directory
        assert spec.layout is not None
        begin(path, lambda: build(spec), spec.layout)
        with writing(path, spec.store.process) as writer:
            earlier = check_same(
                path, config_of(spec), provenance_of(spec), may_grow=spec.store.extend
            )
            if earlier is not None:
                extend(spec, writer, earlier)
            drop_orphans(spec, writer)
            run = cls(spec, writer)
            try:
                yield run
            except KeyboardInterrupt:
                run.close()
                raise Interrupted(
                    f"interrupted; {path} has every generation so far, and the same call goes on"
                ) from None
            finally:
                run.close()

    def batches(self) -> list[BatchRecorder]:
        """Those of this process that are not at the last generation."""
        spec, states = self.spec, saved.last_states(self.writer.files)
        places = spec.batches()
        found = [DiskBatch(self, k, places[k], states.get(k)) for k in spec.own_batches]
        return [batch for batch in found if batch.generation < spec.num_generations]

    def submit(self, task: Callable[[], Any]) -> Future:
        """Let the writing thread do this after what it was given before.

        Returns:
          What is done when it has ended, well or not.

        Raises:
          StoreError: if an earlier task failed.
        """
        self._room.acquire()
        if self._error is not None:
            self._room.release()
            raise self._error
        return self._pool.submit(self._do, task)

    def _do(self, task: Callable[[], Any]) -> None:
        try:
            if self._error is None:
                task()
        except BaseException as error:
            self._error = error
        finally:
            self._room.release()

    def close(self) -> None:
        """Wait for the disk.

        Raises:
          StoreError: if it refused anything.
        """
        self._pool.shutdown(wait=True)
        if self._error is not None:
            raise self._error

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """What the run directory holds, after the last batch."""
        self.close()
        path = self.writer.path
        with exclusive(path):
            ledger = self.writer.refresh()
            if not ledger.is_finished:
                seconds: dict[str, Any] = {
                    "compile_seconds": compile_seconds,
                    "run_seconds": run_seconds,
                }
                if saved.missing_chains(ledger, config_of(self.spec)):
                    self.writer.add("ran", [], **seconds)
                else:
                    self._finish(seconds)
                ledger = self.writer.refresh()
        records = Records(**saved.read_parts(path, ledger)._asdict())
        if records.missing:
            ranges = ", ".join(f"{first} to {last}" for first, last in records.missing)
            warnings.warn(
                f"{path} lacks chains {ranges}, which other processes make; the same call by "
                "one process makes what is left",
                RuntimeWarning,
                stacklevel=4,
            )
        return records

    def _finish(self, seconds: dict[str, Any]) -> None:
        """Merge what batches have reduced, write what theory expects, say that all is there."""
        spec, path = self.spec, self.writer.path
        variables: dict[str, Variable] = {}
        if spec.reduce is not None:
            states = saved.last_states(self.writer.files)
            paths = [path / states[number].name for number in sorted(states)]
            kept = [
                jax.tree.unflatten(
                    jax.tree.structure(host_records_like(spec, chains)), read_pending(one)
                )
                for chains, one in zip(spec.batches(), paths, strict=True)
            ]
            events = jax.tree.unflatten(spec.structure, RunState.load(paths).leaves).first_event
            variables = reduced_variables(
                spec.reduce, kept, events, spec.generations, axes_of(spec)
            )
        contents = {
            f"{RECORDS}/{chunk_name(name, [0] * one.values.ndim)}": chunk(
                [one.values], one.values.shape
            )
            for name, one in variables.items()
        }
        theory = expected_curves(spec.chain, spec.generations)()
        dims = {dim for one in theory.values() for dim in one.dims}
        contents |= saved.theory_files(theory, coordinates_of(spec, dims))
        staged = self.writer.stage(contents)
        finished = self.writer.files["config.json"].crc
        self.writer.add("finished", staged, finished=finished, **seconds)

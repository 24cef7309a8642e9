"""Record a run in a run directory that stays readable after any crash; one thread writes.

Every batch of chains writes its records in files of a fixed number of generations. From time
to time it writes a checkpoint: the chains, and the records that fill no file yet.
"""

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import jax
import numpy as np

from collapse_jax.core.host_context import DurableHostContext, HostContext
from collapse_jax.engine.expected import expected_curves
from collapse_jax.engine.metadata import config_of, provenance_of, quantities_of, reduced_table
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
from collapse_jax.results.records import Records, Table, chains_in_words
from collapse_jax.results.reduce import HostRecords, join
from collapse_jax.results.run_state import RunState, StateFile, read_pending
from collapse_jax.store.arrays import chunk, chunk_name, read_chunk
from collapse_jax.store.directory import RECORDS, Contents, Writer, begin, writing
from collapse_jax.store.files import Content
from collapse_jax.store.lock import exclusive
from collapse_jax.store.unfinished_work import WORK, UnfinishedWork
from collapse_jax.utils.jax_settings import own_settings


class DiskBatch:
    """A `BatchRecorder` whose records lie on disk, except those that fill no file yet."""

    def __init__(
        self, run: "DiskRecorder", number: int, chains: slice, state: StateFile | None
    ) -> None:
        assert run.spec.layout is not None
        self.chains = chains
        self.generation = -1 if state is None else state.generation
        self._run = run
        self._number = number
        self._state = None if state is None else state.name
        self._length = run.spec.layout.records
        self._pieces: list[HostRecords] = []
        self._begin = 0  # index of the first record among the pieces
        self._written = time.monotonic()
        self._unfinished = UnfinishedWork(run.writer.path / WORK / f"{number:06d}")

    def leaves(self) -> tuple[np.ndarray, ...] | None:
        """Read the chains from disk, and discard files of later records.

        Returns:
          The arrays of a carry, [chain, ...]; None before generation 0.
        """
        if self._state is None:
            return None
        spec, path = self._run.spec, self._run.writer.path / self._state
        state, pending = RunState.read(path), read_pending(path)
        done = spec.num_records(self.generation)
        if spec.reduce is None:
            self._begin = done - done % self._length
        if pending:
            structure = jax.tree.structure(host_records_like(spec, self.chains))
            self._pieces = [jax.tree.unflatten(structure, pending)]
        elif self._begin < done:
            self._pieces = [{"raw": self._read_file(done // self._length)}]
        count = done - self._begin
        self._pieces = [jax.tree.map(lambda leaf: leaf[:count], piece) for piece in self._pieces]
        beyond = record_files(spec, self._number, self._begin)
        if beyond := [name for name in beyond if name in self._run.writer.files]:
            self._checkpoint(state, beyond=beyond)
        return state.leaves

    def host_context(self, stopping: threading.Event) -> HostContext:
        """Return a context whose unfinished work lies in the run directory.

        Args:
          stopping: see `HostContext`.
        """
        return DurableHostContext(
            self._unfinished, self._run.seconds, self._run.spec.shared_devices, stopping
        )

    def add(self, call: Call, records: dict[str, Any], carry: Carry) -> Future | None:
        """Take the records of a call, and write full files and due checkpoints.

        Args:
          call: the call that was made.
          records: its buffers, with `call.times` records.
          carry: the chains after the call.

        Returns:
          A future that ends when the buffers may be reused; None for now.
        """
        spec, busy = self._run.spec, None
        if call.is_recorded:
            self._pieces.append(spec.to_host(records, call.times, self.chains))
            # No call crosses a file's end.
            if spec.reduce is None and spec.num_records(call.end) % self._length == 0:
                busy = self._write_records()
            else:  # the next call reuses the memory
                self._pieces[-1] = jax.tree.map(np.array, self._pieces[-1])
        is_due = time.monotonic() - self._written >= self._run.seconds
        if is_due and call.end < spec.num_generations:
            self.stop(call.end, carry)
        return busy

    def stop(self, generation: int, carry: Carry) -> None:
        """Write a checkpoint of a generation that is not the last.

        Args:
          generation: the generation of the chains; before generation 0 nothing is written.
          carry: the chains.
        """
        if generation >= 0:
            self._checkpoint(self._state_at(generation, carry))

    def end(self, carry: Carry) -> None:
        """Write the last records and the final states.

        Args:
          carry: the chains after the last generation.
        """
        spec = self._run.spec
        state = self._state_at(spec.num_generations, carry)
        contents: Contents = {}
        if spec.reduce is None:
            events = jax.tree.unflatten(spec.structure, state.leaves).first_event
            content = chunk([events], chunk_shape(spec, ())[1:])
            records = self._record_files(self._pieces, self._begin // self._length)
            contents = {**records, event_file(self._number): content}
            self._pieces = []
        self._checkpoint(state, contents=contents)
        self._run.submit(self._unfinished.clear)

    def _state_at(self, generation: int, carry: Carry) -> RunState:
        size, spec = self.chains.stop - self.chains.start, self._run.spec
        leaves = tuple(np.array(leaf)[:size] for leaf in jax.tree.leaves(carry))
        return RunState(generation, spec.first_chain + self.chains.start, spec.key, leaves)

    def _checkpoint(
        self, state: RunState, contents: Contents | None = None, beyond: Iterable[str] = ()
    ) -> None:
        """Write the chains and the pieces, and remove the last checkpoint.

        Args:
          state: the chains.
          contents: files of records to be written with the checkpoint.
          beyond: files of later records, which are discarded.
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
        """Write the pieces, which fill one file per variable."""
        writer, pieces, index = self._run.writer, self._pieces, self._begin // self._length
        self._pieces = []
        self._begin += self._length

        def write() -> None:
            writer.add("records", writer.stage(self._record_files(pieces, index)))

        return self._run.submit(write)

    def _record_files(self, pieces: Sequence[HostRecords], index: int) -> dict[str, Content]:
        """Return records as one file per variable, number `index` along generations."""
        spec, contents = self._run.spec, {}
        for name in pieces[0]["raw"] if pieces else ():
            parts = [piece["raw"][name] for piece in pieces]
            file = record_file(name, index, self._number, parts[0].ndim)
            contents[file] = chunk(parts, chunk_shape(spec, parts[0].shape[2:]))
        return contents

    def _read_file(self, index: int) -> dict[str, np.ndarray]:
        """Read the records of each variable from the file that is not full."""
        spec, root = self._run.spec, self._run.writer.path
        found = {}
        for name, one in spec.stored_shape.items():
            path = root / record_file(name, index, self._number, one.ndim + 1)
            values = read_chunk(path, one.dtype, chunk_shape(spec, one.shape[1:]))
            found[name] = values[:, : self.chains.stop - self.chains.start]
        return found


_WAITING = 4  # queued writes: more would only fill the memory


class Interrupted(KeyboardInterrupt):
    """An interrupt of a run that the same call resumes."""


class DiskRecorder:
    """A `Recorder` that writes everything to a run directory.

    One thread writes, so that computation never waits for the disk.
    """

    def __init__(self, spec: RunSpec, writer: Writer) -> None:
        assert spec.store is not None
        self.spec = spec
        self.writer = writer
        self.seconds = spec.store.seconds
        self.stopping = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._slots = threading.BoundedSemaphore(_WAITING)
        self._error: BaseException | None = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, spec: RunSpec) -> Iterator[Self]:
        """Make, resume or extend the run directory of a spec.

        Args:
          spec: the run, with a store.

        Raises:
          StoreError: if the directory is another run's, damaged, or in use by another process.
          Interrupted: for an interrupt, after all pending writes.
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
                    f"interrupted; {path} has every generation so far, and the same call resumes it"
                ) from None
            finally:
                run.close()

    def batches(self) -> list[BatchRecorder]:
        """Return the batches of this process that are not at the last generation."""
        spec, states = self.spec, saved.last_states(self.writer.files)
        chains = spec.batches()
        found = [DiskBatch(self, k, chains[k], states.get(k)) for k in spec.own_batches]
        return [batch for batch in found if batch.generation < spec.num_generations]

    def submit(self, task: Callable[[], Any]) -> Future:
        """Queue a task for the writing thread.

        Args:
          task: a function without arguments.

        Returns:
          A future that ends with the task, whether the task succeeds or fails.

        Raises:
          StoreError: if an earlier task failed.
        """
        self._slots.acquire()
        if self._error is not None:
            self._slots.release()
            raise self._error
        return self._pool.submit(self._do, task)

    def _do(self, task: Callable[[], Any]) -> None:
        try:
            if self._error is None:
                with own_settings():
                    task()
        except BaseException as error:
            self._error = error
        finally:
            self._slots.release()

    def close(self) -> None:
        """Wait until all writes are done.

        Raises:
          StoreError: if a write failed.
        """
        self._pool.shutdown(wait=True)
        if self._error is not None:
            raise self._error

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """Return the contents of the run directory, after the last batch.

        Args:
          compile_seconds: duration of compilation, for the provenance.
          run_seconds: duration of the rest, for the provenance.

        Raises:
          StoreError: if a write failed.
        """
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
        parts = saved.read_parts(path, ledger)._replace(expected=self._theory)
        records = Records(**parts._asdict())
        if records.missing:
            warnings.warn(
                f"{path} lacks {chains_in_words(records.missing)}, which other processes make; to "
                "make all chains here, repeat the call without Store.process",
                RuntimeWarning,
                stacklevel=4,
            )
        return records

    def _theory(self) -> Any:
        """Return the exact expectations of the run, as far as they are known."""
        return expected_curves(self.spec.chain, quantities_of(self.spec), self.spec.generations)

    def _finish(self, seconds: dict[str, Any]) -> None:
        """Merge the statistics of batches, write the theory, and mark the run as complete."""
        spec, path = self.spec, self.writer.path
        variables: Table = {}
        if spec.reduce is not None:
            states = saved.last_states(self.writer.files)
            paths = [path / states[number].name for number in sorted(states)]
            batches = [
                jax.tree.unflatten(
                    jax.tree.structure(host_records_like(spec, chains)), read_pending(one)
                )
                for chains, one in zip(spec.batches(), paths, strict=True)
            ]
            events = jax.tree.unflatten(spec.structure, RunState.load(paths).leaves).first_event
            variables = reduced_table(spec, batches, events, spec.generations)
        contents = {
            f"{RECORDS}/{chunk_name(name, [0] * values.ndim)}": chunk([values], values.shape)
            for name, (_, values, _) in variables.items()
        }
        if spec.store is not None and not spec.store.is_part:
            contents |= saved.theory_files(self._theory())
        staged = self.writer.stage(contents)
        finished = self.writer.files["config.json"].crc
        self.writer.add("finished", staged, finished=finished, **seconds)

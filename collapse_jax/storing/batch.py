"""One batch of chains on disk: files of records, and the chains with the records since."""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

import jax
import numpy as np

from collapse_jax.execution import Carry
from collapse_jax.plan import Call, Plan
from collapse_jax.results.reduce import Kept, join, keep
from collapse_jax.results.run_state import RunState, StateFile, read_kept
from collapse_jax.store.arrays import chunk, read_chunk
from collapse_jax.store.directory import Contents, Writer
from collapse_jax.store.files import Content
from collapse_jax.store.shelf import WORK, Shelf
from collapse_jax.storing.frame import (
    chunk_shape,
    event_file,
    kept_like,
    record_file,
    record_files,
)
from collapse_jax.workplace import LastingWorkplace, Workplace


class Run(Protocol):
    """What a batch knows of its run."""

    plan: Plan
    writer: Writer
    seconds: float

    def submit(self, task: Any) -> Future:
        """Let the writing thread do this after what it was given before."""
        ...


class StoredBatch:
    """A `BatchRecorder` whose records lie on disk, but for those that fill no file yet."""

    def __init__(self, run: Run, number: int, chains: slice, state: StateFile | None) -> None:
        assert run.plan.layout is not None
        self.chains = chains
        self.generation = -1 if state is None else state.generation
        self._run = run
        self._number = number
        self._state = None if state is None else state.name
        self._length = run.plan.layout.records
        self._pieces: list[Kept] = []
        self._first = 0  # place of the first record among the pieces
        self._written = time.monotonic()
        self._shelf = Shelf(run.writer.path / WORK / f"{number:06d}")

    def leaves(self) -> tuple[np.ndarray, ...] | None:
        """The chains as they are on disk; files of records beyond them are dropped."""
        if self._state is None:
            return None
        plan, path = self._run.plan, self._run.writer.path / self._state
        state, kept = RunState.read(path), read_kept(path)
        done = plan.num_records(self.generation)
        if plan.reduce is None:
            self._first = done - done % self._length
        if kept:
            structure = jax.tree.structure(kept_like(plan, self.chains))
            self._pieces = [jax.tree.unflatten(structure, kept)]
        elif self._first < done:
            self._pieces = [{"raw": self._read_file(done // self._length)}]
        count = done - self._first
        self._pieces = [jax.tree.map(lambda leaf: leaf[:count], piece) for piece in self._pieces]
        beyond = record_files(plan, self._number, self._first)
        if beyond := [name for name in beyond if name in self._run.writer.files]:
            self._checkpoint(state, beyond=beyond)
        return state.leaves

    def place(self, stopping: threading.Event) -> Workplace:
        """One whose unfinished work lies in the run directory."""
        return LastingWorkplace(self._shelf, self._run.seconds, self._run.plan.team, stopping)

    def add(self, call: Call, records: dict[str, Any], carry: Carry) -> Future | None:
        """Take the records of a call, write the files they fill, and now and then a state."""
        plan, busy = self._run.plan, None
        if call.is_kept:
            self._pieces.append(keep(records, call.times, self.chains, plan.reduce))
        if call.is_kept and plan.reduce is None:
            if plan.num_records(call.end) % self._length == 0:  # no call goes beyond
                busy = self._write_records()
            else:  # it waits for the rest of its file, and its memory for the next call
                self._pieces[-1] = jax.tree.map(np.array, self._pieces[-1])
        is_due = time.monotonic() - self._written >= self._run.seconds
        if is_due and call.end < plan.num_generations:
            self.stop(call.end, carry)
        return busy

    def stop(self, generation: int, carry: Carry) -> None:
        """Write what is needed to go on from a generation that is not the last."""
        if generation >= 0:
            self._checkpoint(self._state_at(generation, carry))

    def end(self, carry: Carry) -> None:
        """Write the last records and the final states."""
        plan = self._run.plan
        state = self._state_at(plan.num_generations, carry)
        contents: Contents = {}
        if plan.reduce is None:
            events = jax.tree.unflatten(plan.structure, state.leaves).first_event
            content = chunk([events], chunk_shape(plan, ())[1:])
            records = self._record_files(self._pieces, self._first // self._length)
            contents = {**records, event_file(self._number): content}
            self._pieces = []
        self._checkpoint(state, contents=contents)
        self._run.submit(self._shelf.clear)

    def _state_at(self, generation: int, carry: Carry) -> RunState:
        size, plan = self.chains.stop - self.chains.start, self._run.plan
        leaves = tuple(np.array(leaf)[:size] for leaf in jax.tree.leaves(carry))
        return RunState(generation, plan.first_chain + self.chains.start, plan.key, leaves)

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

    def _record_files(self, pieces: Sequence[Kept], place: int) -> dict[str, Content]:
        """Records as a file of each variable, `place` in the order of files."""
        plan, contents = self._run.plan, {}
        for name in pieces[0]["raw"] if pieces else ():
            parts = [piece["raw"][name] for piece in pieces]
            file = record_file(name, place, self._number, parts[0].ndim)
            contents[file] = chunk(parts, chunk_shape(plan, parts[0].shape[2:]))
        return contents

    def _read_file(self, place: int) -> dict[str, np.ndarray]:
        """Records of the file that is not full, of each variable."""
        plan, root = self._run.plan, self._run.writer.path
        found = {}
        for name, one in plan.record_shape.items():
            path = root / record_file(name, place, self._number, one.ndim + 1)
            values = read_chunk(path, one.dtype, chunk_shape(plan, one.shape[1:]))
            found[name] = values[:, : self.chains.stop - self.chains.start]
        return found

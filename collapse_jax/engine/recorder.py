"""Take the records of a run: into memory here, into a run directory in `disk_recorder`.

A recorder has the batches that are to be run; each batch says where to start, and takes the
records and the state after every call.
"""

import functools
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol

import jax
import numpy as np

from collapse_jax.core.host_context import HostContext
from collapse_jax.engine.expected import expected_curves
from collapse_jax.engine.metadata import (
    chain_table,
    config_of,
    coordinates_of,
    event_coordinate,
    provenance_of,
    quantities_of,
    reduced_table,
)
from collapse_jax.engine.program import Carry
from collapse_jax.engine.run_spec import Call, RunSpec
from collapse_jax.results.records import Records, dataset_of
from collapse_jax.results.reduce import HostRecords, join, to_host
from collapse_jax.results.run_state import RunState


class BatchRecorder(Protocol):
    """Takes what one batch records."""

    chains: slice  # among all chains of the run
    generation: int  # where it starts, -1 before generation 0

    def leaves(self) -> tuple[np.ndarray, ...] | None:
        """Return its chains at that generation, None before generation 0."""
        ...

    def host_context(self, stopping: threading.Event) -> HostContext:
        """Return the context in which a family on the host works at the batch."""
        ...

    def add(self, call: Call, records: dict[str, Any], carry: Carry) -> Future | None:
        """Take the records of a call, and read the carry, whose memory is then reused.

        Returns:
          A future that ends once the memory of the records may be reused; None for now.
        """
        ...

    def end(self, carry: Carry) -> None:
        """Take the final states."""
        ...

    def stop(self, generation: int, carry: Carry) -> None:
        """Save what is needed to resume from a generation that is not the last."""
        ...


class Recorder(Protocol):
    """Takes what the batches record, at the same time and in any order."""

    @property
    def stopping(self) -> threading.Event:
        """Return an event that is set if the run is to end at the next chance."""
        ...

    def batches(self) -> Sequence[BatchRecorder]:
        """Return those that are to be run."""
        ...

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """Return everything, after the last batch."""
        ...


class MemoryRecorder:
    """Records everything in this process."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.stopping = threading.Event()
        self.reduced: dict[int, HostRecords] = {}
        self.leaves = [
            np.empty((spec.num_chains, *leaf.shape[1:]), leaf.dtype)
            for leaf in jax.tree.leaves(spec.carry_shape)
        ]
        self._arrays: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def batches(self) -> list[BatchRecorder]:
        """Return all batches."""
        return [_MemoryBatch(self, chains) for chains in self.spec.batches()]

    def array(self, name: str, like: np.ndarray) -> np.ndarray:
        """Return the array of a variable, [generation, chain, ...], made on first use."""
        with self._lock:
            if name not in self._arrays:
                shape = (len(self.spec.generations), self.spec.num_chains, *like.shape[2:])
                self._arrays[name] = np.empty(shape, like.dtype)
            return self._arrays[name]

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """Return everything, with names and coordinates."""
        spec = self.spec
        first_event = jax.tree.unflatten(spec.structure, self.leaves).first_event
        seconds = {"compile_seconds": compile_seconds, "run_seconds": run_seconds}
        return Records(
            functools.partial(self._dataset, first_event),
            config_of(spec),
            provenance_of(spec) | seconds,
            RunState(spec.num_generations, spec.first_chain, spec.key, tuple(self.leaves)),
            functools.partial(expected_curves, spec.chain, quantities_of(spec), spec.generations),
        )

    def _dataset(self, first_event: np.ndarray) -> Any:
        spec = self.spec
        if spec.reduce is None:
            variables = chain_table(spec, self._arrays)
            events = event_coordinate(first_event)
        else:
            batches = [self.reduced[begin] for begin in sorted(self.reduced)]
            variables = reduced_table(spec, batches, first_event, spec.generations)
            events = {}
        return dataset_of(variables, {**coordinates_of(spec, variables), **events})


class _MemoryBatch:
    def __init__(self, run: MemoryRecorder, chains: slice) -> None:
        self.chains = chains
        self._run = run
        self._done = 0
        self._pieces: list[HostRecords] = []
        state = run.spec.state
        self.generation = -1 if state is None else state.generation

    def leaves(self) -> tuple[np.ndarray, ...] | None:
        state = self._run.spec.state
        return None if state is None else tuple(leaf[self.chains] for leaf in state.leaves)

    def host_context(self, stopping: threading.Event) -> HostContext:
        return HostContext(self._run.spec.shared_devices, stopping)

    def add(self, call: Call, records: dict[str, Any], carry: Carry) -> Future | None:
        if not call.is_recorded:
            return
        taken = to_host(records, call.times, self.chains, self._run.spec.reduce)
        if self._run.spec.reduce is not None:
            self._pieces.append(taken)
            return
        rows = slice(self._done, self._done + call.times)
        for name, value in taken["raw"].items():
            self._run.array(name, value)[rows, self.chains] = value
        self._done += call.times

    def end(self, carry: Carry) -> None:
        size = self.chains.stop - self.chains.start
        for all, leaf in zip(self._run.leaves, jax.tree.leaves(carry), strict=True):
            all[self.chains] = np.asarray(leaf)[:size]
        if self._pieces:
            self._run.reduced[self.chains.start] = join(self._pieces)

    def stop(self, generation: int, carry: Carry) -> None:
        """Do nothing: nothing outlives the process."""

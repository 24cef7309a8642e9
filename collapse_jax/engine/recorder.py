"""Where the records of a run go: into memory here, into a run directory in `storing`.

A recorder has the batches that are to be run; a batch of it says where to start, takes the
records of every call, and is told of every generation reached.
"""

import threading
from concurrent.futures import Future
from typing import Any, Protocol

import jax
import numpy as np

from collapse_jax.core.host_context import HostContext
from collapse_jax.engine.expected import expected_curves
from collapse_jax.engine.metadata import (
    axes_of,
    chain_variables,
    config_of,
    coordinates_of,
    provenance_of,
    reduced_variables,
)
from collapse_jax.engine.program import Carry
from collapse_jax.engine.run_spec import Call, RunSpec
from collapse_jax.results.records import Records
from collapse_jax.results.reduce import HostRecords, join, to_host
from collapse_jax.results.run_state import RunState
from collapse_jax.results.variable import Variable


class BatchRecorder(Protocol):
    """Takes what one batch records."""

    chains: slice  # among all chains of the run
    generation: int  # where it starts, -1 before generation 0

    def leaves(self) -> tuple[np.ndarray, ...] | None:
        """Its chains at that generation, None before generation 0."""
        ...

    def place(self, stopping: threading.Event) -> HostContext:
        """Where a family on the host works at the batch."""
        ...

    def add(self, call: Call, records: dict[str, Any], carry: Carry) -> Future | None:
        """Take the records of a call, and look at the carry, whose memory is then reused.

        Returns:
          What is done once the memory of the records may be reused as well; None for now.
        """
        ...

    def end(self, carry: Carry) -> None:
        """Take the final states."""
        ...

    def stop(self, generation: int, carry: Carry) -> None:
        """Keep what is needed to go on from a generation that is not the last."""
        ...


class Recorder(Protocol):
    """Takes what the batches record, at the same time and in any order."""

    stopping: threading.Event  # set if the run is to end at the next chance

    def batches(self) -> list[BatchRecorder]:
        """Those that are to be run."""
        ...

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """Everything, after the last batch."""
        ...


class MemoryRecorder:
    """Keeps everything in this process."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.stopping = threading.Event()
        self.kept: dict[int, HostRecords] = {}
        self.leaves = [
            np.empty((spec.num_chains, *leaf.shape[1:]), leaf.dtype)
            for leaf in jax.tree.leaves(spec.carry_shape)
        ]
        self._arrays: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def batches(self) -> list[BatchRecorder]:
        """All of them."""
        return [_MemoryBatch(self, chains) for chains in self.spec.batches()]

    def array(self, name: str, like: np.ndarray) -> np.ndarray:
        """The array of a variable, [generation, chain, ...], made on first use."""
        with self._lock:
            if name not in self._arrays:
                shape = (len(self.spec.generations), self.spec.num_chains, *like.shape[2:])
                self._arrays[name] = np.empty(shape, like.dtype)
            return self._arrays[name]

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """Everything, with names and coordinates."""
        spec = self.spec
        first_event = jax.tree.unflatten(spec.structure, self.leaves).first_event
        if spec.reduce is None:
            variables = chain_variables(self._arrays, axes_of(spec))
        else:
            kept = [self.kept[begin] for begin in sorted(self.kept)]
            variables = reduced_variables(
                spec.reduce, kept, first_event, spec.generations, axes_of(spec)
            )
        found = coordinates_of(spec, {dim for one in variables.values() for dim in one.dims})
        if spec.reduce is None:
            found["first_event"] = Variable(("chain",), first_event)
        seconds = {"compile_seconds": compile_seconds, "run_seconds": run_seconds}
        return Records(
            variables,
            found,
            config_of(spec),
            provenance_of(spec) | seconds,
            RunState(spec.num_generations, spec.first_chain, spec.key, tuple(self.leaves)),
            expected_curves(spec.chain, spec.generations),
        )


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

    def place(self, stopping: threading.Event) -> HostContext:
        return HostContext(self._run.spec.shared_devices, stopping)

    def add(self, call: Call, records: dict[str, Any], carry: Carry) -> Future | None:
        if not call.is_kept:
            return
        kept = to_host(records, call.times, self.chains, self._run.spec.reduce)
        if self._run.spec.reduce is not None:
            self._pieces.append(kept)
            return
        rows = slice(self._done, self._done + call.times)
        for name, value in kept["raw"].items():
            self._run.array(name, value)[rows, self.chains] = value
        self._done += call.times

    def end(self, carry: Carry) -> None:
        size = self.chains.stop - self.chains.start
        for all, leaf in zip(self._run.leaves, jax.tree.leaves(carry), strict=True):
            all[self.chains] = np.asarray(leaf)[:size]
        if self._pieces:
            self._run.kept[self.chains.start] = join(self._pieces)

    def stop(self, generation: int, carry: Carry) -> None:
        """Nothing outlives the process."""

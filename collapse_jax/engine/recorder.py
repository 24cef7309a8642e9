"""Take the records of a run into memory; `disk_recorder` takes them into a run directory.

A recorder lists the batches that are to be run; each batch has a generation to start from,
and takes the records and the state after every call.
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
from collapse_jax.results.reduce import HostRecords
from collapse_jax.results.run_state import RunState


class BatchRecorder(Protocol):
    """The recorder of one batch.

    Attributes:
      chains: indices of the batch among all chains of the run.
      generation: the generation that the batch starts from, -1 before generation 0.
    """

    chains: slice
    generation: int

    def leaves(self) -> tuple[np.ndarray, ...] | None:
        """Return the chains to start from.

        Returns:
          The arrays of a carry, [chain, ...]; None before generation 0.
        """
        ...

    def host_context(self, stopping: threading.Event) -> HostContext:
        """Return the context in which a family on the host works at the batch.

        Args:
          stopping: see `HostContext`.
        """
        ...

    def add(self, call: Call, records: dict[str, Any], carry: Carry) -> Future | None:
        """Take the records of a call, and read the carry, whose memory is then reused.

        Args:
          call: the call that was made.
          records: its buffers, with `call.times` records.
          carry: the chains after the call.

        Returns:
          A future that ends when the buffers may be reused; None for now.
        """
        ...

    def end(self, carry: Carry) -> None:
        """Take the final states.

        Args:
          carry: the chains after the last generation.
        """
        ...

    def stop(self, generation: int, carry: Carry) -> None:
        """Checkpoint a generation that is not the last, for the run to be resumed from.

        Args:
          generation: the generation of the chains.
          carry: the chains.
        """
        ...


class Recorder(Protocol):
    """The recorder of a run; its batches record at the same time and in any order."""

    @property
    def stopping(self) -> threading.Event:
        """Return an event that is set if the run is to end after the current calls."""
        ...

    def batches(self) -> Sequence[BatchRecorder]:
        """Return the batches that are to be run."""
        ...

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """Return the records of the run, after the last batch.

        Args:
          compile_seconds: duration of compilation, for the provenance.
          run_seconds: duration of the rest, for the provenance.
        """
        ...


class MemoryRecorder:
    """A `Recorder` in the memory of this process.

    Args:
      spec: the run.
    """

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
        """Return the array of a variable, allocated on first use.

        Args:
          name: the variable.
          like: values of some generations and chains, [generation, chain, ...].

        Returns:
          The array of all generations and chains, [generation, chain, ...].
        """
        with self._lock:
            if name not in self._arrays:
                shape = (len(self.spec.generations), self.spec.num_chains, *like.shape[2:])
                self._arrays[name] = np.empty(shape, like.dtype)
            return self._arrays[name]

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """Return the records of the run, with names and coordinates.

        Args:
          compile_seconds: duration of compilation, for the provenance.
          run_seconds: duration of the rest, for the provenance.
        """
        spec, config = self.spec, config_of(self.spec)
        first_event = jax.tree.unflatten(spec.structure, self.leaves).first_event
        seconds = {"compile_seconds": compile_seconds, "run_seconds": run_seconds}
        return Records(
            functools.partial(self._dataset, first_event),
            config,
            provenance_of(spec) | seconds,
            RunState(
                spec.num_generations,
                spec.first_chain,
                spec.key,
                tuple(self.leaves),
                config["chain"],
                config["metrics"],
            ),
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
        self._reduced: HostRecords | None = None
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
        spec = self._run.spec
        taken = spec.to_host(records, call.times, self.chains)
        rows = slice(self._done, self._done + call.times)
        self._done += call.times
        if spec.reduce is None:
            for name, value in taken["raw"].items():
                self._run.array(name, value)[rows, self.chains] = value
            return
        if self._reduced is None:
            self._reduced = jax.tree.map(
                lambda some: np.empty((len(spec.generations), *some.shape[1:]), some.dtype), taken
            )
        for all, some in zip(jax.tree.leaves(self._reduced), jax.tree.leaves(taken), strict=True):
            all[rows] = some

    def end(self, carry: Carry) -> None:
        size = self.chains.stop - self.chains.start
        for all, leaf in zip(self._run.leaves, jax.tree.leaves(carry), strict=True):
            all[self.chains] = np.asarray(leaf)[:size]
        if self._reduced is not None:
            self._run.reduced[self.chains.start] = self._reduced

    def stop(self, generation: int, carry: Carry) -> None:
        """Do nothing: memory does not outlive the process."""

"""Collects what a run records, batch by batch, into one `Records`."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from collapse_jax.results.records import Records, Variable
from collapse_jax.results.reduce import Reduce, Reducer, merge_chunk, survival
from collapse_jax.results.run_state import RunState

STATUS_CODES = ("ok", "non-finite", "degenerate", "floor")


class Recorder:
    """Takes the records of every batch and keeps them whole, or reduced.

    Batches may be collected at the same time and end in any order.
    """

    def __init__(self, generations: np.ndarray, num_chains: int, reduce: Reduce | None) -> None:
        self._generations = generations
        self._num_chains = num_chains
        self._reduce = reduce
        self._reducer = None if reduce is None else Reducer(reduce, len(generations))
        self._arrays: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def batch(self, begin: int, size: int) -> "BatchRecorder":
        """Where the records of chains begin .. begin + size - 1 go."""
        return BatchRecorder(self, self._reducer, begin, size)

    def array(self, name: str, like: np.ndarray) -> np.ndarray:
        """The array of a variable, [generation, chain, ...], made on first use."""
        with self._lock:
            if name not in self._arrays:
                shape = (len(self._generations), self._num_chains, *like.shape[2:])
                self._arrays[name] = np.empty(shape, like.dtype)
            return self._arrays[name]

    def records(
        self,
        *,
        axes: Mapping[str, tuple[str, ...]],
        first_chain: int,
        first_event: np.ndarray,
        state_names: Sequence[str],
        config: dict,
        provenance: dict,
        state: RunState,
        expected: Callable[[], dict[str, Variable]],
    ) -> Records:
        """Everything, with names and coordinates."""
        coordinates = {"generation": Variable(("generation",), self._generations.astype(np.int64))}
        if self._reducer is None or self._reduce is None:
            ids = first_chain + np.arange(self._num_chains, dtype=np.int64)
            coordinates["chain"] = Variable(("chain",), ids)
            coordinates["first_event"] = Variable(("chain",), np.asarray(first_event))
            variables = {
                name: Variable(("generation", "chain", *axes[name]), value)
                for name, value in self._arrays.items()
            }
        else:
            if self._reduce.quantiles:
                levels = np.array(self._reduce.quantiles)
                coordinates["quantile"] = Variable(("quantile",), levels)
            for name, edges in self._reduce.edges:
                lower = np.array([-np.inf, *edges])
                coordinates[f"{name}_bin"] = Variable((f"{name}_bin",), lower)
            coordinates["code"] = Variable(("code",), np.arange(len(STATUS_CODES)))
            variables = {}
            for name, (value, extra) in self._reducer.variables().items():
                own = axes.get(name.rsplit("_", 1)[0], ())
                variables[name] = Variable(("generation", *extra, *own), value)
            if self._reduce.survival:
                share = survival(np.asarray(first_event), self._generations)
                variables["survival"] = Variable(("generation",), share)
        if state_names and any("state" in variable.dims for variable in variables.values()):
            coordinates["state"] = Variable(("state",), np.array(state_names))
        return Records(variables, coordinates, config, provenance, state, expected)


class BatchRecorder:
    """Takes the records of one batch, chunk by chunk in order."""

    def __init__(self, recorder: Recorder, reducer: Reducer | None, begin: int, size: int) -> None:
        self._recorder = recorder
        self._reducer = reducer
        self._begin = begin
        self._size = size
        self._done = 0
        self._chunks: list[dict[str, Any]] = []
        self._raw: list[dict[str, np.ndarray]] = []

    def add(self, records: Mapping[str, Any], count: int) -> None:
        """Copy the first `count` records of a chunk, whose memory is about to be reused."""
        records = jax.tree.map(lambda leaf: np.asarray(leaf)[:count], dict(records))
        raw = {name: value[:, : self._size] for name, value in records.get("raw", {}).items()}
        if self._reducer is not None:
            self._chunks.append(merge_chunk(records["blocks"]))
            self._raw.append({name: value.copy() for name, value in raw.items()})
            return
        rows = slice(self._done, self._done + count)
        chains = slice(self._begin, self._begin + self._size)
        for name, value in raw.items():
            self._recorder.array(name, value)[rows, chains] = value
        self._done += count

    def end(self) -> None:
        """The batch is complete."""
        if self._reducer is not None:
            self._reducer.add(self._begin, self._chunks, self._raw)

"""Let several processes work at the same chains, with the same steps at the same time.

Only the first process uses the run directory, and broadcasts its contents to the others. A
request to stop reaches all processes at the same step.
"""

import contextlib
import itertools
import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Self

import jax
import numpy as np

from collapse_jax.core.host_context import Arrays, HostContext
from collapse_jax.engine.recorder import BatchRecorder, Recorder
from collapse_jax.engine.run_spec import RunSpec
from collapse_jax.results import saved
from collapse_jax.results.records import Records
from collapse_jax.store.files import StoreError


def is_first() -> bool:
    """Tell whether this process is the one that writes."""
    return jax.process_index() == 0


def from_first(arrays: Arrays | None) -> list[np.ndarray] | None:
    """Return in every process the arrays of the first process, bit by bit.

    Args:
      arrays: arrays or None in the first process; ignored in the others.

    Returns:
      Equal arrays in all processes, or None in all.
    """
    from jax.experimental.multihost_utils import broadcast_one_to_all

    own = [np.asarray(one, order="C") for one in arrays or ()]
    shapes = None if arrays is None else [[one.shape, one.dtype.str] for one in own]
    header = np.frombuffer(json.dumps(shapes).encode(), np.uint8)
    length = int(broadcast_one_to_all(np.int32(header.size)))
    header = broadcast_one_to_all(header if is_first() else np.zeros(length, np.uint8))
    shared = json.loads(bytes(header))
    if shared is None:
        return None
    found = []
    for index, (shape, dtype) in enumerate(shared):
        one = own[index] if is_first() else np.zeros(shape, dtype)
        content = broadcast_one_to_all(one.reshape(-1).view(np.uint8))
        found.append(np.asarray(content).view(dtype).reshape(shape))
    return found


class StopSignal(threading.Event):
    """A request to stop that reaches every process as soon as one process has it.

    All processes must call `is_set` equally often until the first True.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_agreed = False

    @contextlib.contextmanager
    def takes_signals(self) -> Iterator[None]:
        """Turn Ctrl-C and SIGTERM into a request to stop, so that no process waits forever."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kinds = (signal.SIGINT, signal.SIGTERM)
        earlier = [signal.signal(kind, lambda *_: self.set()) for kind in kinds]
        try:
            yield
        finally:
            for kind, handler in zip(kinds, earlier, strict=True):
                signal.signal(kind, handler)

    def is_set(self) -> bool:
        """Tell whether any process was asked to stop."""
        from jax.experimental.multihost_utils import process_allgather

        if not self._is_agreed:
            self._is_agreed = bool(np.any(process_allgather(np.array(super().is_set()))))
        return self._is_agreed


class _SharedHostContext(HostContext):
    """A context of all processes, whose checkpoints only the first process reads and writes."""

    def __init__(self, inner: HostContext) -> None:
        super().__init__(inner.devices, inner.stopping)
        self._inner = inner

    def restore(self, generation: int, name: str) -> Arrays | None:
        return from_first(self._inner.restore(generation, name))

    def checkpoint(self, generation: int, name: str, arrays: Callable[[], Arrays]) -> None:
        self._inner.checkpoint(generation, name, arrays)


class _SharedBatch:
    """A `BatchRecorder` that passes records to an inner recorder in the first process only."""

    def __init__(
        self, spec: RunSpec, chains: slice, generation: int, own: BatchRecorder | None
    ) -> None:
        self.chains = chains
        self.generation = generation
        self._spec = spec
        self._own = own

    def leaves(self) -> tuple[np.ndarray, ...] | None:
        found = from_first(None if self._own is None else self._own.leaves())
        return None if found is None else tuple(found)

    def host_context(self, stopping: threading.Event) -> HostContext:
        if self._own is None:
            return _SharedHostContext(HostContext(self._spec.shared_devices, stopping))
        return _SharedHostContext(self._own.host_context(stopping))

    def add(self, call: Any, records: dict[str, Any], carry: Any) -> Future | None:
        return None if self._own is None else self._own.add(call, records, carry)

    def end(self, carry: Any) -> None:
        if self._own is not None:
            self._own.end(carry)

    def stop(self, generation: int, carry: Any) -> None:
        if self._own is not None:
            self._own.stop(generation, carry)


class SharedRecorder:
    """A `Recorder` of several processes; the first process has an inner recorder, which writes."""

    def __init__(self, spec: RunSpec, own: Recorder | None, stopping: StopSignal) -> None:
        self.stopping = stopping
        self._spec = spec
        self._own = own

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, spec: RunSpec, open_inner: Callable[[RunSpec], AbstractContextManager[Recorder]]
    ) -> Iterator[Self]:
        """Open the inner recorder in the first process.

        Args:
          spec: the run.
          open_inner: opens the recorder that writes, such as `DiskRecorder.open`.

        Raises:
          StoreError: in every process, if the inner recorder cannot be opened.
        """
        with contextlib.ExitStack() as stack:
            own, stopping = None, StopSignal()
            stack.enter_context(stopping.takes_signals())
            if is_first():
                try:
                    own = stack.enter_context(open_inner(spec))
                except BaseException as error:
                    from_first([np.frombuffer(str(error).encode(), np.uint8)])
                    raise
            refusal = from_first(None)
            if refusal is not None:
                raise StoreError(bytes(refusal[0]).decode())
            yield cls(spec, own, stopping)

    def batches(self) -> Sequence[BatchRecorder]:
        """Return the batches that are not at the last generation."""
        own = [] if self._own is None else self._own.batches()
        begun = [[one.chains.start, one.generation] for one in own]
        shared = from_first([np.array(begun, np.int64).reshape(-1, 2)])
        assert shared
        slices = {chains.start: chains for chains in self._spec.batches()}
        return [
            _SharedBatch(self._spec, slices[start], generation, mine)
            for (start, generation), mine in itertools.zip_longest(shared[0].tolist(), own)
        ]

    def records(self, compile_seconds: float, run_seconds: float) -> Records:
        """Return the contents of the run directory, which all processes see.

        Args:
          compile_seconds: duration of compilation, for the provenance.
          run_seconds: duration of the rest, for the provenance.
        """
        assert self._spec.store is not None
        found = None if self._own is None else self._own.records(compile_seconds, run_seconds)
        from_first(None)  # wait until the directory is complete
        if found is not None:
            return found
        return Records(**saved.read(self._spec.store.directory)._asdict())

"""Run many chains, batch by batch and chunk by chunk, into one `Records`."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from collapse_jax.core.chain import Chain
from collapse_jax.core.ecosystem import Ecosystem
from collapse_jax.core.host_context import Stopped
from collapse_jax.core.metric import Metric
from collapse_jax.engine import debug_program, host_program
from collapse_jax.engine.buffers import Buffers
from collapse_jax.engine.check_only import end_if_checking, end_if_collecting
from collapse_jax.engine.devices import platform
from collapse_jax.engine.disk_recorder import DiskRecorder
from collapse_jax.engine.multiprocess import SharedRecorder, is_first
from collapse_jax.engine.program import (
    Batch,
    Program,
    advance_on,
    drop_programs,
    empty_carry,
    empty_records,
    signature_of,
)
from collapse_jax.engine.recorder import BatchRecorder, MemoryRecorder, Recorder
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_directory import count_files
from collapse_jax.engine.run_spec import RunSpec, make_run_spec, resume
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.records import Records
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.run_state import RunState
from collapse_jax.store.store import Store
from collapse_jax.utils import memory
from collapse_jax.utils.counted import counted
from collapse_jax.utils.jax_settings import followed_settings, is_jit_disabled, own_settings
from collapse_jax.utils.progress import Progress

_CALLS = 50  # first guess of the calls of a watched run, until the pace is known
_SHORT, _LONG = 0.5, 2.0  # seconds of a call: short enough for interrupts, long enough for speed
_COMPILED = 0.05  # seconds to the first call that tell a new program from one made before
_compiled: set[Any] = set()  # loops, programs, widths, devices and signatures of earlier calls
_buffers = Buffers()  # of earlier runs
_GROWTH = 16  # largest factor from call to call: the first calls may be unusually fast


def simulate(
    chain: Chain | Ecosystem,
    *,
    key: int | Key[Array, ""],
    num_chains: int,
    num_generations: int,
    every: int = 1,
    metrics: Sequence[str | Metric | Callable[..., Any]] = (),
    reduce: Reduce | None = None,
    first_chain: int = 0,
    chain_batch: int | None = None,
    generation_chunk: int | None = None,
    devices: int | str | Sequence[Any] | None = None,
    progress: bool = False,
    store: str | Path | Store | None = None,
    state: RunState | None = None,
) -> Records:
    """Run independent chains and record their variables.

    Chain c is a function of (chain, key, c) alone: equal to the bit for any number of
    chains, batches, chunks, devices or restarts. A second call with equal arguments
    compiles nothing.

    Main arguments:
      chain: the process, or models that train on each other's rows.
      key: an int or a typed threefry key.
      num_chains: number of chains, >= 1.
      num_generations: last generation G >= 0; models 0 .. G are made.
      every: generations between two records; the last generation is always recorded.
      metrics: more variables: names of the family's optional ones, `Metric` objects, or
        functions metric(key, family, params, corpus, source, generation0) of one chain.
      reduce: statistics over chains to record instead of one value per chain.
      store: a run directory, to which records are written soon after they are made. An earlier
        run there is resumed, to the bit as without interruption. Ctrl-C acts after a call.

    Other arguments:
      first_chain: id of the first chain, so that a study can be split.
      chain_batch: chains at a time; None for a size that suits the memory.
      generation_chunk: generations per call of the compiled program; None for as many as the
        memory for their records allows, or for about a second of them with progress or store.
      devices: a number of local devices, or the devices; "all"; None for `jax.default_device`, or
        for all if several processes share the store. Each runs batches of its own. Families on
        the host (`LanguageModel`) share each chain among the devices; then "all" means those of
        all processes of `jax.distributed`, which make the same call and see the same store.
      progress: whether to show number of files, rate and time left on stderr.
      state: `records.state` of an earlier run of the same chain, key and chains, which is
        resumed up to generation `num_generations`; its generations are not recorded again.

    Returns:
      `Records` with dims ("generation", "chain", ...), or reduced ones.

    Raises:
      ArgumentError: for a bad argument, or if the run needs more memory than there is; before
        anything is compiled.
      StoreError: if the store is another run's, in use by another process, damaged, or full.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> cj.simulate(chain, key=0, num_chains=64, num_generations=20)["log_std"].shape
    (21, 64)
    """
    request = Request(
        chain=chain.joint if isinstance(chain, Ecosystem) else chain,
        key=key,
        num_chains=num_chains,
        num_generations=num_generations,
        every=every,
        metrics=metrics,
        reduce=reduce,
        first_chain=first_chain,
        chain_batch=chain_batch,
        generation_chunk=generation_chunk,
        devices=devices,
        progress=progress,
        store=store,
        state=state,
        without_jit=is_jit_disabled(),
    )
    return _run(request)


@own_settings()
def _run(request: Request) -> Records:
    end_if_collecting(lambda: request)
    spec = make_run_spec(request)
    end_if_checking()
    with _open_recorder(spec, request.progress) as recorder:
        return _Execution(spec, recorder, request.progress).run()


def _announce_files(path: Path, spec: RunSpec) -> None:
    """Say how many files a run will have, once for all processes that work at the same chains."""
    if not spec.is_joint or is_first():
        sys.stderr.write(f"{path}: about {counted(count_files(spec), 'file')} when complete\n")


def _open_recorder(spec: RunSpec, progress: bool) -> AbstractContextManager[Recorder]:
    """Open the recorder of a run: in memory, on disk, or of several processes."""
    if spec.store is None:
        return contextlib.nullcontext(MemoryRecorder(spec))
    if progress:
        _announce_files(spec.store.directory, spec)
    if not spec.is_joint:
        return DiskRecorder.open(spec)
    return SharedRecorder.open(spec, DiskRecorder.open)


class _Execution:
    """The execution of a spec: each batch runs on the next free worker."""

    def __init__(self, spec: RunSpec, recorder: Recorder, progress: bool) -> None:
        self._spec = spec
        self._recorder = recorder
        self._batches = recorder.batches()
        left = [spec.num_generations - max(0, one.generation) for one in self._batches]
        sizes = [one.chains.stop - one.chains.start for one in self._batches]
        total = sum(size * steps for size, steps in zip(sizes, left, strict=True))
        self._progress = Progress(total, progress and not (spec.is_joint and not is_first()))
        self._pace = _Pace(spec, is_watched=progress or spec.store is not None)
        devices = spec.workers[: max(1, len(self._batches))]
        self._idle = [_Worker(spec, device) for device in reversed(devices)]
        self._followed = followed_settings()  # those of this thread
        self._stop = recorder.stopping
        self._lock = threading.Lock()
        self._compiling = threading.Lock()

    def run(self) -> Records:
        """Run every batch; an error or an interrupt stops the rest after the current call."""
        with self._progress:
            if len(self._batches) == 1 and self._spec.store is None:
                self._advance(self._batches[0], self._idle[0])  # a thread would cost more
            else:
                self._run_in_threads()
        if self._stop.is_set():
            raise KeyboardInterrupt("another process was interrupted")
        if self._progress.compile_seconds > _COMPILED and memory.is_full_of_programs():
            _compiled.clear()
            _buffers.clear()
            drop_programs()
        return self._recorder.records(self._progress.compile_seconds, self._progress.run_seconds)

    def _run_in_threads(self) -> None:
        with ThreadPoolExecutor(len(self._idle)) as pool:
            futures = [pool.submit(self._run_batch, batch) for batch in self._batches]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=True)
                raise

    def _run_batch(self, batch: BatchRecorder) -> None:
        if self._stop.is_set():
            return
        with self._lock:
            worker = self._idle.pop()
        try:
            with own_settings(**self._followed):
                self._advance(batch, worker)
        finally:
            with self._lock:
                self._idle.append(worker)

    @np.errstate(over="ignore")  # of a covariance beyond float32: spreads are carried as logarithms
    def _advance(self, batch: BatchRecorder, worker: "_Worker") -> None:
        spec, begin = self._spec, batch.chains.start
        size = batch.chains.stop - begin
        program = spec.program._replace(raw=spec.num_raw(begin))
        position = np.arange(spec.width)
        ids = spec.first_chain + begin + np.minimum(position, size - 1)
        chains = worker.put(Batch(ids.astype(np.uint32), position < size))
        chain, advance = worker.chain, advance_on(platform(worker.device))
        if chain.schedule.on_host:
            context = batch.host_context(self._stop)
            chain, advance = host_program.with_context(chain, context), host_program.advance
        elif spec.without_jit and program.metrics:
            advance = debug_program.advance_on(platform(worker.device))
        arguments = (program, chain, worker.key, chains)
        now, leaves = batch.generation, batch.leaves()
        if leaves is None:
            carry = worker.put(empty_carry(spec.carry_shape, spec.width))
        else:
            carry = worker.put(resume(spec, leaves))
        signature = (advance, program, spec.width, worker.device, worker.signature)
        records = _buffers.take(signature)
        if records is None:
            records = worker.put(empty_records(program, spec.record_shape, spec.width))
        if signature not in _compiled:
            with self._compiling, self._progress.compiling():
                # A call for no generation compiles the program, and nothing else.
                carry, records = advance(*arguments, carry, records, *_numbers(0, 1, 0))
            _compiled.add(signature)
        while now < spec.num_generations:
            if self._stop.is_set():
                batch.stop(now, carry)
                return
            call = spec.call(now, self._pace.generations)
            began = time.perf_counter()
            numbers = _numbers(call.start, call.every, call.times)
            try:
                carry, records = advance(*arguments, carry, records, *numbers)
            except Stopped:
                continue
            jax.block_until_ready(carry)
            self._pace.note(call.steps, time.perf_counter() - began)
            busy = batch.add(call, records, carry)
            if busy is not None:
                records = worker.exchange(program, records, busy)
            self._progress.advance(size * call.steps)
            now = call.end
        batch.end(carry)
        _buffers.give(signature, records)


class _Pace:
    """The number of generations of a call: about a second of them in a watched run."""

    def __init__(self, spec: RunSpec, *, is_watched: bool) -> None:
        self._is_fixed = spec.generation_chunk is not None or not is_watched
        self.generations = spec.generation_chunk or MAX_GENERATIONS
        if not self._is_fixed:
            self.generations = max(1, spec.num_generations // _CALLS)

    def note(self, steps: int, seconds: float) -> None:
        """Adapt the next calls to the duration of a call of `steps` generations."""
        if self._is_fixed or steps == 0:
            return
        if seconds > _LONG:
            self.generations = max(1, steps // 2)
        elif seconds < _SHORT and steps * 2 > self.generations:
            growth = min(_GROWTH, _SHORT / max(seconds, 1e-6))
            self.generations = min(int(self.generations * max(2, growth)), MAX_GENERATIONS)


class _Worker:
    """The arrays that stay on a device from batch to batch.

    Attributes:
      device: a device; None for the default device.
      chain: the process, with its numbers on the device.
      signature: of the chain.
      key: two words of the run's key.
    """

    def __init__(self, spec: RunSpec, device: Any) -> None:
        self.device = device
        self.chain = self.put(spec.chain.centred)
        self.signature = signature_of(spec.chain.centred)
        self.key = self.put(np.array(spec.key, np.uint32))
        self._spare: dict[Program, tuple[dict, Future]] = {}

    def put(self, tree: Any) -> Any:
        """Return arrays on the device; programs put those of the default device there."""
        return tree if self.device is None else jax.device_put(tree, self.device)

    def exchange(self, program: Program, records: dict, busy: Future) -> dict:
        """Return other buffers for records while `records` are in use."""
        if program not in self._spare:
            self._spare[program] = records, busy
            return jax.tree.map(jnp.zeros_like, records)
        spare, earlier = self._spare[program]
        wait([earlier])
        self._spare[program] = records, busy
        return spare


def _numbers(*values: int) -> tuple[np.int32, ...]:
    return tuple(np.int32(value) for value in values)

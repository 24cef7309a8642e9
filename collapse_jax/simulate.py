"""`simulate`: many chains, batch by batch and chunk by chunk, into one `Records`."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from collapse_jax import execution
from collapse_jax.chain import Chain
from collapse_jax.execution import Batch, Carry, Program
from collapse_jax.family import Metric
from collapse_jax.plan import Plan, make_plan, resume
from collapse_jax.progress import Progress
from collapse_jax.results.collect import Recorder
from collapse_jax.results.describe import describe
from collapse_jax.results.expected import expected_curves
from collapse_jax.results.provenance import provenance
from collapse_jax.results.records import Records
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.run_state import RunState


def simulate(
    chain: Chain,
    *,
    key: int | Key[Array, ""],
    num_chains: int,
    num_generations: int,
    every: int = 1,
    metrics: Sequence[str | Metric] = (),
    reduce: Reduce | None = None,
    first_chain: int = 0,
    chain_batch: int | None = None,
    generation_chunk: int | None = None,
    devices: int | Sequence[Any] | None = None,
    progress: bool = False,
    store: None = None,
    state: RunState | None = None,
) -> Records:
    """Run independent chains and keep what was measured.

    Chain c is a function of (chain, key, c) alone: the same to the bit whatever the
    number of chains, batches, chunks, devices or restarts. A second call with equal
    arguments compiles nothing.

    Args:
      chain: the process.
      key: an int or a typed threefry key.
      num_chains: how many chains, >= 1.
      num_generations: last generation G >= 0; models 0 .. G are made.
      every: record each `every`-th generation, and the last.
      metrics: more variables: names of the family's optional ones, or functions
        metric(key, family, params, corpus, source, first) of one chain.
      reduce: keep statistics over chains instead of one value per chain.
      first_chain: id of the first chain, so that a study can be split.
      chain_batch: chains at a time; None for a size that suits the memory.
      generation_chunk: generations per call of the compiled program; None for as many
        as the memory for their records allows.
      devices: a number of local devices or the devices; None for the default one.
        Each runs batches of its own.
      progress: whether to show rate and time left on stderr.
      store: reserved for a run directory on disk; only None so far.
      state: `records.state` of an earlier run of the same chain, key and chains, which
        is then continued to generation `num_generations`; its generations are not
        recorded again.

    Returns:
      `Records` with dims ("generation", "chain", ...), or reduced ones.

    Raises:
      ValueError: for a bad argument, before anything is compiled, or if the run needs
        more memory than there is.
    """
    plan = make_plan(
        chain,
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
    )
    return _Execution(plan, progress).run()


class _Execution:
    """Runs the batches of a plan, each on the next free worker."""

    def __init__(self, plan: Plan, progress: bool) -> None:
        self._plan = plan
        total = plan.num_chains * (plan.num_generations - plan.first_generation)
        self._progress = Progress(total, progress)
        self._recorder = Recorder(plan.generations, plan.num_chains, plan.reduce)
        self._leaves = [
            np.empty((plan.num_chains, *leaf.shape[1:]), leaf.dtype)
            for leaf in jax.tree.leaves(plan.carry_shape)
        ]
        self._idle = [_Worker(plan, device) for device in reversed(plan.workers)]
        self._is_double = jnp.result_type(float) == jnp.float64  # a setting of this thread
        self._lock = threading.Lock()
        self._compiling = threading.Lock()

    def run(self) -> Records:
        """Every batch; the first error stops the rest."""
        batches = self._plan.batches()
        workers = min(len(self._plan.workers), len(batches))
        with self._progress, ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._run_batch, *batch) for batch in batches]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return self._records()

    def _run_batch(self, begin: int, size: int) -> None:
        with self._lock:
            worker = self._idle.pop()
        try:
            with jax.enable_x64(self._is_double):
                carry = self._advance(begin, size, worker)
            for place, leaf in enumerate(jax.tree.leaves(carry)):
                self._leaves[place][begin : begin + size] = np.asarray(leaf)[:size]
        finally:
            with self._lock:
                self._idle.append(worker)

    def _advance(self, begin: int, size: int, worker: "_Worker") -> Carry:
        plan = self._plan
        program = plan.program._replace(raw=plan.wants_raw(begin))
        collector = self._recorder.batch(begin, size)
        position = np.arange(plan.width)
        rows = begin + np.minimum(position, size - 1)
        batch = Batch((plan.first_chain + rows).astype(np.uint32), position < size)
        batch = jax.device_put(batch, worker.device)
        arguments = (program, worker.chain, worker.key, batch)
        carry, records = execution.room(*arguments)
        if plan.state is not None:
            carry = resume(plan, rows)
        carry = jax.device_put(carry, worker.device)
        if program in worker.records:
            records = worker.records.pop(program)
        else:
            with self._compiling, self._progress.compiling():
                # A call for no generation compiles the program, and nothing else.
                records = jax.device_put(records, worker.device)
                carry, records = execution.advance(*arguments, carry, records, *_numbers(0, 1, 0))
        for call in plan.calls():
            numbers = _numbers(call.start, call.every, call.times)
            carry, records = execution.advance(*arguments, carry, records, *numbers)
            if call.is_kept:
                collector.add(records, call.times)
            jax.block_until_ready(carry)
            self._progress.advance(size * call.steps)
        collector.end()
        worker.records[program] = records
        return carry

    def _records(self) -> Records:
        plan = self._plan
        axes = dict(plan.chain.family.axes)
        for name, shape in plan.record_shape.items():
            axes.setdefault(name, tuple(f"{name}_axis_{k}" for k in range(shape.ndim - 1)))
        carry = jax.tree.unflatten(jax.tree.structure(plan.carry_shape), self._leaves)
        dtype = str(jnp.result_type(float))
        workers = dict.fromkeys(plan.workers)
        devices = [jax.devices()[0] if device is None else device for device in workers]
        return self._recorder.records(
            axes=axes,
            first_chain=plan.first_chain,
            first_event=carry.first_event,
            state_names=getattr(plan.chain.source, "names", ()),
            config={
                "chain": describe(plan.chain),
                "num_chains": plan.num_chains,
                "num_generations": plan.num_generations,
                "every": plan.every,
                "metrics": [describe(metric) for metric in plan.program.metrics],
                "reduce": describe(plan.reduce),
                "first_chain": plan.first_chain,
            },
            provenance={
                **provenance(plan.key, dtype, devices),
                "compile_seconds": self._progress.compile_seconds,
                "run_seconds": self._progress.run_seconds,
            },
            state=RunState(plan.num_generations, plan.first_chain, plan.key, tuple(self._leaves)),
            expected=expected_curves(plan.chain, plan.generations),
        )


class _Worker:
    """What stays on a device from batch to batch.

    Attributes:
      device: None for the default one.
      chain: the process, its numbers on the device.
      key: two words of the run's key.
      records: room for the records of each program.
    """

    def __init__(self, plan: Plan, device: Any) -> None:
        self.device = device
        self.chain = jax.device_put(plan.chain, device)
        self.key = jax.device_put(np.array(plan.key, np.uint32), device)
        self.records: dict[Program, dict] = {}


def _numbers(*values: int) -> tuple[np.int32, ...]:
    return tuple(np.int32(value) for value in values)

"""A run in a run directory: opened, written by one thread, and finished."""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import jax

from collapse_jax.plan import Plan
from collapse_jax.recording import BatchRecorder, axes_of, config_of, coordinates_of, provenance_of
from collapse_jax.results import saved
from collapse_jax.results.collect import reduced_variables
from collapse_jax.results.expected import expected_curves
from collapse_jax.results.records import Records
from collapse_jax.results.run_state import RunState, read_kept
from collapse_jax.results.same import check_same
from collapse_jax.results.variable import Variable
from collapse_jax.store.arrays import chunk, chunk_name
from collapse_jax.store.directory import RECORDS, Writer, begin, writing
from collapse_jax.store.lock import alone
from collapse_jax.storing.batch import StoredBatch
from collapse_jax.storing.frame import build, drop_orphans, extend, kept_like

_WAITING = 4  # writes that may wait for the disk


class Interrupted(KeyboardInterrupt):
    """An interrupt of a run that goes on where it was when the same call is made again."""


class OnDisk:
    """A `Recorder` that keeps everything in a run directory.

    One thread writes, so that nobody computes for want of a disk.
    """

    def __init__(self, plan: Plan, writer: Writer) -> None:
        assert plan.store is not None
        self.plan = plan
        self.writer = writer
        self.seconds = plan.store.seconds
        self.stopping = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._room = threading.BoundedSemaphore(_WAITING)
        self._error: BaseException | None = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, plan: Plan) -> Iterator[Self]:
        """The run directory of a plan, made, continued or extended.

        Raises:
          ValueError: if it is another run's, or damaged, or another process writes it.
          Interrupted: for an interrupt, once what was in hand is on the disk.
        """
        assert plan.store is not None
        path = plan.store.directory
        assert plan.layout is not None
        begin(path, lambda: build(plan), plan.layout)
        with writing(path, plan.store.process) as writer:
            earlier = check_same(
                path, config_of(plan), provenance_of(plan), may_grow=plan.store.extend
            )
            if earlier is not None:
                extend(plan, writer, earlier)
            drop_orphans(plan, writer)
            run = cls(plan, writer)
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
        plan, states = self.plan, saved.last_states(self.writer.files)
        places = plan.batches()
        found = [StoredBatch(self, k, places[k], states.get(k)) for k in plan.own_batches]
        return [batch for batch in found if batch.generation < plan.num_generations]

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
        with alone(path):
            ledger = self.writer.refresh()
            if not ledger.is_finished:
                seconds: dict[str, Any] = {
                    "compile_seconds": compile_seconds,
                    "run_seconds": run_seconds,
                }
                if saved.missing_chains(ledger, config_of(self.plan)):
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
        plan, path = self.plan, self.writer.path
        variables: dict[str, Variable] = {}
        if plan.reduce is not None:
            states = saved.last_states(self.writer.files)
            paths = [path / states[number].name for number in sorted(states)]
            kept = [
                jax.tree.unflatten(jax.tree.structure(kept_like(plan, chains)), read_kept(one))
                for chains, one in zip(plan.batches(), paths, strict=True)
            ]
            events = jax.tree.unflatten(plan.structure, RunState.load(paths).leaves).first_event
            variables = reduced_variables(
                plan.reduce, kept, events, plan.generations, axes_of(plan)
            )
        contents = {
            f"{RECORDS}/{chunk_name(name, [0] * one.values.ndim)}": chunk(
                [one.values], one.values.shape
            )
            for name, one in variables.items()
        }
        theory = expected_curves(plan.chain, plan.generations)()
        dims = {dim for one in theory.values() for dim in one.dims}
        contents |= saved.theory_files(theory, coordinates_of(plan, dims))
        staged = self.writer.stage(contents)
        finished = self.writer.files["config.json"].crc
        self.writer.add("finished", staged, finished=finished, **seconds)

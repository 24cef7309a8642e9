"""Check a call of `simulate` and make all choices that precede compilation."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.engine import debug_program
from collapse_jax.engine.batches import (
    choose_widths,
    group_of,
    is_folded,
    layout_of,
    width_of,
)
from collapse_jax.engine.devices import Device, choose_devices, local_device, platform
from collapse_jax.engine.program import ALL, AbstractShapes, Carry, Program, abstract_shapes
from collapse_jax.engine.request import Request, check_values
from collapse_jax.engine.scales import check_scales
from collapse_jax.random.threefry import key_words
from collapse_jax.results import saved
from collapse_jax.results.provenance import describe
from collapse_jax.results.reduce import (
    BLOCK,
    QUANTILE_CHAINS,
    HostRecords,
    Positions,
    Reduce,
    relative_edges,
    to_host,
)
from collapse_jax.results.run_state import RunState
from collapse_jax.results.saved import Layout
from collapse_jax.store.store import Store
from collapse_jax.utils import check, instructions, memory
from collapse_jax.utils.accelerators import memory_of
from collapse_jax.utils.fork import check_fork

_CHUNK_BYTES = 2**24  # bytes of the records of a call: small next to the memory of a device
_LONGEST = 60  # characters of a value in a message
_RARE = 8  # generations between records: needless values cost less than a program without them
_FEWEST_RECORDS, _MOST_RECORDS = 16, 4096  # records of a call: short runs share a compilation


class Call(NamedTuple):
    """One call of the compiled program: `times` records, `every` generations apart.

    Attributes:
      start: the generation reached before the call, -every before generation 0.
      every: generations from one record to the next.
      times: number of records.
      is_recorded: whether the records are taken; False for a stop between two records.
    """

    start: int
    every: int
    times: int
    is_recorded: bool

    @property
    def end(self) -> int:
        """Return the generation that the call reaches."""
        return self.start + self.every * self.times

    @property
    def steps(self) -> int:
        """Return the generations beyond generation 0 that the call makes."""
        return self.end - max(0, self.start)


@dataclasses.dataclass(frozen=True)
class RunSpec:
    """A checked request, together with the batches, shapes, program and devices of the run."""

    chain: Chain
    key: tuple[int, int]
    num_chains: int
    num_generations: int
    every: int
    reduce: Reduce | None
    first_chain: int
    chain_batch: int
    width: int  # chains of the compiled program: the batch and its padding
    generation_chunk: int | None  # generations of a call, None to adapt them
    workers: tuple[Device | None, ...]  # devices with batches of their own, None for the default
    shared_devices: tuple[Device, ...] | None  # share every chain of a family on the host
    state: RunState | None
    store: Store | None
    layout: Layout | None  # of the files in the store
    program: Program
    carry_shape: Carry
    record_shape: dict[str, Any]
    chain_bytes: int  # memory of one chain at work, with its corpus
    without_jit: bool  # whether metrics are called as plain Python

    @functools.cached_property
    def positions(self) -> Positions:
        """Return what has to be added to variables that are relative to the source."""
        return positions_of(self.chain)

    @property
    def stored_shape(self) -> dict[str, Any]:
        """Return the shapes of the variables of one chain on the host, positions as float64."""
        moved = self.positions
        return {
            name: one.update(dtype=np.dtype(np.float64)) if name in moved else one
            for name, one in self.record_shape.items()
        }

    @property
    def first_generation(self) -> int:
        """Return the generation that the run starts from."""
        return 0 if self.state is None else self.state.generation

    @property
    def generations(self) -> np.ndarray:
        """Return the recorded generations, [record]."""
        begin = self.first_generation
        recorded = np.arange(begin, self.num_generations + 1, self.every)
        if recorded[-1] != self.num_generations:
            recorded = np.append(recorded, self.num_generations)
        return recorded if self.state is None else recorded[1:]

    @property
    def is_joint(self) -> bool:
        """Tell whether all processes of `jax.distributed` work at the same chains."""
        return any(one.process_index != jax.process_index() for one in self.shared_devices or ())

    @property
    def structure(self) -> Any:
        """Return the structure of a carry as a pytree."""
        return jax.tree.structure(self.carry_shape)

    def batches(self) -> list[slice]:
        """Return the indices of the chains of each batch."""
        begins = range(0, self.num_chains, self.chain_batch)
        return [slice(begin, min(begin + self.chain_batch, self.num_chains)) for begin in begins]

    @property
    def own_batches(self) -> range:
        """Return the numbers of the batches that this process runs."""
        index, count = (0, 1) if self.store is None else self.store.process
        number = len(self.batches())
        return range(number * index // count, number * (index + 1) // count)

    def call(self, now: int, most: int) -> Call:
        """Return the next call for a batch that has reached generation `now`.

        Args:
          now: a generation below the last; -1 before generation 0.
          most: the most generations of the call; fewer than the run has leave generation 0 alone.
        """
        begin, every = self.first_generation, self.every
        if now < 0:
            later = self.num_generations // every if most >= self.num_generations else 0
            return Call(-every, every, min(1 + later, self._fitting(now)), is_recorded=True)
        record_at = min(now + every - (now - begin) % every, self.num_generations)
        stride = record_at - now
        if stride > most:
            return Call(now, most, 1, is_recorded=False)
        left = min(most, self.num_generations - now)
        times = min(left // stride, self._fitting(now)) if stride == every else 1
        return Call(now, stride, times, is_recorded=True)

    def _fitting(self, now: int) -> int:
        """Return the most records of a call after generation `now`: calls end where files do."""
        if self.layout is None:
            return self.program.length
        length = self.layout.records
        return min(self.program.length, length - self.num_records(now) % length)

    def num_records(self, now: int) -> int:
        """Return the number of records of a batch that has reached generation `now`.

        Args:
          now: a generation.
        """
        return int(np.searchsorted(self.generations, now, side="right"))

    def num_raw(self, begin: int) -> int:
        """Return how many chains of a batch return their values, for records or for quantiles.

        Args:
          begin: index of its first chain.
        """
        if self.reduce is None:
            return ALL
        is_late = begin >= QUANTILE_CHAINS  # its chains count for no quantile
        if not self.reduce.quantiles or (is_late and self.every < _RARE):
            return 0
        left = QUANTILE_CHAINS - (0 if is_late else begin)  # late: with the first one's program
        # Every other number is a program of its own: only large batches are worth it.
        return left if self.program.tile is None and self.width >= 2 * left else ALL

    def to_host(self, records: Mapping[str, Any], count: int, chains: slice) -> HostRecords:
        """Return the records of a call of a batch on the host, see `reduce.to_host`.

        Args:
          records: result of the compiled program.
          count: number of leading records that are set.
          chains: indices of the batch among all chains of the run.
        """
        return to_host(records, count, chains, self.width, self.reduce, self.positions)

    @property
    def bytes_at_work(self) -> int:
        """Return the most bytes that a batch takes where it is computed."""
        record = memory.size_of(self.record_shape)
        in_memory = self.program.group or self.program.tile or self.width
        buffer = record * self.program.length if self.reduce is None else 8 * record
        return self.width * 2 * buffer + in_memory * 4 * self.chain_bytes

    def check_memory(self) -> None:
        """Refuse a run that its machine or its devices have no memory for.

        Raises:
          ArgumentError: telling for what, and what to change.
        """
        record, state = memory.size_of(self.stored_shape), memory.size_of(self.carry_shape)
        stored = self.num_chains
        if self.reduce is not None:
            stored = min(stored, QUANTILE_CHAINS) if self.reduce.quantiles else 0
        elif self.store is not None:
            stored = 0
        needs = {
            "records": stored * len(self.generations) * record,
            "final states": self.num_chains * state,
        }
        if platform(self.workers[0]) == "cpu":
            needs["chains at work"] = self.bytes_at_work * len(self.workers)
            memory.check(needs)
            return
        memory.check(needs)
        device = local_device(self.workers[0])
        if (limit := memory_of(device)) is not None:
            name = f"device {device.device_kind}"
            memory.check({"chains at work": self.bytes_at_work}, limit, name)


def positions_of(chain: Chain) -> Positions:
    """Return what has to be added to the variables of a chain that runs `centred`, by name.

    Args:
      chain: the process.
    """
    location = chain.centred.location
    if location is None:
        return {}
    return dict.fromkeys(chain.family.located, np.asarray(location, np.float64))


def make_run_spec(request: Request, described: Sequence[Device] = ()) -> RunSpec:
    """Refuse bad arguments and make all open choices, without compiling anything.

    Args:
      request: the arguments of `simulate`.
      described: devices that are not here, to plan for; () for those that the request names.

    Raises:
      ArgumentError: for a bad argument, or if the run needs more memory than there is.
      RuntimeError: in a process that was forked after jax had started.
    """
    check_fork()
    instructions.check_variable()
    words = key_words(request.key) if isinstance(request.chain, Chain) else (0, 0)
    request = request.checked()
    chain, store = request.chain, Store.of(request.store)
    workers, shared_devices = choose_devices(chain, request.devices, store)
    workers = tuple(described) or workers
    if request.without_jit:
        workers = workers[:1]  # one debugger at a time
    program, shapes = _program(request, words, workers)
    processes = 1 if store is None else store.process[1]
    batch, width, tile = choose_widths(
        request.chain_batch, processes, chain, request.num_chains, program, shapes, workers
    )
    program = program._replace(tile=tile)
    num_records = -(-request.num_generations // request.every) + 1
    layout = store and _layout(store, batch, num_records, shapes.record)
    if layout is not None:
        batch = layout.chain_batch
        width = width_of(batch, tile, program, on_cpu=platform(workers[0]) == "cpu")
    program = program._replace(folded=is_folded(width, program, workers[0]))
    spec = RunSpec(
        chain=chain,
        key=words,
        num_chains=request.num_chains,
        num_generations=request.num_generations,
        every=request.every,
        reduce=request.reduce,
        first_chain=request.first_chain,
        chain_batch=batch,
        width=width,
        generation_chunk=request.generation_chunk,
        workers=workers,
        shared_devices=shared_devices,
        state=request.state,
        store=store,
        layout=layout,
        program=program,
        carry_shape=shapes.carry,
        record_shape=shapes.record,
        chain_bytes=shapes.nbytes,
        without_jit=request.without_jit,
    )
    if request.state is not None:
        _check_state(spec, request.state)
    program = program._replace(length=_length(spec))
    spec = dataclasses.replace(spec, program=program)
    if not described:
        spec.check_memory()
    return spec


def _layout(store: Store, batch: int, num_records: int, record: Any) -> Layout:
    """Return the layout of files: the stored one, unless the run grows far beyond its batches."""
    layout = saved.layout_at(store.directory)
    if layout is None or (store.extend and 2 * layout.chain_batch < batch):
        return layout_of(batch, num_records, record)
    return layout


def _program(
    request: Request, words: tuple[int, int], workers: tuple[Device | None, ...]
) -> tuple[Program, AbstractShapes]:
    """Return the program, except the number of records of a call, and the shapes of a chain."""
    chain, reduce = request.chain, request.reduce
    metrics = tuple(Metric.of(metric) for metric in request.metrics)
    program = Program(
        metrics=metrics,
        retained=chain.retained(metrics),
        horizon=request.num_generations if chain.policy.is_growing else 0,
        length=1,
        reduced=False,
        raw=ALL,
    )
    key = np.array(words, np.uint32)
    if request.without_jit and metrics and not chain.schedule.on_host:
        shapes = debug_program.abstract_shapes(program, chain.centred, key, request.first_chain)
    else:
        shapes = abstract_shapes(program, chain.centred)
    check_values(chain, metrics, shapes.record)
    check_scales(chain, metrics, shapes.record)
    group = group_of(chain, shapes.nbytes, workers)
    program = program._replace(reduced=reduce is not None, group=group)
    if reduce is not None:
        for name, _ in reduce.edges:
            check.choice("Reduce.histograms", name, sorted(shapes.record.keys() - {"status"}))
        program = program._replace(histograms=relative_edges(reduce.edges, positions_of(chain)))
    return program, shapes


def _length(spec: RunSpec) -> int:
    """Return the most records of a call: a power of two, so that runs share compilations."""
    chains = min(spec.width, spec.num_raw(0)) or spec.width // BLOCK
    fitting = _CHUNK_BYTES // max(1, memory.size_of(spec.record_shape) * chains)
    most = len(spec.generations)
    if spec.generation_chunk is not None:
        most = min(most, math.ceil(spec.generation_chunk / spec.every))
    length = min(max(_FEWEST_RECORDS, most), max(1, fitting), _MOST_RECORDS)
    return 2 ** math.ceil(math.log2(length)) if length < fitting else 2 ** int(math.log2(length))


def _check_state(spec: RunSpec, state: Any) -> None:
    remedy = "pass the chain, key, first_chain and num_chains of the run that made the state"
    check.instance("state", state, RunState, "it must be a RunState", "pass records.state")
    given = {"key": spec.key, "first_chain": spec.first_chain}
    for name, value in given.items():
        made = getattr(state, name)
        if made != value:
            raise check.fail(name, value, f"the state was made with {made}", remedy)
    if state.chain is not None and (other := _other_part(state.chain, describe(spec.chain))):
        part, (theirs, ours) = other
        allowed = f"the state was made with {theirs}"
        raise check.fail(f"chain.{part}", check.Shown(ours), allowed, remedy)
    if state.generation >= spec.num_generations:
        allowed = f"the state is at generation {state.generation} already"
        later = "pass a later last generation"
        raise check.fail("num_generations", spec.num_generations, allowed, later)
    if len(state.leaves[0]) != spec.num_chains:
        allowed = f"the state has {len(state.leaves[0])}"
        raise check.fail("num_chains", spec.num_chains, allowed, remedy)
    expected = jax.tree_util.tree_leaves_with_path(spec.carry_shape)
    name, theirs, ours = "number of arrays", str(len(state.leaves)), str(len(expected))
    if theirs == ours:
        pairs = zip(expected, state.leaves, strict=True)
        misfits = ((path, own, made) for (path, own), made in pairs if not _fits(own, made))
        path, own, made = next(misfits, ((), None, None))
        if own is None or made is None:
            return
        name = jax.tree_util.keystr(path).lstrip(".")
        theirs, ours = (f"{one.dtype} {one.shape[1:]}" for one in (made, own))
        if own.shape == (1, *made.shape[1:]):
            remedy = "set jax_enable_x64 as for the run that made the state"
            raise check.fail(f"{name} of state", check.Shown(theirs), f"here it is {ours}", remedy)
    metrics = [str(metric.name) for metric in spec.program.metrics]
    if state.metrics is not None and list(state.metrics) != metrics:
        allowed = (
            f"the state was made with {_shortened(list(state.metrics))}, which read other data"
        )
        raise check.fail("metrics", metrics, allowed, "pass the metrics of that run")
    raise check.fail(f"{name} of state", check.Shown(theirs), f"here it is {ours}", remedy)


def _fits(own: Any, made: np.ndarray) -> bool:
    """Tell whether an array of a state fits the buffer of a run, which may be larger."""
    if own.ndim != made.ndim or own.dtype != made.dtype:
        return False
    return bool(np.all(np.array(own.shape[1:]) >= np.array(made.shape[1:])))


def _other_part(
    made: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[str, tuple[str, str]] | None:
    """Return the first setting in which two described chains differ, with both values.

    A schedule of the policy may go on: it has a value for each generation.
    """
    for part in ("family", "source", "policy"):
        theirs, ours = made.get(part, {}), given[part]
        for name in dict.fromkeys((*theirs, *ours)):
            one, two = theirs.get(name), ours.get(name)
            if one != two and not (part == "policy" and _continues(one, two)):
                label = part if name == "type" else f"{part}.{name}"
                return label, (_shortened(one), _shortened(two))
    return None


def _continues(made: Any, given: Any) -> bool:
    """Tell whether a described schedule begins with another, as far as can be seen."""
    if isinstance(made, list) and isinstance(given, list):
        return given[: len(made)] == made
    shapes = [one.get("shape") if isinstance(one, Mapping) else None for one in (made, given)]
    return shapes[1] is not None and (isinstance(made, list) or shapes[0] not in (None, shapes[1]))


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def resume(spec: RunSpec, leaves: Sequence[np.ndarray]) -> Carry:
    """Return the chains of a batch, padded to the width and the buffers of its program.

    Args:
      spec: the run.
      leaves: the arrays of a carry, [chain, ...].
    """
    rows = np.minimum(np.arange(spec.width), len(leaves[0]) - 1)
    padded = []
    for shape, leaf in zip(jax.tree.leaves(spec.carry_shape), leaves, strict=True):
        extra = [(0, new - old) for new, old in zip(shape.shape[1:], leaf.shape[1:], strict=True)]
        padded.append(np.pad(leaf[rows], [(0, 0), *extra]))
    return jax.tree.unflatten(spec.structure, padded)

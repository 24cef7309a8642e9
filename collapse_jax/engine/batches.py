"""Choose how many chains are computed together, and how many records make a file.

A run is divided three times. A *batch* goes through the compiled program in one call after the
other. A *tile* of it goes through all generations of a call before the next tile does, so that its
numbers stay in the caches. A *group* of a tile is computed together in each generation; only fits
that are sequential have groups smaller than the tile.

The shape of a sum along an axis decides how the sum rounds. So the tile is a function of the chain
alone, and no number depends on the batch. Chains of single numbers have no such sums: any number of
whole vectors does for them, and a batch is one tile. A remainder at the end would run in a loop of
its own, which rounds differently.

An accelerator is busy only with many chains, and loops over tiles would leave it idle. There a
batch is one tile, as wide as its memory allows and no wider than the run needs.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from collapse_jax.core.chain import Chain
from collapse_jax.engine.devices import Device, local_device, platform
from collapse_jax.engine.folding import ROW
from collapse_jax.engine.program import AbstractShapes, Program
from collapse_jax.results.reduce import BLOCK
from collapse_jax.results.saved import Layout
from collapse_jax.utils import check, memory
from collapse_jax.utils.accelerators import memory_of

_MOST_CHAINS = 32_768  # chains of a batch: arrays of single numbers stay in the caches
_BATCH_BYTES = 2**24  # bytes at work in a batch of tiles: a generation takes a moment
_FILE_BYTES = 2**22  # bytes of a file of one variable: few files, each soon written
_VECTOR = 64  # chains: a multiple of the vector width of every CPU


class _Capacity(NamedTuple):
    """The most chains of a tile, and the most bytes of their states."""

    chains: int
    nbytes: int


_CPU = _Capacity(256, 2**20)  # the state of a step stays in the caches
_MOST_ON_ACCELERATOR = 2**16  # chains of a batch: more make no accelerator busier
_MOST_SEQUENTIAL = 2**9  # chains of a batch whose fits wait for the slowest one
_COPIES = 4  # of what a chain works on, in the memory of a device
_UNKNOWN_MEMORY = 2**33  # bytes of an accelerator that does not tell
_GROUP, _GROUP_OF_LARGE = 8, 2  # chains per group where fits are sequential: it fits the caches
_LARGE = 2**19  # bytes of one chain at work from which groups are small


class Widths(NamedTuple):
    """The numbers of chains of a run.

    Attributes:
      batch: chains of a batch.
      width: chains of the compiled program: the batch and its padding.
      tile: chains of a tile; None where the batch is one and any width does.
    """

    batch: int
    width: int
    tile: int | None


def group_of(chain: Chain, chain_bytes: int, workers: tuple[Device | None, ...]) -> int | None:
    """Return the number of chains computed together, which decides how their sums round.

    Args:
      chain: the process.
      chain_bytes: memory of one chain at work, in bytes.
      workers: devices of the run.

    Returns:
      The size of a group in chains; None for the whole batch at once.
    """
    if chain.schedule.exclusive or chain.schedule.on_host:
        return 1
    if not chain.schedule.sequential_on_cpu or platform(workers[0]) != "cpu":
        return None
    return _GROUP if chain_bytes < _LARGE else _GROUP_OF_LARGE


def choose_widths(
    chain_batch: Any,
    processes: int,
    chain: Chain,
    num_chains: int,
    program: Program,
    shapes: AbstractShapes,
    workers: tuple[Device | None, ...],
) -> Widths:
    """Choose the chains of a batch and of a tile.

    Args:
      chain_batch: the argument of `simulate`, not checked yet.
      processes: number of processes that share the chains.
      chain: the process.
      num_chains: chains of the run.
      program: the compiled program.
      shapes: of one chain.
      workers: devices of this process.

    Raises:
      ArgumentError: if `chain_batch` is no integer >= 1.
    """
    share = math.ceil(num_chains / (len(workers) * processes))
    on_cpu = platform(workers[0]) == "cpu"
    if not on_cpu and program.group is None:
        tile, most = None, min(share, _fitting(chain, shapes, workers[0]))
    elif chain.schedule.elementwise and shapes.has_elementwise_metrics:
        tile, most = None, min(_MOST_CHAINS, max(BLOCK, share))
    else:
        tile = _tile(program, shapes)
        unit = program.group or tile
        most = min(_most_tiles(chain, tile, shapes) * tile, _multiple(share, unit))
    if chain_batch is not None:
        asked = check.integer("chain_batch", chain_batch, 1)
        most = asked if tile is None else min(asked, max(most, tile))
    number = math.ceil(num_chains / most)
    batch = math.ceil(num_chains / (math.ceil(number / processes) * processes))
    if program.reduced:  # statistics are of the same blocks of chains in every batch
        batch = _multiple(batch, BLOCK)
    elif tile is None and chain_batch is None and on_cpu:
        batch = _multiple(batch, _VECTOR)
    return Widths(batch, width_of(batch, tile, program, on_cpu=on_cpu), tile)


def _fitting(chain: Chain, shapes: AbstractShapes, device: Device | None) -> int:
    """Return the most chains of a batch on an accelerator: they fill half of its memory."""
    nbytes = memory_of(local_device(device)) or _UNKNOWN_MEMORY
    most = _MOST_SEQUENTIAL if chain.schedule.sequential_on_cpu else _MOST_ON_ACCELERATOR
    fitting = nbytes // 2 // (_COPIES * max(1, shapes.nbytes, memory.size_of(shapes.record)))
    return 2 ** int(math.log2(max(1, min(most, fitting))))


def _tile(program: Program, shapes: AbstractShapes) -> int:
    """Return the chains of a tile, which decide how their sums round."""
    nbytes = max(1, memory.size_of(shapes.carry) + shapes.candidates)
    fitting = min(_CPU.chains, max(8, _CPU.nbytes // nbytes))
    least = BLOCK if program.reduced else program.group or 8
    return max(least, program.group or 2 ** int(math.log2(fitting)))


def _most_tiles(chain: Chain, tile: int, shapes: AbstractShapes) -> int:
    """Return the most tiles of a batch, of which a generation takes a second at most."""
    schedule = chain.schedule
    if schedule.on_host or schedule.exclusive:
        return 1
    most = _CPU if schedule.sequential_on_cpu else _Capacity(_MOST_CHAINS, _BATCH_BYTES)
    nbytes = max(shapes.nbytes, memory.size_of(shapes.record))
    return 2 ** int(math.log2(max(1, min(most.chains, most.nbytes // nbytes) // tile)))


def width_of(batch: int, tile: int | None, program: Program, *, on_cpu: bool) -> int:
    """Return the chains of a program: a power of two of tiles, so that runs share compilations.

    Args:
      batch: chains of the batch.
      tile: chains of a tile; None for the whole batch.
      program: the compiled program.
      on_cpu: whether it is for CPU.

    Returns:
      The width in chains, at least `batch`.
    """
    if tile is None:
        if program.reduced:
            return _multiple(batch, BLOCK)
        if on_cpu:
            return _multiple(batch, _VECTOR)
        return _multiple(batch, min(ROW, 2 ** math.ceil(math.log2(batch))))
    return tile * 2 ** math.ceil(math.log2(math.ceil(batch / tile)))


def is_folded(width: int, program: Program, device: Device | None) -> bool:
    """Tell whether chains are arranged for an accelerator, see `folding`.

    Args:
      width: chains of the program.
      program: the compiled program.
      device: a device of the run.
    """
    is_one_tile = program.tile is None and program.group is None
    return platform(device) != "cpu" and is_one_tile and width % ROW == 0


def _multiple(number: int, unit: int) -> int:
    return math.ceil(number / unit) * unit


def layout_of(chain_batch: int, num_records: int, record: Mapping[str, Any]) -> Layout:
    """Choose the records of a file so that the largest variable takes some megabytes.

    Args:
      chain_batch: chains of a batch.
      num_records: recorded generations of the run.
      record: shapes of one chain by variable, each with a leading axis of one chain.
    """
    largest = max(memory.size_of(shape) for shape in record.values())
    fitting = max(1, _FILE_BYTES // max(1, chain_batch * largest))
    files = math.ceil(num_records / 2 ** int(math.log2(fitting)))
    return Layout(chain_batch, math.ceil(num_records / files))

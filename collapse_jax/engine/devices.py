"""Choose devices, the number of chains of a program, and the number of records of a file."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from collapse_jax.core.chain import Chain
from collapse_jax.engine.program import Carry, Program
from collapse_jax.results.reduce import BLOCK
from collapse_jax.results.saved import Layout
from collapse_jax.store.store import Store
from collapse_jax.utils import check, memory
from collapse_jax.utils.jax_settings import default_device

Device = Any  # a jax device; its class has no public name before jax 0.11


class ChosenDevices(NamedTuple):
    """The devices of a run.

    Attributes:
      workers: devices that each run batches of their own; None for the default device.
      shared_devices: devices that share every chain of a family on the host; None for the
        default device.
    """

    workers: tuple[Device | None, ...]
    shared_devices: tuple[Device, ...] | None = None


def choose_devices(chain: Chain, devices: Any, store: Store | None) -> ChosenDevices:
    """Return the devices that the argument `devices` of `simulate` names.

    Args:
      chain: the process.
      devices: the argument, not checked yet.
      store: the run directory and the share of this process; None in memory.

    Raises:
      ArgumentError: if there are no such devices.
    """
    workers = _check_devices(devices, store)
    if chain.schedule.on_host:
        return ChosenDevices(workers[:1], _shared_devices(devices, workers, store))
    if chain.schedule.exclusive and platform(workers[0]) == "cpu":
        # All CPU devices share the cores; and XLA (0.10.2) computes convolutions wrongly in
        # programs that run at the same time.
        return ChosenDevices(workers[:1])
    return ChosenDevices(workers)


def platform(worker: Device | None) -> str:
    """Return the platform of a worker: cpu, gpu or tpu.

    Args:
      worker: a device; None for the default device.
    """
    return (jax.local_devices()[0] if worker is None else worker).platform


def _check_devices(devices: Any, store: Store | None) -> tuple[Device | None, ...]:
    """Return one entry per worker: the workers of CPU devices are as many as the cores."""
    local = jax.local_devices()
    if devices is None:
        is_shared = store is not None and store.process[1] > 1
        chosen: Sequence[Device | None] = local if is_shared else [default_device()]
    elif isinstance(devices, (list, tuple)):
        remedy = "pass devices out of jax.local_devices(), or how many"
        for index, device in enumerate(devices):
            if device not in local:
                raise check.fail(f"devices[{index}]", device, "it is no local device", remedy)
        if not devices or len(set(devices)) < len(devices):
            raise check.fail("devices", devices, "it must name different devices", remedy)
        chosen = devices
    elif isinstance(devices, str):
        check.choice("devices", devices, ("all",))
        chosen = local
    else:
        remedy = f"there are {len(local)} local devices"
        chosen = local[: check.integer("devices", devices, 1, len(local), remedy)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    each = max(1, cores // len(chosen)) if platform(chosen[0]) == "cpu" else 1
    return tuple(chosen) * each


def _shared_devices(
    devices: Any, workers: tuple[Device | None, ...], store: Store | None
) -> tuple[Device, ...] | None:
    """Return the devices that share every chain of a family on the host."""
    if devices is None:
        return None
    if devices != "all" or jax.process_count() == 1:
        return tuple(one for one in dict.fromkeys(workers) if one is not None)
    if store is not None and store.process[1] > 1:
        allowed = "devices='all' has every process work at every chain"
        raise check.fail("Store.process", store.process, allowed, "leave it out")
    return tuple(jax.devices())


_MOST_CHAINS = 32_768  # chains of a batch of single numbers: its arrays stay in the caches
_FILE_BYTES = 2**22  # bytes of a file of one variable: few files, each soon written
_VECTOR = 64  # chains: a multiple of the vector width of every CPU


class _Capacity(NamedTuple):
    """The most chains of a batch with sums along an axis, and the most bytes of their states."""

    chains: int
    nbytes: int


_CAPACITIES = {"cpu": _Capacity(256, 2**20)}  # the state of a step stays in the caches
_ACCELERATOR_CAPACITY = _Capacity(2**16, 2**28)  # an accelerator is busy only with many chains
_GROUP, _GROUP_OF_LARGE = 8, 2  # chains per group where fits are sequential: it fits the caches
_LARGE = 2**19  # bytes of one chain at work from which groups are small


def group_of(chain: Chain, chain_bytes: int, workers: tuple[Device | None, ...]) -> int | None:
    """Return the number of chains computed together, which decides how their sums round.

    Args:
      chain: the process.
      chain_bytes: memory of one chain at work, in bytes.
      workers: devices of the run.

    Returns:
      The size of a group in chains; None for the whole batch at once.
    """
    exclusive = chain.schedule.exclusive and platform(workers[0]) in _CAPACITIES
    if exclusive or chain.schedule.on_host:
        return 1
    if not chain.schedule.sequential_on_cpu or platform(workers[0]) not in _CAPACITIES:
        return None
    return _GROUP if chain_bytes < _LARGE else _GROUP_OF_LARGE


def check_batch(
    chain_batch: Any,
    processes: int,
    chain: Chain,
    num_chains: int,
    program: Program,
    carry: Carry,
    workers: tuple[Device | None, ...],
) -> tuple[int, int | None]:
    """Choose the number of chains of a batch, and the width of its program.

    The shape of a sum along an axis decides how the sum rounds, so chains with such sums
    always run in the same width. Single numbers need whole vectors only: a remainder at
    the end would run in a loop of its own, which rounds differently.

    Args:
      chain_batch: the argument of `simulate`, not checked yet.
      processes: number of processes that share the chains.
      chain: the process.
      num_chains: chains of the run.
      program: the compiled program.
      carry: shapes of one chain.
      workers: devices of this process.

    Returns:
      Chains of a batch, and chains of its program; None if any number of whole vectors does.

    Raises:
      ArgumentError: if `chain_batch` is no integer >= 1.
    """
    workers_of_all = len(workers) * processes
    if chain.schedule.elementwise and not program.metrics:
        most = min(_MOST_CHAINS, max(BLOCK, math.ceil(num_chains / workers_of_all)))
        width = None
    else:
        capacity = _CAPACITIES.get(platform(workers[0]), _ACCELERATOR_CAPACITY)
        fitting = min(capacity.chains, max(8, capacity.nbytes // max(1, memory.size_of(carry))))
        least = BLOCK if program.reduced else program.group or 8
        most = width = max(least, program.group or 2 ** int(math.log2(fitting)))
    if chain_batch is not None:
        asked = check.integer("chain_batch", chain_batch, 1)
        most = asked if width is None else min(asked, width)
    number = math.ceil(num_chains / most)
    batch = math.ceil(num_chains / (math.ceil(number / processes) * processes))
    if width is None and chain_batch is None:
        batch = padded_width(batch, program)
    return batch, width


def padded_width(batch: int, program: Program) -> int:
    """Return the width of a program that runs a batch of single numbers.

    Args:
      batch: chains of the batch.
      program: the compiled program.

    Returns:
      The width in chains, at least `batch`.
    """
    unit = BLOCK if program.reduced else _VECTOR
    return math.ceil(batch / unit) * unit


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

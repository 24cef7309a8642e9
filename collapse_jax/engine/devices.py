"""Choose the devices of a run."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from collapse_jax.core.chain import Chain
from collapse_jax.store.store import Store
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.cpus import count_cpus
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
    return local_device(worker).platform


def local_device(worker: Device | None) -> Device:
    """Return the device of a worker.

    Args:
      worker: a device; None for the default device.
    """
    return jax.local_devices()[0] if worker is None else worker


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
        remedy = f"this process has {counted(len(local), 'local device')}"
        chosen = local[: check.integer("devices", devices, 1, len(local), remedy)]
    each = max(1, count_cpus() // len(chosen)) if platform(chosen[0]) == "cpu" else 1
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

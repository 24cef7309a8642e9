"""Which devices run the chains."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from collapse_jax import check
from collapse_jax.chain import Chain
from collapse_jax.store.option import Store

Device = Any  # a jax device; its class has no public name before jax 0.11


class Workforce(NamedTuple):
    """Devices at work.

    Attributes:
      workers: each runs batches of its own; None is the default device, not chosen by the user.
      team: that share every chain, for families on the host.
    """

    workers: tuple[Device | None, ...]
    team: tuple[Device, ...] | None = None


def workforce(chain: Chain, devices: Any, store: Store | None) -> Workforce:
    """The devices that the argument `devices` of `simulate` names.

    Raises:
      ValueError: if there are no such devices.
    """
    workers = _check_devices(devices, store)
    if chain.family.runs_on_host:
        return Workforce(workers[:1], _team(devices, workers, store))
    if chain.family.runs_alone and platform(workers[0]) == "cpu":
        # All CPU devices share the processors; and XLA (0.10.2) computes convolutions wrongly
        # where programs that have them run at the same time.
        return Workforce(workers[:1])
    return Workforce(workers)


def platform(worker: Device | None) -> str:
    """Of a worker: cpu, gpu or tpu."""
    return (jax.local_devices()[0] if worker is None else worker).platform


def _check_devices(devices: Any, store: Store | None) -> tuple[Device | None, ...]:
    """One entry per worker: a CPU device takes as many as it has processors."""
    local = jax.local_devices()
    if devices is None:
        is_shared = store is not None and store.process[1] > 1
        chosen: Sequence[Device | None] = local if is_shared else [None]
    elif isinstance(devices, (list, tuple)):
        remedy = "pass devices out of jax.local_devices(), or how many"
        for place, device in enumerate(devices):
            if device not in local:
                raise check.fail(f"devices[{place}]", device, "it is no local device", remedy)
        if not devices or len(set(devices)) < len(devices):
            raise check.fail("devices", devices, "it must name different devices", remedy)
        chosen = devices
    elif isinstance(devices, str):
        check.choice("devices", devices, ("all",))
        chosen = local
    else:
        remedy = f"there are {len(local)} local devices"
        chosen = local[: check.integer("devices", devices, 1, len(local), remedy)]
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    each = max(1, processors // len(chosen)) if platform(chosen[0]) == "cpu" else 1
    return tuple(chosen) * each


def _team(
    devices: Any, workers: tuple[Device | None, ...], store: Store | None
) -> tuple[Device, ...] | None:
    """The devices that share every chain of a family on the host."""
    if devices is None:
        return None
    if devices != "all" or jax.process_count() == 1:
        return tuple(one for one in dict.fromkeys(workers) if one is not None)
    if store is not None and store.process[1] > 1:
        allowed = "devices='all' has every process work at every chain"
        raise check.fail("Store.process", store.process, allowed, "leave it out")
    return tuple(jax.devices())

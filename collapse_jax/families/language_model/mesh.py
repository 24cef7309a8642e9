"""Devices that share a batch."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from collapse_jax import check

AXIS = "data"


def data_mesh(devices: int | Sequence[Any] | None = None) -> Mesh:
    """A mesh over which rows of a batch are divided; every device has all parameters.

    Args:
      devices: how many of `jax.devices()`, or which; None for all, of all processes.

    Raises:
      ValueError: for more than there are.
    """
    known = jax.devices()
    if devices is None:
        chosen: Sequence[Any] = known
    elif isinstance(devices, (list, tuple)):
        chosen = devices
    else:
        remedy = f"there are {len(known)} devices"
        chosen = known[: check.integer("devices", devices, 1, len(known), remedy)]
    return Mesh(np.array(chosen), (AXIS,), axis_types=(AxisType.Auto,))


def pad_rows(arrays: tuple, shares: int) -> tuple:
    """Arrays whose rows can be divided, the last row repeated at the end."""
    number = len(arrays[0])
    rows = np.minimum(np.arange(-(-number // shares) * shares), number - 1)
    return tuple(array[rows] for array in arrays)


def on_all(tree: Any, mesh: Mesh | None) -> Any:
    """Arrays on every device of a mesh."""
    return tree if mesh is None else jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def fetch(array: Any) -> np.ndarray:
    """An array on the host; one that lies on devices of several processes is gathered."""
    if jax.process_count() > 1 and not array.is_fully_addressable:
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)

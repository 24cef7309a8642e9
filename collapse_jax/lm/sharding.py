"""Divide batches among devices, and move arrays between devices and the host."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

AXIS = "data"
"""Axis of a mesh over which the rows of a batch are divided."""


def data_mesh(devices: int | Sequence[Any] | None = None) -> Mesh:
    """Make a mesh that divides the rows of a batch; every device has all parameters.

    Args:
      devices: number of `jax.devices()` to use, or a list of devices; None for all devices of
        all processes.

    Returns:
      Mesh with the one axis "data", whose size is the number of devices.

    Raises:
      ValueError: if more devices are requested than exist.

    >>> from collapse_jax import lm
    >>> lm.data_mesh(1).shape["data"]
    1
    """
    known = jax.devices()
    if devices is None:
        chosen: Sequence[Any] = known
    elif isinstance(devices, (list, tuple)):
        chosen = devices
    else:
        remedy = f"this process has {counted(len(known), 'device')}"
        chosen = known[: check.integer("devices", devices, 1, len(known), remedy)]
    return Mesh(np.array(chosen), (AXIS,), axis_types=(AxisType.Auto,))


def pad_rows(arrays: tuple, shares: int) -> tuple:
    """Repeat the last row until the rows can be divided among devices.

    Args:
      arrays: arrays [row, ...] with equal numbers of rows.
      shares: number of devices.

    Returns:
      Arrays [row, ...] whose number of rows is a multiple of `shares`.
    """
    number = len(arrays[0])
    rows = np.minimum(np.arange(-(-number // shares) * shares), number - 1)
    return tuple(array[rows] for array in arrays)


def on_all(tree: Any, mesh: Mesh | None) -> Any:
    """Copy arrays to every device of a mesh.

    Args:
      tree: arrays, equal in all processes.
      mesh: the devices; None for the default device.

    Returns:
      The tree with arrays of an unchanged number of rows, replicated on all devices.
    """
    if mesh is None:
        return jax.device_put(tree)
    whole = NamedSharding(mesh, PartitionSpec())
    if whole.is_fully_addressable:
        return jax.device_put(tree, whole)
    return jax.tree.map(lambda leaf: _everywhere(leaf, whole), tree)


def _everywhere(leaf: Any, whole: NamedSharding) -> jax.Array:
    """Copy an array of this process to the devices of all processes."""
    if getattr(leaf, "sharding", None) == whole:
        return leaf
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        words = _everywhere(jax.random.key_data(leaf), whole)
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaf))
    values = np.asarray(leaf)
    return jax.make_array_from_callback(values.shape, whole, lambda index: values[index])


def fetch(array: Any) -> np.ndarray:
    """Copy an array to the host, gathered if its rows lie on devices of several processes.

    Args:
      array: array of JAX, divided among devices or replicated.

    Returns:
      All rows of the array, in NumPy.
    """
    if jax.process_count() > 1 and not array.is_fully_addressable:
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)

"""Devices that share a batch."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from collapse_jax.utils import check

AXIS = "data"


def data_mesh(devices: int | Sequence[Any] | None = None) -> Mesh:
    """A mesh over which rows of a batch are divided; every device has all parameters.

    Args:
      devices: how many of `jax.devices()`, or which; None for all, of all processes.

    Raises:
      ValueError: for more than there are.

    >>> from collapse_jax.families import language_model as lm
    >>> lm.data_mesh(1).shape["data"]
    1
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
    """Arrays on every device of a mesh, or the default one; all processes have the same arrays."""
    if mesh is None:
        return jax.device_put(tree)
    whole = NamedSharding(mesh, PartitionSpec())
    if whole.is_fully_addressable:
        return jax.device_put(tree, whole)
    return jax.tree.map(lambda leaf: _everywhere(leaf, whole), tree)


def _everywhere(leaf: Any, whole: NamedSharding) -> jax.Array:
    """An array of this process on the devices of all."""
    if getattr(leaf, "sharding", None) == whole:
        return leaf
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        words = _everywhere(jax.random.key_data(leaf), whole)
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaf))
    values = np.asarray(leaf)
    return jax.make_array_from_callback(values.shape, whole, lambda index: values[index])


def fetch(array: Any) -> np.ndarray:
    """An array on the host; one that lies on devices of several processes is gathered."""
    if jax.process_count() > 1 and not array.is_fully_addressable:
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)

"""Divide batches and parameters among devices, and move arrays between devices and the host."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

AXIS = "data"
"""Axis of a mesh over which only the rows of a batch are divided."""
FSDP = "fsdp"
"""Axis of a mesh over which the rows of a batch, parameters and moments are divided."""
GATHERED = "gathered parameters"
"""Name of gathered parameters, which the backward pass gathers again."""


def mesh(data: int = 1, fsdp: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """Make a mesh that divides the rows of a batch, and over one axis parameters as well.

    Every one of the `data` groups of `fsdp` devices has all parameters, moments and gradients once,
    each device a share. A device gathers the parameters of a layer when it computes the layer, and
    discards them (fully sharded data parallelism: Zhao et al. 2023, arXiv 2304.11277). Rows are
    divided among all devices.

    Args:
      data: number of groups, >= 1.
      fsdp: number of devices of a group, >= 1.
      devices: at least data times fsdp devices; None for `jax.devices()`.

    Returns:
      Mesh with the axes "data" and "fsdp".

    Raises:
      ValueError: if more devices are requested than exist.

    >>> from collapse_jax import lm
    >>> dict(lm.mesh(data=1, fsdp=1).shape)
    {'data': 1, 'fsdp': 1}
    """
    known = list(jax.devices() if devices is None else devices)
    remedy = f"the number of devices is {len(known)}"
    data = check.integer("data", data, 1, len(known), remedy)
    fsdp = check.integer("fsdp", fsdp, 1, len(known) // data, remedy)
    chosen = np.array(known[: data * fsdp]).reshape(data, fsdp)
    return Mesh(chosen, (AXIS, FSDP), axis_types=(AxisType.Auto,) * 2)


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


def rows_of(mesh: Mesh) -> PartitionSpec:
    """Return how rows are divided: among all devices.

    Args:
      mesh: the devices.
    """
    return PartitionSpec(mesh.axis_names)


def specs_of(tree: Any, mesh: Mesh) -> Any:
    """Return how parameters and moments are divided: along the longest axis that can be.

    Args:
      tree: arrays [...] of the whole model, or their shapes.
      mesh: the devices.

    Returns:
      A PartitionSpec for each array, that of a replicated array where none can be divided.
    """
    shares = mesh.shape.get(FSDP, 1)

    def spec(leaf: Any) -> PartitionSpec:
        divisible = [axis for axis, size in enumerate(leaf.shape) if size % shares == 0]
        if shares == 1 or not divisible:
            return PartitionSpec()
        longest = max(divisible, key=lambda axis: (leaf.shape[axis], axis))
        return PartitionSpec(*[None] * longest, FSDP)

    return jax.tree.map(spec, tree)


@dataclasses.dataclass(frozen=True)
class _Gather:
    """A hook of a parameter of Flax that gathers its shares where it is read.

    Attributes:
      axis: the divided axis, counted from the end, so that a scan over layers does not move it.
    """

    axis: int

    def __call__(self, param: Any, value: Array) -> Array:
        axis = value.ndim + self.axis
        return checkpoint_name(jax.lax.all_gather(value, FSDP, axis=axis, tiled=True), GATHERED)


def merged(structure: Any, params: Any, specs: Any = None) -> Any:
    """Make a network that gathers each divided parameter where it is read.

    Args:
      structure: graph definition of the network.
      params: its parameters, within `jax.shard_map` the shares of a device.
      specs: result of `specs_of` for the whole parameters; None if none is divided.

    Returns:
      The network. Gathered parameters have the name `GATHERED`, for policies of `jax.checkpoint`.
    """
    model = nnx.merge(structure, params)
    if specs is None:
        return model
    axes = {path: found.get_raw_value() for path, found in nnx.to_flat_state(specs)}
    for path, param in nnx.iter_graph(model):
        if isinstance(param, nnx.Param) and FSDP in axes[path]:
            axis = len(axes[path]) - 1 - param.get_raw_value().ndim
            param.set_metadata(on_get_value=_Gather(axis))
    return model


def gathered(params: Any, specs: Any) -> Any:
    """Gather all parameters within `jax.shard_map`.

    Args:
      params: the shares of a device.
      specs: result of `specs_of` for the whole parameters.

    Returns:
      The whole parameters.
    """

    def gather(spec: PartitionSpec, leaf: Array) -> Array:
        if FSDP not in spec:
            return leaf
        return jax.lax.all_gather(leaf, FSDP, axis=len(spec) - 1, tiled=True)

    return jax.tree.map(gather, specs, params)


def gathered_bytes(params: Any, specs: Any, dtype: str) -> int:
    """Return the bytes of all gathered parameters.

    Args:
      params: the shares of a device, within `jax.shard_map`.
      specs: result of `specs_of` for the whole parameters.
      dtype: type in which they are gathered.
    """
    sizes = jax.tree.map(
        lambda spec, leaf: leaf.size * jax.lax.axis_size(FSDP) if FSDP in spec else 0, specs, params
    )
    return sum(jax.tree.leaves(sizes)) * jnp.dtype(dtype).itemsize


def summed(gradients: Any, specs: Any, mesh: Mesh) -> Any:
    """Sum gradients over all devices within `jax.shard_map`.

    Args:
      gradients: of the shares of a device; those of gathered parameters are summed over the devices
        that gathered them.
      specs: result of `specs_of` for the whole parameters.
      mesh: the devices.

    Returns:
      The sums, of the shares of this device.
    """

    def total(spec: PartitionSpec, leaf: Array) -> Array:
        axes = tuple(axis for axis in mesh.axis_names if axis not in spec)
        return jax.lax.psum(leaf, axes)

    return jax.tree.map(total, specs, gradients)


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


def distributed(tree: Any, mesh: Mesh | None) -> Any:
    """Copy arrays to the devices of a mesh, parameters and moments divided as `specs_of` says.

    Args:
      tree: arrays, equal in all processes.
      mesh: the devices; None for the default device.

    Returns:
      The tree on all devices.
    """
    if mesh is None:
        return jax.device_put(tree)
    places = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs_of(tree, mesh))
    if NamedSharding(mesh, PartitionSpec()).is_fully_addressable:
        return jax.device_put(tree, places)
    return jax.tree.map(_everywhere, tree, places)


def _everywhere(leaf: Any, place: NamedSharding) -> jax.Array:
    """Copy an array of this process to the devices of all processes."""
    if getattr(leaf, "sharding", None) == place:
        return leaf
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        words = _everywhere(jax.random.key_data(leaf), place)
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaf))
    values = fetch(leaf)
    return jax.make_array_from_callback(values.shape, place, lambda index: values[index])


def fetch(array: Any) -> np.ndarray:
    """Copy an array to the host, gathered if its parts lie on devices of several processes.

    Args:
      array: array of JAX, divided among devices or replicated, or of NumPy.

    Returns:
      The whole array [row, ...], in NumPy.
    """
    if jax.process_count() > 1 and not getattr(array, "is_fully_addressable", True):
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)

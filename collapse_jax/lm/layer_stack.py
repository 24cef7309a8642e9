"""Run the blocks of a network one by one, or as one scan over stacked parameters.

A scanned network is compiled in a time that does not depend on its depth. Its parameters have a
leading axis of blocks; in files every block has its own, as in a network without a scan.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from collapse_jax.lm.layers import another_key
from collapse_jax.utils import check

STACKED = "block"
"""Part of the names of stacked parameters, where files have the number of the block."""


class LayerStack(nnx.Module):
    """Blocks of one kind as one block, whose parameters are [block, ...].

    Args:
      blocks: modules of Flax with parameters of equal names and shapes, at least one.

    Raises:
      ValueError: if the blocks differ in structure.
    """

    def __init__(self, blocks: Any) -> None:
        parts = [nnx.split(block) for block in blocks]
        structure = parts[0][0]
        shapes = [jax.tree.map(jnp.shape, state) for _, state in parts]
        if any(
            one[0] != structure or shape != shapes[0]
            for one, shape in zip(parts, shapes, strict=True)
        ):
            allowed = "the blocks of this network differ"
            raise check.fail("scan_layers", True, allowed, "pass scan_layers=False")
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(state for _, state in parts))
        self.block, self.number = nnx.merge(structure, stacked), len(parts)

    def __iter__(self) -> Any:
        """Refuse a network that walks through its blocks without `run_layers`."""
        allowed = "this network does not run its blocks by run_layers"
        raise check.fail("scan_layers", True, allowed, "pass scan_layers=False")

    def separate(self) -> Any:
        """Return the blocks as a list of modules."""
        structure, params = nnx.split(self.block)
        return nnx.List(
            [
                nnx.merge(structure, jax.tree.map(lambda leaf, number=number: leaf[number], params))
                for number in range(self.number)
            ]
        )


def stacked(model: Any) -> Any:
    """Return the network with its blocks as a `LayerStack`, which `run_layers` scans.

    Args:
      model: network whose blocks are the one attribute that is a `nnx.List`.

    Raises:
      ValueError: if the network has no such attribute, or its blocks differ.
    """
    names = [name for name, value in vars(model).items() if isinstance(value, nnx.List)]
    if len(names) != 1:
        allowed = f"a {type(model).__name__} has no list of blocks"
        raise check.fail("scan_layers", True, allowed, "pass scan_layers=False")
    copied = nnx.merge(*nnx.split(model))
    setattr(copied, names[0], LayerStack(getattr(model, names[0])))
    return copied


def unstacked(model: Any) -> Any:
    """Return the network with every block by itself.

    Args:
      model: network, scanned or not.

    Returns:
      The network itself if it is not scanned, else one whose parameters are copies.
    """
    stacks = {name: one for name, one in vars(model).items() if isinstance(one, LayerStack)}
    if not stacks:
        return model
    copied = nnx.merge(*nnx.split(model))
    for name, stack in stacks.items():
        setattr(copied, name, stack.separate())
    return copied


def is_scanned(model: Any) -> bool:
    """Tell whether the blocks of a network are scanned.

    Args:
      model: network of any architecture.

    Returns:
      True if its blocks are a `LayerStack`.
    """
    return any(isinstance(one, LayerStack) for one in vars(model).values())


def run_layers(
    layers: Any,
    attend: Callable,
    x: Array,
    key: Any = None,
    *,
    remat: bool = False,
    prepare: Callable | None = None,
) -> Array:
    """Apply all blocks, each a function of activations, of its `attend` and of a key.

    In a scan `attend` gets the number of a block as an integer array. What `attend` stores
    between blocks must be its attribute `cache`, which the scan passes on.

    Args:
      layers: list of blocks, or a `LayerStack`.
      attend: see `CausalLM`.
      x: activations [batch, position, hidden], dimensionless.
      key: one key per text [batch], for dropout; None for no dropout.
      remat: whether the backward pass computes blocks again instead of storing their
        activations.
      prepare: function of (number of the block, queries, keys, values) that returns the three
        which `attend` gets, for example rotated; None for no change.

    Returns:
      Activations [batch, position, hidden], dimensionless.
    """

    def call(block: Any, number: Any, x: Array, key: Any) -> Array:
        def own(*heads: Array) -> Array:
            return attend(number, *(heads if prepare is None else prepare(number, *heads)))

        return block(x, own, key)

    def key_of(number: Any) -> Any:
        return None if key is None else another_key(key, number)

    has_cache = hasattr(attend, "cache")
    remat = remat and not has_cache  # text is generated without gradients
    if not isinstance(layers, LayerStack):

        def of_block(number: int) -> Callable:
            return lambda block, x, key: call(block, number, x, key)

        for number, block in enumerate(layers):
            apply = nnx.remat(of_block(number)) if remat else of_block(number)
            x = apply(block, x, key_of(number))
        return x

    structure, params = nnx.split(layers.block)
    stored: Any = attend

    def body(carry: tuple[Array, Any], layer: tuple[Array, Any]) -> tuple[tuple, None]:
        x, cache = carry
        number, params = layer
        if has_cache:
            stored.cache = cache
        x = call(nnx.merge(structure, params), number, x, key_of(number))
        return (x, stored.cache if has_cache else None), None

    step = jax.checkpoint(body, prevent_cse=False) if remat else body  # type: ignore[attr-defined]
    carry = x, stored.cache if has_cache else None
    (x, cache), _ = jax.lax.scan(step, carry, (jnp.arange(layers.number), params))
    if has_cache:
        stored.cache = cache
    return x

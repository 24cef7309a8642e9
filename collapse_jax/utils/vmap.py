"""Iterations of many chains, each of which stops when it is done."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array


def sequential_on_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, computed under `jax.vmap` chain by chain on CPU.

    A loop over a batch goes on until its slowest chain is done. Where one chain's rows
    fill the processor's vectors, chains are better taken one after the other: then no
    iteration is wasted, and a chain is computed as if it were alone. Accelerators take all
    chains at once; there a chain that is done waits for the others, unchanged.

    Args:
      function: takes pytrees of arrays and returns a pytree of arrays, for one chain.
    """

    @custom_vmap
    def one_chain(*arguments: Any) -> Any:
        return function(*arguments)

    @one_chain.def_vmap
    def many_chains(axis_size: int, in_batched: Any, *arguments: Any) -> tuple[Any, Any]:
        def spread(is_batched: bool, leaf: Array) -> Array:
            return leaf if is_batched else jnp.broadcast_to(leaf, (axis_size, *leaf.shape))

        everywhere = jax.tree.map(spread, list(in_batched), list(arguments))
        result = jax.lax.platform_dependent(
            *everywhere,
            cpu=lambda *chains: jax.lax.map(lambda chain: function(*chain), chains),
            default=jax.vmap(function),
        )
        return result, jax.tree.map(lambda leaf: True, result)

    return one_chain


def chains_last(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, computed under `jax.vmap` on arrays whose last axis is the chain.

    The compiler's loops run along the last axis. Rows of a small matrix fill the
    processor's vectors badly, chains fill them.

    Args:
      function: takes arrays and returns a pytree of them. It must also accept arrays with
        one more axis at their end, all of the same length or 1, which it leaves there.
    """

    @custom_vmap
    def one_chain(*arrays: Array) -> Any:
        return function(*arrays)

    @one_chain.def_vmap
    def many_chains(axis_size: int, in_batched: Any, *arrays: Array) -> tuple[Any, Any]:
        moved = [
            _in_this_order(jnp.moveaxis(array, 0, -1)) if is_batched else array[..., None]
            for array, is_batched in zip(arrays, in_batched, strict=True)
        ]
        result = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (*leaf.shape[:-1], axis_size)), function(*moved)
        )
        back = jax.tree.map(lambda leaf: jnp.moveaxis(_in_this_order(leaf), -1, 0), result)
        return back, jax.tree.map(lambda leaf: True, back)

    return one_chain


def _in_this_order(array: Array) -> Array:
    """The array with its last axis side by side in memory, which moving an axis alone is not."""
    return with_layout_constraint(array, Layout(major_to_minor=tuple(range(array.ndim))))

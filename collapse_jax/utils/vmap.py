"""Choose how functions of one chain run on many chains under `jax.vmap`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array


def sequential_on_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, computed under `jax.vmap` chain by chain on CPU.

    A loop over a batch runs until its slowest chain is done. Where the rows of one chain fill the
    vector units of a CPU, chains run sequentially: no iteration is wasted, and each chain is
    computed as if it were alone. Accelerators run all chains at once; there a chain that is done
    waits, unchanged.

    Args:
      function: takes pytrees of arrays of one chain and returns a pytree of arrays.

    Returns:
      A function with the same arguments and results.
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
    """Return `function`, computed under `jax.vmap` on arrays whose last axis is the chain.

    Compiled loops run along the last axis. The rows of a small matrix do not fill the vector units
    of a CPU; chains do.

    Args:
      function: takes arrays of one chain and returns a pytree of arrays. It must also accept arrays
        with one more axis at the end, each of the number of chains or 1, and preserve this axis.

    Returns:
      A function with the same arguments and results.
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
    """Return the array with its last axis contiguous in memory, unlike after `jnp.moveaxis`.

    Compilers for accelerators choose an order of their own.
    """

    def constrained(array: Array) -> Array:
        return with_layout_constraint(array, Layout(major_to_minor=tuple(range(array.ndim))))

    return jax.lax.platform_dependent(array, cpu=constrained, default=lambda array: array)

"""Arrange the chains of a batch for accelerators: along the last two axes, 128 chains a row.

The vectors of a TPU have 8 rows of 128 numbers. An array [dim, chain] fills dim of every 8 rows, so
a single number per chain takes eight times the time; [dim, chain / 128, 128] fills all. Inside a
generation the compiler would undo a change of shape, so the chains are folded before the loop over
generations and unfolded after it. A GPU reads neighbouring chains together.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

ROW = 128  # chains: lanes of a TPU's vectors, four warps of a GPU


def folded(tree: Any, first: int = 0) -> Any:
    """Return arrays with the chains along their last two axes.

    Args:
      tree: arrays with an axis of chains, a multiple of `ROW`.
      first: this axis.

    Returns:
      Arrays [..., chain / ROW, ROW] of the other axes, in their order.
    """

    def fold(leaf: Array) -> Array:
        shape = (*leaf.shape[:first], -1, ROW, *leaf.shape[first + 1 :])
        return jnp.moveaxis(leaf.reshape(shape), (first, first + 1), (-2, -1))

    return jax.tree.map(fold, tree)


def unfolded(tree: Any, first: int = 0) -> Any:
    """Return arrays with the chains along one axis, from those of `folded`.

    Args:
      tree: arrays with the chains along their last two axes.
      first: the axis of chains.
    """

    def unfold(leaf: Array) -> Array:
        moved = jnp.moveaxis(leaf, (-2, -1), (first, first + 1))
        return moved.reshape(*moved.shape[:first], -1, *moved.shape[first + 2 :])

    return jax.tree.map(unfold, tree)


def squeezed(carry: Any, is_folded: bool) -> Any:
    """Remove axes of length one beside those of the chains: XLA's loops run along the last axis.

    Args:
      carry: a batch; leaves have the chain as first axis, or as the last two if it is folded.
      is_folded: whether it is.
    """
    first, last = (0, 2) if is_folded else (1, 0)

    def squeeze(leaf: Array) -> Array:
        end = leaf.ndim - last
        inner = (size for size in leaf.shape[first:end] if size != 1)
        return leaf.reshape(*leaf.shape[:first], *inner, *leaf.shape[end:])

    return jax.tree.map(squeeze, carry)


def unsqueezed(carry: Any, like: Any) -> Any:
    """Return the axes that `squeezed` has removed.

    Args:
      carry: a squeezed batch.
      like: the batch before it was squeezed, or its shapes.
    """
    return jax.tree.map(lambda leaf, one: leaf.reshape(one.shape), carry, like)

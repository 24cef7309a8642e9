"""Draw counts of many states from splits between two, down a complete binary tree.

Node i has the children 2 i + 1 and 2 i + 2; the K leaves, nodes K - 1 .. 2 K - 2, are the
states. Each inner node splits its count between its children by one draw. Nodes are processed
one tile at a time by one program, which is compiled once for all K. The draws do not depend on
the tiles.

Source: L. Devroye, "Non-Uniform Random Variate Generation", 1986, chapter XI.1.4.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Int

_TILE, _SMALL_TILE = 8, 2  # nodes
_MANY = 16  # inner nodes; fewer fill large tiles badly, as the top levels of a tree do

Split = Callable[[tuple[Array, Array], Array, list[Array], list[Array]], Array]


def accumulate(
    leaves: tuple[Array, ...], add: Callable[[tuple[Array, ...], tuple[Array, ...]], Any]
) -> tuple[Array, ...]:
    """Return values of all 2 K - 1 nodes, each inner one made by `add` from those of its children.

    Args:
      leaves: arrays of values of the states, [K, ...] each.
      add: add(first, second), the values of parents from those of their two children.

    Returns:
      Arrays of values of the nodes, [2 K - 1, ...] each, root at index 0.
    """
    nodes, begin = leaves, len(leaves[0]) - 1
    while begin > 0:
        first = begin // 2  # the smallest node whose children are all known
        children = [x[2 * first + 1 - begin : begin + 1] for x in nodes]
        sums = add(tuple(x[0::2] for x in children), tuple(x[1::2] for x in children))
        nodes = tuple(jnp.concatenate(pair) for pair in zip(sums, nodes, strict=True))
        begin = first
    return nodes


def _starts(num_inner: int, tile: int) -> list[int]:
    """Return the initial node of each tile; a tile begins where every parent has been split."""
    starts = [0]
    while (done := min(2 * starts[-1] + 1, starts[-1] + tile)) < num_inner:
        starts.append(done)
    return starts


def tree_sampler(split: Split) -> Callable[..., Int[Array, " state"]]:
    """Return a sampler of counts: (high, low, total, *nodes) -> counts.

    Source: L. Devroye, "Non-Uniform Random Variate Generation", 1986, chapter XI.1.4.

    Args:
      split: split(block, count, first, second) returns the part of `count` that the left child
        gets, for lanes; `first` and `second` are the values of each of `nodes` at the left and
        the right child. A count of zero must give zero for all values.

    Returns:
      A function of two uint32 words per inner node [K - 1], the total [1] and values of all nodes
      [2 K - 1]. It returns int32 counts [K]. Under `vmap` the chains are the lanes.
    """

    @custom_vmap
    def sample(high: Array, low: Array, total: Array, *nodes: Array) -> Array:
        num_inner = high.shape[0]
        tile = _TILE if num_inner >= _MANY else _SMALL_TILE
        batch = jnp.broadcast_shapes(*(x.shape[1:] for x in (high, low, total, *nodes)))
        padded = [_pad(x, num_inner + tile) for x in (high, low)]
        values = [_pad(x, 2 * (num_inner + tile) + 1) for x in nodes]
        counts = jnp.zeros((2 * (num_inner + tile) + 1, *batch), jnp.int32)
        counts = counts.at[0].set(total[0])

        def one_tile(index: Array, counts: Array) -> Array:
            start = starts[index]
            block = [jax.lax.dynamic_slice_in_dim(x, start, tile) for x in padded]
            here = jax.lax.dynamic_slice_in_dim(counts, start, tile)
            pairs = [jax.lax.dynamic_slice_in_dim(x, 2 * start + 1, 2 * tile) for x in values]
            first, second = [x[0::2] for x in pairs], [x[1::2] for x in pairs]
            left = split((block[0], block[1]), here, first, second)
            children = jnp.stack([left, here - left], axis=1).reshape(2 * tile, *batch)
            return jax.lax.dynamic_update_slice_in_dim(counts, children, 2 * start + 1, 0)

        starts = jnp.asarray(np.array(_starts(num_inner, tile), np.int32))
        counts = jax.lax.fori_loop(0, len(starts), one_tile, counts)
        return counts[num_inner : 2 * num_inner + 1]

    @sample.def_vmap
    def _batched(axis_size, in_batched, *arguments):
        del axis_size
        lanes_last = (
            jnp.moveaxis(x, 0, -1) if batched else x[..., None]
            for x, batched in zip(arguments, in_batched, strict=True)
        )
        return jnp.moveaxis(sample(*lanes_last), -1, 0), True

    return sample


def _pad(x: Array, length: int) -> Array:
    return jnp.pad(x, [(0, length - x.shape[0])] + [(0, 0)] * (x.ndim - 1))

"""Compute logits one token at a time, with a cache of keys and values.

All rows of a prompt (the beams of a search) share one cache of slots: those of the prompt, then
one for each token that any row has tried. A mask selects the slots that a row descends from,
so that a new choice of rows moves neither keys nor values.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.lm.attention import MASKED, causal_attention, text_positions, window_at
from collapse_jax.lm.causal_lm import CausalLM, Heads
from collapse_jax.lm.layer_stack import is_scanned
from collapse_jax.lm.layers import head_logits


class KVCache(NamedTuple):
    """Keys and values of all slots, one array for each block of the network.

    A scan over blocks needs one array for all blocks.

    Attributes:
      keys: [batch, key head, slot, dim] for each block, or [block, batch, key head, slot, dim].
      values: [batch, key head, dim, slot] for each block, or with a leading axis of blocks.
    """

    keys: Any
    values: Any

    @classmethod
    def empty(cls, model: CausalLM, batch: int, length: int) -> "KVCache":
        """Make a cache that a network fills.

        Args:
          model: the network.
          batch: number of prompts.
          length: number of slots.

        Returns:
          Arrays of zeros for a network whose blocks are scanned, else no arrays.
        """
        if not is_scanned(model):
            return cls((), ())
        config = model.config
        shape = config.num_hidden_layers, batch, config.num_key_value_heads, length, config.head_dim
        zeros = jnp.zeros(shape, model.head.dtype)
        return cls(zeros, zeros.swapaxes(-1, -2))

    def of_block(self, number: Any) -> tuple[Array, Array]:
        """Return keys and values of a block.

        Args:
          number: number of the block, an integer, or an integer array in a scan.
        """
        return self.keys[number], self.values[number]

    def with_block(self, number: Any, keys: Array, values: Array) -> "KVCache":
        """Return the cache with other keys and values of a block.

        Args:
          number: number of the block, an integer, or an integer array in a scan.
          keys: [batch, key head, slot, dim].
          values: [batch, key head, dim, slot].
        """

        def put(all_blocks: Any, new: Array) -> Any:
            if isinstance(all_blocks, tuple):
                return (*all_blocks[:number], new, *all_blocks[number + 1 :])
            return jax.lax.dynamic_update_index_in_dim(all_blocks, new, number, 0)

        return KVCache(put(self.keys, keys), put(self.values, values))

    def grow(self, slots: int) -> "KVCache":
        """Append empty slots.

        Args:
          slots: number of slots to append.

        Returns:
          The larger cache.
        """

        def longer(axis: int, array: Array) -> Array:
            ends = [(0, 0)] * array.ndim
            ends[axis] = (0, slots)
            return jnp.pad(array, ends)

        return KVCache(
            jax.tree.map(functools.partial(longer, -2), self.keys),
            jax.tree.map(functools.partial(longer, -1), self.values),
        )


def read_prompts(
    model: CausalLM, input_ids: Int[Array, "batch length"], mask: Bool[Array, "batch length"]
) -> tuple[KVCache, Float[Array, "batch vocab"]]:
    """Fill a cache with prompts, and compute the logits of the token after each.

    Args:
      model: the network.
      input_ids: tokens [batch, length], padded on the left.
      mask: truth values [batch, length], False for padding.

    Returns:
      The cache with one slot per position, and logits [batch, vocab].
    """
    attend_causally = causal_attention(mask, model.config)

    def attend(cache: KVCache, number: Any, queries: Heads, *new: Heads) -> tuple[KVCache, Heads]:
        keys, values = new
        cache = cache.with_block(number, keys.transpose(0, 2, 1, 3), values.transpose(0, 2, 3, 1))
        return cache, attend_causally(number, queries, keys, values)

    attending = _Attending(KVCache.empty(model, *mask.shape), attend)
    hidden = model(input_ids, text_positions(mask), attending)
    return attending.cache, head_logits(hidden[:, -1], model.head)


class _Attending:
    """An `attend` that stores keys and values, where `run_layers` finds them.

    Args:
      cache: keys and values before the first block.
      function: function of cache and arguments of `attend` to the next cache and the result.
    """

    def __init__(self, cache: KVCache, function: Callable) -> None:
        self.cache, self.function = cache, function

    def __call__(self, number: Any, queries: Heads, keys: Heads, values: Heads) -> Heads:
        self.cache, found = self.function(self.cache, number, queries, keys, values)
        return found


def next_logits(
    model: CausalLM,
    cache: KVCache,
    tokens: Int[Array, "batch row"],
    positions: Int[Array, " batch"],
    slot: Int[Array, ""],
    visible: Bool[Array, "batch row slot"],
    length: int,
) -> tuple[KVCache, Float[Array, "batch row vocab"]]:
    """Write one token of every row into the cache, and compute the logits of the next.

    Args:
      model: the network.
      cache: keys and values of earlier tokens.
      tokens: newest token of every row, [batch, row].
      positions: index of the newest token in its text, [batch].
      slot: index of the slot for row 0; those of the other rows follow.
      visible: truth values [batch, row, slot]: the slots that a row sees, its new one
        included.
      length: number of slots of the prompt.

    Returns:
      The cache, and logits [batch, row, vocab].
    """

    def attend(cache: KVCache, number: Any, queries: Heads, *new: Heads) -> tuple[KVCache, Heads]:
        new_keys, new_values = new
        keys, values = cache.of_block(number)
        keys = jax.lax.dynamic_update_slice_in_dim(
            keys, new_keys.transpose(0, 2, 1, 3), slot, axis=2
        )
        values = jax.lax.dynamic_update_slice_in_dim(
            values, new_values.transpose(0, 2, 3, 1), slot, axis=3
        )
        shape, group = queries.shape, queries.shape[2] // new_keys.shape[2]
        scores = jnp.einsum(
            "bhsd,bnhd->bhsn",
            keys,
            _split_groups(queries, group),
            preferred_element_type=jnp.float32,
        )
        seen = _within(visible, window_at(model.config, number), slot, length)
        seen = jnp.repeat(seen, group, axis=1) if group > 1 else seen
        seen = seen.transpose(0, 2, 1)[:, None]
        weights = jax.nn.softmax(jnp.where(seen, scores, MASKED), axis=2)
        weights = weights.astype(new_values.dtype)
        found = jnp.einsum("bhds,bhsn->bnhd", values, weights)
        return cache.with_block(number, keys, values), _join_groups(found, group).reshape(shape)

    row_positions = jnp.broadcast_to(positions[:, None], tokens.shape)
    attending = _Attending(cache, attend)
    hidden = model(tokens, row_positions, attending)
    return attending.cache, head_logits(hidden, model.head)


def _split_groups(queries: Heads, group: int) -> Heads:
    """Return queries that share a key head as more rows, [batch, row group, key head, dim]."""
    if group == 1:
        return queries
    batch, rows, heads, dim = queries.shape
    split = queries.reshape(batch, rows, heads // group, group, dim)
    return split.swapaxes(2, 3).reshape(batch, rows * group, heads // group, dim)


def _join_groups(found: Heads, group: int) -> Heads:
    """Undo `_split_groups`."""
    if group == 1:
        return found
    batch, rows, heads, dim = found.shape
    split = found.reshape(batch, rows // group, group, heads, dim)
    return split.swapaxes(2, 3).reshape(batch, rows // group, heads * group, dim)


def _within(
    visible: Bool[Array, "batch row slot"], window: Any, slot: Array, length: int
) -> Bool[Array, "batch row slot"]:
    """Return the visible slots of the last `window` positions, all for None.

    Prompts are padded on the left and every step appends a slot for each row, so the distance to
    the newest token is the same in all texts.
    """
    if window is None:
        return visible
    rows, slots = visible.shape[1], jnp.arange(visible.shape[2])
    step = (slot - length) // rows
    distance = jnp.where(slots < length, length - slots + step, step - (slots - length) // rows)
    return visible & (distance < window)

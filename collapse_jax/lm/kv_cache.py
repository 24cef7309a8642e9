"""Compute logits one token at a time, with a cache of keys and values.

All rows of a prompt (the beams of a search) share one cache of slots: those of the prompt, then
one for each token that any row has tried. A mask selects the slots that a row descends from,
so that a new choice of rows moves neither keys nor values.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.lm.attention import MASKED, causal_attention, text_positions
from collapse_jax.lm.causal_lm import CausalLM, Heads
from collapse_jax.lm.layers import head_logits


class KVCache(NamedTuple):
    """Keys and values of all slots, one array for each block of the network.

    Attributes:
      keys: [batch, key head, slot, dim] for each block.
      values: [batch, key head, dim, slot] for each block.
    """

    keys: tuple[Float[Array, "batch head slot dim"], ...]
    values: tuple[Float[Array, "batch head dim slot"], ...]

    def grow(self, slots: int) -> "KVCache":
        """Append empty slots.

        Args:
          slots: number of slots to append.

        Returns:
          The larger cache.
        """
        ends = ((0, 0), (0, 0), (0, slots), (0, 0))
        keys = tuple(jnp.pad(each, ends) for each in self.keys)
        return KVCache(
            keys, tuple(jnp.pad(each, (*ends[:2], *ends[:1:-1])) for each in self.values)
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
    keys, values = [], []
    attend_causally = causal_attention(mask, model.config)

    def attend(number: int, queries: Heads, new_keys: Heads, new_values: Heads) -> Heads:
        keys.append(new_keys.transpose(0, 2, 1, 3))
        values.append(new_values.transpose(0, 2, 3, 1))
        return attend_causally(number, queries, new_keys, new_values)

    hidden = model(input_ids, text_positions(mask), attend)
    return KVCache(tuple(keys), tuple(values)), head_logits(hidden[:, -1], model.head)


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
    keys, values = list(cache.keys), list(cache.values)

    def attend(number: int, queries: Heads, new_keys: Heads, new_values: Heads) -> Heads:
        keys[number] = jax.lax.dynamic_update_slice_in_dim(
            keys[number], new_keys.transpose(0, 2, 1, 3), slot, axis=2
        )
        values[number] = jax.lax.dynamic_update_slice_in_dim(
            values[number], new_values.transpose(0, 2, 3, 1), slot, axis=3
        )
        shape, group = queries.shape, queries.shape[2] // new_keys.shape[2]
        scores = jnp.einsum(
            "bhsd,bnhd->bhsn",
            keys[number],
            _split_groups(queries, group),
            preferred_element_type=jnp.float32,
        )
        seen = _within(visible, model.config.window(number), slot, length)
        seen = jnp.repeat(seen, group, axis=1) if group > 1 else seen
        seen = seen.transpose(0, 2, 1)[:, None]
        weights = jax.nn.softmax(jnp.where(seen, scores, MASKED), axis=2)
        weights = weights.astype(new_values.dtype)
        found = jnp.einsum("bhds,bhsn->bnhd", values[number], weights)
        return _join_groups(found, group).reshape(shape)

    row_positions = jnp.broadcast_to(positions[:, None], tokens.shape)
    hidden = model(tokens, row_positions, attend)
    return KVCache(tuple(keys), tuple(values)), head_logits(hidden, model.head)


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
    visible: Bool[Array, "batch row slot"], window: int | None, slot: Array, length: int
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

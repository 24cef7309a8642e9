"""Prompts read once, then one token of every row at a time, with keys and values kept.

All rows of a prompt (the beams of a search) share one cache of slots: first those of the prompt,
then one for each token that any row has tried. A row sees the slots of its own ancestors,
so that choosing rows anew moves no keys and no values.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.lm.model import MASKED, OPT, Heads, causal_attention, head_logits, text_positions


class KVCache(NamedTuple):
    """Keys and values by block of the network, of every slot.

    Attributes:
      keys: [batch, head, slot, dim].
      values: [batch, head, dim, slot].
    """

    keys: tuple[Float[Array, "batch head slot dim"], ...]
    values: tuple[Float[Array, "batch head dim slot"], ...]

    def grow(self, slots: int) -> "KVCache":
        """With room for more."""
        ends = ((0, 0), (0, 0), (0, slots), (0, 0))
        keys = tuple(jnp.pad(each, ends) for each in self.keys)
        return KVCache(
            keys, tuple(jnp.pad(each, (*ends[:2], *ends[:1:-1])) for each in self.values)
        )


def read_prompts(
    model: OPT, input_ids: Int[Array, "batch length"], mask: Bool[Array, "batch length"]
) -> tuple[KVCache, Float[Array, "batch vocab"]]:
    """The cache with the prompts, and the logits of the token after each."""
    keys, values = [], []
    look = causal_attention(mask)

    def attend(number: int, queries: Heads, new_keys: Heads, new_values: Heads) -> Heads:
        keys.append(new_keys.transpose(0, 2, 1, 3))
        values.append(new_values.transpose(0, 2, 3, 1))
        return look(number, queries, new_keys, new_values)

    hidden = model(input_ids, text_positions(mask), attend)
    return KVCache(tuple(keys), tuple(values)), head_logits(hidden[:, -1], model.head)


def next_logits(
    model: OPT,
    cache: KVCache,
    tokens: Int[Array, "batch row"],
    positions: Int[Array, " batch"],
    slot: Int[Array, ""],
    visible: Bool[Array, "batch row slot"],
) -> tuple[KVCache, Float[Array, "batch row vocab"]]:
    """The cache with one token more of every row, and the logits of the next.

    Args:
      model: the network.
      cache: keys and values so far.
      tokens: newest token of every row.
      positions: their place in the text.
      slot: where the first row's keys go, the others follow.
      visible: slots that a row sees, its own new one among them.
    """
    keys, values = list(cache.keys), list(cache.values)

    def attend(number: int, queries: Heads, new_keys: Heads, new_values: Heads) -> Heads:
        keys[number] = jax.lax.dynamic_update_slice_in_dim(
            keys[number], new_keys.transpose(0, 2, 1, 3), slot, axis=2
        )
        values[number] = jax.lax.dynamic_update_slice_in_dim(
            values[number], new_values.transpose(0, 2, 3, 1), slot, axis=3
        )
        scores = jnp.einsum(
            "bhsd,bnhd->bhsn", keys[number], queries, preferred_element_type=jnp.float32
        )
        seen = visible.transpose(0, 2, 1)[:, None]
        weights = jax.nn.softmax(jnp.where(seen, scores, MASKED), axis=2)
        weights = weights.astype(new_values.dtype)
        return jnp.einsum("bhds,bhsn->bnhd", values[number], weights)

    places = jnp.broadcast_to(positions[:, None], tokens.shape)
    hidden = model(tokens, places, attend)
    return KVCache(tuple(keys), tuple(values)), head_logits(hidden, model.head)

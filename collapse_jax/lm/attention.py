"""Attend to earlier positions of a text, with or without a window and shared heads of keys."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from collapse_jax.lm.causal_lm import Attend, CausalLMConfig, Heads
from collapse_jax.lm.layers import another_key, dropout

MASKED = -1e30
"""Score of an invisible key, nats: finite, so that a query that sees no key yields no NaN."""
_ALL = 2**31 - 1  # positions: more than any text has, for a block without a window
_ATTENTION = 3  # stream of a block's key; the smaller ones belong to the layers of the block


def text_positions(mask: Bool[Array, "batch position"]) -> Int[Array, "batch position"]:
    """Count the tokens of a text before each position.

    Args:
      mask: truth values [batch, position], False for padding.

    Returns:
      Index of each token in its text, int32 [batch, position] in tokens; -1 for padding.
    """
    return jnp.where(mask, jnp.cumsum(mask, axis=1, dtype=jnp.int32) - 1, -1)


def window_at(config: CausalLMConfig, number: Any) -> Any:
    """Return how many positions a token of a block sees.

    Args:
      config: config of the model.
      number: number of the block, an integer, or an integer array where blocks are scanned.

    Returns:
      Number of positions, an integer or an array; None for all earlier ones.
    """
    if isinstance(number, int):
        return config.window(number)
    windows = [config.window(each) for each in range(config.num_hidden_layers)]
    if len(set(windows)) == 1:
        return windows[0]
    return jnp.asarray([_ALL if each is None else each for each in windows], jnp.int32)[number]


def causal_attention(
    mask: Bool[Array, "batch position"], config: CausalLMConfig, key: Any = None
) -> Attend:
    """Make the `attend` with which a token sees its own and earlier positions except padding.

    A position without a visible key, which is padding before a text, gets zeros, as in
    PyTorch.

    Args:
      mask: truth values [batch, position], False for padding.
      config: config of the model: its windows, and the probability of dropping an attention
        weight.
      key: one key per text [batch], for dropout; None for no dropout.

    Returns:
      Function of (number of the block, queries, keys, values), queries
      [batch, position, head, dim] and keys and values [batch, position, key head, dim], to an
      array in the shape of the queries; softmax is in float32.
    """
    length, rate = mask.shape[1], config.attention_dropout
    earlier = jnp.tri(length, dtype=bool)
    causal = (earlier & mask[:, None, :])[:, None]  # batch, head, query, key
    sees = (jnp.cumsum(mask, axis=1) > 0)[:, :, None, None]

    def visible(number: Any) -> Bool[Array, "batch 1 query key"]:
        window = window_at(config, number)
        if window is None or (isinstance(window, int) and window >= length):
            return causal
        positions = text_positions(mask)
        distance = positions[:, :, None] - positions[:, None, :]
        return causal & (distance < window)[:, None]

    def attend(number: Any, queries: Heads, keys: Heads, values: Heads) -> Heads:
        shape, group = queries.shape, queries.shape[2] // keys.shape[2]
        queries, keys, values = (each.swapaxes(1, 2) for each in (queries, keys, values))
        queries = queries.reshape(*keys.shape[:2], group * length, keys.shape[3])
        seen = visible(number)
        seen = jnp.tile(seen, (1, 1, group, 1)) if group > 1 else seen
        scores = jnp.einsum("bhqd,bhkd->bhqk", queries, keys, preferred_element_type=jnp.float32)
        weights = jax.nn.softmax(jnp.where(seen, scores, MASKED), axis=-1)
        if key is not None:
            weights = dropout(another_key(another_key(key, number), _ATTENTION), weights, rate)
        found = jnp.einsum("bhqk,bhkd->bhqd", weights.astype(values.dtype), values)
        found = found.reshape(shape[0], shape[2], length, shape[3])
        return jnp.where(sees, found.swapaxes(1, 2), 0)

    return attend

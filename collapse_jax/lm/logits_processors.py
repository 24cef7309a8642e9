"""What may be said next: repetition, repeated n-grams, least length (as in transformers)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Scores = Float[Array, "row vocab"]


class Penalties(NamedTuple):
    """Numbers that change without a new compilation.

    Attributes:
      repetition: of tokens that were there before: negative scores are multiplied by it,
        others divided.
      min_new_tokens: before so many no end of the text is chosen.
    """

    repetition: Any
    min_new_tokens: Any


def penalise(
    scores: Scores,
    tokens: Int[Array, "row position"],
    is_text: Bool[Array, "row position"],
    length: Int[Array, ""],
    num_new: Int[Array, ""],
    penalties: Penalties,
    ngram_size: int,
    eos_token_ids: tuple[int, ...],
) -> Scores:
    """Scores of the next token after penalties.

    Args:
      scores: logits or log-probabilities.
      tokens: prompt, padding included, and what was generated; any values after that.
      is_text: where tokens count for repetition: no padding, nothing after the text.
      length: of tokens with padding, before any that come after the text.
      num_new: tokens generated.
      penalties: see there.
      ngram_size: no n-gram of this size occurs twice; 0 for no such rule.
      eos_token_ids: what ends a text.
    """
    rows = jnp.arange(len(scores))[:, None]
    found = jnp.take_along_axis(scores, tokens, axis=1)
    changed = jnp.where(found < 0, found * penalties.repetition, found / penalties.repetition)
    places = jnp.where(is_text, tokens, scores.shape[1])
    scores = scores.at[rows, places].set(changed, mode="drop")
    if ngram_size:
        repeated = jnp.where(_completes(tokens, length, ngram_size), tokens, scores.shape[1])
        scores = scores.at[rows, repeated].set(-jnp.inf, mode="drop")
    if eos_token_ids:
        ends = jnp.asarray(eos_token_ids)
        is_early = num_new < penalties.min_new_tokens
        scores = scores.at[:, ends].set(jnp.where(is_early, -jnp.inf, scores[:, ends]))
    return scores


def _completes(tokens: Array, length: Array, size: int) -> Bool[Array, "row position"]:
    """Where a token follows the same size - 1 tokens that the text ends with."""
    width = tokens.shape[1]
    is_same = jnp.ones(tokens.shape, bool)
    for back in range(1, size):
        last = jnp.take(tokens, jnp.maximum(length - back, 0), axis=1)
        before = jnp.pad(tokens, ((0, 0), (back, 0)), constant_values=-1)[:, :width]
        is_same &= before == last[:, None]
    places = jnp.arange(width)
    return is_same & (places >= size - 1) & (places < length) & (length >= size)

"""Penalise repetition and exclude tokens before the next is chosen, as in transformers."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Scores = Float[Array, "row vocab"]


class Penalties(NamedTuple):
    """Settings that can change without a new compilation.

    Attributes:
      repetition: factor > 0, dimensionless: scores of earlier tokens are multiplied by it if
        negative and divided by it otherwise.
      min_new_tokens: number of new tokens before which no text ends.
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
    """Apply all penalties to the scores of the next token.

    The repetition penalty is that of Keskar et al. (2019, arXiv 1909.05858), equation 2, with
    the sign rule of transformers.

    Args:
      scores: logits or log-probabilities (nats), [row, vocab].
      tokens: prompt with its padding, generated tokens, then arbitrary ones,
        [row, position].
      is_text: truth values [row, position], True for tokens of the text: neither padding nor
        the arbitrary ones.
      length: number of positions of prompt and generated tokens.
      num_new: number of tokens generated so far.
      penalties: see `Penalties`.
      ngram_size: number of tokens of an n-gram that must not occur twice; 0 for no rule.
      eos_token_ids: tokens that end a text.

    Returns:
      Scores [row, vocab]; -inf for excluded tokens.
    """
    rows = jnp.arange(len(scores))[:, None]
    found = jnp.take_along_axis(scores, tokens, axis=1)
    changed = jnp.where(found < 0, found * penalties.repetition, found / penalties.repetition)
    columns = jnp.where(is_text, tokens, scores.shape[1])
    scores = scores.at[rows, columns].set(changed, mode="drop")
    if ngram_size:
        repeated = jnp.where(_completes(tokens, length, ngram_size), tokens, scores.shape[1])
        scores = scores.at[rows, repeated].set(-jnp.inf, mode="drop")
    if eos_token_ids:
        ends = jnp.asarray(eos_token_ids)
        is_early = num_new < penalties.min_new_tokens
        scores = scores.at[:, ends].set(jnp.where(is_early, -jnp.inf, scores[:, ends]))
    return scores


def _completes(tokens: Array, length: Array, size: int) -> Bool[Array, "row position"]:
    """Mark the tokens that follow a copy of the last size - 1 tokens of the text."""
    width = tokens.shape[1]
    is_same = jnp.ones(tokens.shape, bool)
    for back in range(1, size):
        last = jnp.take(tokens, jnp.maximum(length - back, 0), axis=1)
        before = jnp.pad(tokens, ((0, 0), (back, 0)), constant_values=-1)[:, :width]
        is_same &= before == last[:, None]
    positions = jnp.arange(width)
    return is_same & (positions >= size - 1) & (positions < length) & (length >= size)

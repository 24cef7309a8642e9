"""Extend one text per prompt by the likeliest or a random token."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


class SampledTokens(NamedTuple):
    """Generated tokens of one text per prompt.

    Attributes:
      tokens: tokens generated so far, then the fill token, [batch, new].
      has_ended: truth values [batch]: whether the text has ended.
    """

    tokens: Int[Array, "batch new"]
    has_ended: Bool[Array, " batch"]

    @property
    def is_done(self) -> Bool[Array, ""]:
        """Tell whether all texts of the batch have ended."""
        return jnp.all(self.has_ended)

    @property
    def result(self) -> Int[Array, "batch new"]:
        """Return the generated tokens [batch, new]."""
        return self.tokens


class LogitsWarpers(NamedTuple):
    """Settings of random choice that can change without a new compilation, see `Decoding`.

    Attributes:
      temperature: divisor > 0 of the logits, dimensionless.
      top_k: number of tokens to draw from; 0 for all.
      top_p: probability in (0, 1] of the tokens to draw from.
      min_p: smallest share of the largest probability to draw from, in [0, 1].
    """

    temperature: Any
    top_k: Any
    top_p: Any
    min_p: Any


def start(batch: int, max_new: int, fill: int) -> SampledTokens:
    """Make texts without generated tokens.

    Args:
      batch: number of texts.
      max_new: number of tokens to generate per text.
      fill: token that fills unused positions.

    Returns:
      Texts none of which has ended.
    """
    return SampledTokens(jnp.full((batch, max_new), fill, jnp.int32), jnp.zeros(batch, bool))


def add(
    texts: SampledTokens,
    new: Int[Array, " batch"],
    step: Array,
    fill: int,
    eos_token_ids: tuple[int, ...],
) -> SampledTokens:
    """Append one token to every text that has not ended.

    Args:
      texts: tokens so far.
      new: chosen tokens [batch].
      step: number of tokens generated before.
      fill: token for texts that have ended.
      eos_token_ids: tokens that end a text.

    Returns:
      The longer texts.
    """
    new = jnp.where(texts.has_ended, fill, new).astype(jnp.int32)
    is_end = jnp.isin(new, jnp.asarray(eos_token_ids, jnp.int32))
    tokens = jax.lax.dynamic_update_index_in_dim(texts.tokens, new, step, 1)
    return SampledTokens(tokens, texts.has_ended | is_end)


def draw(
    keys: Key[Array, " batch"], logits: Float[Array, "batch vocab"], warpers: LogitsWarpers
) -> Int[Array, " batch"]:
    """Draw tokens from softmax(logits / temperature), restricted to top_k, top_p and min_p.

    The draw is an exponential race: each token gets an exponential time with its probability
    as rate, and the smallest time wins. Times have 32 random bits, so that tokens of
    probability 1e-9 are still drawn at their rate.

    Args:
      keys: one key per text, [batch].
      logits: logits [batch, vocab].
      warpers: see `LogitsWarpers`.

    Returns:
      Tokens [batch], integers in [0, vocab).
    """
    logits = logits / warpers.temperature
    is_cut = (warpers.top_k > 0) | (warpers.top_p < 1) | (warpers.min_p > 0)
    logits = jax.lax.cond(is_cut, lambda: _cut(logits, warpers), lambda: logits)

    def times(key: Any) -> Array:
        bits = jax.random.bits(key, logits.shape[1:], jnp.uint32)
        return -jnp.log1p(-(bits.astype(jnp.float32) + 0.5) * jnp.float32(2**-32))

    return jnp.argmax(logits - jnp.log(jax.vmap(times)(keys)), axis=1)


def _cut(logits: Array, warpers: LogitsWarpers) -> Array:
    """Set logits to -inf outside the top_k likeliest tokens, then beyond a mass of top_p.

    Finally exclude tokens below the share min_p of the largest probability, which is that of the
    logits, too, whatever was cut.
    """
    vocab = logits.shape[1]
    falling = -jnp.sort(-logits, axis=1)
    number = jnp.where(warpers.top_k > 0, jnp.minimum(warpers.top_k, vocab), vocab)
    least = jnp.take_along_axis(falling, jnp.full((len(logits), 1), number - 1), axis=1)
    logits = jnp.where(logits < least, -jnp.inf, logits)
    falling = jnp.where(falling < least, -jnp.inf, falling)
    before = jnp.cumsum(jax.nn.softmax(falling, axis=1), axis=1) - jax.nn.softmax(falling, axis=1)
    is_retained = (before < warpers.top_p) | (warpers.top_p >= 1) | (jnp.arange(vocab) == 0)
    least = jnp.min(jnp.where(is_retained, falling, jnp.inf), axis=1, keepdims=True)
    logits = jnp.where(logits < least, -jnp.inf, logits)
    return jnp.where(logits < falling[:, :1] + jnp.log(warpers.min_p), -jnp.inf, logits)

"""One text for every prompt: the likeliest token each time, or a random one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


class Texts(NamedTuple):
    """What is generated.

    Attributes:
      tokens: so far; fill after that.
      has_ended: whether nothing more comes.
    """

    tokens: Int[Array, "batch new"]
    has_ended: Bool[Array, " batch"]

    @property
    def is_done(self) -> Bool[Array, ""]:
        """Whether no prompt needs another token."""
        return jnp.all(self.has_ended)

    @property
    def result(self) -> Int[Array, "batch new"]:
        """The texts."""
        return self.tokens


class LogitsWarpers(NamedTuple):
    """Numbers that change without a new compilation, see `Decoding`."""

    temperature: Any
    top_k: Any
    top_p: Any


def start(batch: int, max_new: int, fill: int) -> Texts:
    """Nothing yet."""
    return Texts(jnp.full((batch, max_new), fill, jnp.int32), jnp.zeros(batch, bool))


def add(
    texts: Texts, new: Int[Array, " batch"], step: Array, fill: int, eos_token_ids: tuple[int, ...]
) -> Texts:
    """One token more; fill where a text has ended."""
    new = jnp.where(texts.has_ended, fill, new).astype(jnp.int32)
    is_end = jnp.isin(new, jnp.asarray(eos_token_ids, jnp.int32))
    tokens = jax.lax.dynamic_update_index_in_dim(texts.tokens, new, step, 1)
    return Texts(tokens, texts.has_ended | is_end)


def draw(
    keys: Key[Array, " batch"], logits: Float[Array, "batch vocab"], warpers: LogitsWarpers
) -> Int[Array, " batch"]:
    """Tokens drawn from softmax(logits / temperature), cut to top_k and top_p.

    An exponential race: the first of exponential times with these rates. Times have 32 random
    bits, so that tokens of probability 1e-9 still come as often as they should.
    """
    logits = logits / warpers.temperature
    is_cut = (warpers.top_k > 0) | (warpers.top_p < 1)
    logits = jax.lax.cond(is_cut, lambda: _cut(logits, warpers), lambda: logits)

    def times(key: Any) -> Array:
        bits = jax.random.bits(key, logits.shape[1:], jnp.uint32)
        return -jnp.log1p(-(bits.astype(jnp.float32) + 0.5) * jnp.float32(2**-32))

    return jnp.argmax(logits - jnp.log(jax.vmap(times)(keys)), axis=1)


def _cut(logits: Array, warpers: LogitsWarpers) -> Array:
    """-inf for all but the top_k likeliest, then all beyond a mass of top_p."""
    vocab = logits.shape[1]
    falling = -jnp.sort(-logits, axis=1)
    number = jnp.where(warpers.top_k > 0, jnp.minimum(warpers.top_k, vocab), vocab)
    least = jnp.take_along_axis(falling, jnp.full((len(logits), 1), number - 1), axis=1)
    logits = jnp.where(logits < least, -jnp.inf, logits)
    falling = jnp.where(falling < least, -jnp.inf, falling)
    before = jnp.cumsum(jax.nn.softmax(falling, axis=1), axis=1) - jax.nn.softmax(falling, axis=1)
    is_kept = (before < warpers.top_p) | (jnp.arange(vocab) == 0)
    least = jnp.min(jnp.where(is_kept, falling, jnp.inf), axis=1, keepdims=True)
    return jnp.where(logits < least, -jnp.inf, logits)

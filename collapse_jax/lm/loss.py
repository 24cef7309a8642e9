"""Compute the causal loss, with the head, softmax and cross-entropy fused."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.lm.attention import causal_attention, text_positions
from collapse_jax.lm.causal_lm import CausalLM
from collapse_jax.lm.layers import head_logits

IGNORED = -100
"""Label that excludes a position from the loss, as in PyTorch."""
_ROWS = 1024  # rows whose logits are in memory at a time: 206 MB for 50,272 tokens
_ROWS_OF_ACCELERATOR = 4096  # every part adds to the head's gradients in memory, which takes time


class Sum(NamedTuple):
    """Sum of the negative log-likelihoods of labels.

    Attributes:
      total: the sum, nats.
      number: number of labels in the sum.
    """

    total: Float[Array, ""]
    number: Int[Array, ""]

    @property
    def mean(self) -> Float[Array, ""]:
        """Return the mean loss, nats per label; 0 without labels."""
        return self.total / jnp.maximum(self.number, 1)


def hidden_of(model: CausalLM, input_ids: Array, mask: Array, key: Any = None) -> Array:
    """Compute the activations that the head multiplies, with causal attention.

    Args:
      model: the network.
      input_ids: tokens [batch, position].
      mask: truth values [batch, position], False for padding.
      key: one key per text [batch], for dropout; None for no dropout.

    Returns:
      Activations [batch, position, embedding], dimensionless.
    """
    attend = causal_attention(mask, model.config, key)
    return model(input_ids, text_positions(mask), attend, key)


def next_token_loss(
    model: CausalLM, input_ids: Array, mask: Array, labels: Array, key: Any = None
) -> Sum:
    """Sum the loss -ln p(labels[:, t + 1] | tokens up to t) over texts and positions t.

    Args:
      model: the network.
      input_ids: tokens [batch, position].
      mask: truth values [batch, position], False for padding.
      labels: tokens [batch, position]; -100 excludes a position.
      key: one key per text [batch], for dropout; None for no dropout.

    Returns:
      The sum, nats, and the number of labels in it.
    """
    hidden = hidden_of(model, input_ids, mask, key)[:, :-1]
    return cross_entropy(hidden.reshape(-1, hidden.shape[-1]), model.head, labels[:, 1:].ravel())


def block_losses(model: CausalLM, input_ids: Array, mask: Array) -> Float[Array, " batch"]:
    """Compute the mean loss of each text over its tokens after the first.

    Args:
      model: the network.
      input_ids: tokens [batch, position].
      mask: truth values [batch, position], False for padding.

    Returns:
      Mean losses [batch], nats per token; 0 for a text of one token.
    """
    hidden = hidden_of(model, input_ids, mask)[:, :-1]
    labels = jnp.where(mask[:, 1:] & mask[:, :-1], input_ids[:, 1:], IGNORED)

    def of_text(text: tuple[Array, Array]) -> Array:
        found = cross_entropy(text[0], model.head, text[1])
        return found.mean

    return jax.lax.map(of_text, (hidden, labels))


def cross_entropy(
    hidden: Float[Array, "row embedding"],
    head: Float[Array, "vocab embedding"],
    labels: Int[Array, " row"],
) -> Sum:
    """Sum the cross-entropies of softmax(hidden head^T) and labels.

    Logits exist for at most 1,024 rows at a time, or 4,096 on accelerators. Gradients, where they
    are requested, are computed in the same pass, so that logits are neither stored nor computed
    twice.

    Args:
      hidden: activations [row, embedding], dimensionless.
      head: matrix [vocab, embedding].
      labels: tokens [row]; -100 excludes a row.

    Returns:
      The sum, nats, and the number of labels in it.
    """
    return Sum(_total(hidden, head, labels), jnp.sum(labels != IGNORED))


@jax.custom_vjp
def _total(hidden: Array, head: Array, labels: Array) -> Array:
    """Return the sum of the losses, nats."""
    return _by_platform(_total_in_parts, hidden, head, labels)


def _by_platform(function: Any, *arrays: Array) -> Any:
    """Call a function whose first argument is the number of rows of a part."""
    return jax.lax.platform_dependent(
        *arrays,
        cpu=functools.partial(function, _ROWS),
        default=functools.partial(function, _ROWS_OF_ACCELERATOR),
    )


def _total_in_parts(most: int, hidden: Array, head: Array, labels: Array) -> Array:
    def add(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        return total + jnp.sum(_losses(head_logits(part[0], head), part[1])[0]), None

    return jax.lax.scan(add, jnp.zeros((), jnp.float32), _in_parts(most, hidden, labels))[0]


def _losses(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Return losses and log-normalisers by row, nats."""
    normaliser = jax.lax.platform_dependent(
        logits, cpu=functools.partial(jax.nn.logsumexp, axis=1), default=_log_sum_exp
    )
    chosen = jnp.take_along_axis(logits, jnp.maximum(labels, 0)[:, None], axis=1)[:, 0]
    return jnp.where(labels == IGNORED, 0, normaliser - chosen), normaliser


def _log_sum_exp(logits: Array) -> Array:
    """Return ln(sum(exp(logits))) by row.

    The sum is a matrix product in float32, which TPU does in half the time of a sum, with two equal
    columns of ones, as its compiler makes a sum of a product with a vector.
    """
    top = jnp.max(logits, axis=1)
    top = jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0))
    ones = jnp.ones((logits.shape[1], 2), logits.dtype)
    sums = jnp.matmul(jnp.exp(logits - top[:, None]), ones, precision="highest")[:, 0]
    return jnp.log(sums) + top


def _in_parts(most: int, hidden: Array, labels: Array) -> tuple[Array, Array]:
    """Return the rows in parts of equal size, with excluded rows at the end."""
    parts = -(-len(labels) // most)
    size = -(-len(labels) // parts)
    padding = parts * size - len(labels)
    hidden = jnp.pad(hidden, ((0, padding), (0, 0)))
    labels = jnp.pad(labels, (0, padding), constant_values=IGNORED)
    return hidden.reshape(parts, size, -1), labels.reshape(parts, size)


def _with_gradients(hidden: Array, head: Array, labels: Array) -> tuple[Array, tuple]:
    """Return the sum of the losses, and its gradients by `hidden` and `head`."""
    total, to_hidden, to_head = _by_platform(_gradients_in_parts, hidden, head, labels)
    return total, (to_hidden, to_head, jnp.zeros((), head.dtype))


def _gradients_in_parts(
    most: int, hidden: Array, head: Array, labels: Array
) -> tuple[Array, Array, Array]:
    def add(sums: tuple[Array, Array], part: tuple[Array, Array]) -> tuple[tuple, Array]:
        total, to_head = sums
        rows, labels = part
        logits = head_logits(rows, head)
        losses, normaliser = _losses(logits, labels)
        counts = (labels != IGNORED)[:, None]
        is_label = jnp.arange(logits.shape[1]) == labels[:, None]
        errors = jnp.where(counts, jnp.exp(logits - normaliser[:, None]) - is_label, 0)
        errors = errors.astype(head.dtype)
        added = jax.lax.dot_general(
            errors, rows, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32
        )
        return (total + jnp.sum(losses), to_head + added), errors @ head

    start = (jnp.zeros((), jnp.float32), jnp.zeros(head.shape, jnp.float32))
    (total, to_head), to_hidden = jax.lax.scan(add, start, _in_parts(most, hidden, labels))
    return total, to_hidden.reshape(-1, hidden.shape[1])[: len(hidden)], to_head


def _scaled(gradients: tuple, by: Array) -> tuple:
    """Return the gradients of a multiple of the sum."""
    to_hidden, to_head, like = gradients
    return (by * to_hidden).astype(to_hidden.dtype), (by * to_head).astype(like.dtype), None


_total.defvjp(_with_gradients, _scaled)

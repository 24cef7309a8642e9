"""Logits and losses of texts, checked and compiled."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from collapse_jax.families.language_model import causal_loss as losses
from collapse_jax.families.language_model.arguments import check_labels, check_tokens
from collapse_jax.families.language_model.model import OPT, head_logits


def logits(
    model: OPT, input_ids: Any, attention_mask: Any = None
) -> Float[Array, "batch length vocab"]:
    """Scores of every next token, float32; those at padding mean nothing.

    Args:
      model: see `load`.
      input_ids: integers [batch, length].
      attention_mask: [batch, length], 0 for padding; None for none.

    Raises:
      ValueError: for tokens that the model does not know, or more than it has positions.

    >>> import jax
    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> lm.logits(lm.OPT(config, key=jax.random.key(0)), [[2, 5, 6]]).shape
    (1, 3, 64)
    """
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
    structure, params = nnx.split(model)
    return _logits(structure, params, input_ids, mask)


def loss(
    model: OPT, input_ids: Any, attention_mask: Any = None, labels: Any = None
) -> Float[Array, ""]:
    """Mean negative log-likelihood of every token after the one before it, nats.

    Args:
      model: see `load`.
      input_ids: integers [batch, length].
      attention_mask: [batch, length], 0 for padding; None for none.
      labels: as transformers has them: the tokens themselves (they are shifted here), -100
        where none is predicted; None for all tokens that are no padding.

    Raises:
      ValueError: for tokens or labels that the model does not know.
    """
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
    labels = check_labels(model.config, labels, input_ids, mask)
    structure, params = nnx.split(model)
    return _loss(structure, params, input_ids, mask, labels).mean


def perplexities(model: OPT, input_ids: Any, attention_mask: Any = None) -> Float[Array, " batch"]:
    """exp of the mean loss of every text's tokens after its first.

    Args:
      model: see `load`.
      input_ids: integers [batch, length].
      attention_mask: [batch, length], 0 for padding; None for none.

    Raises:
      ValueError: for tokens that the model does not know.
    """
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
    structure, params = nnx.split(model)
    return _perplexities(structure, params, input_ids, mask)


@functools.partial(jax.jit, static_argnums=0)
def _logits(structure: Any, params: Any, input_ids: Array, mask: Array) -> Array:
    model: OPT = nnx.merge(structure, params)
    return head_logits(losses.hidden_of(model, input_ids, mask), model.head)


@functools.partial(jax.jit, static_argnums=0)
def _loss(structure: Any, params: Any, input_ids: Array, mask: Array, labels: Array) -> losses.Sum:
    return losses.next_token_loss(nnx.merge(structure, params), input_ids, mask, labels)


@functools.partial(jax.jit, static_argnums=0)
def _perplexities(structure: Any, params: Any, input_ids: Array, mask: Array) -> Array:
    model: OPT = nnx.merge(structure, params)
    return jnp.exp(losses.block_losses(model, input_ids, mask))

"""Logits and losses of texts, checked and compiled."""

import functools
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float

from collapse_jax.lm.checks import check_labels, check_tokens
from collapse_jax.lm.loss import Sum, block_losses, hidden_of, next_token_loss
from collapse_jax.lm.model import OPT, head_logits
from collapse_jax.lm.sharding import AXIS, fetch, on_all
from collapse_jax.utils import check


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

    >>> import jax
    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32, init_std=0.0)
    >>> model = lm.OPT(config, key=jax.random.key(0))  # all weights 0: every token is as likely
    >>> round(float(lm.loss(model, [[2, 5, 6]])), 4)  # ln 64
    4.1589
    """
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
    labels = check_labels(model.config, labels, input_ids, mask)
    structure, params = nnx.split(model)
    return _loss(structure, params, input_ids, mask, labels).mean


def losses(
    model: OPT,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
) -> Float[np.ndarray, " text"]:
    """The mean negative log-likelihood of every text's tokens after its first, nats.

    Args:
      model: see `load`.
      input_ids: integers [text, length].
      attention_mask: [text, length], 0 for padding; None for none.
      batch_size: texts at a time, None for all.
      mesh: devices that share them, see `data_mesh`.

    Raises:
      ValueError: for tokens that the model does not know.

    >>> import jax
    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32, init_std=0.0)
    >>> model = lm.OPT(config, key=jax.random.key(0))  # all weights 0: every token is as likely
    >>> [round(float(loss), 4) for loss in lm.losses(model, [[2, 5, 6], [2, 7, 7]])]  # ln 64
    [4.1589, 4.1589]
    """
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
    number = len(input_ids)
    size = number if batch_size is None else check.integer("batch_size", batch_size, 1)
    size = size if mesh is None else -(-size // mesh.shape[AXIS]) * mesh.shape[AXIS]
    structure, params = nnx.split(model)
    program, params = _losses(structure, mesh), on_all(params, mesh)
    found = []
    for first in range(0, number, size):
        rows = np.minimum(np.arange(first, first + size), number - 1)
        found.append(program(params, input_ids[rows], mask[rows]))
    return np.concatenate([fetch(values) for values in found])[:number]


def perplexities(
    model: OPT,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
) -> Float[np.ndarray, " text"]:
    """exp of `losses`, which see.

    >>> import jax
    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32, init_std=0.0)
    >>> model = lm.OPT(config, key=jax.random.key(0))  # all weights 0: every token is as likely
    >>> lm.perplexities(model, [[2, 5, 6], [2, 7, 7]]).round(2).tolist()
    [64.0, 64.0]
    """
    return np.exp(losses(model, input_ids, attention_mask, batch_size=batch_size, mesh=mesh))


@functools.partial(jax.jit, static_argnums=0)
def _logits(structure: Any, params: Any, input_ids: Array, mask: Array) -> Array:
    model: OPT = nnx.merge(structure, params)
    return head_logits(hidden_of(model, input_ids, mask), model.head)


@functools.partial(jax.jit, static_argnums=0)
def _loss(structure: Any, params: Any, input_ids: Array, mask: Array, labels: Array) -> Sum:
    return next_token_loss(nnx.merge(structure, params), input_ids, mask, labels)


@functools.lru_cache(maxsize=64)
def _losses(structure: Any, mesh: Mesh | None) -> Any:
    """The compiled losses of texts; on several devices, each has a share of them."""

    def compute(params: Any, input_ids: Array, mask: Array) -> Array:
        return block_losses(nnx.merge(structure, params), input_ids, mask)

    if mesh is None:
        return jax.jit(compute)
    shared, whole = PartitionSpec(AXIS), PartitionSpec()
    specs = (whole, shared, shared)
    return jax.jit(
        jax.shard_map(compute, mesh=mesh, in_specs=specs, out_specs=shared, check_vma=False)
    )

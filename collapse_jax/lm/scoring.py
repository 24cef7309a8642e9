"""Compute logits, losses and perplexities of texts, after checks of the arguments."""

import functools
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float

from collapse_jax.lm.causal_lm import CausalLM
from collapse_jax.lm.checks import check_labels, check_tokens
from collapse_jax.lm.layers import head_logits
from collapse_jax.lm.loss import Sum, block_losses, hidden_of, next_token_loss
from collapse_jax.lm.sharding import distributed, fetch, merged, rows_of, specs_of
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings


@own_settings()
def logits(
    model: CausalLM, input_ids: Any, attention_mask: Any = None
) -> Float[Array, "batch length vocab"]:
    """Compute the logits of the token after each position.

    Args:
      model: the network, see `load`.
      input_ids: tokens, integers [batch, length].
      attention_mask: [batch, length], 1 for tokens and 0 for padding; None for no padding.

    Returns:
      Logits [batch, length, vocab] in float32; those at padding are meaningless.

    Raises:
      ValueError: for ids outside the vocabulary, more tokens than the model has positions, or
        a mask of another shape or without a token of some text.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> lm.logits(lm.create(config, key=0), [[2, 5, 6]]).shape
    (1, 3, 64)
    """
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask, 1)
    structure, params = nnx.split(model)
    return _logits(structure, params, input_ids, mask)


@own_settings()
def loss(
    model: CausalLM, input_ids: Any, attention_mask: Any = None, labels: Any = None
) -> Float[Array, ""]:
    """Compute the mean of -ln p(token | earlier tokens) over all labels of a batch.

    Args:
      model: the network, see `load`.
      input_ids: tokens, integers [batch, length].
      attention_mask: [batch, length], 1 for tokens and 0 for padding; None for no padding.
      labels: tokens [batch, length] as in transformers: position t is compared with the
        logits at t - 1, -100 excludes a position; None for all tokens except padding.

    Returns:
      Mean loss, nats per token.

    Raises:
      ValueError: for ids or labels outside the vocabulary, more tokens than the model has
        positions, arrays of other shapes, or no label after a first token.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32, init_std=0.0)
    >>> model = lm.create(config, key=0)  # all weights 0: uniform over tokens
    >>> round(float(lm.loss(model, [[2, 5, 6]])), 4)  # ln 64
    4.1589
    """
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask)
    labels = check_labels(model.config, labels, input_ids, mask)
    structure, params = nnx.split(model)
    return _loss(structure, params, input_ids, mask, labels).mean


@own_settings()
def losses(
    model: CausalLM,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
) -> Float[np.ndarray, " text"]:
    """Compute the mean of -ln p(token | earlier tokens) for each text.

    The mean is over the tokens of a text after its first.

    Args:
      model: the network, see `load`.
      input_ids: tokens, integers [text, length].
      attention_mask: [text, length], 1 for tokens and 0 for padding; None for no padding.
      batch_size: number of texts computed at a time, >= 1; None for all.
      mesh: devices that share each batch, see `mesh`; None for the default device.

    Returns:
      Mean losses [text], nats per token.

    Raises:
      ValueError: for ids outside the vocabulary, more tokens than the model has positions, or
        a mask of another shape, or a text of a single token.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32, init_std=0.0)
    >>> model = lm.create(config, key=0)  # all weights 0: uniform over tokens
    >>> [round(float(loss), 4) for loss in lm.losses(model, [[2, 5, 6], [2, 7, 7]])]  # ln 64
    [4.1589, 4.1589]
    """
    input_ids, mask = check_tokens(model.config, input_ids, attention_mask, 2)
    number = len(input_ids)
    size = number if batch_size is None else check.integer("batch_size", batch_size, 1)
    size = size if mesh is None else -(-size // mesh.size) * mesh.size
    structure, params = nnx.split(model)
    program, params = program_on(structure, mesh), distributed(params, mesh)
    found = []
    for first in range(0, number, size):
        rows = np.minimum(np.arange(first, first + size), number - 1)
        found.append(program(params, input_ids[rows], mask[rows]))
    return np.concatenate([fetch(values) for values in found])[:number]


def perplexities(
    model: CausalLM,
    input_ids: Any,
    attention_mask: Any = None,
    *,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
) -> Float[np.ndarray, " text"]:
    """Compute the perplexity exp(mean loss) of each text.

    Args:
      model: the network, see `load`.
      input_ids: tokens, integers [text, length].
      attention_mask: [text, length], 1 for tokens and 0 for padding; None for no padding.
      batch_size: number of texts computed at a time, >= 1; None for all.
      mesh: devices that share each batch, see `mesh`; None for the default device.

    Returns:
      Perplexities [text], exp(nats per token), >= 1; see `losses`.

    Raises:
      ValueError: as in `losses`.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32, init_std=0.0)
    >>> model = lm.create(config, key=0)  # all weights 0: uniform over tokens
    >>> lm.perplexities(model, [[2, 5, 6], [2, 7, 7]]).round(2).tolist()
    [64.0, 64.0]
    """
    return np.exp(losses(model, input_ids, attention_mask, batch_size=batch_size, mesh=mesh))


@functools.partial(jax.jit, static_argnums=0)
def _logits(structure: Any, params: Any, input_ids: Array, mask: Array) -> Array:
    """Return the logits of a model given as graph definition and parameters."""
    model: CausalLM = nnx.merge(structure, params)
    return head_logits(hidden_of(model, input_ids, mask), model.head)


@functools.partial(jax.jit, static_argnums=0)
def _loss(structure: Any, params: Any, input_ids: Array, mask: Array, labels: Array) -> Sum:
    """Return the summed loss of a model given as graph definition and parameters."""
    return next_token_loss(nnx.merge(structure, params), input_ids, mask, labels)


@functools.lru_cache(maxsize=64)
def program_on(structure: Any, mesh: Mesh | None) -> Any:
    """Return the compiled losses; each device of a mesh computes a share of the texts.

    Args:
      structure: graph definition of the network.
      mesh: the devices; None for the default device.
    """

    if mesh is None:
        return jax.jit(lambda params, *texts: block_losses(nnx.merge(structure, params), *texts))
    shared = rows_of(mesh)

    @jax.jit
    def shared_losses(params: Any, input_ids: Array, mask: Array) -> Array:
        specs = specs_of(params, mesh)
        return jax.shard_map(
            lambda params, *texts: block_losses(merged(structure, params, specs), *texts),
            mesh=mesh,
            in_specs=(specs, shared, shared),
            out_specs=shared,
            check_vma=False,
        )(params, input_ids, mask)

    return shared_losses

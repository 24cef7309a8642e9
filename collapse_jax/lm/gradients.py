"""Compute the gradients of a batch, part by part, on one or more devices."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array

from collapse_jax.lm import lora
from collapse_jax.lm.loss import Sum, next_token_loss
from collapse_jax.lm.sharding import (
    GATHERED,
    gathered,
    gathered_bytes,
    merged,
    rows_of,
    specs_of,
    summed,
)

_FEW_BYTES = 2**30  # of gathered parameters, stored for the backward pass: OPT-125m has 0.25 GB


def network_of(structure: Any, training: Any, weights: tuple[Any, Any]) -> Any:
    """Return the network of trained and frozen parameters.

    Args:
      structure: graph definition of the network.
      training: settings, a `Training`.
      weights: trained parameters, and frozen ones or None, see `TrainingState`.
    """
    params, frozen = weights
    if frozen is None:
        return nnx.merge(structure, params)
    return lora.adapt(nnx.merge(structure, frozen), params, training.alpha / training.rank)


def summed_gradients(
    structure: Any,
    training: Any,
    mesh: Mesh | None,
    weights: tuple[Any, Any],
    batch: Any,
    key: Any,
) -> tuple[Sum, Any]:
    """Compute loss and gradients, summed over the batch on all devices.

    Args:
      structure: graph definition of the network.
      training: settings, a `Training`.
      mesh: the devices; None for one.
      weights: trained and frozen parameters, see `TrainingState`.
      batch: a `TrainingBatch`.
      key: key of dropout.

    Returns:
      The sum of the loss, nats, with its number of labels; and the gradients of the sum, nats per
      unit of each trained parameter.
    """
    rows = jnp.arange(len(batch.input_ids), dtype=jnp.uint32)
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    if mesh is None:
        return _local_gradients(structure, training, (None, None), weights, batch, keys)
    shared, specs = rows_of(mesh), specs_of(weights, mesh)
    if weights[1] is not None:  # adapters are small: every device has them
        specs = jax.tree.map(lambda _: PartitionSpec(), weights[0]), specs[1]

    def compute(*arguments: Any) -> tuple[Sum, Any]:
        loss, gradients = _local_gradients(structure, training, specs, *arguments)
        return jax.lax.psum(loss, mesh.axis_names), summed(gradients, specs[0], mesh)

    return jax.shard_map(
        compute,
        mesh=mesh,
        in_specs=(specs, shared, shared),
        out_specs=(PartitionSpec(), specs[0]),
        check_vma=False,
    )(weights, batch, keys)


def _local_gradients(
    structure: Any,
    training: Any,
    specs: tuple[Any, Any],
    weights: tuple[Any, Any],
    batch: Any,
    keys: Any,
) -> tuple[Sum, Any]:
    """Return loss and gradients, summed over the texts of one device part by part.

    Parameters that are gathered for a layer are gathered once more in the backward pass, unless all
    of them are small. Frozen ones, to which adapters are added, are all gathered at the start.
    """
    (params, frozen), (divided, divided_frozen) = weights, specs
    if divided_frozen is not None:
        frozen = gathered(frozen, divided_frozen)
        divided = None
    again = jax.checkpoint_policies.save_anything_except_these_names(GATHERED)

    def total(params: Any, batch: Any, keys: Any) -> tuple[Array, Array]:
        network = nnx.state(network_of(structure, training, (params, frozen)))
        network = jax.tree.map(lambda leaf: leaf.astype(training.dtype), network)
        given = keys if training.has_dropout else None
        model, (input_ids, mask, labels) = merged(structure, network, divided), batch
        found = next_token_loss(model, input_ids, mask, labels, given)
        return found.total, found.number

    loss_of: Any = total
    if divided is not None and gathered_bytes(params, divided, training.dtype) > _FEW_BYTES:
        loss_of = jax.checkpoint(total, policy=again)

    def of_part(batch: Any, keys: Any) -> tuple[Sum, Any]:
        (loss, number), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, batch, keys)
        return Sum(loss, number), gradients

    if training.accumulate == 1:
        return of_part(batch, keys)

    def add(sums: Any, part: tuple[Any, Any]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, of_part(*part)), None

    parts = jax.tree.map(
        lambda leaf: leaf.reshape(training.accumulate, -1, *leaf.shape[1:]), (batch, keys)
    )
    shapes = jax.eval_shape(of_part, *jax.tree.map(lambda leaf: leaf[0], parts))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(add, zeros, parts)[0]

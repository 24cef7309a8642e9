"""Train the model of one generation, with a validation loss after every epoch."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Int

from collapse_jax import lm
from collapse_jax.core.samples import Labels
from collapse_jax.families.language_model.evaluate import (
    mean_loss,
    mesh_of,
    perplexity,
    rows_of,
    with_params,
)
from collapse_jax.families.language_model.tuned_model import TunedModel
from collapse_jax.lm.loss import IGNORED
from collapse_jax.random.keys import Keys, Purpose

_NAME = "training"


class Work(NamedTuple):
    """Training that may not be finished.

    Attributes:
      state: state of the network and its optimizer.
      best: parameters with the lowest validation loss so far.
      losses: nats per token of every step, [epoch, step], NaN for steps to come.
      validation: nats per token after every epoch, [epoch], NaN for epochs to come.
      zero_shot: perplexity of the test blocks before the first step.
    """

    state: lm.TrainingState
    best: Any
    losses: np.ndarray
    validation: np.ndarray
    zero_shot: np.ndarray


def tune(family: Any, keys: Keys, corpus: Labels, previous: Any) -> TunedModel:
    """Train a model on the rows of a corpus.

    Args:
      family: a `LanguageModel`.
      keys: random numbers of the generation.
      corpus: training blocks.
      previous: the model of the previous generation; None in generation 0.

    Returns:
      The parameters with the lowest validation loss, and the losses.
    """
    blocks, generation = rows_of(corpus), int(keys.generation)
    steps, epochs = -(-len(blocks) // family.batch_size), family.training.num_epochs
    training = dataclasses.replace(family.training, steps_per_epoch=steps)
    model = starting_model(family, keys, previous)
    trainer = lm.Trainer(model, training, mesh_of(family))
    work = _begin(family, trainer, model, keys, (epochs, steps))
    dropout = keys.unrolled_key(Purpose.FIT)
    done = int(work.state.step)
    losses, order = list(work.losses.ravel()[:done]), np.empty(0)
    for step in range(done, epochs * steps):
        epoch, index = divmod(step, steps)
        if step == done or index == 0:
            order = shuffled(keys, epoch, len(blocks))
        ids, labels = batch_of(blocks, order, index, family.batch_size)
        state, loss = trainer.step(work.state, ids, labels=labels, key=dropout)
        work = work._replace(state=state)
        losses.append(loss)
        if index == steps - 1:
            work = _validated(family, trainer, work, epoch)
        family.context.checkpoint(generation, _NAME, functools.partial(_arrays, work, losses))
    return TunedModel(
        jax.tree.map(np.asarray, work.best),
        jnp.asarray(np.mean(_filled(work.losses, losses), axis=1)),
        jnp.asarray(work.validation),
        jnp.asarray(work.zero_shot),
    )


def starting_model(family: Any, keys: Keys, previous: TunedModel | None) -> lm.CausalLM:
    """Return the network before training.

    Args:
      family: a `LanguageModel`.
      keys: random numbers of the generation.
      previous: the model of the previous generation; None in generation 0.
    """
    if family.start == "last" and previous is not None:
        return with_params(family, previous.params)
    if isinstance(family.model, str):
        return _load(family.model, family.revision, family.scan_layers)
    if family.start != "fresh":
        keys = Keys(keys.chain, jnp.int32(0))
    key = keys.unrolled_key(Purpose.START)
    return lm.create(family.model, key=key, scan_layers=family.scan_layers)


@functools.lru_cache(maxsize=1)
def _load(model: str, revision: str | None, scan_layers: bool) -> lm.CausalLM:
    return lm.load(model, revision=revision, scan_layers=scan_layers)


def shuffled(keys: Keys, epoch: int, number: int) -> Int[np.ndarray, " block"]:
    """Draw the order of blocks in an epoch.

    Args:
      keys: random numbers of the generation.
      epoch: number of the epoch, from 0.
      number: number of blocks.

    Returns:
      A permutation, [block].
    """
    return np.lexsort(np.asarray(keys.branch(Purpose.FIT, epoch).bits(Purpose.FIT, (number,))))


def batch_of(
    blocks: np.ndarray, order: np.ndarray, index: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and labels of a step; rows that pad the last step of an epoch have no loss.

    Args:
      blocks: tokens, [block, token].
      order: order of the blocks in the epoch, [block].
      index: index of the step within the epoch.
      size: blocks of a step.

    Returns:
      Two int32 arrays, [size, token].
    """
    rows = order[index * size : (index + 1) * size]
    ids = np.zeros((size, blocks.shape[1]), np.int32)
    labels = np.full(ids.shape, IGNORED, np.int32)
    ids[: len(rows)] = labels[: len(rows)] = blocks[rows]
    return ids, labels


def _begin(family: Any, trainer: lm.Trainer, model: lm.CausalLM, keys: Keys, shape: tuple) -> Work:
    """Return training before its first step, or the last checkpoint of unfinished training."""
    state = trainer.start(model, key=keys.unrolled_key(Purpose.START))
    nothing = np.full(shape, np.nan, np.float32)
    work = Work(state, nnx.state(model), nothing, nothing[:, 0], np.array(np.nan, np.float32))
    arrays = family.context.restore(int(keys.generation), _NAME)
    if arrays is None:
        zero_shot = perplexity(mean_loss(family, model, family.test))
        return work._replace(zero_shot=np.asarray(zero_shot))
    restored = jax.tree.unflatten(jax.tree.structure(work), list(arrays))
    return restored._replace(state=trainer.resume(restored.state))


def _validated(family: Any, trainer: lm.Trainer, work: Work, epoch: int) -> Work:
    """Add the validation loss after an epoch, and update the best parameters."""
    model = trainer.model(work.state)
    loss, params = mean_loss(family, model, family.validation), nnx.state(model)
    validation = work.validation.copy()
    validation[epoch] = loss
    if np.all(np.isnan(work.validation)) or loss < np.nanmin(work.validation):
        work = work._replace(best=jax.tree.map(jnp.copy, params))
    return work._replace(validation=validation)


def _filled(shape: np.ndarray, losses: list) -> np.ndarray:
    """Return the losses of steps, [epoch, step], NaN for steps to come."""
    filled = np.full(shape.size, np.nan, np.float32)
    filled[: len(losses)] = jax.device_get(losses)
    return filled.reshape(shape.shape)


def _arrays(work: Work, losses: list) -> list[np.ndarray]:
    """Return the arrays of a checkpoint of unfinished training."""
    complete = work._replace(losses=_filled(work.losses, losses))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(complete)]

"""The law p_g of a corpus, held as a mixture over p_0 and all earlier models."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.random.binomial import binomial
from collapse_jax.random.keys import Keys, Purpose

DrawModel = Callable[[Keys, Any, Array, int], AbstractCorpus]
DrawOriginal = Callable[[Keys, Array, int], AbstractCorpus]


class History(NamedTuple):
    """p_g = weights[0] p_0 + sum_k weights[k] model_{k-1}.

    Attributes:
      weights: [G + 1], zero for models that are still to come.
      models: params of models 0 .. G - 1, stacked along a first axis.
    """

    weights: Float[Array, " component"]
    models: Any


def empty_models(params: Any, num_generations: int) -> Any:
    """Return buffers for the params of models.

    Args:
      params: of one model.
      num_generations: number of models.

    Returns:
      Zeros in the structure of `params`, [model, ...].
    """
    length = max(1, num_generations)  # an empty array has no slot to trace the reading of
    return jax.tree.map(lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype), params)


def store(models: Any, index: Int[Array, ""], params: Any) -> Any:
    """Return models with another one in its slot.

    Args:
      models: params of many models, [model, ...].
      index: of the slot, scalar.
      params: of one model.

    Returns:
      Params of as many models.
    """
    return jax.tree.map(lambda all, one: all.at[index].set(one), models, params)


def start(params: Any, num_generations: int) -> History:
    """Return p_0, with buffers for the models to come.

    Args:
      params: of model 0, for their shapes.
      num_generations: number of models to come.
    """
    weights = jnp.zeros(num_generations + 1).at[0].set(1)
    return History(weights, empty_models(params, num_generations))


def mix(
    history: History, generation: Int[Array, ""], params: Any, shares: tuple[Array, Array, Array]
) -> History:
    """Return alpha model_{generation - 1} + beta p_{generation - 1} + gamma p_0.

    Args:
      history: p_{generation - 1}.
      generation: of the new law, int32 scalar.
      params: of model generation - 1.
      shares: alpha, beta and gamma, scalars in [0, 1] that sum to 1.
    """
    alpha, beta, gamma = shares
    weights = (beta * history.weights).at[0].add(gamma).at[generation].add(alpha)
    return History(weights, store(history.models, generation - 1, params))


def draw(
    keys: Keys,
    history: History,
    generation: Int[Array, ""],
    size: Size,
    capacity: int,
    draw_model: DrawModel,
    draw_original: DrawOriginal,
) -> AbstractCorpus:
    """Draw `size` independent rows from p_g, component by component.

    The numbers of rows by component are multinomial, drawn as a chain of binomials.
    Components beyond `generation` have weight zero.

    Args:
      keys: random numbers of the generation.
      history: p_g.
      generation: g, int32 scalar.
      size: number of rows, may be traced.
      capacity: number of slots, static, at least `size`.
      draw_model: (keys, params, size, capacity) -> rows of a model.
      draw_original: (keys, size, capacity) -> independent rows of p_0.

    Returns:
      A corpus of `size` rows.
    """
    after = jnp.flip(jnp.cumsum(jnp.flip(history.weights)))
    after = jnp.append(after[1:], jnp.zeros((), after.dtype))
    size = jnp.asarray(size, jnp.int32)

    def count(keys: Keys, index: Array | int, rest: Array) -> Array:
        weight, later = history.weights[index], after[index]
        weight = jnp.where(weight + later > 0, weight, 1)
        return binomial(keys, Purpose.HISTORY, rest, weight, later)

    branch = keys.branch(Purpose.HISTORY, 0)
    num_original = count(branch, 0, size)
    corpus = draw_original(branch, num_original, capacity).with_capacity(2 * capacity)

    def add(index: Array, carry: tuple[AbstractCorpus, Array]) -> tuple[AbstractCorpus, Array]:
        corpus, done = carry
        branch = keys.branch(Purpose.HISTORY, index)
        number = count(branch, index, size - done)
        params = jax.tree.map(lambda leaf: leaf[index - 1], history.models)
        part = draw_model(branch, params, number, capacity)
        return corpus.framed_for(part, done).merge(part, done), done + number

    corpus, _ = jax.lax.fori_loop(1, generation + 1, add, (corpus, num_original))
    return corpus.with_capacity(capacity)

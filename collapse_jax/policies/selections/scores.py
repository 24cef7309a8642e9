"""Evaluate scores of candidates, and perturb them so that the largest are a random choice."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.core.selection import RowFunction, on_states, one_for_each
from collapse_jax.random.gumbel import gumbel_from_block
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.largest import exact_sum, sortable
from collapse_jax.random.once import once_in_vectors
from collapse_jax.utils import check

CHOSEN, ALL = "chosen_score", "candidate_score"
"""Names of the recorded mean scores, of the chosen rows and of all candidates."""
_REMEDY = "reduce over the axes of a row, e.g. lambda rows: -abs(rows[:, 0])"


def scores_of(name: str, function: RowFunction, rows: Array, count: int) -> Array:
    """Return the scores of rows.

    Args:
      name: of the argument, with its class.
      function: of the user.
      rows: real vectors [row, dim], or blocks of tokens.
      count: their number.

    Returns:
      Numbers [row], as the function gave them.
    """
    return one_for_each(name, function, rows, count, "number", _REMEDY)


def scores_of_states(name: str, function: RowFunction, num_states: int) -> np.ndarray:
    """Return the scores of all states.

    Args:
      name: of the argument, with its class.
      function: of the user.
      num_states: K.

    Returns:
      float64 [state], or integers as the function gave them.

    Raises:
      ValueError: for a score that is NaN.
    """
    found = on_states(lambda states: scores_of(name, function, states, num_states), num_states)
    wrong = np.isnan(found.astype(np.float64))
    if np.any(wrong):
        state = int(np.argmax(wrong))
        allowed, remedy = "a score must be a number", "give every state a number; -inf is one"
        raise check.fail(f"result of {name} for state {state}", float("nan"), allowed, remedy)
    return found.astype(np.float64) if found.dtype.kind == "f" else found.astype(np.int64)


def real(scores: Array) -> Float[Array, "..."]:
    """Return scores in the default float type.

    Args:
      scores: numbers of any type.
    """
    return scores.astype(jnp.result_type(float))


def perturbed(
    keys: Keys, scores: Array, temperature: float, shape: tuple[int, ...]
) -> tuple[Array, Callable[[Any], Array]]:
    """Return scores plus temperature times Gumbel numbers, and words that decide between ties.

    The largest of them is drawn proportionally to exp(score / temperature), the n largest so
    without replacement. Rounding errors of the sums are the words, so that nothing is lost where
    scores are large. With temperature 0 the scores are returned, and random words.

    Args:
      keys: random numbers of the generation.
      scores: numbers of `shape`.
      temperature: >= 0, in the unit of the scores.
      shape: static.

    Returns:
      Numbers of `shape`, and a function of the round 0 that returns unsigned words of `shape`.
    """
    if temperature == 0:
        branch = keys.branch(Purpose.SELECT, 0)
        return scores, lambda round: branch.bits(Purpose.SELECT, shape, round)[0]
    noise = once_in_vectors(
        keys,
        shape,
        lambda blocks: temperature * gumbel_from_block(*keys.bits(Purpose.SELECT, blocks)),
    )
    total, error = exact_sum(real(scores), noise)
    # Where the sum is infinite the noise decides nothing, and is free for ties.
    word = jnp.where(jnp.isfinite(total), sortable(error), sortable(noise))
    return total, lambda _: word

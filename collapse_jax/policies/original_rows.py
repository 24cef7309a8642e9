"""Schedules of new original rows, next to those of rows from the model."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.core.corpus import AbstractCorpus
from collapse_jax.core.policy import AbstractPolicy, Step, size_at
from collapse_jax.policies.checks import check_sizes
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

Schedule = int | Sequence[int]


def check_num_original(
    policy: str, num_samples: Schedule | None, num_original: Any
) -> int | tuple[int, ...]:
    """Return checked numbers of original rows.

    Args:
      policy: name of the class.
      num_samples: rows from the model, as checked.
      num_original: new original rows, one int >= 0 or one for each generation.

    Raises:
      ValueError: for numbers that are no such integers, for schedules of different lengths, and
        for sums of 2^31 and more.
    """
    name = f"{policy}.num_original"
    if num_original is None:
        raise check.fail(name, None, "it must be given", "pass one int >= 0, or one per generation")
    original = check_sizes(name, num_original, 0)
    assert original is not None
    lengths = [len(one) for one in (num_samples, original) if isinstance(one, tuple)]
    if len(set(lengths)) > 1:
        allowed = f"num_samples has {counted(lengths[0], 'entry', 'entries')}"
        remedy = "give both one per generation, or one number"
        raise check.fail(f"len({name})", lengths[1], allowed, remedy)
    if num_samples is not None:
        largest = largest_of(added(num_samples, original))
        if largest > check.MAX_SIZE:
            sums = f"{policy}.num_samples + {name}"
            raise check.fail(sums, largest, "it must be below 2^31", "lower one of them")
    return original


def added(num_samples: Schedule, num_original: Schedule) -> int | tuple[int, ...]:
    """Return the sums of two schedules: an int if both are, otherwise one for each generation.

    Args:
      num_samples: rows from the model.
      num_original: original rows.
    """
    if isinstance(num_samples, int) and isinstance(num_original, int):
        return num_samples + num_original
    sums = np.add(num_samples, num_original, dtype=np.int64)
    return tuple(int(rows) for rows in sums)


def largest_of(schedule: Schedule) -> int:
    """Return the largest number of rows of any generation.

    Args:
      schedule: rows, one int or one for each generation.
    """
    return schedule if isinstance(schedule, int) else max(schedule)


def pool_capacity(policy: Any, num_generations: int) -> int:
    """Return the slots for all rows of a run, the last draws written with the largest sizes.

    Args:
      policy: has `num_samples` and `num_original`.
      num_generations: G.
    """
    last = largest_of(policy.num_samples) + largest_of(policy.num_original)
    return int(np.sum(policy.sizes(num_generations)[:-1])) + last


def pool_size(policy: AbstractPolicy, generation: Int[Array, ""]) -> Int[Array, ""]:
    """Return M_0 + ... + M_{generation - 1}, the number of rows made before `generation`.

    Args:
      policy: whose `size` is the number of rows that a generation adds.
      generation: int32 scalar, may be traced.
    """
    if isinstance(size := policy.size(generation), int):
        return jnp.asarray(size * generation, jnp.int32)
    pools = np.concatenate([[0], np.cumsum(np.array(policy.total_sizes))])
    return jnp.asarray(pools.astype(np.int32))[generation]


def with_new_rows(
    policy: Any, step: Step, pool: AbstractCorpus, size: Int[Array, ""]
) -> AbstractCorpus:
    """Return a pool with the rows that a generation adds: the model's, then original ones.

    Args:
      policy: has `num_samples` and `num_original`.
      step: what the policy may use.
      pool: rows made before, with free slots.
      size: their number.
    """
    most_made, most_original = largest_of(policy.num_samples), largest_of(policy.num_original)
    made: Any = size_at(policy.num_samples, step.generation)
    pool = pool.of_size(size).merge(step.model(made, most_made), size)
    if not most_original:
        return pool
    original = step.original(size_at(policy.num_original, step.generation), most_original)
    return pool.of_size(size + made).merge(original, size + made)

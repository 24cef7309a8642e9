"""Checks of arguments that policies share."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.core.policy import AbstractPolicy, NumSamples
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted


def check_selection(policy: AbstractPolicy, num_samples: NumSamples) -> None:
    """Refuse a verifier that is no function, a selection that is none, and one too small.

    Args:
      policy: with the fields `verifier` and `selection`.
      num_samples: rows that are drawn from models, one number or one per generation; None if
        they are not known yet.

    Raises:
      ValueError: for anything else, both at once, or more rows than candidates.
    """
    name, selection = type(policy).__name__, policy.selection
    if policy.verifier is not None and not callable(policy.verifier):
        remedy = "pass a function of rows (or states) that returns one bool for each, or None"
        raise check.fail(f"{name}.verifier", policy.verifier, "it must be callable", remedy)
    if selection is None:
        return
    allowed = "it must be a selection, such as Accept, Top, BestOf or Edit"
    is_function = callable(selection) and not isinstance(selection, type)
    remedy = "pass cj.Accept(function)" if is_function else "pass one of them, or None"
    check.instance(f"{name}.selection", selection, AbstractSelection, allowed, remedy)
    if policy.verifier is not None:
        shown, allowed = check.Shown(type(selection).__name__), "there is a verifier too"
        remedy = "a verifier is short for selection=cj.Accept(verifier): pass one of them"
        raise check.fail(f"{name}.selection", shown, allowed, remedy)
    most = selection.most_rows
    later = num_samples[1:] if isinstance(num_samples, Sequence) else [num_samples or 0]
    largest = max(later, default=0)  # D_0 is original
    if most is not None and largest > most:
        allowed = f"{type(selection).__name__} has {counted(most, 'candidate')}"
        remedy = f"pass num_candidates={largest} or more"
        raise check.fail(f"{name}.num_samples", largest, allowed, remedy)


def check_sizes(name: str, num_samples: NumSamples, low: int = 1) -> int | tuple[int, ...] | None:
    """Return one size or a tuple of sizes.

    Args:
      name: of the argument, with its class.
      num_samples: rows: one int, a sequence of ints, or None.
      low: least number of rows.

    Returns:
      An int, a tuple of ints, or None.

    Raises:
      ValueError: for anything else.
    """
    if num_samples is None:
        return None
    remedy = f"pass one int >= {low}, or one per generation, num_generations + 1 in all"
    if isinstance(num_samples, (str, bytes)):
        raise check.fail(name, num_samples, "it must be an integer or a sequence", remedy)
    if not isinstance(num_samples, (Sequence, np.ndarray)) or np.ndim(num_samples) == 0:
        return check.integer(name, num_samples, low, remedy=remedy)
    sizes = tuple(
        check.integer(f"{name}[{index}]", size, low, remedy=remedy)
        for index, size in enumerate(num_samples)
    )
    if not sizes:
        raise check.fail(name, [], "it must not be empty", remedy)
    return sizes


def check_length(name: str, schedule: Any, num_generations: int, entries: str = "sizes") -> None:
    """Refuse a schedule without an entry for each of generations 0 .. G.

    Args:
      name: of the argument, with its class.
      schedule: one number, or a tuple.
      num_generations: G.
      entries: plural of the thing that is scheduled, for the message.

    Raises:
      ValueError: for a tuple of another length.
    """
    if isinstance(schedule, tuple) and len(schedule) != num_generations + 1:
        allowed = f"num_generations={num_generations} needs {num_generations + 1} {entries}"
        remedy = f"pass one number, or num_generations + 1 {entries}"
        raise check.fail(f"len({name})", len(schedule), allowed, remedy)


def check_population(name: str, population: int, num_generations: int) -> None:
    """Refuse a pool of 2^31 rows and more.

    Args:
      name: of the argument that decides its size.
      population: rows of the pool after the last generation.
      num_generations: G.

    Raises:
      ValueError: for a pool that is too large.
    """
    if population > check.MAX_SIZE:
        allowed = f"after num_generations={num_generations} the pool may hold 2^31 - 1 rows"
        raise check.fail("pool size", population, allowed, f"lower {name} or num_generations")

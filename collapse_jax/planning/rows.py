"""Count the original rows that a chain reads."""

import math
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.source import CountsSource
from collapse_jax.planning.demand import Demand
from collapse_jax.planning.expectation import exact_mean
from collapse_jax.policies import Replace
from collapse_jax.sources import Categorical

_MOST = 2**31 - 1


class OriginalRows(NamedTuple):
    """Original rows that a chain reads.

    Attributes:
      first: rows of D_0.
      per_generation: original rows of a later corpus, on average over generations; rows of D_0 that
        are used again count here, and not in `total`.
      total: rows that have to exist.

    >>> import collapse_jax as cj
    >>> cj.OriginalRows(first=100, per_generation=10.0, total=300.0).total
    300.0
    """

    first: int
    per_generation: float
    total: float


def original_rows(chain: Chain, generations: int | float) -> OriginalRows:
    """Return the original rows that a chain reads in a number of generations.

    Args:
      chain: the process.
      generations: the last generation, `math.inf` for ever.
    """
    policy: Any = chain.policy
    last = 1 if generations == math.inf else max(int(generations), 1)
    sizes = policy.sizes(last)
    first, later = int(sizes[0]), np.zeros(last)
    fresh = policy.fresh_share(last)
    is_reused = bool(getattr(policy, "reuses_original", False))
    if fresh is not None:
        later = np.asarray(fresh.shares, np.float64) * sizes[1:]
    elif hasattr(policy, "num_original"):
        later = np.broadcast_to(np.asarray(policy.num_original, np.float64), len(sizes))[1:]
    elif hasattr(policy, "gamma"):
        later = np.broadcast_to(np.asarray(policy.gamma, np.float64), len(sizes) - 1) * sizes[1:]
    each = float(np.mean(later))
    new = 0.0 if is_reused or each == 0 else each * generations
    return OriginalRows(first, each, first + new)


def equivalent_rows(chain: Chain, demand: Demand, mean: float) -> int | None:
    """Return how many original rows alone give a model of the same quality.

    Args:
      chain: the process; its family is fitted to independent rows of its source.
      demand: names the quantity.
      mean: of the quantity over chains.

    Returns:
      The fewest rows whose model, fitted once, has this mean or a better one; None if theory does
      not know the mean, or it does not depend on the rows.
    """
    source = chain.source
    if isinstance(source, CountsSource):
        source = Categorical(np.asarray(source.law, np.float64) / np.sum(source.law, dtype=float))

    def reaches(rows: int) -> bool | None:
        fitted = Chain(chain.given["family"], source, Replace(rows))
        found = exact_mean(fitted, demand, 0)
        return None if found is None else (found >= mean if demand.is_least else found <= mean)

    low, high = 2, _MOST
    ends = reaches(low), reaches(high)
    if None in ends or ends[0] == ends[1]:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high

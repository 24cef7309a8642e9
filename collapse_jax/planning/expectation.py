"""Compute a demanded mean exactly, where theory knows it."""

import math
from typing import Any

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.policy import FreshShare
from collapse_jax.planning.demand import Demand, variance_of
from collapse_jax.sources import Categorical, Normal
from collapse_jax.sources.empirical import EmpiricalLabels
from collapse_jax.theory import ancestors
from collapse_jax.theory.gaussian_accumulation import stationary_fresh_moments

_SLOW = 2e8  # lineages times generations, or lineages times states times generations: a second
_MOST_LINEAGES = 5000  # where new original rows arrive: memory grows with the square


def exact_mean(chain: Chain, demand: Demand, generations: int | float) -> float | None:
    """Return the mean of a quantity over chains; None where no theory has it, or not quickly.

    Args:
      chain: the process.
      demand: names the quantity.
      generations: the last generation; `math.inf` for the stationary state.
    """
    if demand.throughout:
        return None
    if generations == math.inf:
        return _stationary(chain, demand)
    if demand.weights is not None:
        return _surviving(chain, demand.weights, int(generations))
    curve = chain.family.theory(chain, chain.policy.sizes(int(generations))).get(demand.variable)
    return None if curve is None else float(curve.values[-1]) / demand.unit


def _surviving(chain: Chain, weights: np.ndarray, generations: int) -> float | None:
    """Return the expected sum of the weights of the states of a model, by the ancestral dual."""
    source: Any = chain.source
    policy = chain.policy
    fresh = fresh_states(chain, generations)
    if fresh is None:
        return None
    law = np.asarray(source.law, np.float64)
    sizes, shares = policy.sizes(generations), np.asarray(fresh.shares)
    if isinstance(source, EmpiricalLabels):
        if sizes[0] != source.num_rows:
            return None
        if generations == 0:
            return float(np.sum(weights * (law > 0)))
        sizes, shares = sizes[1:], shares[1:]  # D_1 is the first draw
    is_fresh = bool(np.any(shares > 0))
    if is_fresh and fresh.allocation == "fixed":
        return None
    cost = float(np.max(sizes)) * len(sizes) * (len(np.unique(law)) if is_fresh else 1)
    if cost > _SLOW or (is_fresh and np.max(sizes) > _MOST_LINEAGES):
        return None
    return float(ancestors.expected_present(law, sizes, weights, shares if is_fresh else 0.0)[-1])


def fresh_states(chain: Chain, generations: int) -> FreshShare | None:
    """Return the shares of new original rows, if all others are copies of earlier ones.

    Args:
      chain: the process, on states.
      generations: the last generation.
    """
    family: Any = chain.family
    policy = chain.policy
    is_plain = policy.selected_by is None and not (family.is_smoothed or family.is_tempered)
    is_known = is_plain and type(chain.source) in (Categorical, EmpiricalLabels)
    return policy.fresh_share(generations) if is_known else None


def _stationary(chain: Chain, demand: Demand) -> float | None:
    """Return the limit for infinitely many generations of a Gaussian chain with original rows."""
    family: Any = chain.family
    policy = chain.policy
    is_known = getattr(family, "estimator", None) in ("unbiased", "mle") and family.prior is None
    is_known = is_known and type(chain.source) is Normal
    if not is_known or policy.selected_by is not None:
        return None
    if demand.variable not in ("variance", "trace_covariance"):
        return None
    fresh, sizes = policy.fresh_share(1), policy.sizes(1)
    if fresh is None or sizes[0] != sizes[1] or policy.weighs_rows:
        return None
    size, share, bias = int(sizes[1]), float(fresh.shares[0]), float(family.sampling_bias)
    scale = (variance_of(chain.source) or 1.0) / demand.unit
    if share == 0:  # every generation multiplies the mean by the same factor
        factor = bias if family.estimator == "unbiased" else bias * (1 - 1 / size)
        return float(scale) if factor == 1 else 0.0 if factor < 1 else math.inf
    moments = stationary_fresh_moments(size, share, family.estimator, fresh.allocation, bias)
    return float(scale * moments.variance)

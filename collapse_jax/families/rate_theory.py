"""Compute exact expectations of Poisson, exponential and Bernoulli chains, by source and policy."""

import math
from typing import Any

import numpy as np

from collapse_jax.core.metric import Curve
from collapse_jax.policies import Accumulate
from collapse_jax.sources import Categorical
from collapse_jax.sources.rate_laws import ExponentialLaw, PoissonLaw
from collapse_jax.theory import ancestors, discrete, rates

Curves = dict[str, Curve]

_POSITIVE = (0.0, math.inf)
_SLOW = 100_000  # rows times generations: beyond, absorption would take longer than some seconds


def poisson_curves(chain: Any, sizes: np.ndarray) -> Curves:
    """Return the known expectations of a Poisson chain, see `collapse_jax.theory.rates`.

    They are known for a `PoissonLaw` without a selection, under Replace, Accumulate, Fresh, and
    Mixing with new original rows.

    Args:
      chain: a chain with a `Poisson` family.
      sizes: M_0 .. M_G in rows, [G + 1].

    Returns:
      Curves by variable, [G + 1]; empty where none is known.
    """
    source, policy = chain.source, chain.policy
    fresh = policy.fresh_share(len(sizes) - 1)
    is_known = policy.selected_by is None and type(source) is PoissonLaw
    if not is_known or (fresh is None and not _is_accumulate(policy)):
        return {}
    if fresh is None:
        variance = rates.accumulate_variance_of_mean(sizes)
        # A pool with an event keeps it.
        absorption = np.full(len(sizes), math.exp(-float(sizes[0]) * source.rate))
    else:
        variance = rates.variance_of_mean(sizes, fresh.shares, fresh.allocation)
        absorption = rates.poisson_absorption(source.rate, sizes)
    curves = {
        "rate": Curve(np.full(len(sizes), source.rate), bounds=_POSITIVE),
        "rate_variance": Curve(variance * source.rate),
    }
    if fresh is None or not np.any(fresh.shares > 0):
        curves["is_absorbed"] = Curve(absorption, bounds=(0.0, 1.0))
    return curves


def exponential_curves(chain: Any, sizes: np.ndarray) -> Curves:
    """Return the known expectations of an exponential chain, see `collapse_jax.theory.rates`.

    Args:
      chain: a chain with an `Exponential` family.
      sizes: M_0 .. M_G in rows, [G + 1].

    Returns:
      Curves by variable, [G + 1]; empty unless an `ExponentialLaw` is replaced without a selection.
    """
    source, policy = chain.source, chain.policy
    fresh = policy.fresh_share(len(sizes) - 1)
    is_known = policy.selected_by is None and type(source) is ExponentialLaw
    if not is_known or fresh is None or np.any(fresh.shares > 0):
        return {}
    start = math.log(source.rate)
    curves = {
        "log_rate": Curve(start + rates.expected_log_rate(sizes)),
        "log_rate_variance": Curve(rates.variance_of_log_rate(sizes)),
    }
    if np.min(sizes) > 2:  # else the variance over chains is infinite
        curves["rate"] = Curve(source.rate * rates.expected_rate(sizes), bounds=_POSITIVE)
    return curves


def bernoulli_curves(chain: Any, sizes: np.ndarray) -> Curves:
    """Return the known expectations of a Bernoulli chain, see `collapse_jax.theory.discrete`.

    They are known for a `Categorical` without a selection, under Replace, Accumulate, Fresh, and
    Mixing with new original rows. Absorption is left out where it would take long.

    Args:
      chain: a chain with a `Bernoulli` family.
      sizes: M_0 .. M_G in rows, [G + 1].

    Returns:
      Curves by variable, [G + 1]; empty where none is known.
    """
    source, policy = chain.source, chain.policy
    if policy.selected_by is not None or type(source) is not Categorical:
        return {}
    law = np.pad(np.asarray(source.probabilities, np.float64), (0, 2 - source.num_states))
    fresh, is_replace = policy.fresh_share(len(sizes) - 1), False
    if _is_accumulate(policy):
        diversity = discrete.accumulate_expected_heterozygosity(law, sizes)
    elif fresh is None:
        return {}
    else:
        diversity = discrete.expected_heterozygosity(law, sizes, fresh.shares, fresh.allocation)
        is_replace = not np.any(fresh.shares > 0)
    curves = {
        "rate": Curve(np.full(len(sizes), law[1]), bounds=(0.0, 1.0)),
        "rate_variance": Curve((law @ (1 - law) - diversity) / 2),
    }
    sweeps = 1 + len(sizes) / 128 + np.count_nonzero(np.diff(sizes))
    if is_replace and np.max(sizes) * sweeps <= _SLOW:
        absorption = ancestors.absorption_probability(law, sizes)
        curves["is_absorbed"] = Curve(absorption, bounds=(0.0, 1.0))
    return curves


def _is_accumulate(policy: Any) -> bool:
    """Tell whether all rows are pooled and only those of D_0 are original."""
    return type(policy) is Accumulate and not np.any(getattr(policy, "num_original", 0))

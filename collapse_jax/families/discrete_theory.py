"""Compute exact expectations of discrete chains, by source and policy."""

import math
from typing import Any

import numpy as np

from collapse_jax.core.metric import Curve
from collapse_jax.core.policy import FreshShare
from collapse_jax.metrics.discrete import tail_on_host
from collapse_jax.policies import Accumulate, Fresh
from collapse_jax.sources import Categorical
from collapse_jax.sources.empirical import EmpiricalLabels
from collapse_jax.theory import ancestors, bayesian, discrete, ecosystem, pools

Curves = dict[str, Curve]

_SLOW = 200_000  # lineages times sweeps: beyond, theory would take longer than some seconds
_SLOW_FRESH = 10**8  # lineages times states times generations, with fresh rows: some seconds
_SLOW_STEPS = 400_000  # lineages times generations, with fresh rows: some seconds
_MOST_LINEAGES = 5000  # with fresh rows: memory grows with the square


def discrete_curves(chain: Any, sizes: np.ndarray, most_steps: float = math.inf) -> Curves:
    """Return the known expectations of a discrete chain, see `collapse_jax.theory.discrete`.

    They are known for a `Categorical` truth and for D_0 = the data, without smoothing, biased
    sampling or selection, under Replace, Accumulate, Fresh, and Mixing with new original rows.
    Support and absorption are left out where they would take long.

    Args:
      chain: a chain with a `Discrete` family.
      sizes: M_0 .. M_G in rows, [G + 1].
      most_steps: of lineages, each some 20 microseconds, for support and absorption.

    Returns:
      Curves by variable, [G + 1]; empty where none is known.
    """
    family, source, policy = chain.family, chain.source, chain.policy
    if policy.selected_by is not None or family.smoothing > 0 or family.is_tempered:
        return {}
    if family.prior is not None:
        return _with_prior(family, source, policy, sizes)
    if type(source) not in (Categorical, EmpiricalLabels):
        return {}
    law = np.asarray(source.law, np.float64)
    law = law / law.sum()
    fresh = policy.fresh_share(len(sizes) - 1)
    is_data = False
    if isinstance(source, EmpiricalLabels):
        is_data = sizes[0] == source.num_rows
        adds_original = type(policy) is Fresh or np.any(getattr(policy, "num_original", 0))
        if sizes[0] < source.num_rows or adds_original:
            return {}  # original rows are subsets of the data without replacement
    if type(policy) is Accumulate and np.any(policy.num_original):
        made = sizes - np.broadcast_to(policy.num_original, len(sizes))
        kept = 1 - pools.pooled_error(made, policy.num_original)
        curves = {"heterozygosity": Curve(float(law @ (1 - law)) * kept)}
    elif type(policy) is Accumulate:
        values = discrete.accumulate_expected_heterozygosity(law, sizes)
        curves = {"heterozygosity": Curve(values / (1 - 1 / sizes[0]) if is_data else values)}
    elif fresh is None:
        return {}
    elif is_data:
        curves = _after_data(law, sizes[1:], fresh._replace(shares=fresh.shares[1:]), most_steps)
    else:
        curves = _diversity(law, sizes, fresh, most_steps)
    # The expected law of the models is constant in all of these regimes.
    curves["tail_mass"] = Curve(np.full(len(sizes), law @ tail_on_host(law)))
    states = float(np.count_nonzero(law))
    bounds = {name: (0.0, 1.0) for name in curves} | {"support_size": (1.0, states)}
    return {name: curve._replace(bounds=bounds[name]) for name, curve in curves.items()}


def _with_prior(family: Any, source: Any, policy: Any, sizes: np.ndarray) -> Curves:
    """Return expectations of a Bayesian learner on a known law."""
    fresh = policy.fresh_share(len(sizes) - 1)
    if type(source) is not Categorical or fresh is None:
        return {}
    law = np.zeros(family.num_states)
    law[: source.num_states] = np.asarray(source.law, np.float64)
    prior = np.broadcast_to(np.asarray(family.prior, np.float64), law.shape)
    is_sample = family.learner == "posterior_sample"
    found = bayesian.dirichlet_moments(law / law.sum(), prior, sizes, *fresh, is_sample=is_sample)
    tail = found.mean @ tail_on_host(law)
    return {
        "heterozygosity": Curve(found.heterozygosity, bounds=(0.0, 1.0)),
        "tail_mass": Curve(tail, bounds=(0.0, 1.0)),
    }


def ecosystem_curves(family: Any, weights: np.ndarray, source: Any, sizes: np.ndarray) -> Curves:
    """Return the expected diversity of models that train on each other's rows.

    Args:
      family: a `Discrete` family.
      weights: [model, model], shares of the rows of each model by origin.
      source: of the original rows of all models.
      sizes: M_0 .. M_G in rows, [G + 1].

    Returns:
      Curves by variable, [G + 1, model]; empty where none is known.
    """
    if family.is_smoothed or family.is_tempered or type(source) is not Categorical:
        return {}
    law = np.asarray(source.law, np.float64)
    similarity = ecosystem.expected_similarity(weights, law / law.sum(), sizes)
    diversity = 1 - np.diagonal(similarity, axis1=1, axis2=2)
    return {"heterozygosity": Curve(diversity, ("model",), (0.0, 1.0))}


def _diversity(law: np.ndarray, sizes: np.ndarray, fresh: FreshShare, most_steps: float) -> Curves:
    """Return heterozygosity; also support and absorption if their computation is quick."""
    shares, allocation = fresh
    curves = {
        "heterozygosity": Curve(discrete.expected_heterozygosity(law, sizes, shares, allocation))
    }
    largest, is_fresh = int(np.max(sizes)), bool(np.any(shares > 0))
    if allocation == "fixed" and is_fresh:
        return curves
    if is_fresh:
        states = len(np.unique(law))
        steps = largest * len(sizes)
        is_slow = largest > _MOST_LINEAGES or steps > _SLOW_STEPS or states * steps > _SLOW_FRESH
    else:
        steps = largest * (1 + len(sizes) / 128 + np.count_nonzero(np.diff(sizes)))
        is_slow = steps > _SLOW
    if not is_slow and steps <= most_steps:
        curves["support_size"] = Curve(ancestors.expected_support_size(law, sizes, shares))
        curves["is_absorbed"] = Curve(ancestors.absorption_probability(law, sizes, shares))
    return curves


def _after_data(law: np.ndarray, sizes: np.ndarray, fresh: FreshShare, most_steps: float) -> Curves:
    """Return expectations for D_0 = the data: D_1 is the first draw, model 0 is the truth."""
    states = np.count_nonzero(law)
    truth = {
        "heterozygosity": float(law @ (1 - law)),
        "support_size": float(states),
        "is_absorbed": float(states == 1),
    }
    if len(sizes) == 0:
        return {name: Curve(np.array([value])) for name, value in truth.items()}
    later = _diversity(law, sizes, fresh, most_steps)
    return {
        name: Curve(np.concatenate([[truth[name]], curve.values]), curve.dims)
        for name, curve in later.items()
    }

"""Compute exact expectations of kernel density chains, by source and policy."""

import math
from typing import Any

import numpy as np

from collapse_jax.core.metric import Curve
from collapse_jax.policies import Accumulate
from collapse_jax.sources import Normal, NormalMixture
from collapse_jax.theory import kernel_density


def origins(chain: Any, num_generations: int) -> dict[str, Any] | None:
    """Return which rows are original, as the `expected_moments` of densities take it.

    Args:
      chain: a chain of densities.
      num_generations: last generation G.

    Returns:
      `gamma`, `allocation` and `is_pooled`; None for laws, policies and selections whose moments
      are not known.
    """
    policy = chain.policy
    if policy.selected_by is not None or type(chain.source) not in (Normal, NormalMixture):
        return None
    fresh = policy.fresh_share(num_generations)
    is_pooled = type(policy) is Accumulate and not np.any(getattr(policy, "num_original", 0))
    if fresh is None and not is_pooled:
        return None
    gamma, allocation = (0.0, "fixed") if fresh is None else fresh
    return {"gamma": gamma, "allocation": allocation, "is_pooled": is_pooled}


@np.errstate(over="ignore", invalid="ignore")  # inf is beyond float64
def kernel_density_curves(chain: Any, sizes: np.ndarray) -> dict[str, Curve]:
    """Return the known expectations of a kernel density chain.

    They are known for a `Normal` or `NormalMixture` truth without selection, under Replace,
    Accumulate, Fresh, and Mixing with new original rows: see `collapse_jax.theory.kernel_density`.

    Args:
      chain: a chain with a `KernelDensity` family.
      sizes: M_0 .. M_G in rows, [G + 1].

    Returns:
      Curves by variable, [G + 1, ...]; empty where none is known.
    """
    family, source, given = chain.family, chain.source, origins(chain, len(sizes) - 1)
    if given is None:
        return {}
    squares = np.exp(2 * source.log_spreads())
    rule = isinstance(family.bandwidth, str)
    variances, errors = [], []
    for square in squares:
        unit = math.sqrt(square) if square > 0 else 1.0
        width = family.bandwidth if rule else family.bandwidth / unit
        found = kernel_density.expected_moments(sizes, width, dim=family.dim, **given)
        variances.append(found.model_variance * square)
        errors.append(found.error * square)
    mean = np.broadcast_to(np.asarray(source.truth.mean, np.float64), (len(sizes), family.dim))
    curves = {
        "mean": Curve(mean, ("dim",)),
        "mean_variance": Curve(np.stack(errors, axis=1), ("dim",)),
    }
    if np.any(squares == 0):
        return curves
    name = "variance" if family.dim == 1 else "trace_covariance"
    return curves | {name: Curve(np.sum(variances, axis=0), bounds=(0.0, math.inf))}

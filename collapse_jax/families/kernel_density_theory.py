"""Compute exact expectations of kernel density chains, by source and policy."""

import math
from typing import Any

import numpy as np

from collapse_jax.core.metric import Curve
from collapse_jax.policies import Accumulate
from collapse_jax.sources import Normal, NormalMixture
from collapse_jax.theory import kernel_density


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
    family, source, policy = chain.family, chain.source, chain.policy
    if policy.selected_by is not None or type(source) not in (Normal, NormalMixture):
        return {}
    fresh = policy.fresh_share(len(sizes) - 1)
    is_pooled = type(policy) is Accumulate and not np.any(getattr(policy, "num_original", 0))
    if fresh is None and not is_pooled:
        return {}
    shares, allocation = (0.0, "fixed") if fresh is None else fresh
    given = {"is_pooled": is_pooled, "dim": family.dim}
    squares = np.exp(2 * source.log_spreads())
    rule = isinstance(family.bandwidth, str)
    variances, errors = [], []
    for square in squares:
        unit = math.sqrt(square) if square > 0 else 1.0
        width = family.bandwidth if rule else family.bandwidth / unit
        found = kernel_density.expected_moments(sizes, width, shares, allocation, **given)
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

"""Compute exact expectations of regression chains, by source and policy."""

import math
from typing import Any

import numpy as np

from collapse_jax.core.metric import Curve
from collapse_jax.policies import Accumulate
from collapse_jax.sources.regression import LinearModel
from collapse_jax.theory import regression


def regression_curves(chain: Any, sizes: np.ndarray) -> dict[str, Curve]:
    """Return the expected error of least squares on a `LinearModel`, under Replace and Accumulate.

    Args:
      chain: a chain with a `LinearRegression` family.
      sizes: M_0 .. M_G in rows, [G + 1].

    Returns:
      Curves by variable, [G + 1]; empty with a penalty or a selection, or where it is not known.
    """
    family, source, policy = chain.family, chain.source, chain.policy
    is_plain = policy.selected_by is None and family.penalty == 0
    if not is_plain or type(source) is not LinearModel or sizes[0] <= family.dim + 3:
        return {}  # with so few rows the variance of the error is infinite
    fresh = policy.fresh_share(len(sizes) - 1)
    if type(policy) is Accumulate and not np.any(getattr(policy, "num_original", 0)):
        error = regression.accumulate_expected_error(sizes, family.dim)
    elif fresh is not None and not np.any(fresh.shares > 0) and np.min(sizes) > family.dim + 3:
        error = regression.replace_expected_error(sizes, family.dim)
    else:
        return {}
    return {"error": Curve(error * source.noise**2, bounds=(0.0, math.inf))}

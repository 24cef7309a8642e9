"""Compute the theory of a run: exact expectations of its variables by generation."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Curve, Quantity
from collapse_jax.results.records import dataset_of

_UNKNOWN = Quantity("")


def expected_curves(
    chain: Chain, quantities: Mapping[str, Quantity], generations: np.ndarray
) -> Any:
    """Return the dataset of `Records.theory`: expectations by name of the variable.

    Args:
      chain: the process; its family knows the theory, see `AbstractFamily.theory`.
      quantities: long name, unit and axes by variable.
      generations: the recorded generations, [record].

    Returns:
      An `xarray.Dataset` with the dim "generation"; empty if no expectation is known.
    """
    curves = chain.family.theory(chain, chain.policy.sizes(int(generations[-1])))
    variables = {
        name: (
            ("generation", *curve.dims),
            curve.values[generations],
            _attributes(name, quantities) | _limits(name, curve),
        )
        for name, curve in curves.items()
    }
    attributes = {"long_name": "generation", "units": "1"}
    coordinates = {"generation": (("generation",), generations.astype(np.int64), attributes)}
    return dataset_of(variables, coordinates if variables else {})


def _limits(name: str, curve: Curve) -> dict[str, float]:
    """Return the ends of the interval that holds the variable, named as in the CF conventions."""
    low, high = curve.bounds
    if name.endswith("_variance"):
        low = max(low, 0.0)
    named = {"valid_min": float(low), "valid_max": float(high)}
    return {end: value for end, value in named.items() if math.isfinite(value)}


def _attributes(name: str, quantities: Mapping[str, Quantity]) -> dict[str, Any]:
    """Return unit and long name of an expectation."""
    base = name.removesuffix("_variance")
    known = quantities.get(base, _UNKNOWN)
    unit, long_name = known.unit, known.long_name or base.replace("_", " ")
    if base == name:
        return {"long_name": f"expectation of the {long_name}", "units": unit}
    squared = "1" if unit == "1" else f"({unit}) squared"
    return {"long_name": f"variance over chains of the {long_name}", "units": squared}

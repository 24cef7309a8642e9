"""Find the scale of the original data, and refuse one that cannot be recorded.

Spreads are carried as logarithms and know no limits. Variables in the units of the data, or in
their squares, do: float32 ends at 1e-38 and 3e38.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.core.source import MomentsSource
from collapse_jax.utils import check

_POWERS = {"data units": 1, "data units squared": 2}
_ROUNDING = 1e-9  # of a decimal exponent, by square root and logarithm
_ROOM = (1e10, 1e6)  # below and above p_0: many rows come close to it, and chains drift


def check_scales(chain: Chain, metrics: Sequence[Metric], record: Mapping[str, Any]) -> None:
    """Refuse a source whose scale the recorded type cannot hold.

    Args:
      chain: the process.
      metrics: of the run.
      record: shapes of its variables by name, [chain, ...].

    Raises:
      ArgumentError: naming the standard deviation, what can be held, and the factor to rescale by.
    """
    for name, (power, spreads) in _scales(chain, metrics, record).items():
        dtype = np.result_type(record[name].dtype, np.float32)
        low, high = _exponents(dtype, power)
        exponents = spreads / math.log(10)
        is_held = (low - _ROUNDING <= exponents) & (exponents <= high + _ROUNDING)
        if np.all(is_held):
            continue
        digits = round(float(exponents[~is_held][0]))
        shown = f"rows of standard deviation {math.exp(spreads[~is_held][0]):.4g}"
        allowed = (
            f"{name} is recorded in {dtype}, for standard deviations in [1e{low:+d}, 1e{high:+d}]"
        )
        whole = "this axis" if np.any(is_held) else "the data"
        rescale = f"{'divide' if digits > 0 else 'multiply'} {whole} by 1e{abs(digits)}"
        remedy = f"{rescale}, or compute in float64 with JAX_ENABLE_X64=1"
        raise check.fail("Chain.source", check.Shown(shown), allowed, remedy)


def _exponents(dtype: np.dtype, power: int) -> tuple[int, int]:
    """Return the decimal exponents of the least and the largest standard deviation.

    Args:
      dtype: of a variable.
      power: of the data's unit in the variable.
    """
    limits = np.finfo(dtype)
    low = (math.log10(limits.tiny) + math.log10(_ROOM[0])) / power
    high = (math.log10(limits.max) - math.log10(_ROOM[1])) / power
    return round(low), math.floor(high)


def _scales(
    chain: Chain, metrics: Sequence[Metric], record: Mapping[str, Any]
) -> dict[str, tuple[int, np.ndarray]]:
    """Return powers of the data's unit and ln of spreads.

    Arrays with the axis "dim" have a spread for each of its positions; of a total, the largest
    decides.
    """
    if not isinstance(chain.source, MomentsSource):
        return {}
    spreads = chain.source.log_spreads()
    if not np.any(spreads > -np.inf):
        return {}
    spreads = np.where(spreads > -np.inf, spreads, np.max(spreads))
    known = dict(chain.family.quantities) | {str(one.name): one.quantity for one in metrics}
    named = {name: known[name] for name in record if name in known}
    return {
        name: (
            _POWERS[quantity.unit],
            spreads if "dim" in quantity.dims else np.max(spreads, keepdims=True),
        )
        for name, quantity in named.items()
        if quantity.unit in _POWERS
    }

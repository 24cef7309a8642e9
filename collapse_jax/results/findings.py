"""Begin the sentence that a page answers with, and write its numbers."""

import math
from collections.abc import Sequence

import numpy as np

from collapse_jax.results.policy_words import policy_name
from collapse_jax.results.setting import Setting
from collapse_jax.utils.counted import counted

ONE_MODEL = "No model is trained on another: the run ends with model 0."
"""Finding of a run without generations after generation 0."""
_MOST_DECIMALS = 7  # of a mean: smaller errors are left out
_LEAST = 1e-6  # share below which percent have more zeros than a reader counts


def after(setting: Setting, policy: bool = True) -> str:
    """Say after how many generations, and under which policy, a finding holds.

    Args:
      setting: what was run.
      policy: whether to name the policy; not where several are compared.

    Returns:
      The start of a sentence.
    """
    words = f"After {counted(setting.num_generations, 'generation')}"
    if not policy:
        return words
    name, _, settings = policy_name(setting.policy).partition(", ")
    return f"{words} under the policy {name}{f' ({settings})' if settings else ''}"


def percent_of(ratio: float, error: float = np.nan) -> str:
    """Return a ratio in percent, with its standard error.

    Args:
      ratio: at least 0; NaN where no chain has a value.
      error: standard error of the ratio, NaN if it is not known.

    >>> percent_of(0.1234, 0.0049), percent_of(1.0), percent_of(1e-9)
    ('12.3 ± 0.5 %', '100 %', 'less than 0.0001 %')
    """
    if np.isnan(ratio):
        return "an unknown share (no chain is left)"
    if ratio < _LEAST:
        return f"less than {100 * _LEAST:g} %"
    return f"{mean_of(100 * ratio, 100 * error)} %"


def mean_of(value: float, error: float = np.nan) -> str:
    """Return a mean with its standard error, to the first digit of the error.

    Args:
      value: the mean; NaN where no chain has a value.
      error: its standard error, NaN if it is not known.

    >>> mean_of(0.12345, 0.002), mean_of(12345.6, 20.0), mean_of(float("nan")), mean_of(1.0, 0.0)
    ('0.123 ± 0.002', '12,346 ± 20', 'unknown', '1')
    """
    if np.isnan(value):
        return "unknown"
    if not (np.isfinite(value) and 10.0**-_MOST_DECIMALS < error < np.inf):
        return _digits(value)
    decimals = max(0, -math.floor(math.log10(error)))
    shown = float(f"{error:.0e}")
    return f"{value:,.{decimals}f} ± {shown:,.{decimals}f}"


def change_of(values: np.ndarray) -> str:
    """Say from what to what a curve goes, for the caption of its figure.

    Args:
      values: by generation, [record].

    >>> change_of(np.array([1.0, 0.7, 0.5])), change_of(np.array([2.0, 2.0]))
    ('from 1 to 0.5', '2 at first and at last')
    """
    first, last = (mean_of(float(one)) for one in (values[0], values[-1]))
    return f"{first} at first and at last" if first == last else f"from {first} to {last}"


def listed(parts: Sequence[str]) -> str:
    """Join the parts of a list by commas and "and".

    Args:
      parts: at least one.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _digits(value: float) -> str:
    """Return three digits, and whole numbers from 1,000 on."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"

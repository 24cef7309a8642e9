"""Estimate means over chains and their confidence intervals."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Interval(NamedTuple):
    """Mean over chains and its 95 % t interval, mean +- half_width; NaN where values are too few.

    Attributes:
      mean: [...], in the unit of the values.
      half_width: [...], in the unit of the values, at least 0.
    """

    mean: Float[np.ndarray, "..."]
    half_width: Float[np.ndarray, "..."]


def mean_over_chains(values: Float[np.ndarray, "... chain"]) -> Interval:
    """Average the finite values of the last axis and estimate the precision of the mean.

    Source: Student's t interval at confidence 95 %.

    Args:
      values: [..., chain], in any unit; values that are not finite are ignored.

    Returns:
      `Interval` of arrays [...], in the unit of `values`. The mean is NaN without finite values,
      the half width is NaN with fewer than two.
    """
    from scipy.special import stdtrit

    is_there = np.isfinite(values)
    counts = is_there.sum(axis=-1)
    number = np.where(counts > 0, counts, np.nan)
    dof = np.where(counts > 1, counts - 1, np.nan)
    found = np.where(is_there, values, 0)
    mean = found.sum(axis=-1) / number
    squares = np.where(is_there, found - mean[..., None], 0) ** 2
    error = np.sqrt(squares.sum(axis=-1) / dof / number)
    return Interval(mean, stdtrit(dof, 0.975) * error)


def has_intervals(values: Float[np.ndarray, "... chain"]) -> bool:
    """Tell whether any mean over the last axis has an interval.

    Args:
      values: [..., chain], in any unit.

    >>> has_intervals(np.array([[1.0, np.inf], [np.nan, 2.0]]))
    False
    """
    return bool(np.any(np.isfinite(values).sum(axis=-1) > 1))


@contextlib.contextmanager
def no_values_allowed() -> Iterator[None]:
    """Silence NumPy where no chain has a value: pages say "none" there."""
    with warnings.catch_warnings():
        for words in ("Mean of empty slice", "Degrees of freedom", "All-NaN slice"):
            warnings.filterwarnings("ignore", words, RuntimeWarning)
        yield

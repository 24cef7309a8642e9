"""The mean over chains, and how well it is known."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Interval(NamedTuple):
    """A mean over chains and its 95 % t interval, NaN where there are too few values."""

    mean: Float[np.ndarray, "..."]
    half_width: Float[np.ndarray, "..."]


def mean_over_chains(values: Float[np.ndarray, "... chain"]) -> Interval:
    """Over the finite values of the last axis: none has no mean, one no interval."""
    from scipy.special import stdtrit

    is_there = np.isfinite(values)
    counts = is_there.sum(axis=-1)
    number = np.where(counts > 0, counts, np.nan)
    freedom = np.where(counts > 1, counts - 1, np.nan)
    mean = np.where(is_there, values, 0).sum(axis=-1) / number
    squares = np.where(is_there, values - mean[..., None], 0) ** 2
    error = np.sqrt(squares.sum(axis=-1) / freedom / number)
    return Interval(mean, stdtrit(freedom, 0.975) * error)

"""Take quantiles over many chains: sort short runs, and then only the numbers near each quantile.

A run of 256 numbers is sorted by NumPy with vector instructions in one or two nanoseconds a number,
on every CPU; longer ones first have to be split, which takes ten times as long on some. Every run
is a sample of the same law, so that a quantile of all numbers lies close to that of each run.
"""

import math
from collections.abc import Sequence

import numpy as np

_RUN = 256  # numbers of a run
_FEWEST_RUNS = 4  # fewer are sorted as a whole
_SPREADS = 4  # standard deviations of a rank to either side: rarely too few


def quantiles(values: np.ndarray, levels: Sequence[float], axis: int) -> np.ndarray:
    """Return quantiles of the values that are not NaN, interpolated linearly in float64.

    Between a finite and an infinite value lies the infinite one; between -inf and inf, -inf.

    Args:
      values: floats, integers or booleans.
      levels: in [0, 1].
      axis: the axis of the values that belong together.

    Returns:
      Quantiles, [level, ...], float64; NaN only where all values are.

    >>> quantiles(np.array([-np.inf, -np.inf, 1.0, 2.0, np.nan]), (0.2, 0.5, 1), axis=0).tolist()
    [-inf, -inf, 2.0]
    """
    values = np.moveaxis(values.view(np.uint8) if values.dtype == bool else values, axis, -1)
    is_real = np.issubdtype(values.dtype, np.floating)
    if is_real and np.isnan(np.min(values, initial=np.inf)):
        ends = _among_nan(values, levels)
    else:
        ends = _without_nan(values, levels)
    low, high, share = (end.astype(np.float64) for end in ends)
    with np.errstate(invalid="ignore"):
        found = low + share * (high - low)
    found = np.where(np.isinf(low), low, np.where(np.isinf(high), high, found))
    return np.moveaxis(np.where(low == high, low, found), -1, 0)


Ends = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The values on both sides of each quantile, and the share of the way from one to the other."""


def _among_nan(values: np.ndarray, levels: Sequence[float]) -> Ends:
    """Return the neighbours of each quantile, [..., level], where each row has its own number."""
    ordered = np.sort(values, axis=-1)  # NaN last
    last = np.maximum(np.count_nonzero(~np.isnan(values), axis=-1) - 1, 0)
    position = np.multiply.outer(last, np.asarray(levels, np.float64))
    low, high = (
        np.take_along_axis(ordered, round(position).astype(np.intp), -1)
        for round in (np.floor, np.ceil)
    )
    return low, high, position - np.floor(position)


def _without_nan(values: np.ndarray, levels: Sequence[float]) -> Ends:
    """Return the neighbours of each quantile, [..., level]."""
    positions = [level * (values.shape[-1] - 1) for level in levels]
    rows = values.reshape(-1, values.shape[-1])
    runs = _sorted_runs(rows)
    pairs = [_neighbours(rows, runs, math.floor(at), math.ceil(at)) for at in positions]
    low, high = (
        np.stack(side, axis=-1).reshape(*values.shape[:-1], -1) for side in zip(*pairs, strict=True)
    )
    return low, high, np.array(positions) % 1


def _sorted_runs(rows: np.ndarray) -> np.ndarray:
    """Return sorted runs, [row, run, rank]; the shorter ones end with the largest number."""
    number = max(1, math.ceil(rows.shape[1] / _RUN))
    if number < _FEWEST_RUNS:
        return np.sort(rows, axis=1)[:, None]
    length = math.ceil(rows.shape[1] / number)
    full = rows.shape[1] - number * (length - 1)  # runs of this length; the others lack one
    largest = np.inf if np.issubdtype(rows.dtype, np.floating) else np.iinfo(rows.dtype).max
    runs = np.full((len(rows), number, length), largest, rows.dtype)
    end = full * length
    runs[:, :full] = rows[:, :end].reshape(len(rows), full, length)
    runs[:, full:, :-1] = rows[:, end:].reshape(len(rows), number - full, length - 1)
    runs.sort(axis=-1)
    return runs


def _neighbours(
    rows: np.ndarray, runs: np.ndarray, low: int, high: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of two neighbouring ranks in each row, [row] each."""
    number, length = runs.shape[1:]
    if number == 1:
        return runs[:, 0, low], runs[:, 0, high]
    share = low / rows.shape[1]
    margin = _SPREADS * math.sqrt(length * share * (1 - share)) + 2
    begin = max(0, math.floor(length * share - margin))
    end = min(length, math.ceil(length * share + margin))
    near = runs[:, :, begin:end].reshape(len(rows), -1)
    skipped = number * begin
    at = [min(max(rank - skipped, 0), near.shape[1] - 1) for rank in (low, high)]
    near = np.partition(near, at[0], axis=1)  # of one rank: with vector instructions
    first = near[:, at[0]]
    second = first if at[0] == at[1] else np.min(near[:, at[1] :], axis=1)
    # Nothing left out below may exceed what was found, and nothing above fall short of it.
    is_right = np.full(len(rows), at == [low - skipped, high - skipped])
    if begin > 0:
        is_right &= np.max(runs[:, :, begin - 1], axis=1) <= first
    if end < length:
        is_right &= second <= np.min(runs[:, :, end], axis=1)
    if not is_right.all():
        ordered = np.sort(rows[~is_right], axis=1)
        first[~is_right], second[~is_right] = ordered[:, low], ordered[:, high]
    return first, second

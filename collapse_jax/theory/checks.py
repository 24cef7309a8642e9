"""What theory functions accept, in one line each."""

from collections.abc import Sequence

import numpy as np

from collapse_jax.utils import check

Sizes = Sequence[int] | np.ndarray
Law = Sequence[float] | np.ndarray
Share = Sequence[float] | np.ndarray | float


def sizes_of(sizes: Sizes, least: int = 1) -> np.ndarray:
    """M_0 .. M_G as float64."""
    values = np.asarray(sizes, np.float64)
    if values.ndim != 1 or values.size == 0 or not np.min(values) >= least:
        allowed = f"it must be a sequence of numbers >= {least}"
        raise check.fail("sizes", values.tolist(), allowed, "pass M_0 .. M_G")
    return values


def counts_of(sizes: Sizes) -> np.ndarray:
    """M_0 .. M_G as integers."""
    values = sizes_of(sizes)
    if np.any(values != np.round(values)):
        raise check.fail("sizes", values.tolist(), "rows are counted", "pass whole numbers")
    return values.astype(np.int64)


def law_of(probabilities: Law) -> np.ndarray:
    """p_0 as float64, summing to 1."""
    law = np.asarray(probabilities, np.float64)
    if law.ndim != 1 or law.size == 0 or not np.all(law >= 0) or abs(law.sum() - 1) > 1e-6:
        shown = law.tolist() if law.size <= 8 else check.Shown(f"array of shape {law.shape}")
        allowed = "it must be one-dimensional, non-negative, with sum 1"
        raise check.fail("probabilities", shown, allowed, "divide counts by their sum")
    return law / law.sum()


def share_of(name: str, share: Share, length: int) -> np.ndarray:
    """A share in [0, 1] for each of `length` generations, from one number or as many."""
    values = np.asarray(share, np.float64)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != length):
        allowed = f"{length} generations after the first need one number or {length}"
        raise check.fail(name, values.tolist(), allowed, "pass one for each of D_1 .. D_G")
    if not np.all((values >= 0) & (values <= 1)):
        raise check.fail(name, values.tolist(), "it must lie in [0, 1]", "pass a share of rows")
    return np.broadcast_to(values, (length,))

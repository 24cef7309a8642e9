"""Check a square matrix of shares, whose rows leave the rest to somebody else."""

from typing import Any

import numpy as np

from collapse_jax.utils import check

_MOST = 1 + 1e-6  # sum of a row: shares are typed with few digits


def square_shares(name: str, weights: Any) -> np.ndarray:
    """Return a matrix of shares, at most 1 in each row, to within 1e-6.

    Args:
      name: name of the argument, for error messages.
      weights: [row, row], shares >= 0, dimensionless.

    Returns:
      float64 [row, row].

    Raises:
      ArgumentError: if the matrix is not square, a share is negative or not finite, or a sum
        exceeds 1.
    """
    remedy = "pass [model, model] shares, at most 1 in each row"
    values = check.array(name, weights, 2, remedy)
    if values.shape[0] != values.shape[1]:
        shown = check.Shown(f"array of shape {values.shape}")
        raise check.fail(name, shown, "it must be a square matrix", remedy)
    if np.any(values < 0):
        i, j = (int(index) for index in np.argwhere(values < 0)[0])
        raise check.fail(f"{name}[{i}, {j}]", float(values[i, j]), "it must be >= 0", remedy)
    sums = values.sum(axis=1)
    if np.any(sums > _MOST):
        row = int(np.argmax(sums))
        raise check.fail(f"sum({name}[{row}])", float(sums[row]), "it must be at most 1", remedy)
    return values

"""Compare named tuples of arrays, of which Python's own `==` asks for one truth value."""

from typing import Any

import numpy as np


def equal_fields(left: Any, right: object) -> bool:
    """Tell whether two named tuples are of one class and have equal fields; NaN equals NaN.

    Args:
      left: a named tuple of arrays, numbers and texts.
      right: any value.
    """
    return type(left) is type(right) and all(map(_are_equal, left, right))  # pyright: ignore


def different_fields(left: Any, right: object) -> bool:
    """Tell whether two named tuples differ, see `equal_fields`.

    Args:
      left: a named tuple of arrays, numbers and texts.
      right: any value.
    """
    return not equal_fields(left, right)


def _are_equal(left: Any, right: Any) -> bool:
    left, right = np.asarray(left), np.asarray(right)
    is_real = left.dtype.kind in "fc" and right.dtype.kind in "fc"
    return np.array_equal(left, right, equal_nan=is_real)

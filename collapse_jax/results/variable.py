"""An array whose axes have names."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Variable:
    """An array with a name for every axis.

    >>> import numpy as np
    >>> import collapse_jax as cj
    >>> cj.Variable(("generation", "chain"), np.zeros((21, 64))).values.shape
    (21, 64)
    >>> cj.Variable(("generation",), np.zeros((21, 64)))
    Traceback (most recent call last):
        ...
    ValueError: dims=('generation',) is not allowed: the values have shape (21, 64); name each axis
    """

    dims: tuple[str, ...]
    values: np.ndarray
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.dims) != np.ndim(self.values):
            shape = np.shape(self.values)
            raise ValueError(
                f"dims={self.dims} is not allowed: the values have shape {shape}; name each axis"
            )

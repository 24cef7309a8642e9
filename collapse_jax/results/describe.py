"""A JSON description of configs, arrays and functions."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_FEW = 64  # elements of an array that are written out


def describe(value: Any) -> Any:
    """`value` as plain lists, dicts, strings and numbers.

    A config becomes its class name and the fields a user sets; an array of more than 64
    elements its shape and a digest; a function its name; a number that JSON lacks a string.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if field.init]
        described = {field.name: describe(getattr(value, field.name)) for field in fields}
        return {"type": type(value).__name__} | described
    if isinstance(value, Mapping):
        return {str(name): describe(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return _array(np.array(value)) if len(value) > _FEW else [describe(item) for item in value]
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        return _array(np.asarray(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    return str(value)


def _array(array: np.ndarray) -> Any:
    if array.size <= _FEW:
        return describe(array.tolist())
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}

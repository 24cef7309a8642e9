"""Describe the provenance of a result: versions, device, dtype, seed, commit.

A description has no paths and no host names, so that it can be published.
"""

import dataclasses
import datetime
import functools
import hashlib
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.utils import instructions

_PACKAGES = ("collapse-jax", "jax", "jaxlib", "numpy", "scipy")


def provenance(
    key: tuple[int, int], dtype: str, devices: Sequence[Any], matmul_precision: str | None = None
) -> dict[str, Any]:
    """Return the provenance of a run as JSON-able values.

    Args:
      key: two 32-bit words of the run's key.
      dtype: name of the default type of floats.
      devices: jax devices of the run.
      matmul_precision: jax_default_matmul_precision of the run; None for jax's own.
    """
    is_on_cpu = any(device.platform == "cpu" for device in devices)
    kinds = sorted({device.device_kind for device in devices})
    return {
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "dtype": dtype,
        "matmul_precision": matmul_precision,
        "backend": ", ".join(sorted({device.platform for device in devices})),
        "device": ", ".join(kinds),
        "num_devices": len(devices),
        "instructions": instructions.used() if is_on_cpu else None,
        "isa": instructions.limit() if is_on_cpu else None,
        "key": list(key),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
    }


@functools.cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def _git_commit() -> str | None:
    """Return the commit of the git checkout with this package; None outside of a checkout."""
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        return None
    command = ["git", "-C", str(package), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


_FEW = 64  # elements of an array that are written out; larger arrays would fill config.json


def describe(value: Any) -> Any:
    """Return a value as plain lists, dicts, strings and numbers.

    A config becomes its class name and the fields a user sets; an array of more than 64
    elements its shape and a digest; a function its name; a number that JSON lacks a string.

    Args:
      value: any value.
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

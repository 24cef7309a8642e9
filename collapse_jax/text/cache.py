"""Cache arrays on disk under a fingerprint of their ingredients.

A file is either complete or missing, because it is written under a temporary name and renamed.
Arrays whose file is damaged are computed again. Where the disk cannot be written, nothing is
cached.
"""

import contextlib
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.paths import cache_folder

_VERSION = 1  # part of fingerprints: increase it when equal ingredients give other arrays
Arrays = Mapping[str, np.ndarray]


def fingerprint_of(*ingredients: Any) -> str:
    """Hash lists, strings and numbers.

    Args:
      ingredients: values that JSON can express.

    Returns:
      SHA-256 as 64 hexadecimal digits (32 bytes).
    """
    return hashlib.sha256(json.dumps([_VERSION, *ingredients]).encode()).hexdigest()


def cached(fingerprint: str, make: Callable[[], Arrays]) -> Arrays:
    """Read the arrays of a fingerprint, or compute and write them.

    Args:
      fingerprint: hash of everything that the arrays depend on.
      make: function that computes the arrays if they cannot be read.

    Returns:
      Arrays of numbers by name, as returned by `make`.
    """
    with contextlib.suppress(Exception):  # NumPy and zip raise many types for damaged files
        return _read(_path(fingerprint))
    arrays = make()
    with contextlib.suppress(OSError, ArgumentError):  # no permission, disk full, no home folder
        _write(_path(fingerprint), arrays)
    return arrays


def _path(fingerprint: str) -> Path:
    """Return the file of a fingerprint in $COLLAPSE_JAX_CACHE or the user's cache folder."""
    return cache_folder("texts") / f"{fingerprint}.npz"


def _read(path: Path) -> Arrays:
    """Return the arrays of a file, after a check of its checksums."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        if archive.zip.testzip() is not None:
            raise ArgumentError(path)
        return {name: archive[name] for name in archive.files}


def _write(path: Path, arrays: Arrays) -> None:
    """Write a file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"tmp-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

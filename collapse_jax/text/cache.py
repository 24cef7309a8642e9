"""Arrays kept in the user's cache under a fingerprint of what they are made of.

A file is whole or not there: it is written under a temporary name and renamed. One that
cannot be read is made again, and where nothing can be written nothing is kept.
"""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_VERSION = 1  # to be changed when the same ingredients make other arrays
Arrays = Mapping[str, np.ndarray]


def fingerprint_of(*ingredients: Any) -> str:
    """SHA-256 of lists, strings and numbers."""
    return hashlib.sha256(json.dumps([_VERSION, *ingredients]).encode()).hexdigest()


def cached(fingerprint: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays of a fingerprint, made unless they are kept.

    Args:
      fingerprint: of all that they depend on.
      make: called if they are not there.
    """
    with contextlib.suppress(Exception):  # damage has many forms
        return _read(_path(fingerprint))
    arrays = make()
    with contextlib.suppress(OSError, RuntimeError):  # no permission, no room, no home
        _write(_path(fingerprint), arrays)
    return arrays


def _path(fingerprint: str) -> Path:
    """In $COLLAPSE_JAX_CACHE, or in the folder that a user has for caches."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    root = os.environ.get("COLLAPSE_JAX_CACHE") or f"{base}/collapse_jax"
    return Path(root).expanduser() / "texts" / f"{fingerprint}.npz"


def _read(path: Path) -> Arrays:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        if archive.zip.testzip() is not None:
            raise ValueError(path)
        return {name: archive[name] for name in archive.files}


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"tmp-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

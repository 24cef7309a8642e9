"""Convert paths as users type them, where `~` is a home directory, and find the cache."""

import os
from pathlib import Path

from collapse_jax.utils.check import fail


def user_path(value: str | os.PathLike[str], name: str = "path") -> Path:
    """Return a path whose leading `~` or `~USER` is replaced by the home directory.

    Args:
      value: the path.
      name: of the argument, for the message.

    Returns:
      The path, which need not exist.

    Raises:
      ArgumentError: for a value that is no path, an empty path, a null character, or an unknown
        home directory.

    >>> str(user_path("runs/~a"))
    'runs/~a'
    """
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else ""
    if not isinstance(text, str) or not text or "\0" in text:
        allowed = "it must be a path, not empty and without null characters"
        raise fail(name, value, allowed, "pass a path such as 'runs/a'")
    found = os.path.expanduser(text)
    if found.startswith("~"):
        home = text.split("/")[0]
        remedy = f"pass the whole path, or ./{home} for a file of this name"
        raise fail(name, text, f"{home} is no home directory", remedy)
    return Path(found)


def cache_folder(name: str) -> Path:
    """Return a folder of the library in the user's cache, which need not exist.

    Args:
      name: of the folder.

    Returns:
      The folder below $COLLAPSE_JAX_CACHE, else below collapse_jax in the user's cache.

    Raises:
      ArgumentError: if there is no home directory.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return user_path(os.environ.get("COLLAPSE_JAX_CACHE") or f"{base}/collapse_jax") / name

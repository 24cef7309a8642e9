"""One writer at a time: locks of the operating system, which a dead process does not keep."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from collapse_jax.store.files import StoreError, store_errors


@contextlib.contextmanager
def locked(root: Path, process: tuple[int, int]) -> Iterator[None]:
    """Holds a run directory: alone, or beside the other processes of a run.

    Args:
      root: the run directory.
      process: index and number of processes.

    Raises:
      StoreError: if another process writes.
    """
    index, count = process
    names = ["lock"] if count == 1 else ["lock", f"lock-{index}"]
    kinds = [fcntl.LOCK_EX] if count == 1 else [fcntl.LOCK_SH, fcntl.LOCK_EX]
    with contextlib.ExitStack() as stack:
        for name, kind in zip(names, kinds, strict=True):
            file = stack.enter_context(_opened(root / name))
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(
                    f"{root} is being written by another process; wait until it has ended, "
                    "or stop it, and give the same command again"
                ) from None
        yield


@contextlib.contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Waits until no other process of a run is in such a block."""
    with _opened(root / "lock-end") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> IO[bytes]:
    with store_errors(path):
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "rb")

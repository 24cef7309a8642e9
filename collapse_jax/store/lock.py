"""One writer at a time: locks of the operating system, which a dead process does not keep."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from collapse_jax.store.files import StoreError, told

NAMES = r"lock(-\d+)?"


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
    with contextlib.ExitStack() as stack:
        kinds = [("lock", fcntl.LOCK_EX if count == 1 else fcntl.LOCK_SH)]
        if count > 1:
            kinds.append((f"lock-{index}", fcntl.LOCK_EX))
        for name, kind in kinds:
            path = root / name
            with told(path):
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
                file = stack.enter_context(open(os.open(path, flags, 0o644), "rb"))
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(
                    f"{root} is being written by another process; wait until it has ended, "
                    "or stop it, and give the same command again"
                ) from None
        yield

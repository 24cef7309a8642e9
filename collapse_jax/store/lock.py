"""Lock run directories with locks of the operating system, which end with their process."""

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from collapse_jax.store.files import StoreError, store_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Errors of flock on file systems that are set up without locks, as NFS and Lustre may be.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # absent on Windows
_unlocked: set[Path] = set()  # directories already reported: one warning per run is enough


@contextlib.contextmanager
def locked(root: Path, process: tuple[int, int]) -> Iterator[None]:
    """Hold a run directory, alone or together with the other processes of a run.

    Where the operating system or the file system has no locks, a RuntimeWarning says so and
    the block runs without a lock.

    Args:
      root: the run directory.
      process: index of this process and number of processes.

    Yields:
      Nothing; the directory is held within the block.

    Raises:
      StoreError: if another process writes.
    """
    index, count = process
    names = [("lock", False)] if count == 1 else [("lock", True), (f"lock-{index}", False)]
    with contextlib.ExitStack() as stack:
        for name, is_shared in names:
            file = stack.enter_context(_opened(root / name))
            try:
                _lock(root, file, is_shared=is_shared, waits=False)
            except BlockingIOError:
                raise StoreError(
                    f"{root} is being written by another process; wait until it has ended, "
                    "or stop it, and give the same command again"
                ) from None
        yield


@contextlib.contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Wait until no other process of a run is in such a block.

    Args:
      root: the run directory.

    Yields:
      Nothing; no other process is in such a block, if the file system has locks.
    """
    with _opened(root / "lock-end") as file:
        _lock(root, file, is_shared=False, waits=True)
        yield


def _lock(root: Path, file: IO[bytes], *, is_shared: bool, waits: bool) -> None:
    """Lock an open file until it is closed, or warn once per directory that there are no locks.

    Raises:
      BlockingIOError: if another process has the lock and `waits` is False.
    """
    if fcntl is None:
        _warn(root, "this operating system has no flock")
        return
    kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if waits else kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _warn(root, f"its file system refuses flock ({os.strerror(error.errno)})")


def _warn(root: Path, reason: str) -> None:
    if root in _unlocked:
        return
    _unlocked.add(root)
    warnings.warn(
        f"{root} is written without a lock: {reason}; two writers at a time are not noticed and "
        "would damage the run; write it from one process, or use a local disk",
        RuntimeWarning,
        stacklevel=5,  # the caller of the context manager
    )


def _opened(path: Path) -> IO[bytes]:
    with store_errors(path):
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o644), "rb")

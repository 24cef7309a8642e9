"""Lock run directories: with flock, which ends with its process, or with lock files.

File systems of clusters may refuse flock, grant it to everyone, or know it on one host only. A
probe before the first lock tells; lock files then do it instead.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from collapse_jax.store import lock_file
from collapse_jax.store.files import StoreError, store_errors, temporary_name

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Errors of flock on file systems that are set up without locks, as NFS and Lustre may be.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # absent on Windows
_PATIENCE = 600.0  # seconds: drawing the figures of a run, the longest such block, takes less
_HELD = "lock-held"  # lock file of a single process; "-INDEX" follows for one of several

# Where flock succeeds and other hosts do not see it: options of a mount by type, "" for always.
_OF_ONE_HOST = {
    "nfs": ("local_lock=all", "local_lock=flock", "nolock"),
    "nfs4": ("local_lock=all", "local_lock=flock", "nolock"),
    "lustre": ("localflock",),
    "dvs": ("",),
    "beegfs": ("",),
    "fuse.sshfs": ("",),
}
_MOUNTS = Path("/proc/self/mountinfo")
_has_flock: dict[Path, bool] = {}  # by directory: one probe is enough


@contextlib.contextmanager
def locked(root: Path, process: tuple[int, int]) -> Iterator[None]:
    """Hold a run directory, alone or together with the other processes of a run.

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
    is_with_flock = has_flock(root)
    with contextlib.ExitStack() as stack:
        for name, is_shared in names:
            file = stack.enter_context(_opened(root / name))
            if is_with_flock:
                _lock_now(root, file, is_shared=is_shared)
        own = None if is_with_flock else root / (_HELD if count == 1 else f"{_HELD}-{index}")
        if own is not None:
            stack.enter_context(_lock_file(root, own))
        _check_lock_files(root, own, is_alone=count == 1)
        yield


@contextlib.contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Wait until no other process of a run is in such a block.

    Args:
      root: the run directory.

    Yields:
      Nothing; no other process is in such a block.

    Raises:
      StoreError: if another process does not leave its block, without flock.
    """
    if has_flock(root):
        with _opened(root / "lock-end") as file:
            assert fcntl is not None
            with store_errors(root / "lock-end"):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
    else:
        path = root / f"{_HELD}-end"
        own = lock_file.wait_for(root, path, _PATIENCE)
        try:
            yield
        finally:
            lock_file.release(path, own)


def has_flock(root: Path) -> bool:
    """Tell whether flock keeps other processes out of a directory.

    Args:
      root: an existing directory.

    Raises:
      StoreError: if no file can be written, or the probe fails for another reason than missing
        support.
    """
    if root not in _has_flock:
        _has_flock[root] = fcntl is not None and not _is_of_one_host(root) and _probe(root)
    return _has_flock[root]


def _probe(root: Path) -> bool:
    """Lock a file twice: flock works if the second attempt is refused."""
    assert fcntl is not None
    path = root / f"lock-{temporary_name()}"
    with store_errors(root / "lock"), _opened(path) as one, _opened(path) as other:
        path.unlink()
        try:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        return False


def _is_of_one_host(root: Path) -> bool:
    """Tell whether the mount of a directory has locks that other hosts do not see."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:  # another operating system
        return False
    mount: tuple[int, str, str] = (-1, "", "")  # length of the mount point, type, options
    for line in lines:
        before, _, after = line.partition(" - ")
        place, kind = before.split(), after.split()
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), place[4])
        if root.resolve().is_relative_to(point) and len(point) >= mount[0]:
            mount = len(point), kind[0], ",".join([place[5], *kind[2:]])
    options = {"", *mount[2].split(",")}
    return bool(options & set(_OF_ONE_HOST.get(mount[1], ())))


def _lock_now(root: Path, file: IO[bytes], *, is_shared: bool) -> None:
    """Lock an open file until it is closed.

    Raises:
      StoreError: if another process has the lock.
    """
    assert fcntl is not None
    with store_errors(root / "lock"):
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{root} is being written by another process; wait until it has ended, "
                "or stop it, and give the same command again"
            ) from None


@contextlib.contextmanager
def _lock_file(root: Path, path: Path) -> Iterator[None]:
    """Hold a lock file.

    Raises:
      StoreError: if another process has it.
    """
    own = lock_file.take(path)
    if own is None:
        raise lock_file.held_elsewhere(root, path)
    try:
        yield
    finally:
        lock_file.release(path, own)


def _check_lock_files(root: Path, own: Path | None, *, is_alone: bool) -> None:
    """Refuse a directory with lock files of processes that this one may not work with.

    Every process makes its own file before it looks for others: of two that begin at the same
    time, one at least sees the other.

    Raises:
      StoreError: naming the process and the file.
    """
    pattern = rf"{_HELD}(-\d+)?" if is_alone else _HELD
    for path in sorted(root.glob(f"{_HELD}*")):
        is_other = path != own and re.fullmatch(pattern, path.name)
        if is_other and not lock_file.remove_stale(path):
            raise lock_file.held_elsewhere(root, path)


def _opened(path: Path) -> IO[bytes]:
    with store_errors(path):
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o644), "rb")

"""Hold a directory by a file that only one process can create, where flock does not do it.

The file tells who made it: host, process id and time. It outlives a killed process; the next
process of the same host then sees that its maker is gone, and removes it.
"""

import contextlib
import datetime
import json
import os
import secrets
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple, Self

from collapse_jax.store.files import StoreError, store_errors

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # absent on Windows
_MOMENT = 0.05  # seconds between two attempts
_ATTEMPTS = 20  # to read a file whose maker has not written it yet


class Owner(NamedTuple):
    """The maker of a lock file.

    Attributes:
      host: name of its host.
      pid: its process id there.
      started: when it took the lock, UTC.
      process: what tells it from later processes of this id: boot, namespace and start time.
      token: random digits, which tell this lock file from any other.
    """

    host: str
    pid: int
    started: str
    process: str
    token: str

    @classmethod
    def new(cls) -> Self:
        """Describe this process."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        host, pid = socket.gethostname(), os.getpid()
        return cls(host, pid, now, _identity(pid), secrets.token_hex(8))

    def is_gone(self) -> bool:
        """Tell whether the process has ended; False where this host cannot know."""
        if self.host != socket.gethostname() or sys.platform == "win32":
            return False
        mine = _identity(os.getpid())
        if self.process.rpartition(" ")[0] != mine.rpartition(" ")[0]:
            return False  # an earlier boot, or another machine or container of this name
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # a process of another user
            return False
        return _identity(self.pid) != self.process

    def __str__(self) -> str:
        """Return the owner in words."""
        return f"process {self.pid} on {self.host} since {self.started}"


def _identity(pid: int) -> str:
    """Return boot, namespace of process ids and start time of a process; "" without /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{boot} {os.readlink('/proc/self/ns/pid')} {fields[19]}"
    except (OSError, IndexError):
        return ""


def take(path: Path) -> Owner | None:
    """Create a lock file, and remove an earlier one of a process of this host that has ended.

    Args:
      path: the file.

    Returns:
      The owner, for `release`; None if another process has the lock.

    Raises:
      StoreError: if the file cannot be created.
    """
    own = Owner.new()
    with store_errors(path):
        for _ in range(2):
            with contextlib.suppress(FileExistsError):
                _create(path, json.dumps(own._asdict()))
                return own
            if not remove_stale(path):
                return None
    return None


def _create(path: Path, text: str) -> None:
    """Write a file that does not exist yet.

    Raises:
      FileExistsError: if the file exists.
      OSError: if it cannot be written; then there is none.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "w") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise


def release(path: Path, own: Owner) -> None:
    """Remove the lock file of this process, unless it is gone.

    Args:
      path: the file.
      own: result of `take`.
    """
    found = read(path)
    if found is not None and found.token == own.token:
        path.unlink(missing_ok=True)


def read(path: Path) -> Owner | None:
    """Read who made a lock file.

    Args:
      path: the file.

    Returns:
      The owner; None if there is no such file, or it does not tell.
    """
    for _ in range(_ATTEMPTS):
        try:
            text = path.read_text()
        except OSError:
            return None
        with contextlib.suppress(ValueError, TypeError):
            return Owner(**json.loads(text))
        time.sleep(_MOMENT)
    return None


def remove_stale(path: Path) -> bool:
    """Remove a lock file if the process that made it was one of this host and has ended.

    Whoever creates the file that is named by the token may remove the lock: of several processes
    that find it, only one does, and never a lock that was taken since.

    Args:
      path: the file.

    Returns:
      True if there is no lock file afterwards, as far as this process did it.
    """
    owner = read(path)
    if owner is None:
        return not path.exists()
    if not owner.is_gone():
        return False
    claim = path.with_name(f"{path.name}-{owner.token}")
    try:
        _create(claim, "")
    except FileExistsError:
        return False
    try:
        again = read(path)
        if again is not None and again.token == owner.token:
            path.unlink()
        return True
    finally:
        claim.unlink(missing_ok=True)


def held_elsewhere(root: Path, path: Path) -> StoreError:
    """Build the error for a lock of another process; the caller raises it.

    Args:
      root: the run directory.
      path: the lock file.

    Returns:
      The error.
    """
    owner = read(path)
    who = "another process" if owner is None else str(owner)
    return StoreError(
        f"{root} is being written by another process ({who}); wait until it has ended, or, if it "
        f"was killed, delete {path} and give the same command again"
    )


def wait_for(root: Path, path: Path, seconds: float) -> Owner:
    """Create a lock file as soon as no other process has one.

    Args:
      root: the run directory, for the message.
      path: the file.
      seconds: how long to wait.

    Returns:
      The owner, for `release`.

    Raises:
      StoreError: if another process had the lock all the time.
    """
    end = time.monotonic() + seconds
    while (own := take(path)) is None:
        if time.monotonic() > end:
            raise held_elsewhere(root, path)
        time.sleep(_MOMENT)
    return own

"""Files that are there whole or not at all.

Content goes to a temporary name, is synced, and is renamed; the directory is synced after
that. A power cut leaves the old state or the new one, never half of a file.
"""

import contextlib
import errno
import mmap
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import google_crc32c

STATE = "state"
_TEMPORARY = "tmp-"
_PIECE = 2**24  # bytes of a file in memory at a time
_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreError(ValueError):
    """A run directory that cannot be read or written as it is."""


class Entry(NamedTuple):
    """What the journal knows of a file's content."""

    size: int
    crc: str


def damaged(path: Path, what: str, remedy: str) -> StoreError:
    """The error for a file that is not as it was left, to be raised by the caller."""
    return StoreError(f"{path} is damaged: {what}; {remedy}")


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what the operating system refuses into one line that names the file.

    Raises:
      StoreError: for an OSError inside.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        remedy = "look at its permissions and disk, and go on by the same command"
        if error.errno in _FULL:
            remedy = "free some space and go on by the same command; what was written is kept"
        raise StoreError(f"{path} cannot be used: {reason}; {remedy}") from error


def entry_of(path: Path) -> Entry:
    """Size and checksum of a regular file, which is not followed if it is a link."""
    with told(path), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return _entry(file)


def _entry(file: IO[bytes]) -> Entry:
    """CRC-32C of all but the last four bytes, and these.

    They stand by themselves because a CRC of data that end in their own CRC, as chunks do,
    is the same for all data.
    """
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        return Entry(0, f"{0:016x}")
    body, value = max(0, size - 4), 0
    with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as content:
        for begin in range(0, body, _PIECE):
            value = google_crc32c.extend(value, content[begin : min(begin + _PIECE, body)])
        return Entry(size, f"{value:08x}{content[body:].hex():0>8}")


def write(root: Path, name: str, fill: Callable[[IO[bytes]], Any]) -> tuple[str, Entry]:
    """A new file below `root` of what `fill` writes; it never replaces another content.

    Args:
      root: a run directory.
      name: relative; "{crc}" in it becomes the checksum of the content.
      fill: writes the content to an open file.

    Returns:
      The file's relative name, its size and checksum.

    Raises:
      StoreError: if another file is there, or the disk is full.
    """
    temporary = root / STATE / temporary_name()
    with told(root / name):
        try:
            temporary.parent.mkdir(exist_ok=True)
            with temporary.open("xb+") as file:
                fill(file)
                file.flush()
                entry = _entry(file)
                os.fsync(file.fileno())
            name = name.format(crc=entry.crc)
            path = root / name
            if os.path.lexists(path):
                _check_content(path, entry)
            else:
                make_directories(path.parent)
                temporary.rename(path)
                sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    return name, entry


def temporary_name() -> str:
    """A name that nothing else has; whoever finds such a file may remove it."""
    return f"{_TEMPORARY}{secrets.token_hex(8)}"


def is_temporary(name: str) -> bool:
    """Whether a relative name is temporary, or below such a directory."""
    return re.fullmatch(rf"{STATE}/{_TEMPORARY}[0-9a-f]{{16}}(/.*)?", name) is not None


def make_directories(path: Path) -> None:
    """A directory that lasts, with its parents."""
    if not path.is_dir():
        make_directories(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def _check_content(path: Path, entry: Entry) -> None:
    """Refuse a file that is not the one to be written.

    Raises:
      StoreError: naming the file.
    """
    if path.is_symlink() or not path.is_file() or entry_of(path) != entry:
        remedy = "move it out of the run directory and go on by the same command"
        raise damaged(path, "another content is in the way of what the run writes", remedy)


def sync(directory: Path) -> None:
    """Make renames in a directory last."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Make every file and directory below `root` last."""
    for directory, _, names in os.walk(root):
        for name in names:
            with open(Path(directory) / name, "rb") as file:
                os.fsync(file.fileno())
        sync(Path(directory))


def files_below(root: Path, directory: str = "") -> Iterator[str]:
    """Relative paths of all files below a directory of `root`.

    Raises:
      StoreError: for a symbolic link or anything else that is no file and no directory.
    """
    with told(root / directory):
        entries = sorted(os.scandir(root / directory), key=lambda entry: entry.name)
    for entry in entries:
        relative = f"{directory}/{entry.name}" if directory else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(root, relative)
        elif entry.is_file(follow_symlinks=False):
            yield relative
        else:
            what = "a symbolic link" if entry.is_symlink() else "no regular file"
            raise damaged(
                root / relative, f"it is {what}", "a run has none; remove it, and see who made it"
            )

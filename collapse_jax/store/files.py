"""Files that are there whole or not at all.

Content goes to a temporary name, is synced, and is renamed; the directory is synced after
that. A power cut leaves the old state or the new one, never half of a file.
"""

import contextlib
import errno
import functools
import mmap
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np

STATE = "state"
_TEMPORARY = "tmp-"
_FEW, _AT_ONCE = 3, 8  # files to be synced one by one, and together
_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreError(ValueError):
    """A run directory that cannot be read or written as it is."""


class Entry(NamedTuple):
    """What the journal knows of a file's content."""

    size: int
    crc: str


class Content(NamedTuple):
    """What a file is to hold: pieces, of which arrays are contiguous, and their checksum."""

    pieces: Sequence[bytes | np.ndarray]
    entry: Entry


class Staged(NamedTuple):
    """A file whose content is written, and whose name is not there yet."""

    name: str
    temporary: Path
    entry: Entry


def damaged(path: Path, what: str, remedy: str) -> StoreError:
    """The error for a file that is not as it was left, to be raised by the caller."""
    return StoreError(f"{path} is damaged: {what}; {remedy}")


@contextlib.contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turns what the operating system refuses into one line that names the file.

    Raises:
      StoreError: for an OSError inside.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        remedy = "look at its permissions and at the disk, and go on"
        if error.errno in _FULL:
            remedy = "free some space and go on; what was written is kept"
        raise StoreError(f"{path} cannot be used: {reason}; {remedy}") from error


def entry_of(path: Path) -> Entry:
    """Size and checksum of a regular file, which is not followed if it is a link."""
    with store_errors(path), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return content_of([]).entry
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            data = np.frombuffer(memory, np.uint8)
            entry = content_of([data]).entry
            del data  # or else it could not be closed
            return entry


def content_of(pieces: Sequence[bytes | np.ndarray]) -> Content:
    """Pieces with their checksum: the CRC-32C of all but the last four bytes, and these.

    They stand by themselves because a CRC of data that end in their own CRC, as chunks do,
    is the same for all data.
    """
    size = sum(len(_bytes(one)) for one in pieces)
    left, value, tail = max(0, size - 4), 0, b""
    for one in map(_bytes, pieces):
        value = google_crc32c.extend(value, one[:left])
        tail += one[left : left + 4].tobytes()
        left = max(0, left - len(one))
    return Content(pieces, _entry(size, value, tail))


def ended_by_crc(arrays: Sequence[np.ndarray]) -> Content:
    """Arrays, one after the other, and the CRC-32C of them."""
    value = functools.reduce(google_crc32c.extend, map(_bytes, arrays), 0)
    tail, size = value.to_bytes(4, "little"), sum(one.nbytes for one in arrays)
    return Content([*arrays, tail], _entry(size + 4, value, tail))


def _entry(size: int, value: int, tail: bytes) -> Entry:
    return Entry(size, f"{value:08x}{tail.hex():0>8}")


def _bytes(piece: bytes | np.ndarray) -> np.ndarray:
    """The memory of a piece as bytes."""
    is_array = isinstance(piece, np.ndarray)
    return piece.reshape(-1).view(np.uint8) if is_array else np.frombuffer(piece, np.uint8)


def stage(root: Path, contents: Mapping[str, Content]) -> list[Staged]:
    """Write contents to temporary files, to be published below `root`.

    Args:
      root: a run directory.
      contents: by relative name; "{crc}" in a name becomes the checksum of the content.

    Raises:
      StoreError: if the disk is full, say.
    """
    staged = []
    with store_errors(root):
        (root / STATE).mkdir(exist_ok=True)
    try:
        for name, content in contents.items():
            temporary = root / STATE / temporary_name()
            name = name.format(crc=content.entry.crc)
            staged.append(Staged(name, temporary, content.entry))
            with store_errors(root / name):
                write_new(temporary, content)
    except BaseException:
        _discard(staged)
        raise
    return staged


def publish(root: Path, staged: Sequence[Staged]) -> dict[str, Entry]:
    """Give staged files their names, once their content is on the disk.

    A file is never replaced by another content.

    Returns:
      Size and checksum by relative name.

    Raises:
      StoreError: if another file is there, or the disk is full.
    """
    try:
        with store_errors(root):
            sync([one.temporary for one in staged])
            parents = []
            for one in staged:
                path = root / one.name
                if os.path.lexists(path):
                    _check_content(path, one.entry)
                    continue
                parents += [*make_directories(path.parent), path.parent]
                one.temporary.rename(path)
            sync(list(dict.fromkeys(parents)))
    finally:
        _discard(staged)
    return {one.name: one.entry for one in staged}


def write_new(path: Path, content: Content) -> None:
    """Write a file that is not there yet."""
    with path.open("xb", buffering=0) as file:
        for one in content.pieces:
            left = memoryview(_bytes(one))  # pyright: ignore[reportArgumentType]
            while left:
                left = left[file.write(left) :]


def _discard(staged: Sequence[Staged]) -> None:
    for one in staged:
        one.temporary.unlink(missing_ok=True)


def temporary_name() -> str:
    """A name that nothing else has; whoever finds such a file may remove it."""
    return f"{_TEMPORARY}{secrets.token_hex(8)}"


def is_temporary(name: str) -> bool:
    """Whether a relative name is temporary, or below such a directory."""
    return re.fullmatch(rf"{STATE}/{_TEMPORARY}[0-9a-f]{{16}}(/.*)?", name) is not None


def make_directories(path: Path) -> list[Path]:
    """Make a directory and its parents; those that have a new entry."""
    if path.is_dir():
        return []
    changed = make_directories(path.parent)
    path.mkdir(exist_ok=True)
    return [*changed, path.parent]


def _check_content(path: Path, entry: Entry) -> None:
    """Refuse a file that is not the one to be written.

    Raises:
      StoreError: naming the file.
    """
    if path.is_symlink() or not path.is_file() or entry_of(path) != entry:
        remedy = "move it out of the run directory, see who made it, and go on"
        raise damaged(path, "another content is in the way of what the run writes", remedy)


def sync(paths: Sequence[Path]) -> None:
    """Make files and directories last; several at a time, as a disk likes it."""
    if len(paths) < _FEW:
        for path in paths:
            _sync_one(path)
        return
    list(_pool().map(_sync_one, paths))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Make every file and directory below `root` last."""
    sync([Path(path) for path, _, _ in os.walk(root)] + [root / name for name in files_below(root)])


def files_below(root: Path, directory: str = "") -> Iterator[str]:
    """Relative paths of all files below a directory of `root`.

    Raises:
      StoreError: for a symbolic link or anything else that is no file and no directory.
    """
    with store_errors(root / directory):
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

"""Write files atomically: after a power cut a file is complete or absent.

Content goes to a temporary name and is fsynced; then the file is renamed and its directory
fsynced.
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

from collapse_jax.utils.check import ArgumentError

STATE = "state"
TEMPORARY = "tmp-"
_FEW = 3  # files; below this number starting threads costs more than concurrency saves
_MOST_LETTERS = 40  # of a name within another: file systems allow 255 bytes in all
_AT_ONCE = 8  # concurrent fsyncs, which a disk merges into fewer flushes
_SPACE = "free some space and repeat the command; files already written stay valid"
_ELSEWHERE = "pass a path where you may write"
_NO_DIRECTORY = "it or a folder above it is no directory; pass another path"
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and repeat the command",
    errno.EROFS: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EACCES: "check its permissions, or pass a path where you may read and write",
    errno.ENOENT: "check its spelling and that the folder above it exists",
    errno.ENOTDIR: _NO_DIRECTORY,
    errno.EEXIST: _NO_DIRECTORY,  # of mkdir, for a file or a dangling link
    errno.EISDIR: "pass the path of a file",
    errno.ENAMETOOLONG: "pass a shorter name",
    errno.EMFILE: "raise the limit on open files (ulimit -n) and repeat the command",
    errno.ELOOP: "pass the path that the symbolic link stands for",
}


class StoreError(ArgumentError):
    """A run directory that cannot be read or written as it is."""


class Entry(NamedTuple):
    """The size and checksum of a file, as the journal records them.

    Attributes:
      size: in bytes.
      crc: 16 hexadecimal digits, see `content_of`.
    """

    size: int
    crc: str


class Content(NamedTuple):
    """The content of a file to be written.

    Attributes:
      pieces: written one after the other; arrays must be contiguous.
      entry: size and checksum of all pieces together.
    """

    pieces: Sequence[bytes | np.ndarray]
    entry: Entry


class Staged(NamedTuple):
    """A file that is written under a temporary name and not published yet.

    Attributes:
      name: the final name, relative to the run directory.
      temporary: where the content is.
      entry: size and checksum.
    """

    name: str
    temporary: Path
    entry: Entry


def damaged(path: Path, what: str, remedy: str) -> StoreError:
    """Build the error for a file that differs from what the run wrote; the caller raises it.

    Args:
      path: the file.
      what: the difference, a clause such as "it is missing".
      remedy: what the user can do, an imperative clause.

    Returns:
      The error.
    """
    return StoreError(f"{path} is damaged: {what}; {remedy}")


def explain(error: OSError) -> str:
    """Describe an OSError by its reason and a remedy, for the end of a message.

    Args:
      error: of the operating system, or of a library that has no error number.

    Returns:
      "REASON; REMEDY", one line.
    """
    reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
    default = "check its permissions and the disk, then repeat the command"
    return f"{reason or type(error).__name__}; {_REMEDIES.get(error.errno or 0, default)}"


@contextlib.contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Convert an OSError of the block into a StoreError of one line.

    Args:
      path: the file to name in the message.

    Yields:
      None.

    Raises:
      StoreError: if the block raises an OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be used: {explain(error)}") from error


def entry_of(path: Path) -> Entry:
    """Compute size and checksum of a regular file.

    Args:
      path: the file.

    Returns:
      The entry that a journal has for this content.

    Raises:
      StoreError: if the file is a symbolic link or cannot be read.
    """
    with store_errors(path), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return content_of([]).entry
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            data = np.frombuffer(memory, np.uint8)
            entry = content_of([data]).entry
            del data  # the memory map cannot be closed while an array refers to it
            return entry


def content_of(pieces: Sequence[bytes | np.ndarray]) -> Content:
    """Compute size and checksum of pieces.

    The checksum is the CRC-32C of all bytes except the last four, followed by these four in
    hexadecimal. A CRC over all bytes would not do: for data that end in their own CRC, such as
    Zarr chunks, it is the same constant.

    Args:
      pieces: bytes and contiguous arrays.

    Returns:
      The pieces together with their entry.
    """
    size = sum(len(_bytes(one)) for one in pieces)
    left, value, tail = max(0, size - 4), 0, b""
    for one in map(_bytes, pieces):
        value = google_crc32c.extend(value, one[:left])
        tail += one[left : left + 4].tobytes()
        left = max(0, left - len(one))
    return Content(pieces, _entry(size, value, tail))


def ended_by_crc(arrays: Sequence[np.ndarray]) -> Content:
    """Return the content of arrays, followed by their CRC-32C in four little-endian bytes.

    Args:
      arrays: contiguous.

    Returns:
      The content, checksummed in one pass over the memory.
    """
    value = functools.reduce(google_crc32c.extend, map(_bytes, arrays), 0)
    tail, size = value.to_bytes(4, "little"), sum(one.nbytes for one in arrays)
    return Content([*arrays, tail], _entry(size + 4, value, tail))


def _entry(size: int, value: int, tail: bytes) -> Entry:
    return Entry(size, f"{value:08x}{tail.hex():0>8}")


def _bytes(piece: bytes | np.ndarray) -> np.ndarray:
    """View the memory of a piece as bytes."""
    is_array = isinstance(piece, np.ndarray)
    return piece.reshape(-1).view(np.uint8) if is_array else np.frombuffer(piece, np.uint8)


def stage(root: Path, contents: Mapping[str, Content]) -> list[Staged]:
    """Write contents to temporary files, for `publish`.

    Args:
      root: a run directory.
      contents: by relative name; "{crc}" in a name is replaced by the checksum of the content.

    Returns:
      The staged files, in the order of `contents`.

    Raises:
      StoreError: if a file cannot be written, for example because the disk is full.
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
    """Fsync staged files and rename them to their final names.

    An existing file with the same content stays; one with other content is never replaced.

    Args:
      root: the run directory.
      staged: files of `stage`; their temporary files are gone afterwards, even on errors.

    Returns:
      Size and checksum by relative name.

    Raises:
      StoreError: if a name is taken by other content, or the disk is full.
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
    """Write a new file, without fsync.

    Args:
      path: of the file.
      content: its pieces are written one after the other.

    Raises:
      OSError: if the file exists or cannot be written.
    """
    with path.open("xb", buffering=0) as file:
        for one in content.pieces:
            left = memoryview(_bytes(one))  # pyright: ignore[reportArgumentType]
            while left:
                left = left[file.write(left) :]


def _discard(staged: Sequence[Staged]) -> None:
    for one in staged:
        one.temporary.unlink(missing_ok=True)


def temporary_name() -> str:
    """Choose a random name for a temporary file, which any later writer may remove.

    Returns:
      The name, without a directory.
    """
    return f"{TEMPORARY}{secrets.token_hex(8)}"


def hidden_name(name: str) -> str:
    """Return a new name for what is renamed when it is whole; it is short if the name is long.

    Args:
      name: of the file or directory that it becomes.
    """
    return f".{name[:_MOST_LETTERS]}-{secrets.token_hex(8)}"


def is_temporary(name: str) -> bool:
    """Tell whether a file is temporary.

    Args:
      name: relative to the run directory.

    Returns:
      True for names of `temporary_name` in state/, and for everything below such a name.
    """
    return re.fullmatch(rf"{STATE}/{TEMPORARY}[0-9a-f]{{16}}(/.*)?", name) is not None


def make_directories(path: Path) -> list[Path]:
    """Create a directory and its parents.

    Args:
      path: the directory.

    Returns:
      The directories that got a new entry, which are to be fsynced.
    """
    if path.is_dir():
        return []
    changed = make_directories(path.parent)
    path.mkdir(exist_ok=True)
    return [*changed, path.parent]


def _check_content(path: Path, entry: Entry) -> None:
    """Check that an existing file has the content that would be written.

    Raises:
      StoreError: if it is no regular file or has other content.
    """
    if path.is_symlink() or not path.is_file() or entry_of(path) != entry:
        remedy = "move it out of the run directory, find out what made it, and resume the run"
        raise damaged(path, "it holds other content than the run writes there", remedy)


def sync(paths: Sequence[Path]) -> None:
    """Fsync files and directories, eight at a time if there are three or more.

    Args:
      paths: existing files and directories.

    Raises:
      OSError: if one cannot be fsynced.
    """
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
    """Fsync a directory and all files and directories below it.

    Args:
      root: the directory.

    Raises:
      StoreError: if it contains a symbolic link or a special file.
    """
    sync([Path(path) for path, _, _ in os.walk(root)] + [root / name for name in files_below(root)])


def files_below(root: Path, directory: str = "") -> Iterator[str]:
    """List all files below a directory.

    Args:
      root: the paths are relative to this directory.
      directory: where to start, relative to `root`.

    Yields:
      Relative paths, sorted within each directory.

    Raises:
      StoreError: if there is a symbolic link or a special file.
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
            remedy = "a run contains none; remove it and find out what made it"
            raise damaged(root / relative, f"it is {what}", remedy)

"""Record in an append-only journal which files a run has written, with their checksums.

A line is a JSON object with the size and checksum of every added or removed file, and a digest
of this and all earlier lines. A line is valid once its newline is on disk; a journal that ends
within a line was cut there by a crash.
"""

import collections
import dataclasses
import datetime
import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Self

from collapse_jax.store.files import Entry, damaged, store_errors, sync

FIRST = "journal.jsonl"
_NAME = re.compile(r"journal(-\d+)?\.jsonl")
_LOST = "take the journal from a backup, or start again in a new directory"


def journal_name(process: int) -> str:
    """Name the journal of a process; every process of a run writes its own.

    Args:
      process: index of the process.

    Returns:
      The file name.
    """
    return FIRST if process == 0 else f"journal-{process}.jsonl"


def is_journal(name: str) -> bool:
    """Tell whether a file of a run is a journal.

    Args:
      name: relative to the run directory.
    """
    return _NAME.fullmatch(name) is not None


def journals(root: Path) -> list[Path]:
    """List the journals of a run directory.

    Args:
      root: the run directory.

    Returns:
      Their paths, sorted.
    """
    return sorted(path for path in root.iterdir() if is_journal(path.name))


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The sum of all journals of a run, independent of the order of their lines.

    Attributes:
      files: size and checksum of every file of the run, by relative name.
      dead: name, size and checksum of removed files, some of which may remain after a crash.
      events: the lines in the order of their time, without their files.
    """

    files: Mapping[str, Entry]
    dead: frozenset[tuple[str, Entry]]
    events: Sequence[Mapping[str, Any]]

    @property
    def is_finished(self) -> bool:
        """Tell whether the run is complete for its current config."""
        present = self.files["config.json"].crc if "config.json" in self.files else None
        return any(event.get("finished", "") == present for event in self.events)

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read every journal of a run.

        Args:
          root: the run directory.

        Returns:
          The sum of the journals.

        Raises:
          StoreError: naming journal and line if a journal has a defect that no crash explains.
        """
        return cls.of(root, {path: _content(path) for path in journals(root)})

    @classmethod
    def of(cls, root: Path, contents: Mapping[Path, bytes]) -> Self:
        """Add up journals.

        Args:
          root: the run, for messages.
          contents: of every journal, by its path.

        Returns:
          The sum of the journals.

        Raises:
          StoreError: naming journal and line if a journal has a defect that no crash explains.
        """
        count: collections.Counter[tuple[str, Entry]] = collections.Counter()
        events = []
        for path, content in contents.items():
            for index, line in enumerate(_lines(path, content).lines):
                for key, change in (("added", 1), ("removed", -1)):
                    for name, (size, crc) in line.pop(key, {}).items():
                        _check_path(path, index, name)
                        count[name, Entry(size, crc)] += change
                events.append(line)
        files: dict[str, Entry] = {}
        for (name, entry), number in count.items():
            if number > 0 and name in files:
                what = "the journals list it with two different contents"
                raise damaged(root / name, what, _LOST)
            if number > 0:
                files[name] = entry
        dead = frozenset(item for item, number in count.items() if number <= 0)
        return cls(files, dead, sorted(events, key=lambda line: line["time"]))


class Journal:
    """A journal to append lines to.

    Args:
      path: the journal; created by the first line.

    Raises:
      StoreError: if an existing journal is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = _lines(path, _content(path)) if os.path.lexists(path) else _Lines([], "", 0)
        self._digest, self._size = found.digest, found.size

    def append(
        self,
        event: str,
        added: Mapping[str, Entry] | None = None,
        removed: Mapping[str, Entry] | None = None,
        **more: Any,
    ) -> None:
        """Append a line and fsync it.

        Args:
          event: name of what happened.
          added: size and checksum of new files, by relative name.
          removed: size and checksum of files that are no longer part of the run.
          more: further JSON-able values of the line.

        Raises:
          StoreError: if the line cannot be written; the journal is then unchanged.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        line: dict[str, Any] = {"time": now, "event": event, **more}
        if added:
            line["added"] = added
        if removed:
            line["removed"] = removed
        digest = _digest(self._digest, line)
        text = json.dumps({**line, "digest": digest}).encode() + b"\n"
        is_new = not os.path.lexists(self._path)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        with (
            store_errors(self._path),
            open(os.open(self._path, flags, 0o644), "r+b", buffering=0) as file,
        ):
            file.truncate(self._size)  # a crash may have left part of a line
            file.seek(self._size)
            try:
                if file.write(text) != len(text):
                    raise OSError(errno.ENOSPC, "")
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(self._size)
                raise
            if is_new:
                sync([self._path.parent])
        self._digest, self._size = digest, self._size + len(text)


def _digest(previous: str, line: Mapping[str, Any]) -> str:
    body = previous + json.dumps(line, sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:32]


class _Lines(NamedTuple):
    """The complete lines of a journal, the digest of the last, and their size in bytes."""

    lines: list[dict[str, Any]]
    digest: str
    size: int


def _content(path: Path) -> bytes:
    with store_errors(path), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read()


def _lines(path: Path, content: bytes) -> _Lines:
    # A crash may leave blocks that were allocated and never written: zeros at the end.
    whole = content.rstrip(b"\0")
    whole = whole[: whole.rfind(b"\n") + 1]
    lines, digest = [], ""
    for index, text in enumerate(whole.splitlines()):
        try:
            line = json.loads(text)
            given = line.pop("digest")
        except (ValueError, KeyError, TypeError, AttributeError):
            line, given = {}, None
        digest = _digest(digest, line)
        if digest != given:
            raise damaged(path, f"line {index + 1} or an earlier one was changed", _LOST)
        lines.append(line)
    return _Lines(lines, digest, len(whole))


def _check_path(journal: Path, index: int, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or "\\" in name:
        what = f"line {index + 1} names {name!r}, which is not inside the run directory"
        raise damaged(journal, what, "do not use this run: this library writes no such line")

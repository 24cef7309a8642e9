"""An append-only journal: which files a run has written, and what is in them.

A line is JSON with the size and checksum of every file that was added or removed, and a
digest of itself and all lines before it. The last line counts once its end is on disk; a
journal that ends in the middle of a line was cut there by a crash.
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
    """Each process of a run has a journal of its own."""
    return FIRST if process == 0 else f"journal-{process}.jsonl"


def journals(root: Path) -> list[Path]:
    """Every journal of a run directory."""
    return sorted(path for path in root.iterdir() if _NAME.fullmatch(path.name))


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What the journals of a run say together, in whatever order they were written.

    Attributes:
      files: what is in every file that is there.
      dead: earlier contents of files, which may still lie about after a crash.
      events: the lines without files.
    """

    files: Mapping[str, Entry]
    dead: frozenset[tuple[str, Entry]]
    events: Sequence[Mapping[str, Any]]

    @property
    def is_finished(self) -> bool:
        """Whether all that the present config asks for is there."""
        present = self.files["config.json"].crc if "config.json" in self.files else None
        return any(event.get("finished", "") == present for event in self.events)

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read every journal.

        Raises:
          StoreError: naming journal and line for anything that a crash does not explain.
        """
        count: collections.Counter[tuple[str, Entry]] = collections.Counter()
        events = []
        for path in journals(root):
            for place, line in enumerate(_lines(path).lines):
                for key, change in (("added", 1), ("removed", -1)):
                    for name, (size, crc) in line.pop(key, {}).items():
                        _check_path(path, place, name)
                        count[name, Entry(size, crc)] += change
                events.append(line)
        files: dict[str, Entry] = {}
        for (name, entry), number in count.items():
            if number > 0 and name in files:
                what = "the journals give it two contents"
                raise damaged(root / name, what, _LOST)
            if number > 0:
                files[name] = entry
        dead = frozenset(item for item, number in count.items() if number <= 0)
        return cls(files, dead, sorted(events, key=lambda line: line["time"]))


class Journal:
    """The end of one journal, open for appending."""

    def __init__(self, path: Path) -> None:
        self._path = path
        found = _lines(path) if os.path.lexists(path) else _Lines([], "", 0)
        self._digest, self._size = found.digest, found.size

    def append(
        self,
        event: str,
        added: Mapping[str, Entry] | None = None,
        removed: Mapping[str, Entry] | None = None,
        **more: Any,
    ) -> None:
        """Write a line and see it on the disk.

        Raises:
          StoreError: if the disk refuses it; the journal is then as it was.
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
            file.truncate(self._size)  # what a crash left of a line
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
    """The whole lines of a journal, the digest of the last, and their size in bytes."""

    lines: list[dict[str, Any]]
    digest: str
    size: int


def _lines(path: Path) -> _Lines:
    with store_errors(path), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        content = file.read()
    whole = content.rstrip(b"\0")  # of blocks that were allotted and not written
    whole = whole[: whole.rfind(b"\n") + 1]
    lines, digest = [], ""
    for place, text in enumerate(whole.splitlines()):
        try:
            line = json.loads(text)
            given = line.pop("digest")
        except (ValueError, KeyError, TypeError, AttributeError):
            line, given = {}, None
        digest = _digest(digest, line)
        if digest != given:
            raise damaged(path, f"line {place + 1} or one before it was changed", _LOST)
        lines.append(line)
    return _Lines(lines, digest, len(whole))


def _check_path(journal: Path, place: int, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or "\\" in name:
        what = f"line {place + 1} names {name!r}, which is no file inside the run directory"
        raise damaged(journal, what, "do not use this run: somebody made it up")

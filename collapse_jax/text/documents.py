"""Lines of text for training, validation and test: from Python, the hub, or a folder.

A line keeps its line break; one of blanks only is the empty string, as in WikiText.
"""

import io
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from collapse_jax.utils import check

_TENTH = 10  # one document of so many for validation, and one for test
_FEWEST = 3  # documents that can be split
_SPLIT_OF = {"train": "train", "test": "test"} | dict.fromkeys(
    ("valid", "validation", "val", "dev"), "validation"
)
_OFFLINE = "pass pydoc, which needs no network, or a folder of text files"


class Documents(NamedTuple):
    """Lines by split."""

    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]


def load_documents(name: str) -> Documents:
    """The text that `load_texts` describes.

    Raises:
      ValueError: if it cannot be read or a split of it is empty, with what to do.
    """
    if name == "pydoc":
        documents = _pydoc()
    elif name in ("wikitext", "wikitext2"):
        documents = _wikitext(name)
    elif os.path.isdir(path := os.path.expanduser(name)):
        documents = _folder(Path(path))
    else:
        allowed = "it must be pydoc, wikitext2 or a folder of text files"
        raise check.fail("texts", name, allowed, _OFFLINE)
    for split, lines in documents._asdict().items():
        if not any(lines):
            allowed = f"an empty split: there is no text for {split}"
            raise check.fail("texts", name, allowed, "add text to its documents")
    return documents


def first_line(error: Exception) -> str:
    """What a library says, in short."""
    return str(error).splitlines()[0][:100] if str(error) else type(error).__name__


def _as_lines(text: Iterable[str]) -> list[str]:
    return [line if line.strip() else "" for line in text]


def _split(documents: Sequence[Sequence[str]]) -> Documents:
    """Two documents of every ten held out, or two of all if there are fewer."""
    period = min(len(documents), _TENTH)
    parts: tuple[list[str], ...] = ([], [], [])
    for place, lines in enumerate(documents):
        parts[max(0, place % period - (period - _FEWEST))].extend(lines)
    return Documents(*parts)


def _pydoc() -> Documents:
    """The help on Python's syntax and types, of the Python that runs; in order of topics."""
    from pydoc_data.topics import topics

    return _split([_as_lines(io.StringIO(topics[name])) for name in sorted(topics)])


def _wikitext(name: str) -> Documents:
    """The hub's copy; what is in the cache is found without a network."""
    import datasets

    try:
        splits: Any = datasets.load_dataset("Salesforce/wikitext", "wikitext-2-raw-v1")
    except Exception as error:  # connection, offline mode and cache have errors of their own
        allowed = f"it is neither cached nor can the hub be reached ({first_line(error)})"
        raise check.fail("texts", name, allowed, _OFFLINE) from None
    return Documents(*(_as_lines(splits[split]["text"][:]) for split in Documents._fields))


def _folder(path: Path) -> Documents:
    """Files that are named after splits, or documents to be split, in the order of names."""
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".txt")
    named: dict[str, list[Path]] = {split: [] for split in Documents._fields}
    for file in files:
        word = re.split(r"[\W\d_]", file.name.lower(), maxsplit=1)[0]
        if word in _SPLIT_OF:
            named[_SPLIT_OF[word]].append(file)
    missing = [split for split, part in named.items() if not part]
    if not missing:
        parts = (itertools.chain.from_iterable(map(_read, part)) for part in named.values())
        return Documents(*map(list, parts))
    if len(missing) < len(named):
        allowed = f"it has files named after splits, and none for {' and '.join(missing)}"
        remedy = "name files train*.txt, valid*.txt and test*.txt, or none of them so"
        raise check.fail("texts", str(path), allowed, remedy)
    if len(files) < _FEWEST:
        allowed = f"it holds {len(files)} text files (*.txt), at least {_FEWEST} are needed"
        remedy = "add documents, or pass train.txt, valid.txt and test.txt"
        raise check.fail("texts", str(path), allowed, remedy)
    return _split([_read(file) for file in files])


def _read(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig") as text:
            return _as_lines(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        remedy = "save it as UTF-8 text, or move it away"
        raise check.fail("texts", str(file), f"{file.name}: {reason}", remedy) from None

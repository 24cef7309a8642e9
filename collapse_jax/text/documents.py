"""Read lines of text for training, validation and test from Python, the hub, or a folder.

A line includes its line break; a line of blanks becomes the empty string, as in WikiText.
"""

import io
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from collapse_jax.text.files import read_text
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.paths import user_path

_PERIOD = 10  # documents of which one is for validation and one for the test set
_FEWEST = 3  # documents: one for each split
_SPLIT_OF = {"train": "train", "test": "test"} | dict.fromkeys(
    ("valid", "validation", "val", "dev"), "validation"
)
_OFFLINE = "pass pydoc, which needs no network, or a folder of text files"


class Documents(NamedTuple):
    """Lines of text by split.

    Attributes:
      train: lines of the training set.
      validation: lines of the validation set.
      test: lines of the test set.
    """

    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]


def load_documents(name: str) -> Documents:
    """Read a text.

    Args:
      name: "pydoc", "wikitext2" or a folder, see `load_texts`.

    Returns:
      Lines of the three splits, a number of strings each.

    Raises:
      ValueError: if the text cannot be read or a split is empty.
    """
    if name == "pydoc":
        documents = _pydoc()
    elif name in ("wikitext", "wikitext2"):
        documents = _wikitext(name)
    elif name and os.path.isdir(path := user_path(name, "texts")):
        documents = _folder(path)
    else:
        allowed = "it must be pydoc, wikitext2 or a folder of text files"
        raise check.fail("texts", name, allowed, _OFFLINE)
    for split, lines in documents._asdict().items():
        if not any(lines):
            allowed = f"an empty split: there is no text for {split}"
            raise check.fail("texts", name, allowed, "add text to its documents")
    return documents


def first_line(error: Exception) -> str:
    """Shorten the message of a library to one line.

    Args:
      error: exception of the library.

    Returns:
      Line 1 of the message, a number of at most 100 characters; without a message the name of
      the exception.
    """
    return str(error).splitlines()[0][:100] if str(error) else type(error).__name__


def _as_lines(text: Iterable[str]) -> list[str]:
    """Return the lines, with lines of blanks as empty strings."""
    return [line if line.strip() else "" for line in text]


def _split(documents: Sequence[Sequence[str]]) -> Documents:
    """Split documents: the last two of every ten, or of all if fewer, validate and test."""
    period = min(len(documents), _PERIOD)
    parts: tuple[list[str], ...] = ([], [], [])
    for index, lines in enumerate(documents):
        parts[max(0, index % period - (period - _FEWEST))].extend(lines)
    return Documents(*parts)


def _pydoc() -> Documents:
    """Return the running Python's help on syntax and types, in the order of topics."""
    from pydoc_data.topics import topics

    return _split([_as_lines(io.StringIO(topics[name])) for name in sorted(topics)])


def _wikitext(name: str) -> Documents:
    """Return the hub's copy; a cached one is found without a network."""
    import datasets

    try:
        splits: Any = datasets.load_dataset("Salesforce/wikitext", "wikitext-2-raw-v1")
    except Exception as error:  # connection, offline mode and cache raise unrelated types
        allowed = f"it is not cached and the hub cannot be reached ({first_line(error)})"
        raise check.fail("texts", name, allowed, _OFFLINE) from None
    return Documents(*(_as_lines(splits[split]["text"][:]) for split in Documents._fields))


def _folder(path: Path) -> Documents:
    """Return the files named after splits, or split all files, in the order of names."""
    files = sorted(
        file
        for file in path.iterdir()
        if file.suffix.lower() == ".txt" and not file.name.startswith(".")  # of the file system
    )
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
        remedy = "name files train*.txt, valid*.txt and test*.txt, or use none of these names"
        raise check.fail("texts", str(path), allowed, remedy)
    if len(files) < _FEWEST:
        allowed = (
            f"it holds {counted(len(files), 'text file')} (*.txt), at least {_FEWEST} are needed"
        )
        remedy = "add documents, or pass train.txt, valid.txt and test.txt"
        raise check.fail("texts", str(path), allowed, remedy)
    return _split([_read(file) for file in files])


def _read(file: Path) -> list[str]:
    """Return the lines of a file."""
    return _as_lines(io.StringIO(read_text("texts", file), newline=None))

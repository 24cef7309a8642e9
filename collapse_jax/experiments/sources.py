"""Make sources by name, for the options of experiments."""

import ast
import contextlib
import functools
import math
import re
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

import numpy as np

from collapse_jax.core.source import AbstractSource, CountsSource
from collapse_jax.sources import Categorical, Empirical, tables
from collapse_jax.sources.columns import as_rows as rows_of
from collapse_jax.sources.table_files import refuse_file, split_column
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.paths import user_path
from collapse_jax.utils.suggestions import closest

_MOST_STATES = 10**7
_MOST_DIGITS = 20  # of K: Python converts at most 4,300
_FILES = "FILE.npy or FILE:COLUMN"
_LABELS = ("text", "docstrings", "text:FILE", "zipf:K")
_TYPED = (  # names and remedies in Python, and what can be typed instead
    (r"Empirical\.(?=\w+[=\[])", ""),
    (r"pass column=NAME, or .*", "name one as FILE:COLUMN"),
    (r", or pass column=.*", ", or name the column as FILE:COLUMN"),
    (r", or pass pandas\..*", ""),
    (r", e\.g\. np\..*", ""),
)


@functools.cache
def text_of_python() -> str:
    """Return the prose of `pydoc_data.topics`, which is part of every Python."""
    from pydoc_data import topics

    return "\n".join(topics.topics.values())


@functools.cache
def docstrings_of_python() -> str:
    """Return the docstrings of the standard library, about 7,000 distinct words.

    They are read from the source files, without importing any module.

    Raises:
      ArgumentError: for a Python without source files.
    """
    library = Path(sysconfig.get_path("stdlib"))
    texts = []
    for name in sorted(sys.stdlib_module_names):
        for path in (library / f"{name}.py", library / name / "__init__.py"):
            if path.exists():
                tree = ast.parse(path.read_bytes())
                texts += [ast.get_docstring(node) or "" for node in ast.walk(tree) if _has(node)]
    if not texts:
        remedy = "pass text:FILE"
        raise check.fail("source", "docstrings", f"{library} has no source files", remedy)
    return "\n".join(texts)


def _has(node: ast.AST) -> TypeGuard[ast.Module | ast.ClassDef | ast.FunctionDef]:
    return isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))


def noun_of(source: str) -> str:
    """Return what a state of a source is called: "word" where its rows are a text, or "state".

    Args:
      source: as typed.
    """
    return "word" if source.partition(":")[0] in ("text", "docstrings") else "state"


@contextlib.contextmanager
def option(name: str, others: Collection[str] = ()) -> Iterator[None]:
    """Begin messages about what an option names, such as a file, with the option.

    Args:
      name: of the setting.
      others: settings that the block checks as well, whose messages stay.

    Yields:
      Nothing.

    Raises:
      ArgumentError: that of the block, if its message does not begin with the setting already.
    """
    try:
        yield
    except check.ArgumentError as error:
        message = str(error)
        for in_python, typed in _TYPED:
            message = re.sub(in_python, typed, message)
        if message.partition("=")[0] not in (name, *others):
            message = f"{name}: {message}"
        raise check.ArgumentError(message) from None


def _read(path: str, column: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a column of a table, or several that are separated by commas, see `tables.read`."""
    try:
        return tables.read(path, column)
    except check.ArgumentError:
        if column is None or "," not in column:
            raise
    return tables.read(path, column.split(","))


@option("source")
def make_labels(name: str) -> CountsSource:
    """Return a source of labels.

    Args:
      name: text, docstrings, text:FILE, zipf:K, FILE or FILE:COLUMN.

    Raises:
      ArgumentError: for another name, a file of numbers or that cannot be read, or a bad K.
    """
    kind, _, rest = name.partition(":")
    if name == "text":
        return Empirical.words(text_of_python())
    if name == "docstrings":
        return Empirical.words(docstrings_of_python())
    if kind == "text" and rest:
        return Empirical.words(user_path(rest))
    if kind == "zipf" and rest:
        return _zipf(name, rest)
    parts = split_column(name)
    if parts is None:
        if kind not in ("text", "zipf"):
            refuse_file(name, "text:")
        allowed = f"it must be {', '.join(_LABELS)}, {_FILES}"
        remedy = f"{closest(name, _LABELS[:2])}pass text:book.txt, for example"
        raise check.fail("source", name, allowed, remedy)
    source = Empirical(*_read(*parts))
    if not isinstance(source, CountsSource):
        allowed = "its rows are numbers, and labels are needed"
        remedy = "name a column of texts or integers as FILE:COLUMN, or pass text:FILE"
        raise check.fail("source", name, allowed, remedy)
    return source


def _zipf(name: str, states: str) -> Categorical:
    """Return the law with probabilities 1 / rank of a number of states."""
    is_number = states.isascii() and states.isdigit() and len(states) <= _MOST_DIGITS
    if not is_number or not 2 <= int(states) <= _MOST_STATES:
        allowed = f"K, the number of states, must be digits of a number in [2, {_MOST_STATES}]"
        raise check.fail("source", name, allowed, "pass zipf:1000, for example")
    weights = 1 / np.arange(1, int(states) + 1)
    return Categorical(weights / weights.sum())


@option("source")
def make_rows(
    name: str, known: Mapping[str, AbstractSource], least: int, most: float = math.inf
) -> AbstractSource:
    """Return a source of real rows.

    Args:
      name: one of the known names, FILE or FILE:COLUMN; integers in files are measurements.
      known: sources by name.
      least: the least numbers of a row.
      most: the most numbers of a row, at least `least`.

    Raises:
      ArgumentError: for another name, a file of texts or that cannot be read, or rows of
        another length.
    """
    if name in known:
        return known[name]
    names = f"{', '.join(known)}, {_FILES}"
    kind, remedy = name.partition(":")[0], f"pass {names}"
    if kind in ("text", "zipf") or name in _LABELS:
        raise check.fail("source", name, "its rows are labels, and numbers are needed", remedy)
    parts = split_column(name)
    if parts is None:
        refuse_file(name)
        remedy = f"{closest(name, known)}pass {next(iter(known))}"
        raise check.fail("source", name, f"it must be {names}", remedy)
    values, _ = _read(*parts)
    if values.dtype.kind == "O":
        shown = next((text for text in values if not text.strip().isdigit()), None)
        if shown is None:
            allowed = "rows must be numbers; whole numbers that begin with 0 are labels"
            raise check.fail("source", name, allowed, "write them without zeros in front")
        allowed = f"rows must be numbers; this column holds texts such as {shown!r}"
        raise check.fail("source", name, allowed, "name a column of numbers as FILE:COLUMN")
    source = Empirical(rows_of(values))
    length = source.row_dim or 0
    if not least <= length <= most:
        allowed = f"its rows have {counted(length, 'number')}, and "
        allowed += f"{least} or more are needed" if most > least else f"{least} is needed"
        remedy = f"pass an array {'[row, dim]' if most > 1 else '[row]'} as FILE.npy"
        remedy += ", FILE:COLUMN,COLUMN" if most > 1 else ""
        remedy += f", or pass {next(iter(known))}"
        raise check.fail("source", name, allowed, remedy)
    return source

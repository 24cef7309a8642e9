"""Make sources by name, for the options of experiments."""

import ast
import sys
import sysconfig
from pathlib import Path
from typing import TypeGuard

import numpy as np

from collapse_jax.core.source import AbstractSource
from collapse_jax.sources import Categorical, Empirical, Normal, tables
from collapse_jax.sources.columns import as_rows as rows_of
from collapse_jax.sources.table_files import split_column
from collapse_jax.utils import check
from collapse_jax.utils.paths import user_path

NORMAL = "normal"
_MOST_DIGITS = 20  # of K: Python converts at most 4,300


def text_of_python() -> str:
    """Return the prose of `pydoc_data.topics`, which is part of every Python."""
    from pydoc_data import topics

    return "\n".join(topics.topics.values())


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


def make_source(name: str, as_rows: bool = False) -> AbstractSource:
    """Return the source of a name.

    Args:
      name: normal, text, docstrings, text:FILE, zipf:K, FILE or FILE:COLUMN.
      as_rows: whether integers in a file are measurements; otherwise they are labels.

    Raises:
      ArgumentError: for another name, a file that cannot be read, or a bad K.
    """
    kind, _, rest = name.partition(":")
    if name == NORMAL:
        return Normal(0.0, 1.0)
    if name == "text":
        return Empirical.words(text_of_python())
    if name == "docstrings":
        return Empirical.words(docstrings_of_python())
    if kind == "text" and rest:
        return Empirical.words(user_path(rest))
    if kind == "zipf" and rest.isascii() and rest.isdigit() and len(rest) < _MOST_DIGITS:
        states = check.integer("K of source zipf:K", int(rest), 2, 10**7)
        weights = 1 / np.arange(1, states + 1)
        return Categorical(weights / weights.sum())
    parts = split_column(name)
    if parts is not None:
        return _of_file(*parts, as_rows)
    allowed = "it must be normal, text, docstrings, text:FILE, zipf:K, FILE.npy or FILE:COLUMN"
    raise check.fail("source", name, allowed, "pass text:book.txt, for example")


def _of_file(path: str, column: str | None, as_rows: bool) -> AbstractSource:
    values, names = tables.read(path, column)
    if not as_rows:
        return Empirical(values, names)
    if values.dtype.kind == "O":
        allowed = f"rows must be numbers; this column holds texts such as {values[0]!r}"
        remedy = "name a column of numbers as FILE:COLUMN"
        raise check.fail("source", f"{path}:{column}" if column else path, allowed, remedy)
    return Empirical(rows_of(values))

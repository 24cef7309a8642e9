"""Sources by name, for the options of experiments."""

from pathlib import Path

import numpy as np

from collapse_jax import check
from collapse_jax.source import AbstractSource
from collapse_jax.sources import Categorical, Empirical, Normal, tables

NORMAL = "normal"


def text_of_python() -> str:
    """The prose of `pydoc_data.topics`, inside every Python."""
    from pydoc_data import topics

    return "\n".join(topics.topics.values())


def make_source(name: str, as_rows: bool = False) -> AbstractSource:
    """The source called "normal", "text", "text:FILE", "zipf:K", "FILE" or "FILE:COLUMN".

    Args:
      name: one of these.
      as_rows: whether integers in a file are measurements; otherwise they are labels.

    Raises:
      ValueError: for another name, a file that cannot be read, or a bad K.
    """
    kind, _, rest = name.partition(":")
    if name == NORMAL:
        return Normal(0.0, 1.0)
    if name == "text":
        return Empirical.words(text_of_python())
    if kind == "text" and rest:
        return Empirical.words(Path(rest))
    if kind == "zipf" and rest.isdigit():
        states = check.integer("K of source zipf:K", int(rest), 2, 10**7)
        weights = 1 / np.arange(1, states + 1)
        return Categorical(weights / weights.sum())
    path, column = (name, None) if name.endswith(tables.FILES) else name.rpartition(":")[::2]
    if path.endswith(tables.FILES):
        values, names = tables.read(Path(path), column)
        is_measured = as_rows and values.dtype.kind in "iu"
        return Empirical(values.astype(float) if is_measured else values, names)
    allowed = "it must be normal, text, text:FILE, zipf:K, or FILE:COLUMN of a .csv or .parquet"
    raise check.fail("source", name, allowed, "pass text:book.txt or heights.csv:cm, say")

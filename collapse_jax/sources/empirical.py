"""Define finite original data: a table of rows, or the words of a text."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Counts, Moments, Size
from collapse_jax.core.samples import Labels, Rows, expand, moments_of, prefix_weights
from collapse_jax.core.source import AbstractSource, CountsSource, MomentsSource, Truth
from collapse_jax.random.hypergeometric import multivariate_hypergeometric
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.multinomial import multinomial
from collapse_jax.sources import tables
from collapse_jax.sources.categorical import Categorical
from collapse_jax.sources.choice import draw_rows, is_all
from collapse_jax.sources.columns import as_rows, composed_names
from collapse_jax.sources.normal import check_units
from collapse_jax.text.files import read_text
from collapse_jax.text.words import check_text, find_words
from collapse_jax.utils import check, log_cholesky
from collapse_jax.utils.counted import counted
from collapse_jax.utils.html_table import html_table
from collapse_jax.utils.paths import user_path

_ANY_LAW = Categorical([1.0])  # a template, whose probabilities are replaced without checks
_MOST_RATIO = 1e15  # of standard deviations: rows of all axes share a unit, and are squared
_SMALLEST = 1e-150  # difference of two rows: its square is zero below 1e-162 in float64
_LARGEST = 1e37  # of a row: float32 ends at 3.4e38
_MOST_SHOWN = 8  # states or rows that a notebook shows
_MAX_LABELS = 2**24  # states have an entry each in every model, at least 64 MiB beyond


class Empirical:
    """n rows of data; their empirical law is the truth p_0.

    A corpus of size < n is a subset without replacement, of size n the data in order,
    of size > n a sample with replacement. Names of states are in Unicode's form NFC, whatever form
    they are given in.

    Args:
      data: integers or truth values [row] that label states 0, 1, ... < 2^24, texts [row],
        whose distinct values are the states, most frequent first, or finite real rows [row] or
        [row, dim]; as an array, a table (pandas, Polars, PyArrow, a `datasets.Dataset`, a NumPy
        array with fields), or the path of a .npy, .npz, .csv, .tsv or .parquet file.
      names: for labels, one name per state (optional).
      column: for files and tables with columns, the name of a column, or several names for
        rows of several dimensions; None if there is only one column. A field of an array in an
        .npz file is the column "array:field".

    Returns:
      An `EmpiricalLabels` or an `EmpiricalRows`.

    Raises:
      ArgumentError: for a file that cannot be read, an unknown column, empty data, values that
        are missing, masked or not finite, empty texts, times, complex numbers, numbers mixed
        with texts, labels outside [0, 2^24) or another number of axes.

    >>> import collapse_jax as cj
    >>> source = cj.Empirical.words("A rose is a rose is a rose")
    >>> source.names, source.counts.tolist()
    (('a', 'rose', 'is'), [3, 3, 2])
    >>> cj.Empirical([1.5, 2.5, 4.0]).num_rows
    3
    """

    def __new__(  # pyright: ignore
        cls, data: Any, names: Sequence[str] = (), column: str | Sequence[str] | None = None
    ) -> AbstractSource:
        """Return the source that fits the type of the data."""
        values, known = tables.read(data, column)
        names = _check_names(names)
        if values.ndim == 1 and values.dtype.kind in "iu":
            return EmpiricalLabels.from_labels(values, names or known)
        is_text = values.dtype.kind == "O"
        if names:
            allowed = "texts are their own names" if is_text else "only labels have names"
            raise check.fail("Empirical.names", list(names), allowed, "leave names out")
        if is_text:
            return EmpiricalLabels.from_texts(values)
        remedy = "pass integer labels [row], or real rows [row] or [row, dim]"
        rows = check.array("Empirical.data", as_rows(values), (1, 2), remedy)
        if rows.size and np.max(np.abs(rows)) > _LARGEST:
            shown, remedy = float(np.max(np.abs(rows))), "divide the rows by a power of ten"
            raise check.fail("Empirical.data", shown, f"rows are at most {_LARGEST:g}", remedy)
        rows = rows.reshape(len(rows), -1)
        spans = np.ptp(rows, axis=0)
        if np.any((spans > 0) & (spans < _SMALLEST)):
            shown = check.Shown(f"rows that differ by {np.min(spans[spans > 0]):.3g}")
            allowed = f"rows must differ by at least {_SMALLEST:g}, or not at all"
            raise check.fail("Empirical.data", shown, allowed, "multiply them by a power of ten")
        return EmpiricalRows(rows)

    @staticmethod
    def words(text: str | PathLike[str]) -> "EmpiricalLabels":
        """Return the words of a text, in lower case, as labels.

        States are the distinct words, most frequent first. A word is a run of letters of any
        script with their combining marks, in Unicode's form NFC; apostrophes within a word
        belong to it, and digits separate words. Chinese, Thai and other scripts without
        spaces need text with spaces between words.

        Args:
          text: the text, or a `pathlib.Path` to a file in UTF-8, or in UTF-16 or UTF-32 with
            a byte order mark.

        Raises:
          ArgumentError: if the file cannot be read, the text is the name of a file, or no word
            is found.
        """
        name = "Empirical.words"
        remedy = "pass a str, or the pathlib.Path of a text file"
        check.instance(name, text, (str, PathLike), "it must be a text", remedy)
        if isinstance(text, str):
            check_text(name, text)
            content = text
        else:
            content = read_text(name, user_path(text, name))
        found = find_words(content)
        if not found:
            raise check.fail(name, str(text), "it has no words", "pass a text with letters")
        return EmpiricalLabels.from_texts(found)


def _check_names(names: Any) -> tuple[str, ...]:
    """Return the names of states as a tuple of texts."""
    if names is None:
        return ()
    allowed = "it must hold one text per state"
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise check.fail("Empirical.names", names, allowed, 'pass names such as ["a", "b"]')
    listed = tuple(names)
    for index, name in enumerate(listed):
        remedy = "pass texts, e.g. [str(name) for name in names]"
        check.instance(f"Empirical.names[{index}]", name, str, allowed, remedy)
    return composed_names("Empirical.names", listed)


@config
class EmpiricalLabels(CountsSource):
    """n labels, stored as the count of every state; made by `Empirical`."""

    counts: Any
    names: tuple[str, ...] = static(default=())
    total: int = static(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", int(np.sum(self.counts)))

    @classmethod
    def from_labels(cls, labels: np.ndarray, names: Sequence[str]) -> Self:
        """Count labels.

        Args:
          labels: integers, [row].
          names: one name per state, or none.

        Raises:
          ArgumentError: for labels that are no states, or states without a name.
        """
        remedy = (
            "pass labels 0 .. num_states-1, or texts, e.g. np.asarray(data).astype(str); "
            "for integers that are measured, pass np.asarray(data, float)"
        )
        if labels.size == 0:
            raise check.fail("Empirical.data", labels.tolist(), "it must not be empty", remedy)
        if labels.min() < 0 or labels.max() >= _MAX_LABELS:
            shown = int(labels.min() if labels.min() < 0 else labels.max())
            raise check.fail("Empirical.data", shown, "labels must be in [0, 2^24)", remedy)
        if names and len(names) <= labels.max():
            allowed = f"label {int(labels.max())} needs a name"
            raise check.fail("len(Empirical.names)", len(names), allowed, "pass one per state")
        counts = np.bincount(labels.astype(np.int64), minlength=len(names)).astype(np.int32)
        counts.setflags(write=False)
        return cls(counts, tuple(names))

    @classmethod
    def from_texts(cls, texts: Sequence[str] | np.ndarray) -> Self:
        """Count equal texts; states are distinct texts, most frequent first.

        Args:
          texts: texts, [row].
        """
        # An array of texts would give each the memory of the longest.
        counted = sorted(Counter(map(str, texts)).items(), key=lambda item: (-item[1], item[0]))
        names, counts = zip(*counted, strict=True)
        return cls(np.array(counts), names)

    def _repr_html_(self) -> str:
        """Return the most frequent states for a notebook."""
        order = np.argsort(-np.asarray(self.counts), kind="stable")[:_MOST_SHOWN]
        names = self.names or range(len(self.counts))
        rows = [["state", "rows", "share"]]
        for state in order.tolist():
            count = int(self.counts[state])
            rows.append([str(names[state]), f"{count:,}", f"{count / self.total:.3g}"])
        title = f"{self.total:,} labels of {self.num_states:,} states"
        return html_table(title, rows, _rest(self.num_states, "states"))

    @property
    def num_states(self) -> int:
        """Return the number of states."""
        return len(self.counts)

    @property
    def num_rows(self) -> int:
        """Return the number of labels."""
        return self.total

    @property
    def law(self) -> Float[Array, " state"]:
        """Return the relative frequencies, [state]."""
        counts = jnp.asarray(self.counts, jnp.result_type(float))
        return counts / jnp.sum(counts)

    @property
    def independent(self) -> CountsSource:
        """Return a source of independent labels with these relative frequencies."""
        return replace_fields(_ANY_LAW, probabilities=self.law, table=None)

    def draw_counts(self, keys: Keys, size: Size) -> Counts:
        """Draw hypergeometric counts up to size n, multinomial counts beyond."""
        counts = jnp.asarray(self.counts, jnp.int32)

        def subset() -> Array:
            chosen = jnp.minimum(size, self.total)
            return multivariate_hypergeometric(keys, Purpose.SOURCE, counts, chosen)

        def more() -> Array:
            weights = counts.astype(jnp.result_type(float))
            return multinomial(keys, Purpose.SOURCE, size, weights)

        if not isinstance(size, int):
            return Counts(jax.lax.cond(size > self.total, more, subset))
        if size == self.total:
            return Counts(counts)
        return Counts(subset() if size < self.total else more())

    def draw(self, keys: Keys, size: Size, capacity: int) -> Labels:
        """Draw labels, in sorted order."""
        labels = expand(self.draw_counts(keys, size).counts, capacity)
        return Labels(labels, prefix_weights(size, capacity))


@config
class EmpiricalRows(MomentsSource):
    """n real rows in a frame with values of order one; made by `Empirical`."""

    rows: Any
    with_replacement: bool = static(init=False, repr=False, default=False)
    centre: Any = dataclasses.field(init=False, repr=False)
    top: Any = dataclasses.field(init=False, repr=False)
    moments: Any = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        mean = np.mean(self.rows, axis=0)
        mean = mean + np.mean(self.rows - mean, axis=0)  # what the first sum has lost
        centred = self.rows - mean
        log_scale, factor = log_cholesky.factorize_on_host(centred.T @ centred / len(centred))
        spreads = np.sqrt(np.mean(centred**2, axis=0))
        check_units("Empirical.data", spreads, _MOST_RATIO)
        spread = float(np.max(spreads))
        top = np.log(spread) if spread > 0 else 0.0
        overlap = _overlap(centred[:, 0]) if self.rows.shape[1] == 1 else None
        object.__setattr__(self, "moments", Truth.of(mean, log_scale, factor, overlap))
        object.__setattr__(self, "rows", centred * np.exp(-top))
        object.__setattr__(self, "centre", mean)
        object.__setattr__(self, "top", np.asarray(top))

    def _repr_html_(self) -> str:
        """Return the first rows for a notebook, in the units of the data, with mean and spread."""
        rows = [["row", *(f"[{axis}]" for axis in range(self.row_dim))]]
        given = self.rows[:_MOST_SHOWN] * np.exp(self.top) + self.centre
        spreads = np.std(self.rows, axis=0) * np.exp(self.top)
        lines = {**dict(enumerate(given)), "mean": self.centre, "std": spreads}
        for name, values in lines.items():
            rows.append([f"{name}", *(f"{value:.6g}" for value in values)])
        title = f"{self.num_rows:,} rows of {counted(self.row_dim, 'number')}"
        return html_table(title, rows, _rest(self.num_rows, "rows"))

    @property
    def row_dim(self) -> int:
        """Return the length of a row."""
        return self.rows.shape[1]

    @property
    def num_rows(self) -> int:
        """Return the number of rows."""
        return self.rows.shape[0]

    @property
    def location(self) -> Any:
        """Return the mean of the rows."""
        return self.centre

    def translated(self, shift: Any) -> Self:
        """Return the same rows plus a vector."""
        moments = self.moments._replace(mean=self.moments.mean + shift)
        return replace_fields(self, centre=self.centre + shift, moments=moments)

    @property
    def truth(self) -> Truth:
        """Return the moments of the data (divisor n)."""
        return self.moments.as_floats()

    @property
    def independent(self) -> "EmpiricalRows":
        """Return a source of rows chosen with replacement."""
        return replace_fields(self, with_replacement=True)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Choose rows; with size n, return the data in order."""
        dtype = jnp.result_type(float)
        rows, location, top = (
            jnp.asarray(part, dtype) for part in (self.rows, self.centre, self.top)
        )
        data = Rows(rows, None, location, top)
        return draw_rows(keys, data, size, capacity, self.with_replacement)

    def draw_moments(self, keys: Keys, size: Size, capacity: int) -> Moments:
        """Return the moments of chosen rows."""
        if is_all(self.num_rows, size, self.with_replacement):
            truth = self.truth
            return Moments(jnp.int32(size), truth.mean, truth.log_scale, truth.factor)
        return moments_of(self.draw(keys, size, capacity))


def _rest(number: int, noun: str) -> str:
    """Say how many states or rows a table leaves out."""
    return f"{number - _MOST_SHOWN:,} more {noun}" if number > _MOST_SHOWN else ""


def _overlap(values: np.ndarray) -> float:
    """Return int Q Phi^{-1} du = sum_i x_(i) [phi(z_{i-1}) - phi(z_i)], z_i = Phi^{-1}(i / n)."""
    from scipy import special

    cuts = special.ndtri(np.arange(len(values) + 1) / len(values))
    density = np.exp(-0.5 * cuts**2) / np.sqrt(2 * np.pi)
    return float(np.sort(values) @ (density[:-1] - density[1:]))

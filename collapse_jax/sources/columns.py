"""Check the values of a column or an array, and return them as numbers or texts."""

import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

import jax.numpy as jnp
import numpy as np

from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

NAME = "Empirical.data"
_DROP = "drop these rows, or fill the gaps"
_LONGEST = 40  # characters of a number in a message
_SMALLER = "divide all of them by a power of ten"
_NUMBERS = "pass integer labels [row], texts [row], or real rows [row] or [row, dim]"
_EXACT = 2**53  # float64 holds all integers up to it
_SUBTRACT = "subtract what they have in common"
_TIMES = "convert them to numbers, such as seconds since the first, or to texts for labels"


class Columns(NamedTuple):
    """The columns of a table, whose values are read one column at a time.

    Attributes:
      names: names of the columns, which may be equal.
      get: a function from the index of a column to its checked values, [row] or [row, dim].
      states: a function from the index of a column to the names of its classes, or ().
    """

    names: list[str]
    get: Callable[[int], np.ndarray]
    states: Callable[[int], tuple[str, ...]] = lambda index: ()


def of_fields(data: np.ndarray) -> Columns | None:
    """Return the fields of a NumPy array as columns, or None for an array without fields.

    Args:
      data: an array of any type.
    """
    fields = data.dtype.names
    if fields is None:
        return None
    return Columns(list(fields), lambda index: check_values(data[fields[index]], fields[index]))


def composed(text: str) -> str:
    """Return a text in Unicode's form NFC, in which equal names are equal texts.

    Args:
      text: in any form; an e with a combining accent may be one character or two.

    >>> composed("cafe\u0301") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text)


def composed_names(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return names of states in Unicode's form NFC.

    Args:
      name: of the argument, for messages.
      names: one per state.

    Raises:
      ArgumentError: if two states have one name, or names that differ only in how Unicode writes
        a letter.
    """
    found: dict[str, str] = {}
    for given in names:
        if composed(given) in found:
            differs = found[composed(given)] != given
            written = ", its letters written in two ways in Unicode" if differs else ""
            allowed = f"two states have this name{written}"
            raise check.fail(name, composed(given), allowed, "give each state another name")
        found[composed(given)] = given
    return tuple(composed(str(given)) for given in names)  # a text of NumPy becomes one of Python


def refuse_cells(
    mask: np.ndarray, shown: Any, what: str, column: str | None, remedy: str = _DROP
) -> NoReturn:
    """Refuse data with bad cells, such as gaps: count them, and name the first.

    Args:
      mask: which cells are bad, in the shape of the data; at least one is.
      shown: the value of the first bad cell.
      what: a clause that ends "3 of 10 values ...".
      column: the name of the column, None for data without columns.
      remedy: a clause that says what to do.

    Raises:
      ArgumentError: always.
    """
    index = [int(axis) for axis in np.unravel_index(int(np.argmax(mask)), mask.shape)]
    number = f"{int(np.sum(mask)):,} of {counted(mask.size, 'value')}"
    allowed = f"{number} {what}, the first in row {index[0]}"
    raise check.fail(_cell(index, column), shown, allowed, remedy)


def refuse_huge(mask: np.ndarray, shown: str, column: str | None) -> NoReturn:
    """Refuse finite numbers that float64 cannot hold.

    Args:
      mask: which numbers they are, in the shape of the data; at least one is.
      shown: the first of them, as given.
      column: the name of the column, None for data without columns.

    Raises:
      ArgumentError: always.
    """
    what = "are beyond the range of float64, which ends at 1.8e308"
    shown = check.Shown(shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}...")
    refuse_cells(mask, shown, what, column, _SMALLER)


def _cell(index: Sequence[int], column: str | None) -> str:
    return f"{NAME}{list(index)}" + ("" if column is None else f" in column {column!r}")


def _refuse_type(column: str | None, kind: Any, allowed: str, remedy: str) -> NoReturn:
    name = f"type of {NAME}" if column is None else f"type of column {column!r}"
    raise check.fail(name, check.Shown(str(kind)[:60]), allowed, remedy)


def check_values(values: np.ndarray, column: str | None = None) -> np.ndarray:
    """Return the values of an array as finite numbers, or as an array of Python's texts.

    Args:
      values: numbers, truth values, texts, bytes in UTF-8 or objects, [row] or [row, dim].
      column: the name of the column, for messages.

    Returns:
      Integers (truth values become 0 and 1) or floats, [row] or [row, dim], or texts [row] with
      dtype object, in Unicode's form NFC.

    Raises:
      ArgumentError: for other types and shapes, and if values are masked, missing, empty or
        not finite.
    """
    if values.ndim not in (1, 2) or values.size == 0:
        shown = check.Shown(f"array of shape {values.shape}")
        name = NAME if column is None else f"column {column!r}"
        raise check.fail(name, shown, "it must be 1-D or 2-D, not empty", _NUMBERS)
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        if mask.any() and mask.dtype == bool:
            refuse_cells(mask, None, "are masked", column)
        values = np.ma.getdata(values)
    kind = values.dtype.kind
    if kind == "O":
        return _from_objects(values, column)
    if kind in "UST":
        return _texts(values, column)
    if kind in "mM":
        _refuse_type(column, values.dtype, "times and durations are no numbers", _TIMES)
    if kind == "c":
        allowed, remedy = "numbers must be real", "pass real and imaginary parts as two columns"
        _refuse_type(column, values.dtype, allowed, remedy)
    return _numbers(values, column)


def check_digits(values: np.ndarray, texts: Any, column: str | None) -> None:
    """Refuse numbers that were different as written, and are equal as float64.

    Args:
      values: the numbers, [row].
      texts: returns the numbers as they were written, any iterable; called if it may matter.
      column: the name of the column, for messages.

    Raises:
      ArgumentError: for integers beyond 2^53 that became equal, or if all values did.
    """
    distinct = len(np.unique(values))
    if distinct == len(values) or (distinct > 1 and np.max(np.abs(values)) <= _EXACT):
        return
    written = {Decimal(str(one).strip()) for one in set(texts())}
    if len(written) > distinct:
        label = NAME if column is None else f"column {column!r}"
        shown, allowed = (
            max(written, key=abs),
            "such numbers become equal in float64",
        )
        raise check.fail(label, check.Shown(str(shown)), allowed, _SUBTRACT)


def as_rows(values: np.ndarray) -> np.ndarray:
    """Return numbers as float64, if different ones stay different.

    Args:
      values: numbers, [row] or [row, dim].

    Returns:
      float64 of the same shape.

    Raises:
      ArgumentError: for integers beyond 2^53 that float64 cannot tell from one another.
    """
    rows = values.astype(np.float64)
    is_large = values.dtype.kind in "iu" and np.max(np.abs(rows)) > _EXACT
    if is_large and len(np.unique(rows)) < len(np.unique(values)):
        shown, allowed = int(values.max()), "integers beyond 2^53 become equal as numbers"
        raise check.fail(NAME, shown, allowed, _SUBTRACT)
    return rows


def _numbers(values: np.ndarray, column: str | None) -> np.ndarray:
    if values.dtype.kind == "V" and not jnp.issubdtype(values.dtype, jnp.number):
        _refuse_type(column, values.dtype, "data must be numbers, labels or texts", _NUMBERS)
    if values.dtype.kind == "b":
        return values.astype(np.int8)
    if jnp.issubdtype(values.dtype, jnp.integer):
        return values if values.dtype.kind in "iu" else values.astype(np.int64)
    given = values
    with np.errstate(over="ignore"):
        values = given.astype(np.float64, copy=False)
    mask = ~np.isfinite(values)
    huge = mask & np.isfinite(given)  # of extended precision
    if huge.any():
        refuse_huge(huge, str(given.flat[int(np.argmax(huge))]), column)
    if mask.any():
        shown = float(values.flat[int(np.argmax(mask))])
        refuse_cells(mask, shown, "are NaN or infinite", column)
    return values


def _texts(values: np.ndarray, column: str | None) -> np.ndarray:
    if values.ndim > 1:
        shown = check.Shown(f"texts of shape {values.shape}")
        raise check.fail(NAME, shown, "texts are labels, one per row", "pass one column of them")
    texts = values.tolist()
    if any(isinstance(text, bytes) for text in texts):
        try:
            texts = [text.decode() if isinstance(text, bytes) else text for text in texts]
        except UnicodeDecodeError:
            allowed = "bytes must be texts in UTF-8"
            _refuse_type(column, "bytes", allowed, "decode them to texts")
    mask = np.array([not text.strip() for text in texts])
    if mask.any():
        refuse_cells(mask, texts[int(np.argmax(mask))], "are empty texts", column)
    forms = {text: composed(text) for text in set(texts)}
    try:
        "".join(forms).encode()
    except UnicodeEncodeError:
        _refuse_type(column, "text", "texts must be valid Unicode", "replace broken characters")
    checked = np.empty(len(texts), object)
    checked[:] = [forms[text] for text in texts]
    return checked


def _from_objects(values: np.ndarray, column: str | None) -> np.ndarray:
    """Return Python objects as one type, as PyArrow finds it; None, NaN and NA are missing."""
    import pyarrow

    flat = values.ravel()
    if all(isinstance(value, str) for value in flat):
        return _texts(values, column)
    try:
        array = pyarrow.array(flat, from_pandas=True)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        _refuse_objects(values, error, column)
    mask = array.is_null().to_numpy(zero_copy_only=False).reshape(values.shape)
    if mask.any():
        refuse_cells(mask, None, "are missing", column)
    checked = from_arrow(array, column)
    if values.ndim == 2 and (checked.ndim > 1 or checked.dtype.kind == "O"):
        _refuse_type(column, "objects", "rows of several dimensions must be numbers", _NUMBERS)
    return checked.reshape(values.shape) if values.ndim == 2 else checked


def _refuse_objects(values: np.ndarray, error: Exception, column: str | None) -> NoReturn:
    kinds = [type(value) for value in values.ravel()]
    other = next((index for index, kind in enumerate(kinds) if kind is not kinds[0]), None)
    if isinstance(error, OverflowError):
        allowed, remedy = "integers must fit into 64 bits", "pass texts as labels, or floats"
    elif isinstance(error, UnicodeEncodeError):
        allowed, remedy = "texts must be valid Unicode", "replace broken characters"
    elif other is None:
        allowed, remedy = f"it holds objects of type {kinds[0].__name__}", _NUMBERS
    else:
        first, second = kinds[0].__name__, kinds[other].__name__
        row = other // (values.size // len(values))
        allowed = f"it mixes {first} and {second}, the first {second} in row {row}"
        remedy = "convert all values to numbers, or all to texts"
    _refuse_type(column, "objects", allowed, remedy)


def from_arrow(values: Any, column: str | None, gap: str = "are missing") -> np.ndarray:
    """Return the values of a pyarrow array, see `check_values`.

    Args:
      values: a pyarrow.Array or pyarrow.ChunkedArray, [row].
      column: the name of the column, for messages.
      gap: what messages say of missing values.

    Raises:
      ArgumentError: for values without a meaning as numbers or labels, and for missing ones.
    """
    from pyarrow import types

    values = _decoded(values)
    kind = values.type
    if len(values) == 0:
        remedy = "pass data with at least one row"
        raise check.fail(NAME, check.Shown("table of 0 rows"), "it must not be empty", remedy)
    if values.null_count:
        mask = values.is_null().to_numpy(zero_copy_only=False)
        refuse_cells(mask, None, gap, column)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return check_values(values.to_numpy(zero_copy_only=False), column)
    if types.is_decimal(kind):
        numbers = check_values(values.cast("float64").to_numpy(), column)
        check_digits(numbers, values.to_pylist, column)
        return numbers
    if _is_text(kind):
        texts = np.empty(len(values), object)
        texts[:] = values.to_pylist()
        return _texts(texts, column)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _lists(values, column)
    if types.is_temporal(kind):
        _refuse_type(column, kind, "times and durations are no numbers", _TIMES)
    if types.is_struct(kind):
        remedy = "pass one field of it, e.g. after pyarrow.Table.flatten()"
        _refuse_type(column, kind, "it is nested", remedy)
    remedy = "convert it" if column is None else "choose another one, or convert it"
    _refuse_type(column, kind, "data must be numbers, labels or texts", remedy)


def _decoded(values: Any) -> Any:
    """Return an array in one piece, without dictionaries and runs."""
    import pyarrow
    import pyarrow.compute
    from pyarrow import types

    values = values.combine_chunks() if isinstance(values, pyarrow.ChunkedArray) else values
    if types.is_dictionary(values.type):
        known = values.dictionary
        views = {"string_view": "large_string", "binary_view": "large_binary"}
        kind = views.get(str(known.type))  # PyArrow does not choose from views
        values = (known.cast(kind) if kind else known).take(values.indices)
    elif types.is_run_end_encoded(values.type):
        values = pyarrow.compute.call_function("run_end_decode", [values])
    return values


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    tests = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    return any(getattr(types, f"is_{name}")(kind) for name in tests)


def _lists(values: Any, column: str | None) -> np.ndarray:
    """Return lists of numbers as rows, [row, dim]."""
    from pyarrow.compute import call_function

    lengths = call_function("list_value_length", [values]).to_numpy(zero_copy_only=False)
    other = lengths != lengths[0]
    if other.any():
        row = int(np.argmax(other))
        allowed = f"rows have unequal lengths: {lengths[0]} in row 0, {lengths[row]} in row {row}"
        _refuse_type(column, "lists", allowed, _NUMBERS)
    if lengths[0] == 0:
        _refuse_type(column, "lists", "its lists are empty", _NUMBERS)
    inner = call_function("list_flatten", [values])
    if inner.null_count:
        mask = inner.is_null().to_numpy(zero_copy_only=False).reshape(len(values), -1)
        refuse_cells(mask, None, "are missing", column)
    rows = from_arrow(inner, column)
    if rows.ndim > 1 or rows.dtype.kind == "O":
        _refuse_type(column, values.type, "its lists must hold numbers", _NUMBERS)
    return rows.reshape(len(values), -1)

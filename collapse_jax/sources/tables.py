"""Read rows or labels from an array, a file, or a table of another library.

Tables are recognised by their protocols, so that no library is imported for them:
`__arrow_c_stream__` (pandas, Polars, PyArrow, DuckDB), `__dataframe__`, `__arrow_array__`,
`__array__`.
"""

import os
import sys
from collections.abc import Iterable, Sequence, Sized
from typing import Any

import numpy as np

from collapse_jax.sources.columns import (
    NAME,
    Columns,
    check_values,
    composed,
    composed_names,
    from_arrow,
    of_fields,
)
from collapse_jax.sources.table_files import read_file
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

_MOST_NAMES = 8  # columns that a message lists
_COLUMN_PROTOCOLS = ("__arrow_c_stream__", "__arrow_c_array__", "__arrow_array__")
_REMEDIES = {  # by what an object can do
    "collect": "pass data.collect()",  # Polars, evaluated later
    "toarray": "pass data.toarray()",  # SciPy's sparse matrices
    "read": "pass the path of the file",
    "decode": "pass a path as a text, not as bytes",
    "keys": "pass one of its values, or pandas.DataFrame(data)",
}
_ARRAY = "pass integer labels [row], texts [row], or real rows [row] or [row, dim]"


def read(data: Any, column: str | Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the values of `data`, and the names of its states.

    Args:
      data: see `Empirical`.
      column: name of a column, or several names, one per dimension of rows.

    Returns:
      Integers or finite floats, [row] or [row, dim], or texts [row] with dtype object, and one
      name per state, or ().

    Raises:
      ArgumentError: if the data cannot be read, or have no such column.
    """
    if isinstance(data, (str, os.PathLike)):
        data = read_file(data, column)
    columns = data if isinstance(data, Columns) else _columns(data)
    if columns is not None:
        return _choose(columns, column)
    if column is not None:
        allowed = "only tables, arrays with fields, .npz, .csv, .tsv and .parquet have columns"
        raise check.fail("Empirical.column", column, allowed, _remedy(data, "leave column out"))
    if any(hasattr(data, protocol) for protocol in _COLUMN_PROTOCOLS):
        return _of_series(data, None), ()
    return check_values(_array(data)), ()


def _choose(columns: Columns, column: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return one column, or several columns as rows [row, dim], and the names of states."""
    names = [composed(name) for name in columns.names]
    if column is None:
        wanted = names if len(names) == 1 else []
    elif isinstance(column, str) or not isinstance(column, Iterable):
        wanted = [column]
    else:
        wanted = list(column)
    wanted = [composed(str(name)) for name in wanted]
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        shown = ", ".join(map(repr, names[:_MOST_NAMES])) or "none"
        shown += ", ..." if len(names) > _MOST_NAMES else ""
        remedy = "pass column=NAME, or several names for rows of several dimensions"
        value = unknown[0] if unknown else column
        raise check.fail("Empirical.column", value, f"the columns are {shown}", remedy)
    for name in wanted:
        if names.count(name) > 1:
            allowed = f"{names.count(name)} columns have this name"
            raise check.fail("Empirical.column", name, allowed, "rename the columns")
        if wanted.count(name) > 1:
            allowed = f"{name!r} is given twice, and equal columns have a singular covariance"
            raise check.fail("Empirical.column", wanted, allowed, "pass each column once")
    indices = [names.index(name) for name in wanted]
    if len(indices) == 1:
        states = columns.states(indices[0])
        return columns.get(indices[0]), composed_names(f"classes of {wanted[0]!r}", states)
    return _stack([columns.get(index) for index in indices], wanted), ()


def _stack(arrays: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    for name, array in zip(names, arrays, strict=True):
        if array.ndim != 1 or array.dtype.kind not in "iuf":
            allowed = "several columns must each hold one number per row"
            raise check.fail("Empirical.column", name, allowed, "leave it out")
        if len(array) != len(arrays[0]):
            allowed = f"it has {counted(len(array), 'row')}, {names[0]!r} has {len(arrays[0])}"
            raise check.fail("Empirical.column", name, allowed, "leave it out")
    return np.stack([array.astype(np.float64) for array in arrays], axis=1)


def _columns(data: Any) -> Columns | None:
    """Return the columns of a table, or None for data without columns."""
    if isinstance(data, np.ndarray):
        return of_fields(data)
    module = sys.modules.get("datasets")
    if module is not None and isinstance(data, module.Dataset):
        return _of_data_set(data)
    if module is not None and isinstance(data, (module.DatasetDict, module.IterableDatasetDict)):
        remedy = f"pass one of its splits, e.g. data[{sorted(data)[0]!r}]" if data else "add one"
        shown = check.Shown(f"{type(data).__name__} of {', '.join(data)}")
        raise check.fail(NAME, shown, "it must be a single data set", remedy)
    if module is not None and isinstance(data, module.IterableDataset):
        shown = check.Shown("IterableDataset")
        remedy = "load it without streaming=True"
        raise check.fail(NAME, shown, "rows must be in memory", remedy)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__dataframe__"):
        return _of_table(data)
    return None


def _of_data_set(data: Any) -> Columns:
    names = data.column_names

    def get(index: int) -> np.ndarray:
        table = data.select_columns([names[index]]).with_format("arrow")[:]
        return from_arrow(table.column(0), names[index])

    def states(index: int) -> tuple[str, ...]:
        return tuple(getattr(data.features[names[index]], "names", None) or ())

    return Columns(names, get, states)


def _of_table(data: Any) -> Columns | None:
    """Return the columns of a table by its protocol; None for one column without a name."""
    import pyarrow

    labels = getattr(data, "columns", None)
    if labels is not None and hasattr(data, "__getitem__") and not _is_arrow(data):
        labels = list(labels)  # a data frame: only the column that is asked for is converted
        names = [str(label) for label in labels]
        return Columns(names, lambda index: _of_series(data[labels[index]], names[index]))
    try:
        if hasattr(data, "__arrow_c_stream__"):
            chunks = pyarrow.chunked_array(data)
            if not pyarrow.types.is_struct(chunks.type):
                return None
            table = pyarrow.table(data)
        else:
            from pyarrow.interchange import from_dataframe

            table = from_dataframe(data)
    except Exception as error:  # another library's
        if hasattr(data, "__array__"):
            return None  # a column of a type that PyArrow has not
        raise _unreadable(data, error) from None
    return Columns(table.column_names, lambda i: from_arrow(table.column(i), table.column_names[i]))


def _is_arrow(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pyarrow"


def _of_series(series: Any, name: str | None) -> np.ndarray:
    """Return the values of one column of a data frame, by way of PyArrow where it can."""
    import pyarrow

    try:
        if hasattr(series, "__arrow_c_stream__"):
            values = pyarrow.chunked_array(series)
        else:
            values = pyarrow.array(series, from_pandas=True)
    except Exception:  # types that PyArrow has not, such as complex numbers and sparse ones
        return check_values(_array(series), name)
    return from_arrow(values, name)


def _array(data: Any) -> np.ndarray:
    """Return an array, of objects where NumPy would turn numbers into texts or lose digits."""
    if isinstance(data, np.ndarray):
        return data
    if isinstance(data, (list, tuple)):
        return _of_list(data)
    try:
        values = np.asarray(data)
    except Exception as error:  # another library's
        raise _unreadable(data, error) from None
    if values.dtype.kind in "US" and not hasattr(data, "__array__"):
        values = np.array(data, dtype=object)
    if values.ndim == 0 and values.dtype.kind == "O":
        otherwise = "pass list(data)" if isinstance(data, Iterable) else _ARRAY
        allowed = "it must be an array, a file or a table"
        raise check.fail(NAME, data, allowed, _remedy(data, otherwise))
    return values


def _of_list(data: Sequence[Any]) -> np.ndarray:
    is_text = len(data) > 0 and isinstance(data[0], (str, bytes, type(None)))
    if any(item is np.ma.masked for item in data):
        data, is_text = [None if item is np.ma.masked else item for item in data], True
    try:
        if is_text:
            return np.array(data, dtype=object)
        if any(isinstance(item, np.ma.MaskedArray) for item in data):
            return np.ma.array(data)
        values = np.asarray(data)
        loses_digits = values.dtype.kind == "f" and all(isinstance(item, int) for item in data)
        if values.dtype.kind in "US" or loses_digits:
            values = np.array(data, dtype=object)
    except ValueError:
        lengths = [len(item) if isinstance(item, Sized) else 1 for item in data]
        other = next((row for row, length in enumerate(lengths) if length != lengths[0]), 0)
        allowed = (
            f"rows have unequal lengths: {lengths[0]} in row 0, {lengths[other]} in row {other}"
        )
        shown = check.Shown(f"list of {counted(len(data), 'row')}")
        raise check.fail(
            NAME, shown, allowed if other else "rows must be numbers", _ARRAY
        ) from None
    except Exception as error:  # another library's
        raise _unreadable(data, error) from None
    return values


def _remedy(data: Any, otherwise: str) -> str:
    return next((text for name, text in _REMEDIES.items() if hasattr(data, name)), otherwise)


def _unreadable(data: Any, error: Exception) -> check.ArgumentError:
    lines = str(error).splitlines() or [type(error).__name__]
    shown = check.Shown(f"<{type(data).__name__}>")
    return check.fail(NAME, shown, f"it cannot be read ({lines[0].rstrip('.')[:120]})", _ARRAY)

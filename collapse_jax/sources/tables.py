"""Read an array of rows or labels from a file, a `datasets.Dataset` or a table."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.utils import check
from collapse_jax.utils.paths import user_path

FILES = (".npy", ".csv", ".parquet")
_NAME = "Empirical.data"


def read(data: Any, column: str | Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the values of `data`, and the names of its states.

    Args:
      data: see `Empirical`.
      column: name of a column, or several names, one per dimension of rows.

    Returns:
      An array with the type of the values, [row] or [row, dim], and one name per state, or ().

    Raises:
      ArgumentError: if the data cannot be read, or has no such column.
    """
    if isinstance(data, (str, Path)):
        data = _open(user_path(data, _NAME))
    names = _class_names(data, column)
    table = _as_table(data)
    if table is not None:
        return _values(table, column), names
    if column is not None:
        allowed = "only a .csv or .parquet file, a datasets.Dataset or a table has columns"
        raise check.fail("Empirical.column", column, allowed, "leave column out")
    try:
        return np.asarray(data), ()
    except ValueError:
        remedy = "pass integer labels [row], or real rows [row] or [row, dim]"
        raise check.fail(_NAME, data, "rows have unequal lengths", remedy) from None


def _open(path: Path) -> Any:
    if path.suffix not in FILES:
        remedy = f"end it in {', '.join(FILES)}, or use Empirical.words(Path(...)) for a text"
        raise check.fail(_NAME, str(path), "a file's name must show its format", remedy)
    remedy = f"pass the path of a {path.suffix} file with a row of data"
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        from pyarrow import csv, parquet

        if path.suffix == ".parquet":
            return parquet.read_table(path)
        table = csv.read_csv(path)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise check.fail(_NAME, str(path), reason, remedy) from None
    except (ValueError, EOFError) as error:
        reason = str(error).splitlines()[0].rstrip(".")[:120]
        raise check.fail(_NAME, str(path), f"it cannot be read ({reason})", remedy) from None
    if all(_is_number(name) for name in table.column_names):
        allowed = "its first line must name the columns, not be a row of numbers"
        raise check.fail(_NAME, str(path), allowed, "add a header line")
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_table(data: Any) -> Any:
    """Return the data as a pyarrow.Table, or None for data without columns."""
    if "pyarrow" not in sys.modules:
        return None
    import pyarrow

    if isinstance(data, pyarrow.Table):
        return data
    if _is_from(data, "pandas", "DataFrame"):
        return pyarrow.Table.from_pandas(data, preserve_index=False)
    if _is_from(data, "datasets", "Dataset"):
        return data.with_format("arrow")[:]
    if _is_from(data, "datasets", "DatasetDict"):
        remedy = f"pass one of its splits, e.g. data[{sorted(data)[0]!r}]"
        shown = check.Shown(f"DatasetDict of {', '.join(data)}")
        raise check.fail(_NAME, shown, "it must be a single data set", remedy)
    return None


def _is_from(data: Any, module: str, kind: str) -> bool:
    """Tell whether data has a type, without importing the module of the type."""
    known = getattr(sys.modules.get(module), kind, None)
    return known is not None and isinstance(data, known)


def _class_names(data: Any, column: Any) -> tuple[str, ...]:
    if not _is_from(data, "datasets", "Dataset") or not isinstance(column, str):
        return ()
    return tuple(getattr(data.features.get(column), "names", None) or ())


def _values(table: Any, column: str | Sequence[str] | None) -> np.ndarray:
    listed = table.column_names
    wanted = listed if column is None else [column] if isinstance(column, str) else list(column)
    unknown = [name for name in wanted if name not in listed]
    if unknown or not wanted or (column is None and len(listed) > 1):
        shown = ", ".join(map(repr, listed[:8])) + (", ..." if len(listed) > 8 else "")
        remedy = "pass column=NAME, or several names for rows of several dimensions"
        value = unknown[0] if unknown else column
        raise check.fail("Empirical.column", value, f"the columns are {shown}", remedy)
    if table.num_rows == 0:
        remedy = "pass data with at least one row"
        raise check.fail(_NAME, check.Shown("table of 0 rows"), "it must not be empty", remedy)
    arrays = [_column(table, name) for name in wanted]
    if len(arrays) == 1:
        return arrays[0]
    for name, array in zip(wanted, arrays, strict=True):
        if array.ndim != 1 or array.dtype.kind not in "iuf":
            allowed = "several columns must each hold one number per row"
            raise check.fail("Empirical.column", name, allowed, "leave it out")
    return np.stack([array.astype(np.float64) for array in arrays], axis=1)


def _column(table: Any, name: str) -> np.ndarray:
    from pyarrow import types

    values = table.column(name).combine_chunks()
    kind = values.type
    if values.null_count:
        row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
        remedy = "drop the rows without a value, or fill them"
        raise check.fail(f"{_NAME}[{row}] in column {name!r}", None, "it is missing", remedy)
    if types.is_integer(kind) or types.is_floating(kind):
        return values.to_numpy(zero_copy_only=False)
    if types.is_boolean(kind):
        return values.to_numpy(zero_copy_only=False).astype(np.int8)
    if types.is_decimal(kind):
        return values.cast("float64").to_numpy()
    if types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind):
        return np.array(values.to_pylist(), dtype=str)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return read(values.to_pylist(), None)[0]
    allowed = "a column must hold numbers, labels or text"
    raise check.fail(f"type of column {name!r}", check.Shown(kind), allowed, "choose another one")

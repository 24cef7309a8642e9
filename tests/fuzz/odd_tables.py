"""Random tables: written to files, damaged or not, and read back to the cells they were made of."""

import csv
import dataclasses
import io
import unicodedata
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

import collapse_jax as cj
from collapse_jax.sources import tables

SEPARATORS = (",", ";", "\t", "|")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "utf-16-le")
QUOTING = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)
GAPS = ("", "NA", "nan", " ", "null")
LETTERS = st.sampled_from([*"abcxyz019.,;|\t #\"'-+eENn\néß中", "\u00a0", "\u0300", "😀"])
CELLS = {
    "integers": st.integers(-3, 40).map(str),
    "labels": st.integers(-(2**70), 2**70).map(str),
    "codes": st.integers(0, 40).map("{:03d}".format),
    "numbers": st.floats(width=32).map(repr),
    "decimal commas": st.floats(-1e3, 1e3).map(lambda number: f"{number:,.3f}"),
    "words": st.text(LETTERS, min_size=1, max_size=6),
    "names": st.sampled_from(["red", "green", "blue", "true", "2020-01-01", "12:30", "0x1f", "x"]),
    "truth": st.sampled_from(["true", "false", "TRUE", "False"]),
}
NAMES = st.sampled_from(["x", "y", "word", "a b", "", "1", "2020", "#n", "é", 'q"', "p;q", " z "])


@dataclasses.dataclass(frozen=True)
class TextTable:
    """Cells by column, and how they are written."""

    names: list[str]
    columns: list[list[str]]
    separator: str
    quoting: int
    encoding: str
    end: str
    suffix: str
    column: str | None


@st.composite
def text_tables(draw):
    """Draw small tables of texts with their form as a file."""
    width, length = draw(st.integers(1, 4)), draw(st.integers(0, 6))
    columns = []
    for _ in range(width):
        cells = CELLS[draw(st.sampled_from(sorted(CELLS)))]
        if draw(st.integers(0, 4)) == 0:
            cells = cells | st.sampled_from(GAPS)
        columns.append(draw(st.lists(cells, min_size=length, max_size=length)))
    names = draw(st.lists(NAMES, min_size=width, max_size=width))
    column = draw(st.sampled_from([None, "z", *names]))
    return TextTable(
        names,
        columns,
        draw(st.sampled_from(SEPARATORS)),
        draw(st.sampled_from(QUOTING)),
        draw(st.sampled_from(ENCODINGS)),
        draw(st.sampled_from(("\n", "\r\n"))),
        draw(st.sampled_from((".csv", ".tsv", ".CSV"))),
        column,
    )


def write(table, folder):
    """Write a table as its form says; return the path, or None if the encoding cannot."""
    lines = io.StringIO(newline="")
    writer = csv.writer(
        lines, delimiter=table.separator, quoting=table.quoting, lineterminator=table.end
    )
    writer.writerow(table.names)
    writer.writerows(zip(*table.columns, strict=True))
    path = Path(folder, f"table{table.suffix}")
    try:
        path.write_bytes(lines.getvalue().encode(table.encoding))
    except UnicodeEncodeError:
        return None
    return path


def number(cell):
    """Return the number of a cell, or None."""
    bare = cell.strip().lower()
    if bare in ("true", "false"):
        return float(bare == "true")
    try:
        return float(int(bare, 16)) if bare.startswith("0x") else float(bare)
    except ValueError:
        return None


def message_of(make):
    """Call a function; return the message if it refuses its input, which is one line."""
    try:
        make()
    except cj.ArgumentError as error:
        found = str(error)
    else:
        return None
    assert "\n" not in found, found
    assert "; " in found, found
    return found


def composed(texts):
    """Return texts as names of states are: in Unicode's form NFC."""
    return [unicodedata.normalize("NFC", text) for text in texts]


def read(data, column):
    """Return the values of a column, or None if it is refused."""
    if message_of(lambda: cj.Empirical(data, column=column)) is not None:
        return None
    return tables.read(data, column)[0]


def check_text_table(table, folder):
    """Check that the cells come back as they are, or are refused; tell whether they did."""
    path = write(table, folder)
    if path is None:
        return False
    found = read(path, table.column)
    if found is None:
        return False
    bare = [name.strip() for name in table.names]
    wanted = bare[0] if table.column is None else table.column.strip()
    assert bare.count(wanted) == 1, f"one of several columns {wanted!r} was read"
    cells = table.columns[bare.index(wanted)]
    while len(bare) == 1 and not cells[-1].strip(" "):  # blank lines at the end are no rows
        cells = cells[:-1]
    assert not any(cell.strip() == "" for cell in cells), "an empty cell was read"
    if found.dtype.kind == "O":
        assert found.tolist() == composed(cells), f"{found.tolist()} is not {cells}"
    else:
        assert [float(value) for value in found] == [number(cell) for cell in cells], found
    return True


@st.composite
def typed_tables(draw):
    """Draw a column with a type, and a type of files that keep types."""
    values = st.one_of(
        st.lists(st.integers(-3, 2**20), min_size=1, max_size=5),
        st.lists(st.floats(width=32, allow_subnormal=False), min_size=1, max_size=5),
        st.lists(st.text(LETTERS, max_size=4), min_size=1, max_size=5),
        st.lists(st.booleans(), min_size=1, max_size=5),
    )
    drawn = draw(values)
    gaps = draw(st.lists(st.integers(0, 4), min_size=len(drawn), max_size=len(drawn)))
    has_gaps = draw(st.booleans())
    drawn = [
        None if has_gaps and gap == 0 else value for value, gap in zip(drawn, gaps, strict=True)
    ]
    return drawn, draw(st.sampled_from(("parquet", "npz", "npy", "arrow", "pandas", "list")))


def check_typed_table(case, folder):
    """Check that the values come back as they are, or are refused; tell whether they did."""
    import pandas
    import pyarrow
    from pyarrow import parquet

    values, form = case
    column = "x"
    if form in ("npy", "npz") and None in values:
        form = "parquet"
    path = Path(folder, f"table.{form}")
    if form == "parquet":
        parquet.write_table(pyarrow.table({"x": values}), path)
    elif form == "npz":
        np.savez(path, x=np.array(values))
    elif form == "npy":
        np.save(path, np.array(values))
        column = None
    elif form == "arrow":
        path = pyarrow.table({"x": values})
    elif form == "pandas":
        path = pandas.DataFrame({"x": values})
    else:
        path, column = values, None
    found = read(path, column)
    if found is None:
        return False
    assert None not in values, "a missing value was read"
    if isinstance(values[0], str):
        assert found.tolist() == composed(values), f"{found.tolist()} is not {values}"
        assert all(value.strip() for value in values), "an empty text was read"
    else:
        assert [float(value) for value in found] == [float(value) for value in values], found
    return True


@st.composite
def damaged_files(draw):
    """Draw a file of a known format, of which bytes are missing or changed."""
    ending = draw(st.sampled_from(("csv", "tsv", "csv.gz", "parquet", "npy", "npz")))
    content = draw(st.binary(max_size=40)) if draw(st.integers(0, 3)) == 0 else None
    changes = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))
    return ending, content, draw(st.lists(changes, max_size=3)), draw(st.floats(0, 1))


def check_damaged_file(case, folder):
    """Check that a damaged file is read or refused: nothing else happens."""
    import gzip

    import pyarrow
    from pyarrow import parquet

    ending, content, changes, share = case
    path = Path(folder, f"table.{ending}")
    if content is not None:
        path.write_bytes(content)
    elif ending == "parquet":
        parquet.write_table(pyarrow.table({"x": [1.5, 2.5], "y": ["a", "b"]}), path)
    elif ending == "npy":
        np.save(path, np.array([1.5, 2.5]))
    elif ending == "npz":
        np.savez(path, x=np.array([1.5, 2.5]), y=np.array(["a", "b"]))
    else:
        text = b"x,y\n1.5,a\n2.5,b\n"
        path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    damaged = bytearray(path.read_bytes())
    for at, byte in changes:
        if damaged:
            damaged[int(at * len(damaged))] = byte
    if not changes:
        damaged = damaged[: int(share * len(damaged))]
    path.write_bytes(damaged)
    return read(path, None if ending == "npy" else "x") is not None


OBJECTS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(width=32),
        st.complex_numbers(),
        st.text(max_size=3),
        st.binary(max_size=3),
        st.dates(),
        st.timedeltas(),
        st.decimals(),
        st.fractions(),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)


def check_objects(data, folder):
    """Check that nested lists of anything are read or refused."""
    return read(data, None) is not None

"""Odd files of tables: each is read exactly, or refused by one line that says what to do."""

import bz2
import codecs
import gzip
import pathlib
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.experiments.sources import make_labels
from collapse_jax.sources import tables

# name of the file: (its bytes, column, values or the message)
NAMED = {
    "plain.csv": (b"x,y\n1,a\n2,b\n", "x", [1, 2]),
    "texts.csv": (b"x,y\n1,a\n2,b\n", "y", ["a", "b"]),
    "UPPER.CSV": (b"x\n1.5\n2\n", None, [1.5, 2.0]),
    "tabs.tsv": (b"x\ty\n1\ta,b\n2\tc\n", "y", ["a,b", "c"]),
    "TABS.TSV": (b"x\ty\n1\t2\n", ("x", "y"), [[1.0, 2.0]]),
    "zipped.csv.gz": (gzip.compress(b"x\n1\n2\n"), None, [1, 2]),
    "ZIPPED.TSV.GZ": (gzip.compress(b"x\ty\n1\t2\n"), "y", [2]),
    "zipped.csv.bz2": (bz2.compress(b"x\n1\n2\n"), None, [1, 2]),
    "damaged.csv.gz": (gzip.compress(b"x\n1\n2\n" * 99)[:-20], None, r"damaged.csv.gz'"),
    "no.csv.gz": (b"x\n1\n", None, r"no.csv.gz'"),
    "secretly zipped.csv": (gzip.compress(b"x\n1\n"), None, "end its name in .csv.gz"),
    "sheet.xlsx": (b"PK", None, "name must show its format.*end it in .npy, .npz, .csv"),
    "table.xls.gz": (b"", None, "name must show its format"),
    "truths.csv": (b"x\ntrue\n1\nfalse\n0\n", "x", "the same value as 'true'"),
    "zeros.csv": (b"x\n01\n1\n001\n", "x", "the same value as '01'; write one form.*dtype=str"),
    "codes.csv": (b"zip\n01001\n90210\n01001\n", "zip", ["01001", "90210", "01001"]),
    "codes.tsv": (b"x\tcode\n1\t01\n2\t02\n", "code", ["01", "02"]),
    "quoted codes.csv": (b'"code"\n"007"\n"008"\n', None, ["007", "008"]),
    "codes after notes.csv": (b"# made in 2024\ncode\n01\n10\n", None, ["01", "10"]),
    "long codes.csv": (
        b"x\n00000000000000000000012\n98765432109876543210\n",
        None,
        ["00000000000000000000012", "98765432109876543210"],
    ),
    "negative codes.csv": (b"x\n-01\n12\n", None, ["-01", "12"]),
    "spaces before codes.csv": (b"x,y\n1, 01\n2,01\n", "y", "remove the spaces"),
    "no codes.csv": (b"x\n0\n1\n10\n", None, [0, 1, 10]),
    "zeros before points.csv": (b"x\n0.5\n00.25\n", None, [0.5, 0.25]),
    "zero times.csv": (b"x\n0\n-0\n", None, "the same value as '0'"),
    "hex.csv": (b"x\n0x10\n16\n", "x", "it is hexadecimal"),
    "capital truths.csv": (b"x\nTrue\ntrue\nFALSE\n", "x", [1, 1, 0]),
    "empty.csv": (b"", None, "it is empty"),
    "empty.tsv": (b"", None, "it is empty"),
    "blank.csv": (b"\r\n \r\n", None, "it is empty"),
    "notes.csv": (b"# nothing\n", None, "it is empty"),
    "mark.csv": (codecs.BOM_UTF8, None, "it is empty"),
    "empty.npy": (b"", None, "it is empty"),
    "empty.npz": (b"", None, r"empty.npz'.* cannot be read"),
    "empty.parquet": (b"", None, r"empty.parquet'.*cannot be read"),
    "text.npy": (b"1 2 3", None, r"text.npy'.*cannot be read"),
    "text.npz": (b"1 2 3", None, r"text.npz'.*cannot be read"),
    "text.parquet": (b"1 2 3", None, r"text.parquet'.*cannot be read"),
    "zip.npz": (b"PK\x03\x04" + bytes(40), None, r"zip.npz'.*cannot be read"),
    "header.npy": (b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8'}", None, r"header.npy'"),
    "huge.npy": (
        b"\x93NUMPY\x01\x00\x56\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }".ljust(85)
        + b"\n",
        None,
        r"huge.npy'.*cannot be read",
    ),
}

# name: (content, column, values or the message)
TEXTS = {
    "BOM": (codecs.BOM_UTF8 + b"x,y\n1,2\n", "x", [1]),
    "UTF-16": ("x,word\n1,née\n2,été\n".encode("utf-16"), "word", ["née", "été"]),
    "UTF-16 big-endian": (codecs.BOM_UTF16_BE + "x\n1\n".encode("utf-16-be"), None, [1]),
    "UTF-32": ("x\n1\n".encode("utf-32"), None, [1]),
    "UTF-16 without a mark": ("x\n1\n".encode("utf-16-le"), None, "zero bytes"),
    "UTF-16 cut off": (
        "x\n1\n".encode("utf-16")[:-1],
        None,
        "cannot be read as UTF-16.*points in numbers$",
    ),
    "Latin-1": (
        "word\nnée\nété\n".encode("latin-1"),
        None,
        r"UTF-8 \(line 2\).*encoding='latin-1'",
    ),
    "zero bytes": (b"x\n1\x00\n", None, "zero bytes"),
    "CRLF": (b"x,y\r\n1,a\r\n2,b\r\n", "y", ["a", "b"]),
    "CR": (b"x,y\r1,a\r2,b\r", "y", ["a", "b"]),
    "no end of line": (b"x,y\n1,2\n3,4", "y", [2, 4]),
    "one line": (b"x,y", "y", "table of 0 rows"),
    "blank lines at the end": (b"x,y\n1,2\n\n\r\n \n", "y", [2]),
    "blank lines at the end of a column": (b"x\n1\n2\n\n  \n\n", None, [1, 2]),
    "space at the end": (b"x,y\n1,a\n2,b ", "y", ["a", "b "]),
    "blank lines at the start": (b"\n\nx,y\n1,2\n", "y", [2]),
    "blank line of a table": (b"x,y\n1,2\n\n3,4\n", "y", [2, 4]),
    "blank line of one column": (b"x\n1\n\n3\n", None, r"data\[1\].*1 of 3 values are missing"),
    "semicolons": (b"x;word\n1;a\n2;b\n", "word", ["a", "b"]),
    "semicolons and commas": (b"x;word\n1;a, b\n2;c\n", "word", ["a, b", "c"]),
    "tabs": (b"x\tword\n1\ta\n", "word", ["a"]),
    "bars": (b"x|word\n1|a\n", "word", ["a"]),
    "sep=": (b"sep=;\nx;y\n1;2\n", "y", [2]),
    "two separators": (b"a,b;c\n1,5;2\n", None, "separator is unclear: lines have commas and semi"),
    "no line fits": (b"a,b;c\n1,5;2,5;1\n1\n", None, "separator is unclear"),
    "header of one name": (
        b"x\n1;2\n3;4\n",
        None,
        "header names 1 column.*2 cells with semicolons",
    ),
    "decimal comma without quotes": (b"x\n1,5\n2,5\n", None, "header names 1 column.*commas"),
    "spaces": (b"x y\n1 2\n3 4\n", None, "white space separates 2 numbers"),
    "words with spaces": (b"full name\nJane Doe\nJohn Roe\n", None, ["Jane Doe", "John Roe"]),
    "ragged": (b"x,y\n1,2\n3\n", "x", "Expected 2 columns, got 1"),
    "long line": (b"x,y\n1,2\n3,4,5\n", "x", "Expected 2 columns, got 3"),
    "quoted separators": (b'x,word\n1,"a,b"\n2,"c;d"\n', "word", ["a,b", "c;d"]),
    "quoted lines": (b'x,word\n1,"a\nb"\n2,c\n', "word", ["a\nb", "c"]),
    "quoted quotes": (b'x,word\n1,"say ""a"""\n', "word", ['say "a"']),
    "quoted numbers": (b'"x","y"\n"1","2"\n', "y", [2]),
    "inches": (b'size\n5"\n6"\n', None, ['5"', '6"']),
    "open quotes": (b'x\n"a\nb\n', None, "quotation mark does not enclose a cell"),
    "two open quotes": (b'x\n"a\nb\n"c\nd\n', None, "quotation mark.*line 4"),
    "space before quotes": (b'x,word\n1, "a"\n2, "b"\n', "word", "remove the spaces"),
    "spaces around names": (b"x , y\n1, 2\n3, 4\n", "y", [2, 4]),
    "spaces that split a label": (b"x,word\n1,a\n2, a\n", "word", r"data\[1\].*=' a'.*white space"),
    "odd space before a number": (b"x,y\n2.5,a\n\x0b.5,b\n", "x", r"data\[1\].*no plain number"),
    "no-break space": ("x\n1.5\n\u00a02.5\n".encode(), None, r"data\[1\].*no plain number"),
    "no header": (b"1.5\n2.5\n", None, "first line must name the columns"),
    "no header, numbers and texts": (b"1.5,a\n2.5,b\n", None, "'1.5' is a number; add a header"),
    "no header, texts wanted": (b"1.5,a\n2.5,b\n", "a", "'1.5' is a number; add a header"),
    "years among names": (b"land,2019\na,1.5\nb,2.5\n", "2019", [1.5, 2.5]),
    "quantiles as names": (b"land,0.5\na,1.5\nb,2.5\n", "0.5", [1.5, 2.5]),
    "25 digits": (
        b"x\n1000000000000000000000001\n1000000000000000000000002\n",
        None,
        "column 'x'=1000000000000000000000002 .*become equal in float64; subtract",
    ),
    "25 digits, one of them different": (
        b"x,y\n1000000000000000000000001,a\n1000000000000000000000002,b\n5,c\n",
        "x",
        "become equal in float64",
    ),
    "25 digits, all equal": (b"x\n1e24\n1000000000000000000000000\n", None, [1e24, 1e24]),
    "fractions that become one": (b"x\n1.00000000000000000001\n1.0\n", None, "become equal"),
    "no header of truth values": (b"true\nfalse\n", None, "first line must name the columns"),
    "no header, column": (b"1.5,2\n2.5,3\n", "x", "first line must name the columns"),
    "years": (b"2019,2020\n1,2\n", "2020", [2]),
    "no header of texts": (b"the\ncat\nthe\n", None, r"also one of the rows.*column='the'"),
    "header among texts": (b"word\na\nword\n", "word", ["a", "word"]),
    "duplicate names": (b"x,x\n1,2\n", "x", "column='x'.*2 columns have this name"),
    "other duplicate names": (b"x,x,y\n1,2,3\n", "y", [3]),
    "index of pandas": (b",x\n0,1.5\n1,2.5\n", "x", [1.5, 2.5]),
    "separator at the ends": (b"x,y,\n1,2,\n", "y", [2]),
    "unknown column": (b"x,y\n1,2\n", "z", "column='z'.*the columns are 'x', 'y'"),
    "no column": (b"x,y\n1,2\n", None, "column=None.*the columns are 'x', 'y'"),
    "empty list of columns": (b"x,y\n1,2\n", [], r"column=\[\].*the columns are"),
    "column twice": (b"x,y\n1,2\n", ["x", "y", "x"], r"column=\['x', 'y', 'x'\].*given twice"),
    "number of a column": (b"x,y\n1,2\n", 0, r"column='0'.*the columns are"),
    "header twice": (b"x\n1\n2\nx\n3\n", "x", r"data\[2\].*repeats the header"),
    "notes at the start": (b"# made in 2024\n#\nx,y\n1,2\n", "y", [2]),
    "notes before texts": (b"#n\nred\ngreen\n", None, "header may be the line with # or 'red'"),
    "name as a note": (b"#n\nred\ntrue\n", None, "header may be the line with # or 'red'"),
    "notes before numbers": (b"# made in 2024\nx\n1.5\n", None, [1.5]),
    "notes before a named column": (b"# 2024\nword\nred\n", "word", ["red"]),
    "header as a note": (b"# x,y\n1,2\n3,4\n", "y", "a comment or the header"),
    "notes among numbers": (b"x\n1\n# two\n2\n", None, r"data\[1\].*comment among numbers"),
    "notes in a table": (b"x,y\n1,2\n# two\n2,3\n", "x", "Expected 2 columns, got 1"),
    "hashtags": (b"tag\n#a\n#b\n", None, ["#a", "#b"]),
    "gap in numbers": (
        b"x,y\n1,2\n,3\n",
        "x",
        r"data\[1\] in column 'x'=None.*1 of 2.*first in row 1",
    ),
    "gaps in texts": (b"x,y\n1,\n2,b\n3,\n", "y", r"data\[0\].*2 of 3 values are missing.*fill"),
    "quoted gap in texts": (b'x,y\n1,""\n2,b\n', "y", r"data\[0\].*1 of 2 values are empty texts"),
    "spaces for a gap": (b"x,y\n1,  \n2,b\n", "y", r"data\[0\].*1 of 2"),
    "quoted gap in numbers": (b'x,y\n1,""\n2,5\n', "y", r"data\[0\].*1 of 2"),
    "NA in numbers": (b"x\n1\nNA\n2.5\n", None, r"data\[1\].*1 of 3 values are missing"),
    "quoted NA in numbers": (b'x\n"1"\n"NA"\n', None, r"data\[1\].*1 of 2 values are missing"),
    "NA in texts": (b"x,y\n1,NA\n2,b\n", "y", r"data\[0\].*1 of 2 values are missing"),
    "NA explained": (b"x,y\n1,NA\n2,b\n", "y", "empty, or NA without quotation marks"),
    "quoted NA in texts": (b'x,y\n1,"NA"\n2,b\n', "y", ["NA", "b"]),
    "nan": (b"x\n1.5\nnan\n", None, r"\[1\].*1 of 2 values are missing"),
    "inf": (b"x\n1.5\ninf\n-inf\n", None, r"\[1\].*=inf.*2 of 3 values are NaN or infinite"),
    "overflow": (
        b"x\n1.5\n1e400\n",
        None,
        r"\[1\] in column 'x'=1e400 .*1 of 2 values are beyond the range of float64.*divide all",
    ),
    "overflow next to infinity": (b"x\ninf\n-1E999\n", None, r"\[1\].*=-1E999.*1 of 2"),
    "400 digits": (b"x\n1\n" + b"9" * 400, None, r"\[1\].*=999.*1 of 2.*beyond the range"),
    "all empty": (b"x,y\n1,\n2,\n", "y", "2 of 2 values are missing"),
    "text among numbers": (
        b"x\n1.5\n-\n2.5\n",
        None,
        r"data\[1\] in column 'x'='-'.*mixes numbers",
    ),
    "slip among whole numbers": (
        b"x\n" + b"\n".join(b"%d" % one for one in range(100, 200)) + b"\nx17\n",
        None,
        r"data\[100\] in column 'x'='x17'.*nearly all other.*correct the cell",
    ),
    "slip among few numbers": (b"x\n1\n2\n-\n3\n4\n", None, r"data\[2\].*='-'.*nearly all"),
    "slips among labels": (
        b"x\n" + b"1\n2\n" * 40 + b"?\n?\n12%\n",
        None,
        r"data\[80\] in column 'x'='\?'.*nearly all other",
    ),
    "underscores": (b"x\n1_000\n2\n", None, r"data\[0\].*='1_000'.*not in digits 0 to 9"),
    "labels with underscores": (b"x\n1_1\n1_2\n", None, ["1_1", "1_2"]),
    "fullwidth digits": ("x\n1\n\uff12\n3\n".encode(), None, r"data\[1\].*digits 0 to 9"),
    "Arabic digits": ("x\n1\n2\n\u0663\n".encode(), None, r"data\[2\].*digits 0 to 9"),
    "Arabic digits alone": ("x\n\u0661\n\u0662\n".encode(), None, r"data\[0\].*digits 0 to 9"),
    "signs of minus": ("x\n1\n\u22122\n".encode(), None, r"data\[1\].*digits 0 to 9"),
    "labels with letters": (b"x\n1a\n2b\n3c\n4d\n5e\n", None, ["1a", "2b", "3c", "4d", "5e"]),
    "mixed codes": (b"x\n12\n12a\n14\n7b\n9\n", None, ["12", "12a", "14", "7b", "9"]),
    "codes with a letter": (
        b"x\n01001\n2\n3\n4\n5\n97X\n",
        None,
        ["01001", "2", "3", "4", "5", "97X"],
    ),
    "text among labels": (b"x\n1\n2a\n3\n", None, ["1", "2a", "3"]),
    "decimal commas": (b"x;y\n1,5;2\n2,5;3\n", "x", r"decimals or thousands.*decimal=','"),
    "thousands": (b'x\n"1,234"\n"2"\n', None, r"data\[0\].*'1,234'.*decimals or thousands"),
    "thousands with points": (b"x;y\n1.234,5;2\n", "x", "decimals or thousands"),
    "thousands with spaces": (b"x;y\n1 234;2\n5;6\n", "x", "decimals or thousands"),
    "dates": (b"day\n2020-01-01\n", None, "type of column 'day'.*times and durations"),
    "times": (b"x\n12:30\n", None, "times and durations are no numbers; convert"),
    "time stamps": (b"x\n2020-01-01T00:00:00Z\n", None, "times and durations"),
    "truth values": (b"x\ntrue\nFalse\nTRUE\n", None, [1, 0, 1]),
    "one row": (b"x\n7.5\n", None, [7.5]),
    "one label": (b"x\n3\n3\n", None, [3, 3]),
    "large labels": (b"x\n16777215\n0\n", None, [16777215, 0]),
    "too large labels": (b"x\n16777216\n", None, r"data=16777216.*labels must be in \[0, 2\^24\)"),
    "label that does not fit": (b"x\n12345678901234567890\n", None, [1.2345678901234567e19]),
    "negative labels": (b"x\n1\n-1\n", None, r"data=-1.*labels must be"),
    "numbers without zeros": (b"x\n.5\n1.\n+2e1\n", None, [0.5, 1.0, 20.0]),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_files(name, tmp_path, assert_outcome):
    content, column, expected = NAMED[name]
    (tmp_path / name).write_bytes(content)
    assert_outcome(tmp_path / name, column, expected)


@pytest.mark.parametrize("name", TEXTS)
def test_text_files(name, tmp_path, assert_outcome):
    content, column, expected = TEXTS[name]
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    assert_outcome(str(file), column, expected)


def save_parquet(path):
    import pyarrow
    from pyarrow import parquet

    columns = {
        "x": [1.5, 2.5],
        "a.b": [1, 2],
        "a": [{"b": 3}, {"b": 4}],
        "word": pyarrow.array(["b", "a"]).dictionary_encode(),
        "gap": ["b", None],
        "rows": [[1.0, 2.0], [3.0, 4.0]],
        "money": pyarrow.array([1, 2]).cast(pyarrow.decimal128(30, 2)),
    }
    parquet.write_table(pyarrow.table(columns), path)


PARQUET = {
    "x": [1.5, 2.5],
    "a.b": [1, 2],
    "a": "nested.*flatten",
    "word": ["b", "a"],
    "gap": r"data\[1\] in column 'gap'=None.*1 of 2",
    "rows": [[1.0, 2.0], [3.0, 4.0]],
    "money": [1.0, 2.0],
    "other": "the columns are 'x', 'a.b', 'a', 'word'",
}


@pytest.mark.parametrize("column", PARQUET)
def test_parquet(column, tmp_path, assert_outcome):
    folder = tmp_path / "x=1"  # no column of the table, as in a folder of parts
    folder.mkdir()
    save_parquet(folder / "table.parquet")
    assert_outcome(folder / "table.parquet", column, PARQUET[column])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["table.parquet", "rows.npy", "arrays.npz"])
def test_a_damaged_file(name, share, tmp_path, assert_outcome):
    file = tmp_path / name
    if name == "table.parquet":
        save_parquet(file)
    elif name == "rows.npy":
        np.save(file, np.arange(100.0))
    else:
        np.savez(file, x=np.arange(100.0))
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert_outcome(file, "x" if name != "rows.npy" else None, "cannot be read")


TABLE = np.array([(1.5, "b"), (2.5, "a")], [("x", float), ("word", "U3")])
OBJECTS = np.array([({},)], [("o", object)])
ARCHIVES = {
    "one": ({"x": [1.5, 2.5]}, None, [1.5, 2.5]),
    "several": ({"x": [1.5, 2.5], "y": [1, 2]}, None, "column=None.*the columns are 'x', 'y'"),
    "named": ({"x": [1.5, 2.5], "y": [1, 2]}, "y", [1, 2]),
    "stacked": ({"x": [1.5, 2.5], "y": [1, 2]}, ("y", "x"), [[1.0, 1.5], [2.0, 2.5]]),
    "lengths": ({"x": [1.5, 2.5], "y": [1]}, ("x", "y"), "'y'.*it has 1 row, 'x' has 2"),
    "unknown": ({"x": [1.5]}, "z", "column='z'.*the columns are 'x'"),
    "empty": ({}, None, "the columns are none"),
    "texts": ({"x": ["b", "a"]}, None, ["b", "a"]),
    "three axes": ({"x": np.zeros((2, 2, 2))}, None, r"column 'x'=array of shape \(2, 2, 2\)"),
    "pickled": ({"x": np.array([{}], object)}, None, "cannot be read.*Python objects"),
    "fields": ({"t": TABLE, "y": [1]}, None, "column=None.*the columns are 't:x', 't:word', 'y'"),
    "a field": ({"t": TABLE, "y": [1]}, "t:x", [1.5, 2.5]),
    "a field of texts": ({"t": TABLE}, "t:word", ["b", "a"]),
    "fields stacked": ({"t": TABLE, "y": [1, 2]}, ("y", "t:x"), [[1.0, 1.5], [2.0, 2.5]]),
    "no field": ({"t": TABLE}, "t", "column='t'.*the columns are 't:x', 't:word'"),
    "one field": ({"t": TABLE[["x"]]}, None, [1.5, 2.5]),
    "a field beyond Latin-1": (
        {"t": TABLE.astype([("身長", float), ("b", "U1")])},
        "t:身長",
        [1.5, 2.5],
    ),
    "next to objects": ({"t": TABLE, "o": np.array([{}], object)}, "t:x", [1.5, 2.5]),
    "objects in a field": ({"t": OBJECTS}, "t:o", "cannot be read.*Python objects"),
    "two of a name": ({"t": TABLE, "t:x": [1]}, "t:x", "2 columns have this name; rename"),
}


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name, tmp_path, assert_outcome):
    arrays, column, expected = ARCHIVES[name]
    np.savez(tmp_path / "arrays.npz", **arrays)
    assert_outcome(tmp_path / "arrays.npz", column, expected)


SAVED = {
    "rows": (np.array([[1.5, 2.0]]), [[1.5, 2.0]]),
    "Fortran": (np.asfortranarray([[1.5, 2.0], [3.0, 4.0]]), [[1.5, 2.0], [3.0, 4.0]]),
    "labels": (np.array([2, 0]), [2, 0]),
    "texts": (np.array(["b", "a"]), ["b", "a"]),
    "nothing": (np.zeros((0, 2)), r"array of shape \(0, 2\)"),
    "number": (np.array(1.5), r"array of shape \(\)"),
    "pickled": (np.array([{}], object), "cannot be read.*Python objects"),
    "times": (np.array(["2020-01-01"], "datetime64[D]"), "times and durations"),
    "fields": (np.zeros(2, [("x", float), ("y", int)]), "column=None.*the columns are 'x', 'y'"),
    "one field": (np.array([(2,), (3,)], [("x", int)]), [2, 3]),
}


@pytest.mark.parametrize("name", SAVED)
def test_saved_arrays(name, tmp_path, assert_outcome):
    values, expected = SAVED[name]
    np.save(tmp_path / "array.npy", values)
    assert_outcome(tmp_path / "array.npy", None, expected)


FIELDS = {
    "x": [1.5, 2.5],
    "word": ["b", "a"],
    "row": [[1.0, 2.0], [3.0, 4.0]],
    "day": "type of column 'day'.*times and durations",
    "z": "column='z'.*the columns are 'x', 'word', 'row', 'day'",
}


@pytest.mark.parametrize("column", FIELDS)
def test_fields_of_a_saved_array_are_columns(column, tmp_path, assert_outcome):
    kinds = [("x", float), ("word", "U3"), ("row", float, 2), ("day", "datetime64[D]")]
    rows = [(1.5, "b", (1, 2), "2020-01-01"), (2.5, "a", (3, 4), "2020-01-02")]
    np.save(tmp_path / "t.npy", np.array(rows, kinds))
    assert_outcome(tmp_path / "t.npy", column, FIELDS[column])


PATHS = {
    "": "must be a path, not empty",
    ".": "it is a folder, not a file; pass one file",
    "folder.csv": "it is a folder, not a file",
    "plain.csv/x.csv": "Not a directory",
    "missing.csv": "No such file",
    "missing.parquet": "No such file",
    "missing.npy": "No such file",
    "missing.npz": "No such file",
    "~nobody-of-this-name/x.csv": "~nobody-of-this-name is no home directory",
    "https://example.org/x.csv": "addresses are not read; download",
    "hf://datasets/x.parquet": "addresses are not read; download",
    "x\0.csv": "without null characters",
    "It was the best of times": "name must show its format.*Empirical.words",
    "x" * 5000: "File name too long",
    "x" * 5000 + ".csv": "File name too long",
    "plain": "name must show its format",
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: repr(path[:20]))
def test_paths(path, tmp_path, monkeypatch, assert_outcome):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "plain.csv").write_text("x\n1\n")
    assert_outcome(path, None, PATHS[path])
    if path and "://" not in path:
        assert_outcome(pathlib.Path(path), None, PATHS[path])


def test_the_home_directory(tmp_path, monkeypatch, assert_outcome):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.csv").write_text("x\n1\n")
    assert_outcome("~/x.csv", None, [1])
    assert_outcome(pathlib.Path("~/x.csv"), None, [1])
    assert make_labels("~/x.csv:x").num_rows == 1


def test_a_file_without_permission(tmp_path, monkeypatch, assert_outcome):
    import pyarrow

    def refuse(path, compression=None):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(pyarrow, "input_stream", refuse)
    (tmp_path / "x.csv").write_text("x\n1\n")
    assert_outcome(tmp_path / "x.csv", None, "Permission denied")


@pytest.mark.parametrize("length", [1, 2])
def test_lists_of_equal_length_are_rows(length, tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    rows = np.arange(3.0 * length).reshape(3, length)
    parquet.write_table(pa.table({"x": rows.tolist()}), tmp_path / "x.parquet")
    assert tables.read(tmp_path / "x.parquet", "x")[0].tolist() == rows.tolist()


def test_decimals_do_not_become_equal(tmp_path):
    import pyarrow as pa

    values = [Decimal(10**24 + k) for k in range(3)]
    with pytest.raises(cj.ArgumentError, match=r"column 'x'=.*become equal in float64"):
        tables.read(pa.table({"x": pa.array(values)}), "x")
    assert len(tables.read(pa.table({"x": pa.array(values[:1])}), "x")[0]) == 1


def test_a_long_table_keeps_its_types(tmp_path, assert_outcome):
    rows = ["x,y", *(f"{index},{index}" for index in range(5000)), "0.5,a"]
    (tmp_path / "long.csv").write_text("\n".join(rows))
    assert tables.read(tmp_path / "long.csv", "x")[0].tolist() == [*range(5000), 0.5]
    with pytest.raises(cj.ArgumentError, match=r"data\[5000\] in column 'y'='a'.*nearly all"):
        tables.read(tmp_path / "long.csv", "y")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_the_head_of_a_long_table_may_end_within_a_row(end, tmp_path):
    rows = ["x;é", *(f"{index};{'é' * 50}" for index in range(3000))]
    (tmp_path / "long.csv").write_bytes(end.join(rows).encode())
    assert tables.read(tmp_path / "long.csv", "x")[0].tolist() == [*range(3000)]


def test_a_cell_may_be_long(tmp_path):
    (tmp_path / "long.csv").write_text("x,y\n" + "a" * 10**6 + ",1\nb,2\n")
    assert tables.read(tmp_path / "long.csv", "y")[0].tolist() == [1, 2]


def test_files_need_no_data_frames(tmp_path):
    (tmp_path / "x.csv").write_text("x,y\n1,a\n")
    code = (
        f"import sys; sys.path.insert(0, {str(pathlib.Path(cj.__file__).parents[1])!r});"
        "import collapse_jax as cj; cj.Empirical('x.csv', column='y'); cj.Empirical(['a', 'b']);"
        "print(*{'pandas', 'polars', 'datasets'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""

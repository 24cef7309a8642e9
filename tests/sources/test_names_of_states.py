"""Names of states: however Unicode writes a letter, one name is one state."""

import gzip
import unicodedata

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.experiments.sources import make_labels

CAFE = "caf\u00e9"
TWO = unicodedata.normalize("NFD", CAFE)  # the accent is a character of its own
TEXTS = [CAFE, TWO, "bar", TWO]


def parquet(path):
    import pyarrow
    from pyarrow import parquet

    column = pyarrow.array(TEXTS).dictionary_encode()
    parquet.write_table(pyarrow.table({"x": column}), path / "t.parquet")
    return path / "t.parquet"


def saved(path, name, **arrays):
    np.savez(path / name, **arrays)
    return path / name


def written(path, name, content):
    (path / name).write_bytes(content)
    return path / name


def pandas_column(kind):
    import pandas

    return pandas.DataFrame({"x": pandas.Series(TEXTS, dtype=kind)})


def polars_column():
    polars = pytest.importorskip("polars")
    return polars.DataFrame({"x": TEXTS})


CSV = "\n".join(["x", *TEXTS]).encode()
TABLES = {
    "list": lambda path: TEXTS,
    "array": lambda path: np.array(TEXTS),
    "objects": lambda path: np.array(TEXTS, object),
    "variable texts": lambda path: np.array(TEXTS, np.dtypes.StringDType()),
    "bytes": lambda path: [text.encode() for text in TEXTS],
    "masked": lambda path: np.ma.array(TEXTS),
    "fields": lambda path: np.array([(text,) for text in TEXTS], [("x", "U9")]),
    "csv": lambda path: written(path, "t.csv", CSV),
    "csv.gz": lambda path: written(path, "t.csv.gz", gzip.compress(CSV)),
    "UTF-16": lambda path: written(path, "t.csv", CSV.decode().encode("utf-16")),
    "npz": lambda path: saved(path, "t.npz", x=np.array(TEXTS)),
    "parquet": parquet,
    "pandas": lambda path: pandas_column(object),
    "pandas texts": lambda path: pandas_column("string"),
    "pandas categories": lambda path: pandas_column("category"),
    "polars": lambda path: polars_column(),
}


@pytest.mark.parametrize("form", TABLES)
def test_texts_that_look_alike_are_one_state(form, tmp_path):
    source = cj.Empirical(TABLES[form](tmp_path))
    assert source.names == (CAFE, "bar")
    assert source.counts.tolist() == [3, 1]


@pytest.mark.parametrize("name", [CAFE, TWO], ids=["composed", "decomposed"])
def test_given_names_are_composed(name):
    assert cj.Empirical([0, 1], names=[name, "bar"]).names == (CAFE, "bar")
    assert cj.Empirical([0, 1], names=np.array([name, "bar"])).names == (CAFE, "bar")


def test_two_names_that_look_alike_are_refused():
    with pytest.raises(cj.ArgumentError, match=r"Empirical.names='café'.*two states.*another name"):
        cj.Empirical([0, 1], names=[CAFE, TWO])


def test_a_name_of_two_states_is_refused():
    with pytest.raises(cj.ArgumentError, match=r"Empirical.names='a'.*two states have this name;"):
        cj.Empirical([0, 1], names=["a", "a"])


def test_names_of_classes_are_composed():
    import datasets

    def data(*names):
        features = datasets.Features({"x": datasets.ClassLabel(names=list(names))})
        return datasets.Dataset.from_dict({"x": [0, 1, 1]}, features=features)

    assert cj.Empirical(data(TWO, "bar"), column="x").names == (CAFE, "bar")
    with pytest.raises(cj.ArgumentError, match=r"classes of 'x'='café'.*two states"):
        cj.Empirical(data(TWO, CAFE), column="x")


@pytest.mark.parametrize("stored", [CAFE, TWO], ids=["composed", "decomposed"])
@pytest.mark.parametrize("asked", [CAFE, TWO], ids=["as composed", "as decomposed"])
def test_columns_are_found_in_either_form(stored, asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "t.csv", f"{stored},y\n3,1\n4,2\n".encode())
    assert np.flatnonzero(make_labels(f"t.csv:{asked}").counts).tolist() == [3, 4]
    assert cj.Empirical(saved(tmp_path, "t.npz", **{stored: [1.5]}), column=asked).num_rows == 1


def test_two_columns_that_look_alike_are_refused(tmp_path):
    path = written(tmp_path, "t.csv", f"{CAFE},{TWO}\n3,1\n".encode())
    with pytest.raises(cj.ArgumentError, match="2 columns have this name"):
        cj.Empirical(path, column=CAFE)


def test_a_header_that_looks_like_a_row_is_refused(tmp_path):
    path = written(tmp_path, "t.csv", f"{TWO}\n{CAFE}\nbar\n".encode())
    with pytest.raises(cj.ArgumentError, match="also one of the rows"):
        cj.Empirical(path)

"""Finite data from files and tables: the same rows whatever they come in."""

import numpy as np
import pytest

import collapse_jax as cj

ROWS = np.array([[1.5, -2.0], [0.25, 4.0], [3.0, 0.5], [-1.0, 2.5]])
LABELS = np.array([2, 0, 2, 1])
WORDS = ["b", "a", "c", "b"]


@pytest.fixture
def files(tmp_path):
    import pandas as pd

    table = pd.DataFrame({"x": ROWS[:, 0], "y": ROWS[:, 1], "label": LABELS, "word": WORDS})
    table.to_csv(tmp_path / "table.csv", index=False)
    table.to_parquet(tmp_path / "table.parquet", index=False)
    np.save(tmp_path / "rows.npy", ROWS)
    np.save(tmp_path / "labels.npy", LABELS)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("x,y\n")
    (tmp_path / "numbers.csv").write_text("1.5\n2.5\n")
    (tmp_path / "gap.csv").write_text("x,y\n1,2\n,3\n")
    (tmp_path / "nan.csv").write_text("x\n1.5\nnan\n")
    (tmp_path / "date.csv").write_text("day\n2020-01-01\n")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "broken.parquet").write_bytes(b"not parquet")
    (tmp_path / "rows.txt").write_text("1 2 3")
    np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
    return tmp_path


def tables(path):
    import datasets
    import pandas as pd
    import pyarrow.parquet

    frame = pd.read_csv(path / "table.csv")
    return {
        "csv": path / "table.csv",
        "parquet": str(path / "table.parquet"),
        "pandas": frame,
        "pyarrow": pyarrow.parquet.read_table(path / "table.parquet"),
        "datasets": datasets.Dataset.from_pandas(frame),
    }


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas", "pyarrow", "datasets"])
def test_columns(kind, files):
    data = tables(files)[kind]
    one = cj.Empirical(data, column="x")
    np.testing.assert_array_equal(one.rows, cj.Empirical(ROWS[:, 0]).rows)
    both = cj.Empirical(data, column=("y", "x"))
    np.testing.assert_array_equal(both.rows, cj.Empirical(ROWS[:, ::-1]).rows)
    labels = cj.Empirical(data, column="label")
    assert labels.counts.tolist() == [1, 1, 2]
    words = cj.Empirical(data, column="word")
    assert (words.names, words.counts.tolist()) == (("b", "a", "c"), [2, 1, 1])
    for column in (None, "z"):
        with pytest.raises(ValueError, match=r"Empirical.column.*the columns are 'x', 'y'"):
            cj.Empirical(data, column=column)
    with pytest.raises(ValueError, match=r"'word'.*one number per row"):
        cj.Empirical(data, column=("x", "word"))


def test_arrays_from_files(files):
    np.testing.assert_array_equal(cj.Empirical(files / "rows.npy").rows, cj.Empirical(ROWS).rows)
    assert cj.Empirical(str(files / "labels.npy")).counts.tolist() == [1, 1, 2]


def test_a_data_set_keeps_its_order_of_rows_and_names_of_classes():
    import datasets

    features = datasets.Features({"label": datasets.ClassLabel(names=["cat", "dog", "owl"])})
    data = datasets.Dataset.from_dict({"label": [2, 0, 2, 1]}, features=features)
    source = cj.Empirical(data.select([0, 1, 2]), column="label")
    assert (source.names, source.counts.tolist()) == (("cat", "dog", "owl"), [1, 0, 2])
    assert cj.Empirical(data).counts.tolist() == [1, 1, 2]
    with pytest.raises(ValueError, match=r"DatasetDict of train.*data\['train'\]"):
        cj.Empirical(datasets.DatasetDict({"train": data}), column="label")


def test_a_list_of_texts_and_a_column_of_lists():
    import pyarrow

    source = cj.Empirical(["x", "y", "x"])
    assert (source.names, source.counts.tolist()) == (("x", "y"), [2, 1])
    table = pyarrow.table({"v": ROWS.tolist()})
    np.testing.assert_array_equal(cj.Empirical(table).rows, cj.Empirical(ROWS).rows)


WRONG = {
    "missing.csv": (None, "No such file"),
    "empty.csv": (None, "cannot be read .*[Ee]mpty"),
    "header.csv": ("x", "header.csv'.*no rows|table of 0 rows"),
    "numbers.csv": (None, "first line must name the columns"),
    "gap.csv": ("x", r"data\[1\] in column 'x'=None"),
    "nan.csv": ("x", r"\[1\]=nan|\[1\] in column 'x'"),
    "date.csv": ("day", "type of column 'day'"),
    "empty.npy": (None, "cannot be read"),
    "objects.npy": (None, "cannot be read"),
    "rows.npy": ("x", "Empirical.column='x'"),
    "broken.parquet": ("x", "cannot be read"),
    "rows.txt": (None, "name must show its format"),
    "table.csv": ("colour", "column='colour'"),
    "table.parquet": (("x", "label", "z"), "column='z'"),
    ".": (None, "it is a folder, not a file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_files_get_one_line(name, files):
    column, expected = WRONG[name]
    with pytest.raises(ValueError, match=expected) as caught:
        cj.Empirical(files / name, column=column)
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message

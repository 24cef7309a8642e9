"""Files and columns as typed after --source: read, or refused with the true reason."""

import gzip

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.experiments.sources import make_labels, make_rows

KNOWN = {"normal": cj.Normal(0.0, 1.0)}
SOURCES = {
    "t.csv:x": [1, 2],
    "T.CSV.GZ:x": [1, 2],
    "t.csv:time:utc": [3, 4],
    "t.npz:x": [1, 2],
    "t.npz:t:y": [3, 4],
    "t.npz:t": "source: column='t'.*the columns are 'x', 't:y'; name one as FILE:COLUMN",
    "one.csv": [5],
    "odd:name.csv": [6],
    "t.csv": "source: column=None.*the columns are 'x', 'time:utc', 'word'",
    "t.csv:": "source: column=''.*the columns are",
    "t.csv:x,x": r"source: column=\['x', 'x'\].*'x' is given twice",
    "t.csv:z": "source: column='z'.*the columns are",
    "none.csv:x": "No such file",
    "https://example.org/t.csv:x": "addresses are not read",
    "none.csv": r"data='none.csv' is not allowed: No such file or directory; pass the path",
    "t.txt": r"source='t.txt'.*: \.txt files are not read, only \.npy,.*; save the table as \.csv",
    "t.txt:x": r"source='t.txt:x'.*: \.txt files are not read, only \.npy",
    "none.xlsx:x": r"source='none.xlsx:x'.*: \.xlsx files are not read, only.*\.parquet files",
    "odd:name.xlsx:x:y": r"\.xlsx files are not read",
    "t.parquet.gz:x": r"\.parquet\.gz files are not read.*also with \.gz",
    "plain:x": "its name shows no format, only",
    "folder": "source='folder'.*: folder is a folder, not a file; name a file in it",
    "folder:x": "source='folder:x'.*: folder is a folder, not a file",
    "folder.csv:x": "data='folder.csv'.*it is a folder, not a file",
    "~:x": "is a folder, not a file",
    "hf://datasets/x.json:x": "addresses are not read; download",
    "none": "source='none'.*it must be",
    "none:x": "source='none:x'.*it must be",
    "zipf:1.5": "source='zipf:1.5'.*(K, the number of states|numbers are needed)",
    "zipf:²": "source='zipf:²'.*(K, the number of states|numbers are needed)",
    f"zipf:{'9' * 5000}": "(K, the number of states|numbers are needed)",
    "zipf:1": "source='zipf:1'.*(K, the number of states|numbers are needed)",
    "": "source=''.*it must be",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = b"x,time:utc,word\n1,3,a\n2,4,b\n"
    (tmp_path / "t.csv").write_bytes(content)
    (tmp_path / "T.CSV.GZ").write_bytes(gzip.compress(content))
    (tmp_path / "t.txt").write_bytes(content)
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "one.csv").write_text("x\n5\n")
    (tmp_path / "odd:name.csv").write_text("x\n6\n")
    (tmp_path / "large.csv").write_text("stamp\n1700000000\n1700000003\n")
    np.savez(tmp_path / "t.npz", x=[1, 2], t=np.array([(3,), (4,)], [("y", int)]))


@pytest.mark.parametrize("name", SOURCES, ids=lambda name: name[:20])
def test_sources_by_name(name, folder):
    expected = SOURCES[name]
    if isinstance(expected, list):
        labels = make_labels(name)
        np.testing.assert_array_equal(np.flatnonzero(labels.counts), expected)
        assert make_rows(name, KNOWN, 1).row_dim == 1
        return
    for make in (make_labels, lambda name: make_rows(name, KNOWN, 1)):
        with pytest.raises(cj.ArgumentError, match=expected) as caught:
            make(name)
        assert "\n" not in str(caught.value)


def test_a_text_is_named_where_labels_are_needed(folder):
    with pytest.raises(cj.ArgumentError, match=r"pass text:t\.txt for the words of a text"):
        make_labels("t.txt:x")
    with pytest.raises(cj.ArgumentError, match=r"save the table as \.csv$"):
        make_rows("t.txt:x", KNOWN, 1)


def test_texts_are_no_rows(folder):
    assert make_labels("t.csv:word").names == ("a", "b")
    with pytest.raises(cj.ArgumentError, match=r"'t.csv:word'.*texts such as 'a'; name a column"):
        make_rows("t.csv:word", KNOWN, 1)


def test_codes_are_labels_and_no_rows(folder, tmp_path):
    (tmp_path / "codes.csv").write_text("zip,x\n01001,1\n90210,2\n")
    assert make_labels("codes.csv:zip").names == ("01001", "90210")
    with pytest.raises(cj.ArgumentError, match="begin with 0 are labels; write them without zeros"):
        make_rows("codes.csv:zip", KNOWN, 1)


def test_large_integers_are_rows_but_no_labels(folder):
    assert make_rows("large.csv:stamp", KNOWN, 1).num_rows == 2
    with pytest.raises(cj.ArgumentError, match=r"data=1700000003.*2\^24.*, or texts"):
        make_labels("large.csv:stamp")


@pytest.mark.parametrize("source", ["t.csv:z", "t.csv", "none.csv", "t.csv:", "large.csv:stamp"])
def test_the_command_line_prints_one_line(source, folder, capsys, tmp_path):
    before = sorted(tmp_path.iterdir())
    assert main(["run", "discrete", "--source", source, "--out", "run"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert "is not allowed" in error
    assert sorted(tmp_path.iterdir()) == before

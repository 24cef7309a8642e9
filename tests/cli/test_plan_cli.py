"""`collapse plan` answers on the terminal, in a page and as JSON, and refuses in one line."""

import json

import pytest

from collapse_jax.cli import main

QUESTION = ["plan", "gaussian", "--rows", "100", "--generations", "20", "--probability", "0"]


def test_the_answer_comes_first(tmp_path, capsys):
    out = tmp_path / "plan"
    assert main([*QUESTION, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    answer = printed.out.splitlines()[0]
    assert answer == "policy.gamma = 0.1 is enough, and 0.09 is not."
    assert f"<h1>{answer}</h1>" in (out / "report.html").read_text()
    found = json.loads((out / "report.json").read_text())
    assert (found["bracket"], found["is_exact"]) == ([0.09, 0.1], True)
    assert found["command"] == " ".join(["collapse", *QUESTION, "--out", str(out)])
    assert main([*QUESTION, "--out", str(out), "--quiet"]) == 0
    again = capsys.readouterr()
    assert again.out == printed.out
    assert again.err == ""


def test_prices_find_the_cheapest_size(tmp_path, capsys):
    prices = ["--price-original", "1", "--price-synthetic", "0.01", "--sizes", "50,100,200"]
    out = tmp_path / "plan"
    assert main([*QUESTION, *prices, "--out", str(out), "--quiet"]) == 0
    assert "Cheapest of 3 sizes: corpora of 50 rows with policy.gamma = " in capsys.readouterr().out
    found = json.loads((out / "report.json").read_text())
    assert [one["size"] for one in found["offers"]] == [50, 100, 200]
    assert found["cheapest"] == found["offers"][0]
    assert "Cost by size of the corpora" in (out / "report.html").read_text()


def test_a_share_that_does_not_exist_has_exit_code_1(tmp_path, capsys):
    arguments = [*QUESTION, "--at-least", "0.999", "--out", str(tmp_path / "plan"), "--quiet"]
    assert main(arguments) == 1
    assert capsys.readouterr().out.startswith("No value of policy.gamma is known to be enough: ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["plan", "wrods"], "did you mean words?"),
        (["plan", "words", "--keep", "rare:x"], "--keep='rare:x'"),
        (["plan", "words", "--keep", "nosuchword"], "rare[0]='nosuchword'"),
        (["plan", "gaussian", "--rows", "1"], "Gaussian needs 2 rows"),
        (["plan", "gaussian", "--dim", "0"], "--dim=0"),
        (["plan", "gaussian", "--rows", "0"], "--rows=0"),
        (["plan", "gaussian", "--rows", "1e20"], "--rows=1"),
        (["plan", "gaussian", "--at-least", "nan"], "it must be a finite number;"),
        (["plan", "gaussian", "--max-chains", "-1"], "--max-chains=-1"),
        (["plan", "zipf", "--states", "1"], "--states=1"),
        (["plan", "zipf", "--exponent", "-1"], "--exponent=-1"),
        (["plan", "table"], "--source=''"),
        (["plan", "table", "--source", "nofile.csv:a"], "nofile.csv"),
        (["plan", "gaussian", "--probability", "1"], "probability=1.0"),
        (["plan", "gaussian", "--price-original", "-1"], "--price-original=-1.0"),
        (["plan", "gaussian", "--price-original", "1", "--sizes", "a"], "--sizes='a'"),
        (["plan", "gaussian", "--sizes", "100"], "--sizes='100'"),
    ],
)
def test_bad_input_is_one_line(arguments, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert expected in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert list(tmp_path.iterdir()) == []


def test_topics_are_listed(capsys):
    assert main(["plan", "--help"]) == 0
    assert "collapse plan zipf" in capsys.readouterr().out

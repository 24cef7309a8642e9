"""Points that fail and chains that all stop: what a study says of them."""

import dataclasses
import importlib

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.experiments import EXPERIMENTS

GRIDS = {
    name: {}
    for name in (
        "growing",
        "weighting",
        "mad",
        "regimes",
        "one-shot",
        "human-share",
        "detector",
        "rates",
        "ecosystem",
    )
}
GRIDS["selection"] = {"candidates": (1, 2, 4)}
GRIDS |= {
    "kernel-density": {"bandwidths": (0.1, 0.2, 0.5)},
    "keep-gaussian": {"num_samples": (30, 40)},
    "keep-words": {"source": "zipf:9", "num_samples": (30, 40)},
}


def failing(simulate, number=2):
    """Return `simulate` with the first points refused."""
    calls = []

    def fake(chain, *, store=None, **arguments):
        calls.append(chain)
        if len(calls) <= number:
            raise ValueError("no memory")
        return simulate(chain, **arguments)

    return fake


@pytest.fixture
def two_fail(without_simulation, stand_in, monkeypatch):
    """Let the first two points of a grid fail."""
    module = importlib.import_module("collapse_jax.engine.sweep")
    monkeypatch.setattr(module, "simulate", failing(stand_in))


@pytest.mark.parametrize("name", GRIDS)
def test_a_study_with_failed_points_tests_nothing(name, two_fail):
    kind = EXPERIMENTS[name]
    with pytest.warns(RuntimeWarning, match="2 points of the grid failed"):
        records = dataclasses.replace(kind.at_scale("smoke"), **GRIDS[name]).run(0, False)
    summary = kind.summarize(records)
    total = np.prod([len(values) for values in records.config["axes"].values()])
    reasons = {one.words for one in summary.statements}
    assert reasons <= {f"not tested (2 of {total} points failed)"}
    assert bool(reasons) == (name != "keep-words")
    if name.startswith("keep"):
        sentences = " ".join(summary.sentences)
        assert "M = 30: the share" in sentences or "is not known: " in sentences
        assert summary.table[1][1] == "nan"
    kind.figures(records)


def test_a_command_names_failed_points_and_how_to_run_them_again(
    two_fail, stand_in, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "run"
    command = ["run", "growing", "--num-chains", "10", "--quiet", "--out", str(out)]
    assert main(command) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "failed: policy.num_samples=[100, 100, ..., 100]: ValueError: no memory",
        "failed: policy.num_samples=[100, 200, ..., 30100]: ValueError: no memory",
        f"collapse: run `collapse resume {out}` to run only these points",
    ]
    assert (out / "report.html").read_text().count("Failed: ") == 2
    module = importlib.import_module("collapse_jax.engine.sweep")
    monkeypatch.setattr(module, "simulate", failing(stand_in, 0))
    assert main(["resume", str(out), "--quiet"]) == 0
    assert "Failed: " not in (out / "report.html").read_text()


def test_a_reproduction_with_failed_points_is_not_complete(
    two_fail, stand_in, tmp_path, capsys, monkeypatch
):
    command = ["reproduce", "--only", "growing,weighting", "--scale", "smoke", "--quiet"]
    command += ["--out", str(tmp_path)]
    assert main(command) == 1
    said = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("failed: policy.num_samples=") for line in said) == 2
    assert "collapse: repeat the command to run only these points" in said
    page = (tmp_path / "report.html").read_text()
    assert "Not complete: growing (2 points failed). Repeat the command without --over" in page
    assert page.count("<br>not complete: 2 points failed</td>") == 1

    module = importlib.import_module("collapse_jax.engine.sweep")
    monkeypatch.setattr(module, "simulate", failing(stand_in, 0))
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "growing: already complete" not in said
    assert "weighting: already complete" in said
    assert "ot complete:" not in (tmp_path / "report.html").read_text()


def test_the_smallest_error_is_one_that_was_seen():
    """All chains of a weight may stop: NaN is no minimum."""
    settings = {"num_chains": 300, "num_generations": 5, "num_samples": 2, "num_original": 1}
    kind = EXPERIMENTS["weighting"]
    records = kind(**settings, num_weights=2).run(0, False)
    assert np.isnan(records["squared_error_mean"][-1, 1])
    text = " ".join(kind.summarize(records).sentences)
    assert "The smallest error was seen at weight 0.2;" in text
    records.variables["squared_error_mean"][-1] = np.nan
    assert "No error was seen, for no chain is left;" in " ".join(kind.summarize(records).sentences)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"first_size": 10**8, "num_generations": 300},
            "first_size=100000000 is not allowed: with num_generations=300 the last corpus would "
            "have 522,215,482,344 rows, more than 2,147,483,647; pass first_size=411225 at most",
        ),
        ({"first_size": 2, "num_generations": 2**21}, "pass a smaller num_generations"),
    ],
)
def test_schedules_that_no_corpus_can_have_are_refused_before_the_run(settings, words):
    with pytest.raises(cj.ArgumentError) as caught:
        EXPERIMENTS["growing"](**settings).run(0, False)
    assert words in str(caught.value)


def test_the_largest_first_size_that_is_named_suffices(without_simulation):
    kind = EXPERIMENTS["growing"]
    kind(first_size=411_225, num_generations=300, num_chains=2).run(0, False)


def test_small_errors_keep_their_digits(without_simulation):
    kind = EXPERIMENTS["growing"]
    records = kind(first_size=10**6, num_generations=2, num_chains=10).run(0, False)
    records.variables["wasserstein2_squared_mean"][-1] = 1.66e-6
    table = kind.summarize(records).table
    assert [row[0] for row in table[1:]] == ["constant", "linear, i", "max(i, i ln i)", "i^1.5"]
    assert [row[1] for row in table[1:]] == ["1.66e-06"] * 4
    assert all(float(row[3]) > 0 for row in table[1:])

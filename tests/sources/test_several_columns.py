"""Several columns of a table as rows of a study: the dimension is that of the columns."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.cli.sweep import split_axes
from collapse_jax.experiments import EXPERIMENTS
from collapse_jax.experiments.gaussian_errors import error_metrics
from collapse_jax.experiments.sources import make_labels, make_rows

KNOWN = {"normal": cj.Normal(0.0, 1.0)}
ROWS = np.random.default_rng(0).normal(size=(40, 3)) @ np.diag([1.0, 2.0, 100.0]) + 7
FEW = {"num_chains": 10, "num_generations": 2}


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table with three columns of numbers, and one whose name has a comma."""
    monkeypatch.chdir(tmp_path)
    lines = [",".join(f"{value:.6f}" for value in row) + ",5" for row in ROWS]
    (tmp_path / "t.csv").write_text('a,b,c,"x,y"\n' + "\n".join(lines) + "\n")
    return "t.csv"


def test_columns_in_their_order_are_rows(table):
    source = make_rows("t.csv:c,a", KNOWN, 1)
    assert source.row_dim == 2
    np.testing.assert_allclose(source.truth.mean, ROWS[:, [2, 0]].mean(axis=0), rtol=1e-5)
    assert make_rows("t.csv:x,y", KNOWN, 1).row_dim == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("t.csv:a,z", "column='z'.*the columns are 'a', 'b'"),
        ("t.csv:a,a", "'a' is given twice"),
        ("t.csv:a,", "column=''.*the columns are"),
        ("none.csv:a,b", "No such file"),
    ],
)
def test_bad_columns_are_named(table, name, words):
    with pytest.raises(cj.ArgumentError, match=words):
        make_rows(name, KNOWN, 1)


def test_several_columns_are_no_labels(table):
    with pytest.raises(cj.ArgumentError, match="its rows are numbers, and labels are needed"):
        make_labels("t.csv:a,b")


LONG = [pytest.param(name, marks=pytest.mark.thorough) for name in ("regimes", "mad", "gaussian")]


@pytest.mark.parametrize("name", ["keep-gaussian", *LONG])
def test_studies_of_gaussians_take_rows(name, table):
    """With rows of several numbers, no expectation or claim about N(0, 1) is left."""
    size = (
        {"policy": cj.Mixing(20, gamma=0.1)}
        if name == "gaussian"
        else {"num_samples": (20,) if name == "keep-gaussian" else 20}
    )
    kind = EXPERIMENTS[name]
    records = kind(source="t.csv:a,b,c", **size, **FEW).run(0, False)
    assert records.config["chain"]["family"]["dim"] == 3
    summary = kind.summarize(records)
    assert "Rows have 3 numbers" in " ".join(summary.sentences)
    assert "exact" not in summary.table[0] or summary.table[1][-1] == ""
    assert not any("N(0, 1)" in one.claim for one in summary.statements)
    assert "unknown" not in summary.finding
    kind.figures(records)


@pytest.mark.parametrize("name", ["gaussian", "regimes", "mad", "keep-gaussian"])
def test_too_few_rows_for_a_covariance_are_refused(name, table, capsys):
    option = "--policy.num-samples" if name == "gaussian" else "--num-samples"
    command = ["run", name, "--source", "t.csv:a,b,c", option, "3", "--out", "never"]
    assert main(command) == 2
    assert "rows of 3 numbers need at least 4 for a covariance" in capsys.readouterr().err


def test_errors_in_several_dimensions_are_those_along_the_axes():
    """The errors of independent axes are root mean squares of relative errors of each."""
    truth = cj.Normal([1.0, -2.0], np.diag([4.0, 1e-10]))
    chain = cj.Chain(cj.Gaussian(2), truth, cj.Replace(50))
    metrics = (*error_metrics(2), "covariance")
    records = cj.simulate(chain, key=0, num_chains=5, num_generations=1, metrics=metrics)
    stds, spreads = np.array([2.0, 1e-5]), records["covariance"][..., [0, 1], [0, 1]] ** 0.5
    gaps = (records["mean"] - [1.0, -2.0]) / stds
    exact = np.sqrt(np.mean(gaps**2, axis=-1))
    np.testing.assert_allclose(records["mean_error"], exact, rtol=1e-3)
    found = np.sqrt(np.mean((spreads / stds - 1) ** 2, axis=-1))
    np.testing.assert_allclose(records["std_error"], found, rtol=1e-4)
    halves = 0.25 * records["log_det_covariance"]
    np.testing.assert_allclose(records["log_std"], halves, rtol=1e-5)


def test_sources_of_a_sweep_keep_their_columns():
    _, axes = split_axes(["--source", "a.csv:x,y,b.csv:x", "policy:replace,accumulate"])
    assert axes == {"source": ["a.csv:x,y", "b.csv:x"], "policy": ["replace", "accumulate"]}
    template, axes = split_axes(["--source=a.csv:x,y", "--every", "1,2"])
    assert template == ["--source=a.csv:x,y", "--every", "{0}"]
    assert axes == {"every": ["1", "2"]}

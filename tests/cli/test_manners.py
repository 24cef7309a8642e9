"""Manners of the command line: what is checked first, where runs go, what is said and when."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli import COMMANDS, main
from collapse_jax.cli.answer import show_answer, table_lines
from collapse_jax.cli.cost import announce, duration
from collapse_jax.cli.options import read_integer
from collapse_jax.cli.output import chosen_directory
from collapse_jax.cli.sweep import _expected_hours, split_axes
from collapse_jax.engine.check_only import check_only
from collapse_jax.experiments import EXPERIMENTS, Summary
from collapse_jax.results.grid import Grid

TINY = ["--num-chains", "9", "--num-generations", "1", "--policy.num-samples", "5", "--quiet"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a run's name that is taken."""
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    return tmp_path


def line_of(arguments, capsys):
    """Run a command that must end with code 2 and one line, and return the line."""
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.count("\n") == 1, streams.err
    return streams.err


BAD = {
    "run": (["run", "keep-gaussian", "--num-samples", "0"], "--num-samples=0"),
    "chain": (["run", "gaussian", "policy:fresh", "--policy.num-original", "-1"], "num-original"),
    "call": (["run", "discrete", "--source", "zipf:5", *TINY, "--every", "0"], "--every=0"),
    "source": (["run", "keep-words", "--source", "none.csv:a"], "No such file"),
    "sweep": (["sweep", "gaussian", "--every", "1,0", *TINY], "--every=0"),
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("case", BAD)
def test_input_is_checked_before_the_place_is_complained_about(case, capsys):
    arguments, words = BAD[case]
    assert words in line_of([*arguments, "--out", "taken"], capsys)


@pytest.mark.usefixtures("folder")
def test_a_place_that_exists_is_refused_and_a_free_one_is_found(capsys):
    assert "--out=taken is not allowed: it exists" in line_of(
        ["run", "gaussian", *TINY, "--out", "taken"], capsys
    )
    assert chosen_directory("", "gaussian-0", is_new=True) == Path("runs/gaussian-0")
    assert chosen_directory("", "gaussian-0", is_last=True) == Path("runs/gaussian-0")
    for name in ("gaussian-0", "gaussian-0-2", "gaussian-0-4"):
        Path("runs", name).mkdir(parents=True)
    assert chosen_directory("", "gaussian-0", is_new=True) == Path("runs/gaussian-0-3")
    assert chosen_directory("", "gaussian-0", is_last=True) == Path("runs/gaussian-0-2")
    assert chosen_directory("", "gaussian-0") == Path("runs/gaussian-0")
    assert chosen_directory("mine", "gaussian-0", is_new=True) == Path("mine")


@pytest.mark.usefixtures("folder")
def test_a_quiet_run_answers(capsys):
    """Twice the same command: two runs, the answer on stdout, nothing on stderr."""
    for path in ("runs/gaussian-0", "runs/gaussian-0-2"):
        assert main(["run", "gaussian", *TINY]) == 0
        streams = capsys.readouterr()
        assert streams.err == ""
        lines = streams.out.splitlines()
        assert lines[0].startswith("After 1 generation under the policy replace, the typical")
        assert any(line.startswith("M  mean of ln sigma") for line in lines)
        assert lines[-1] == f"report: {path}/report.html"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_version_and_help(name, capsys):
    assert main([name, "--version"]) == 0
    assert capsys.readouterr().out == f"collapse {cj.__version__}\n"
    assert main(["help", name]) == 0
    assert capsys.readouterr().out.startswith(f"usage: collapse {name}")


def test_help_before_an_experiment_is_that_of_the_command(capsys):
    assert main(["run", "--seed", "3", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: collapse run EXPERIMENT")


@pytest.mark.parametrize(
    ("text", "value"), [("1e5", 100_000), ("2.50e1", 25), ("1_000", 1000), ("-0e3", 0)]
)
def test_integers_have_several_forms(text, value):
    assert read_integer(text) == value


@pytest.mark.parametrize("text", ["1.5", "1e-1", "1e400000000", "nan", "inf", "1e", "", "x"])
def test_other_numbers_are_no_integers(text):
    with pytest.raises(ValueError, match=r"no (number|integer)"):
        read_integer(text)


def test_sweeps_read_integers_in_all_forms(folder, capsys):
    more = ["--num-generations", "1e0", "--policy.num-samples", "5e0,1e1", "--quiet"]
    assert main(["sweep", "gaussian", "--num-chains", "9e0", *more, "--out", "new"]) == 0
    assert cj.Records.load("new")["num_samples"].tolist() == [5, 10]
    assert capsys.readouterr().out.startswith("The mean of ")


PERCENT = {
    "number": (["run", "gaussian", "policy:mixing", "--policy.gamma", "10"], "--policy.gamma 0.1"),
    "text": (["run", "gaussian", "policy:mixing", "--policy.gamma", "10%"], "--policy.gamma 0.1"),
    "list": (["run", "keep-gaussian", "--original-shares", "0", "5"], "--original-shares 0.05"),
    "target": (["run", "keep-words", "--source", "zipf:9", "--target", "95"], "--target 0.95"),
    "rare": (["run", "keep-words", "--source", "zipf:9", "--rare", "2.5"], "--rare 0.025"),
}


@pytest.mark.parametrize("case", PERCENT)
def test_percent_are_explained(case, capsys):
    arguments, words = PERCENT[case]
    line = line_of([*arguments, "--out", "never"], capsys)
    assert f"pass {words}" in line
    assert "otherwise" in line or case == "text"


def test_a_share_that_is_no_percent_gets_no_advice_on_percent(capsys):
    command = ["run", "gaussian", "policy:mixing", "--policy.gamma"]
    for value in ("1000", "-1"):
        assert "%" not in line_of([*command, value], capsys)


NEAR = {
    "scale": (["reproduce", "--scale", "laptp"], "did you mean laptop?"),
    "study": (["reproduce", "--only", "gausian"], "did you mean gaussian?"),
    "estimator": (["run", "gaussian", "--estimator", "ml"], "did you mean mle?"),
    "words": (["run", "discrete", "--source", "docstring"], "did you mean docstrings?"),
    "rows": (["run", "gmm", "--source", "blop"], "did you mean blob?"),
}


@pytest.mark.parametrize("case", NEAR)
def test_a_near_value_is_suggested(case, capsys):
    arguments, words = NEAR[case]
    assert words in line_of(arguments, capsys)


def test_a_call_that_is_only_checked_makes_nothing(tmp_path):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(10))
    run = {"key": 0, "num_chains": 4, "num_generations": 1}
    reached = []
    with check_only():
        cj.simulate(chain, store=tmp_path / "run", **run)
        reached.append("simulate")
    with check_only():
        cj.sweep(chain, {"policy.gamma": [0.0, 2.0]}, **run)
        reached.append("sweep")
    assert reached == []
    assert not (tmp_path / "run").exists()
    with pytest.raises(cj.ArgumentError, match="num_chains=0"), check_only():
        cj.simulate(chain, **(run | {"num_chains": 0}))
    with pytest.raises(cj.ArgumentError, match=r"every point .* at policy.gamma=2"), check_only():
        cj.sweep(chain, {"policy.gamma": [2.0, 3.0]}, **run)
    assert cj.simulate(chain, **run)["log_std"].shape == (2, 4)


def test_the_cost_of_a_run_grows_with_its_work():
    for name, kind in EXPERIMENTS.items():
        for scale, hours in kind.hours.items():
            assert kind.at_scale(scale).expected_hours == pytest.approx(hours), (name, scale)
        paper = kind.at_scale("paper")
        more = dataclasses.replace(paper, num_chains=10 * paper.num_chains)
        if name not in ("gmm", "gmm-pair"):  # whose most_rows limits the chains
            assert more.expected_hours == pytest.approx(10 * paper.expected_hours)


def test_a_cost_is_said_from_a_minute_on(capsys):
    announce("runs/a", 0.9 / 60)
    assert capsys.readouterr().err == ""
    announce("runs/a", 0.5)
    assert capsys.readouterr().err == (
        "runs/a: about 30 min on two cores, estimated from measured rates\n"
    )
    assert duration(100) == "100 h (4 days)"


def test_points_of_a_sweep_share_the_time_to_compile():
    experiment = EXPERIMENTS["gaussian"].at_scale("smoke")
    once = experiment.expected_hours
    shares = Grid({"policy.gamma": [0, 0.1, 0.2]})
    assert _expected_hours(shares, [experiment] * 3) == pytest.approx(once)
    sizes = Grid({"policy.gamma": [0, 0.1], "policy.num_samples": [10, 20]})
    assert _expected_hours(sizes, [experiment] * 4) == pytest.approx(2 * once)


def test_an_answer_has_finding_table_and_verdicts(capsys):
    rows = [["M", "mean"], *([str(size), "nan"] for size in range(40))]
    show_answer(Summary("Title", ["Setting."], rows, [], "It is so."))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["It is so.", "", "M   mean", "0   none"]
    assert lines[-2] == "... 16 more rows in the report"
    show_answer(Summary("Title", ["Setting."], []))
    assert capsys.readouterr().out == "Setting.\n\n"


def test_a_wide_table_is_turned():
    wide = [
        ["M", *(f"gamma = {share:.4f}" for share in np.linspace(0, 1, 12))],
        ["3", *"abcdefghijkl"],
    ]
    lines = table_lines(wide)
    assert lines[:2] == ["M               3", "gamma = 0.0000  a"]
    assert max(map(len, lines)) <= 100


def test_numbers_of_axes_are_integers_where_they_can_be():
    template, axes = split_axes(["--policy.num-samples", "1e1,2e1"])
    assert template == ["--policy.num-samples", "{0}"]
    assert axes == {"policy.num_samples": ["1e1", "2e1"]}


@pytest.mark.parametrize("port", ["99999", "-1", "web"])
def test_the_explorer_refuses_a_bad_port(port, capsys):
    line = line_of(["explore", f"--port={port}"], capsys)
    assert line.startswith("collapse: --port=")
    assert port in line

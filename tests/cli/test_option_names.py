"""Messages of the command line name options as typed, and their remedies can be typed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from collapse_jax.cli import main
from collapse_jax.cli.option_names import as_options
from collapse_jax.cli.options import SharedRunOptions, parse
from collapse_jax.experiments import EXPERIMENTS

# Arguments, and words of the line, by what is wrong. Files are those of `folder`.
REFUSED = {
    "schedule": (
        ["run", "discrete", "--policy.num-samples", "5", "6"],
        [
            "--policy.num-samples with 2 values",
            "--num-generations 200 needs 201 sizes",
            "--num-generations + 1 sizes, separated by spaces",
        ],
    ),
    "schedule of shares": (
        ["run", "gaussian", "policy:mixing", "--policy.gamma", "0.1", "0.2"],
        ["--policy.gamma with 2 values", "1,000 shares", "D_1 .. D_G, separated by spaces"],
    ),
    "share": (
        ["run", "gaussian", "policy:mixing", "--policy.beta", "2"],
        ["--policy.beta=2.0", "or one for each of D_1 .. D_G, separated by spaces"],
    ),
    "size of a schedule": (
        ["run", "discrete", "--policy.num-samples", "5", "0"],
        ["--policy.num-samples[1]=0", "+ 1 in all, separated by spaces"],
    ),
    "original rows": (
        ["run", "gaussian", "policy:fresh", "--policy.num-original", "-1"],
        ["--policy.num-original=-1", "or one per generation", "in all, separated by spaces"],
    ),
    "no size": (
        ["run", "gaussian", "--policy.num-samples", "0"],
        ["--policy.num-samples=0", "pass one int >= 1\n"],
    ),
    "no size of a mixture": (
        ["run", "gmm-pair", "policy:mixing", "--policy.num-samples", "0"],
        ["--policy.num-samples=0", "pass one int >= 1\n"],
    ),
    "word for one size": (
        ["run", "gaussian", "--policy.num-samples", "x"],
        ["it must be None or an integer; see"],
    ),
    "schedule where there is one size": (
        ["run", "gaussian", "--policy.num-samples", "5", "6"],
        ["--policy.num-samples=(5, 6)", "pass one size for all generations"],
    ),
    "rows of a law": (
        ["run", "discrete", "--source", "zipf:5"],
        ["--policy.num-samples=None", "pass a number, e.g. --policy.num-samples 100"],
    ),
    "sum of shares": (
        ["run", "gaussian", "policy:mixing", "--policy.alpha", "0.5"],
        ["--policy.alpha + --policy.beta + --policy.gamma=0.5"],
    ),
    "argument of another name": (
        ["run", "mad", "--biases", "0"],
        ["--biases=0.0", "pass a factor such as --biases 0.9"],
    ),
    "no chains of a sweep": (
        ["run", "one-shot", "--num-chains", "0", "--quiet"],
        ["--num-chains=0 is not"],
    ),
    "no generations of a sweep": (
        ["run", "growing", "--num-generations", "-1"],
        ["--num-generations=-1 is not"],
    ),
    "no weights": (["run", "weighting", "--num-weights", "-1"], ["--num-weights=-1"]),
    "share of own rows": (
        ["run", "ecosystem", "--own-shares", "1.5"],
        ["--own-shares[0]=1.5", "[0, 1]"],
    ),
    "negative share of original rows": (
        ["run", "ecosystem", "--original-share", "-0.1"],
        ["--original-share=-0.1"],
    ),
    "no models": (["run", "ecosystem", "--num-models", "0"], ["--num-models=0"]),
    "no candidates": (["run", "selection", "--candidates", "0"], ["--candidates[0]=0"]),
    "candidates twice": (["run", "selection", "--candidates", "2", "2"], ["--candidates="]),
    "share that is no number": (["run", "selection", "--share", "nan"], ["--share=nan"]),
    "reward that is no number": (
        ["run", "selection", "--advantage", "nan"],
        ["--advantage=nan", "e.g. 0.2"],
    ),
    "no rows": (["run", "keep-gaussian", "--num-samples", "0", "10"], ["--num-samples=0"]),
    "share of kept blocks": (
        ["run", "lm", "--original-shares", "2"],
        ["--original-shares=2.0", "(0, 1]"],
    ),
    "share of no block": (
        ["run", "lm", "--original-shares", "0"],
        ["--original-shares=0.0", "the study replace has no original blocks"],
    ),
    "no penalty": (["run", "lm", "--penalties", "0"], ["--penalties=0.0", "(0, 1e+06]"]),
    "penalty that is no number": (["run", "lm", "--penalties", "nan"], ["--penalties=nan"]),
    "penalty that changes nothing": (
        ["run", "lm", "--penalties", "1"],
        ["--penalties=1.0", "the penalty of the study replace"],
    ),
    "penalty twice": (["run", "lm", "--penalties", "2", "2"], ["--penalties=", "given twice"]),
    "no original epoch": (["run", "lm", "--original-epochs", "0"], ["--original-epochs=0"]),
    "no image": (
        ["run", "vae", "--num-images", "0", "--source", "nowhere"],
        ["--num-images=0", "pass an int such as --num-images 20"],
    ),
    "no side": (["run", "vae", "--image-size", "0"], ["--image-size=0", "--image-size 4"]),
    "few images of a class": (
        ["run", "vae", "--num-images", "60", "--image-size", "8"],
        ["--num-images=60", "2 training images or more", "pass a larger number, or leave it out"],
    ),
    "class of test images": (
        ["run", "vae", "--source", "few.npz", "--image-size", "8"],
        ["--source: labels=", "all images of class 9 are for tests", "every tenth image is"],
    ),
    "text for images": (
        ["run", "vae", "--source", "text.npz"],
        ["--source: images='text.npz'", "it is no archive of arrays", "pass an .npz file"],
    ),
    "call in a remedy": (
        ["run", "vae", "policy:accumulate", "--num-images", "300", "--image-size", "8"],
        ["--corpus='stream'", "use --corpus samples"],
    ),
    "words for numbers": (
        ["run", "gaussian", "--source", "text"],
        ["--source='text'", "numbers are needed", "pass normal, FILE.npy or FILE:COLUMN"],
    ),
    "ranks for numbers": (
        ["run", "gmm", "--source", "zipf:9"],
        ["numbers are needed", "pass blob"],
    ),
    "numbers for words": (
        ["run", "discrete", "--source", "rows.npy"],
        ["--source='rows.npy'", "labels are needed", "text:FILE"],
    ),
    "numbers for kept words": (
        ["run", "keep-words", "--source", "rows.npy"],
        ["labels are needed"],
    ),
    "too few rows": (
        ["run", "gaussian", "--source", "rows.npy", "--policy.num-samples", "2"],
        ["--policy.num-samples=2", "rows of 2 numbers need at least 3"],
    ),
    "too short rows": (
        ["run", "gmm", "--source", "table.csv:x"],
        ["--source='table.csv:x'", "its rows have 1 number, and 2 or more are needed"],
    ),
    "no column": (
        ["run", "gaussian", "--source", "table.csv"],
        ["--source: column=None", "'x', 'day'", "name one as FILE:COLUMN"],
    ),
    "times": (
        ["run", "gaussian", "--source", "table.csv:day"],
        ["--source: type of column 'day'", "convert them to numbers"],
    ),
    "no ranks": (["run", "discrete", "--source", "zipf:1"], ["--source='zipf:1'", "[2, 10000000]"]),
}
OF_PYTHON = (
    "np.",
    "pickle",
    "Images",
    "pandas.",
    "column=NAME",
    "Empirical",
    "_samples",
    "_chains",
    "Replace.",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a table and an array."""
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("x,day\n1.5,2020-01-01\n2.5,2020-01-02\n")
    Path("text.npz").write_text("some text")
    np.savez("few.npz", x=np.full((11, 8, 8), 0.5), y=np.arange(11))
    np.save("rows.npy", np.arange(8.0).reshape(4, 2))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", REFUSED)
def test_a_message_speaks_of_options(name, capsys):
    arguments, words = REFUSED[name]
    assert main([*arguments, "--out", "new"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    for word in words:
        assert word in error
    for python in OF_PYTHON:
        assert python not in error
    assert not Path("new").exists()


def lists_of_studies():
    """Yield the options of all studies that take several values."""
    for name, kind in EXPERIMENTS.items():
        for field in dataclasses.fields(kind):
            if str(field.type).startswith("tuple"):
                value = "100" if "int" in str(field.type) else "0.5"
                yield name, f"--{field.name.replace('_', '-')}", value


@pytest.mark.parametrize(("name", "option", "value"), list(lists_of_studies()))
def test_no_study_makes_a_run_twice(name, option, value, capsys):
    out = ["--quiet", "--out", "never"]
    assert main(["run", name, option, value, value, *out]) == 2
    error = capsys.readouterr().err
    shown = f"('{value}', '{value}')" if option == "--targets" else f"({value}, {value})"
    assert f"{option}={shown} is not allowed: {value} is given twice" in error
    assert not Path("never").exists()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["run", "keep-gaussian", "--target", "1e400"], "--target='1e400'"),
        (["run", "keep-gaussian", "--target", "9" * 310], f"--target='{'9' * 40}...'"),
        (["run", "mad", "--biases", "0.5", "-1E+400"], "--biases='-1E+400'"),
        (["run", "mad", "--biases", "0.5", "1e-400"], "--biases='1e-400'"),
        (["run", "lm", "--learning_rate", "1e-400"], "--learning-rate='1e-400'"),
        (["run", "discrete", "policy:mixing", "--policy.gamma=1e400"], "--policy.gamma='1e400'"),
        (["run", "discrete", "policy:mixing", "--policy.gamma", "-1e-400"], "gamma='-1e-400'"),
        (["run", "discrete", "policy:mixing", "--policy.alpha", ".1", "1e-400"], "='1e-400'"),
        (["sweep", "gaussian", "policy:mixing", "--policy.gamma", "0,1e400"], "gamma='1e400'"),
        (["sweep", "gaussian", "policy:mixing", "--policy.gamma", "0,1e-400"], "gamma='1e-400'"),
        (["sweep", "gaussian", "policy:mixing", "--policy.gamma", "1e400,2e400"], "='1e400'"),
    ],
)
def test_a_number_that_float_cannot_hold_is_refused_as_typed(arguments, shown, capsys):
    sizes = ["--policy.num-samples", "10"] if "policy:mixing" in arguments else []
    assert main([*arguments, *sizes, "--out", "never"]) == 2
    error = capsys.readouterr().err
    allowed = "float64 holds 0 and absolute values in [4.9e-324, 1.8e+308]; pass one of these"
    assert f"{shown} is not allowed: {allowed}\n" in error
    assert error.count("\n") == 1
    assert not Path("never").exists()


@pytest.mark.parametrize("text", ["5e-324", "0e-400", "1e-300"])
def test_the_least_numbers_are_read(text):
    words = ["policy:mixing", "--policy.gamma", text]
    found = parse(SharedRunOptions, EXPERIMENTS["gaussian"], "collapse run gaussian", words)
    assert found.experiment.policy.gamma == float(text)


def test_infinity_is_shown_as_typed(capsys):
    assert main(["run", "mad", "--biases", "inf", "--out", "never"]) == 2
    assert "--biases=inf is not allowed: it must be a finite number" in capsys.readouterr().err


LISTS = {"gaussian": False, "gmm": False, "gmm-pair": False} | dict.fromkeys(
    ("discrete", "vae", "lm"), True
)


@pytest.mark.parametrize("policy", ["policy:replace", "policy:mixing", "policy:fresh"])
@pytest.mark.parametrize("name", LISTS)
def test_help_shows_several_sizes_where_they_can_be_typed(name, policy, capsys):
    assert main(["run", name, policy, "--help"]) == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    sizes = words.split("--policy.num-samples ")[1].split(" --policy.")[0]
    assert sizes.startswith("{None}|INT")
    assert ("[INT [INT ...]]" in sizes) == LISTS[name]
    assert ("in all generations; None for" in sizes) != LISTS[name]
    if policy == "policy:mixing":
        assert "--policy.gamma FLOAT|{[FLOAT [FLOAT ...]]} share of original data" in words


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("every point of the grid failed; at M=0", ["run", "mad"]),
        ("Chain.source='Categorical' is not allowed: a; pass b", ["run", "gmm", "--seed", "1"]),
        ("names=[] is not allowed: it must hold words; pass one", ["plot", "a"]),
        ("names=[] is not allowed: every word counts, source or not; pass one", ["run", "lm"]),
    ],
)
def test_other_messages_stay(message, arguments):
    expected = message.replace("Chain.source", "--source")
    assert as_options(message, arguments) == expected

"""Sweeps, policies and archives as typed: refused in one line, before anything is drawn."""

import warnings
from pathlib import Path

import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.cli.streams import writable_streams

TINY = ["--num-chains", "2", "--num-generations", "1", "--policy.num-samples", "5"]
KEPT = ["run", "keep-gaussian", "--original", "kept"]
MIXING = ["sweep", "gaussian", "policy:mixing"]

# Arguments, and words of the line, by what is wrong.
REFUSED = {
    "two policies": (
        ["run", "gaussian", "policy:mixing", "policy:replace"],
        ["policy:mixing policy:replace is", "one policy is chosen, not 2", "or policy:replace"],
    ),
    "two policies around an option": (
        ["run", "gaussian", "policy:mixing", *TINY, "policy:accumulate"],
        ["policy:mixing policy:accumulate is", "pass policy:mixing or policy:accumulate"],
    ),
    "three policies": (
        ["run", "gmm", "policy:fresh", "policy:mixing", "policy:replace"],
        ["one policy is chosen, not 3", "policy:fresh or policy:mixing or policy:replace"],
    ),
    "one policy twice": (
        ["run", "gaussian", "policy:mixing", "policy:mixing"],
        ["chosen twice; pass policy:mixing once"],
    ),
    "two policies of a sweep": (
        ["sweep", "gaussian", "policy:mixing", "policy:replace", "--every", "1,2"],
        ["one policy is chosen", "or policy:mixing,replace for one after the other"],
    ),
    "two policies without a choice": (
        ["run", "growing", "policy:mixing", "policy:fresh"],
        ["no choice of a policy; leave it out"],
    ),
    "comma at the end": (
        ["sweep", "gaussian", "--policy.num-samples", "10,"],
        ["--policy.num-samples=10, is not allowed", "is missing", "remove the comma"],
    ),
    "comma at the start": (["sweep", "gaussian", "--every=,2"], ["--every=,2 is", "is missing"]),
    "spaces after commas": (
        ["sweep", "gaussian", "--policy.num-samples", "10,", "100"],
        ["--policy.num-samples=10, is not allowed"],
    ),
    "gap in another axis": (
        [*MIXING, "--policy.gamma", "0,0.1", "--num-chains", "2,,3"],
        ["--num-chains=2,,3 is", "is missing"],
    ),
    "gap among policies": (["sweep", "gaussian", "policy:mixing,"], ["policy:mixing, is"]),
    "one share twice": (
        [*MIXING, "--policy.gamma", "0,0"],
        ["--policy.gamma=0,0 is not allowed: 0 is given twice; pass each value once"],
    ),
    "one share in two forms": ([*MIXING, "--policy.gamma", "0,0.1,0.0"], ["0.0 equals 0"]),
    "one size twice": (
        ["sweep", "gaussian", "--policy.num-samples=10,20,10"],
        ["--policy.num-samples=10,20,10", "10 is given twice"],
    ),
    "one word twice": (
        ["sweep", "gaussian", "--estimator", "mle,mle"],
        ["--estimator=mle,mle", "mle is given twice"],
    ),
    "one of the policies twice": (
        ["sweep", "gaussian", "policy:mixing,mixing"],
        ["policy:mixing,mixing", "mixing is given twice"],
    ),
    "every point refused": (
        ["sweep", "gaussian", "--num-chains", "0,-1"],
        ["collapse: --num-chains=0 is not allowed", "--num-chains 1000"],
    ),
    "one size of a study twice": (
        ["run", "keep-gaussian", "--num-samples", "10", "20", "10"],
        ["--num-samples=(10, 20, 10)", "10 is given twice"],
    ),
    "one share of a study twice": (
        ["run", "keep-words", "--source", "zipf:5", "--original-shares", "0", "0.0"],
        ["--original-shares=(0.0, 0.0)", "0.0 is given twice"],
    ),
    "one bias twice": (["run", "mad", "--biases", "0.9", "0.9"], ["--biases=(0.9, 0.9)", "twice"]),
    "one size of mixtures twice": (["run", "gmm", "--sizes", "9", "9"], ["--sizes=(9, 9)"]),
    "one share of blocks twice": (
        ["run", "lm", "--original-shares", "0.1", "0.1"],
        ["--original-shares=(0.1, 0.1)"],
    ),
    "no chains of a study": (["run", "one-shot", "--num-chains", "0"], ["--num-chains=0 is not"]),
    "no generations": (["run", "mad", "--num-generations", "-1"], ["--num-generations=-1 is not"]),
    "chains of weights": (["run", "weighting", "--num-chains", "0"], ["--num-chains=0 is not"]),
    "too many chains": (["run", "regimes", "--num-chains", "9" * 12], ["--num-chains=9"]),
    "large corpora": (
        [*KEPT, "--num-samples", str(2**31 - 1), "--original-shares", "0.5"],
        ["the run needs", "GiB are available; pass fewer chains"],
    ),
    "very many chains": (
        ["run", "discrete", "--source", "zipf:5", *TINY[2:], "--num-chains", str(2**32 - 1)],
        ["the run needs", "GiB are available; pass fewer chains", "larger --every"],
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a file and a folder that are no runs."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("a file\n")
    Path("folder").mkdir()
    return tmp_path


def refused(arguments, capsys):
    """Run a command that must end with code 2 and one line, and return the line."""
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("collapse: ")
    assert streams.err.count("\n") == 1, streams.err
    return streams.err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_command_draws_nothing(name, capsys):
    arguments, words = REFUSED[name]
    line = refused([*arguments, "--out", "new"], capsys)
    for word in words:
        assert word in line
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("folder", ["it is no run directory", "config.json and records.zarr are missing"]),
        ("file", ["it is a file"]),
        ("none", ["there is no such directory"]),
        ("file/none", ["there is no such directory"]),
        ("", ["RUN=''", "must be a path"]),
        ("~nobody-/a", ["~nobody- is no home directory"]),
    ],
)
def test_what_is_no_run_is_not_packed(path, words, folder, capsys):
    line = refused(["pack", path], capsys)
    assert line.startswith(f"collapse: RUN={path!r} is not allowed: ")
    for word in words:
        assert word in line
    if path and "~" not in path:
        assert "pass the --out of `collapse run`" in line
    assert sorted(one.name for one in folder.iterdir()) == ["file", "folder"]


def test_an_unfinished_run_is_not_packed(folder, capsys):
    Path("folder/command.json").touch()
    line = refused(["pack", "folder"], capsys)
    assert line.startswith("collapse: RUN='folder' is not allowed: it is not complete; resume it")


@pytest.mark.parametrize("command", ["resume", "extend"])
def test_an_archive_is_not_resumed(command, folder, capsys):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
    cj.simulate(chain, key=0, num_chains=2, num_generations=1).save("run")
    assert main(["pack", "run"]) == 0
    capsys.readouterr()
    more = ["--num-chains", "4"] if command == "extend" else []
    line = refused([command, "run.zip", *more], capsys)
    assert line.startswith("collapse: RUN='run.zip' is not allowed: it is the archive of a comple")
    assert cj.Records.load("run.zip").state is not None
    line = refused([command, "file", *more], capsys)
    assert line.startswith("collapse: RUN='file' is not allowed: it is a file, and a run is a dir")
    assert "there is no such directory" in refused([command, "file/none", *more], capsys)


def test_a_value_is_swept_once():
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(10))
    run = {"key": 0, "num_chains": 2, "num_generations": 1}
    with pytest.raises(cj.ArgumentError, match=r"axes\['policy.gamma'\]=.*: 0 is given twice"):
        cj.sweep(chain, {"policy.gamma": [0.0, 0.1, 0]}, **run)


def test_a_value_that_no_point_can_run_with_is_refused_before_the_first(folder, capsys):
    arguments = ["sweep", "gaussian", *TINY, "--seed", "1,2", "--every", "1,0"]
    assert "--every=0 is not allowed" in refused([*arguments, "--out", "new"], capsys)
    assert not Path("new").exists()


def test_a_sweep_shows_points_that_are_refused_together_with_others(folder, capsys):
    shares = ["policy:mixing", "--policy.beta", "0.9,0", "--policy.gamma", "0.5,0.1"]
    assert main(["sweep", "gaussian", *TINY, *shares, "--out", "new"]) == 1
    streams = capsys.readouterr()
    lines = streams.err.splitlines()
    assert lines[0].startswith("[1/4] policy.beta=0.9, policy.gamma=0.5")
    assert lines[4].startswith("failed: policy.beta=0.9, policy.gamma=0.5: ArgumentError: --policy")
    assert streams.out.splitlines()[0].startswith("The mean of ")


@pytest.mark.parametrize("progress", [False, True])
def test_a_bar_is_drawn_where_a_point_runs(progress, capsys):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
    run = {"key": 0, "num_generations": 1, "progress": progress}
    with pytest.raises(cj.ArgumentError, match="num_chains=0"):
        cj.sweep(chain, {"policy.num_samples": [5, 10]}, num_chains=0, **run)
    assert capsys.readouterr().err == ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        cj.sweep(chain, {"policy.num_samples": [1, 5]}, num_chains=2, **run)
    assert ("points" in capsys.readouterr().err) == progress


def test_a_warning_of_jax_gets_a_remedy():
    message = "Error writing persistent compilation cache entry: disk full"
    with writable_streams():
        line = warnings.formatwarning(message, UserWarning, "a.py", 1)
    assert line.startswith(f"collapse: warning: {message}; set JAX_COMPILATION_CACHE_DIR to a")
    assert line.endswith("or unset it\n")

"""Odd command lines: one line on stderr that says what to do, an exit code, and no traceback."""

import errno
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import collapse_jax as cj
from collapse_jax.cli import COMMANDS, main
from collapse_jax.cli.errors import BROKEN_PIPE
from collapse_jax.cli.show import draw
from collapse_jax.experiments import EXPERIMENTS

LONG = "n" * 300  # longer than the name of any file may be
TINY = ["--num-chains", "2", "--num-generations", "1", "--policy.num-samples", "5", "--quiet"]
ZIPF = ["discrete", "--source", "zipf:5", *TINY]

# Arguments, and words of the line, by what is wrong. Files are those of `folder`.
REFUSED = {
    # commands and experiments
    "no command": ([""], ["command=''", "must be one of", "collapse --help"]),
    "near a command": (["runn", "gaussian"], ["command='runn'", "did you mean run?"]),
    "capital command": (["List"], ["command='List'", "did you mean list?"]),
    "option for a command": (["--num-chains", "3"], ["command='--num-chains'"]),
    "no experiment": (["run"], ["experiment=''", "collapse list"]),
    "near an experiment": (["run", "gausian"], ["did you mean gaussian?"]),
    "capital experiment": (["run", "VAE"], ["did you mean vae?"]),
    "option for an experiment": (["run", "--num-chains", "3"], ["experiment='--num-chains'"]),
    "sweep of no experiment": (["sweep"], ["experiment=''"]),
    "list with arguments": (["list", "--foo"], ["--foo", "collapse list"]),
    "long word": (["run", "x" * 500], ["experiment=", "..."]),
    "emoji": (["run", "🎲"], ["experiment='🎲'"]),
    "not UTF-8": (["run", "\udcff"], ["must be one of"]),
    "new line": (["run", "a\nb"], ["experiment='a\\nb'"]),
    # options and values
    "near an option": (["run", "gaussian", "--num-chain", "3"], ["did you mean --num-chains?"]),
    "near a policy's option": (
        ["run", "gaussian", "--policy.gama", "3"],
        ["did you mean --policy.gamma?"],
    ),
    "option of another policy": (
        ["run", "gaussian", "--policy.gamma", "0.1"],
        ["--policy.gamma", "belongs to policy:mixing", "pass policy:mixing"],
    ),
    "near a policy": (["run", "gaussian", "policy:mix"], ["'policy:mix'", "policy:mixing"]),
    "two policies": (
        ["run", "gaussian", "policy:mixing", "policy:fresh"],
        ["policy:mixing policy:fresh is", "one policy is chosen", "policy:mixing or policy:fresh"],
    ),
    "policy without a choice": (["run", "growing", "policy:mixing"], ["no choice of a policy"]),
    "word without option": (["run", "gaussian", "extra"], ["'extra'", "collapse run gaussian"]),
    "empty word": (["run", "gaussian", ""], ["''", "belongs to no option"]),
    "single dash": (["run", "gaussian", "-n", "3"], ["'-n'", "no such option"]),
    "value of a flag": (["run", "gaussian", "--quiet", "yes"], ["--quiet takes no value"]),
    "value missing": (["run", "gaussian", "--num-chains"], ["--num-chains", "value is missing"]),
    "value empty": (["run", "gaussian", "--num-chains="], ["--num-chains=''", "an integer"]),
    "value replaced by option": (["run", "gaussian", "--out", "--quiet"], ["value is missing"]),
    "word for a number": (
        ["run", "gaussian", "--num-chains", "many"],
        ["--num-chains='many'", "it must be an integer", "pass --num-chains 4096"],
    ),
    "underscores": (["run", "gaussian", "--num_chains", "x"], ["--num-chains='x'"]),
    "exponent": (["run", "gaussian", "--num-chains", "1e-3"], ["an integer"]),
    "fraction": (["run", "gmm", "--sizes", "10", "1.5"], ["--sizes='10 1.5'", "integers"]),
    "number or None": (["run", "lm", "--num-blocks", "x"], ["None or an integer"]),
    "choice": (["run", "gaussian", "--estimator", "mean"], ["'unbiased', 'mle'"]),
    "function": (["run", "gaussian", "--policy.verifier", "f"], ["option of Python only"]),
    "no preset": (["run", "lm", "--preset", "huge"], ["--preset='huge'", "'micro'"]),
    "no chains": (
        ["run", "gaussian", "--num-chains", "0"],
        ["--num-chains=0", "[1, ", "pass an int such as --num-chains 1000"],
    ),
    "too many chains": (["run", "gaussian", "--num-chains", "9" * 20], ["--num-chains="]),
    "negative generations": (["run", "gaussian", "--num-generations", "-1"], ["[0, "]),
    "every 0": (["run", "gaussian", "--every", "0"], ["--every=0", "pass an int such as --every"]),
    "negative seed": (["run", "gaussian", "--seed", "-1"], ["--seed=-1", "pass --seed 0"]),
    "large seed": (["run", "gaussian", "--seed", str(2**64)], ["--seed=", "18446744073709551615"]),
    "seed of reproduce": (["reproduce", "--seed", "-1"], ["--seed=-1"]),
    "share": (
        ["run", "gaussian", "policy:mixing", "--policy.gamma", "2"],
        ["--policy.gamma=2.0", "[0, 1]"],
    ),
    "given twice": (
        ["run", *ZIPF, "--num-chains", "3"],
        ["--num-chains is not allowed", "given twice"],
    ),
    "one row": (["run", "gaussian", "--policy.num-samples", "1"], ["--policy.num-samples=1"]),
    "no sizes": (["run", "gmm", "--sizes"], ["--sizes=()", "at least one value"]),
    "size 1": (["run", "gmm", "--sizes", "1"], ["--sizes[0]=1", "pass an int such as --sizes 2"]),
    "process": (["run", *ZIPF, "--process", "2/2"], ["--process='2/2'", "INDEX/COUNT"]),
    "scale": (["reproduce", "--scale", "huge"], ["--scale='huge'", "'smoke'"]),
    "no study": (["reproduce", "--only", "cubes"], ["--only='cubes'", "gaussian"]),
    "only nothing": (["reproduce", "--only", ""], ["--only=''"]),
    "only a comma": (["reproduce", "--only", ","], ["--only=','"]),
    "lane": (["verify", "--lane", "fast"], ["--lane='fast'", "'quick', 'full'"]),
    "seed of verify": (["verify", "--seed", "x"], ["--seed='x'", "collapse verify --help"]),
    "sweep of nothing": (["sweep", "gaussian"], ["option with several values"]),
    "sweep of a gap": (["sweep", "gaussian", "--every", "1,,2"], ["--every=1,,2 is", "missing"]),
    "bad value in a sweep": (["sweep", "gaussian", "--num-chains", "1,x"], ["--num-chains='x'"]),
    "bad share in a sweep": (
        ["sweep", "gaussian", "policy:mixing", "--policy.gamma", "0,0.1,2"],
        ["--policy.gamma=2.0"],
    ),
    "extend to nothing": (["extend", "foreign"], ["RUN='foreign'"]),
    # sources
    "no file": (
        ["run", "gaussian", "--source", "none.npy"],
        ["--source: ", "='none.npy'", "No such"],
    ),
    "home": (["run", "gaussian", "--source", "~/none.npy"], ["~/none.npy", "No such file"]),
    "no home": (["run", "gaussian", "--source", "~nobody-/a.npy"], ["~nobody- is no home"]),
    "folder": (["run", "discrete", "--source", "text:foreign"], ["Is a directory"]),
    "huge rows": (
        ["run", "gaussian", "--source", "huge.csv:x", *TINY],
        [
            "--source=rows of standard deviation 1e+30",
            "recorded in float32",
            "divide the data by 1e30",
        ],
    ),
    "huge rows of a mixture": (
        ["run", "gmm", "--source", "huge.npy", *TINY],
        ["--source=rows", "covariances is recorded in float32", "divide the data by 1e30"],
    ),
    "damaged npy": (["run", "gaussian", "--source", "bad.npy"], ["--source: ", "cannot be read"]),
    "damaged npz": (["run", "vae", "--source", "bad.npz"], ["--source: ", "not a zip file"]),
    "cut npz": (
        ["run", "vae", "--source", "cut.npz"],
        ["--source: ", "='cut.npz'", "cannot be read"],
    ),
    "changed npz": (["run", "vae", "--source", "changed.npz"], ["cannot be read"]),
    "labels": (["run", "vae", "--source", "labels.npz"], ["y in labels.npz", "60 images"]),
    "image size": (["run", "vae", "--image-size", "7"], ["--image-size=7", "multiple of 4"]),
    "long folder": (["run", "vae", "--source", LONG], ["--source: ", "a folder of images"]),
    "long text": (["run", "lm", "--source", LONG], ["--source=", "a folder of text files"]),
    "no tokenizer": (["run", "lm", "--tokenizer", ""], ["--tokenizer=''", "pass bpe"]),
    # places to write to
    "out is a file": (["run", *ZIPF, "--out", "file"], ["--out=file", "it is a file"]),
    "out below a file": (
        ["run", *ZIPF, "--out", "file/run"],
        ["--out=file/run", "Not a directory", "pass another path"],
    ),
    "out is a broken link": (["run", *ZIPF, "--out", "link"], ["--out=link", "link to nowhere"]),
    "out below a broken link": (["run", *ZIPF, "--out", "link/run"], ["--out=link/run"]),
    "out is a device": (["run", *ZIPF, "--out", "/dev/full"], ["--out=/dev/full", "a file"]),
    "out below a device": (["run", *ZIPF, "--out", "/dev/full/a"], ["Not a directory"]),
    "out in /proc": (["run", *ZIPF, "--out", "/proc/run"], ["--out=/proc/run"]),
    "out too long": (["run", *ZIPF, "--out", LONG], ["File name too long", "shorter name"]),
    "out foreign": (["run", *ZIPF, "--out", "foreign"], ["no run wrote", "pass another --out"]),
    "out empty": (["run", *ZIPF, "--out", "empty"], ["it exists", "--overwrite"]),
    "out with a null": (["run", *ZIPF, "--out", "a\0b"], ["--out=", "null characters"]),
    "out of no home": (["run", *ZIPF, "--out", "~nobody-/a"], ["~nobody- is no home"]),
    "overwrite a file": (["run", *ZIPF, "--overwrite", "--out", "file"], ["it is a file"]),
    "overwrite foreign": (
        ["run", *ZIPF, "--overwrite", "--out", "foreign"],
        ["--out=foreign", "not a run directory", "'config.json'"],
    ),
    "overwrite a link": (["run", *ZIPF, "--overwrite", "--out", "link"], ["symbolic link"]),
    "sweep below a file": (
        ["sweep", "gaussian", "--every", "1,2", "--out", "file/run"],
        ["--out=file/run", "Not a directory"],
    ),
    "sweep foreign": (
        ["sweep", "gaussian", "--every", "1,2", "--overwrite", "--out", "foreign"],
        ["not a run directory"],
    ),
    "retry of nothing": (
        ["sweep", "gaussian", "--every", "1,2", "--retry", "--out", "foreign"],
        ["foreign/journal.jsonl", "start a new run"],
    ),
    "reproduce in a file": (["reproduce", "--out", "file"], ["it is a file"]),
    "reproduce below a file": (["reproduce", "--out", "file/a"], ["Not a directory"]),
    "reproduce foreign": (["reproduce", "--out", "foreign"], ["collapse reproduce", "--out"]),
    "verify below a file": (["verify", "--out", "file/a"], ["--out=file/a"]),
    "verify foreign": (["verify", "--out", "foreign"], ["collapse verify", "another --out"]),
    # runs to read
    "plot nothing": (["plot"], ["collapse plot RUN"]),
    "plot two": (["plot", "a", "b"], ["collapse plot RUN"]),
    "plot empty": (["plot", ""], ["RUN=''"]),
    "plot what is not there": (["plot", "none"], ["RUN='none'", "--out of `collapse run`"]),
    "plot no run": (["plot", "foreign"], ["foreign/journal.jsonl", "start a new run"]),
    "report a file": (["report", "file"], ["a run directory"]),
    "report too long": (["report", LONG], ["File name too long"]),
    "resume nothing": (["resume", "--quiet"], ["RUN is missing", "collapse resume RUN"]),
    "resume what is not there": (["resume", "none"], ["no such directory"]),
    "resume a file": (["resume", "file"], ["RUN='file'"]),
    "resume foreign": (["resume", "foreign"], ["no command.json", "collapse run"]),
    "extend foreign": (["extend", "foreign", "--num-chains", "9"], ["no command.json"]),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with files that commands must refuse and leave alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home-of-tests")
    Path("file").write_text("a file\n")
    Path("link").symlink_to("nowhere")
    Path("empty").mkdir()
    Path("foreign/state").mkdir(parents=True)
    Path("foreign/config.json").write_text("{}\n")
    Path("foreign/records.zarr").mkdir()
    Path("foreign/report.html").write_text("<p>of another program</p>\n")
    Path("huge.csv").write_text("x\n1e30\n-1e30\n")
    np.save("huge.npy", 1e30 * np.eye(4)[:, :2])
    Path("bad.npy").write_bytes(b"\x93NUMPY garbage")
    Path("bad.npz").write_bytes(b"PK\x03\x04 garbage")
    np.savez("whole.npz", x=np.full((60, 8, 8), 0.5), y=np.arange(60) % 2)
    content = Path("whole.npz").read_bytes()
    Path("cut.npz").write_bytes(content[: len(content) // 2])
    Path("changed.npz").write_bytes(content[:300] + bytes(99) + content[399:])
    np.savez("labels.npz", x=np.full((60, 8, 8), 0.5), y=np.arange(3))
    return tmp_path


def contents(folder):
    """Names below a folder, with the content of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def refused(arguments, capsys, *words):
    """Run a command that must end with code 2, one line with these words, and nothing else."""
    assert main(arguments) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("collapse: ")
    assert streams.err.endswith("\n")
    assert streams.err.count("\n") == 1, streams.err
    for word in words:
        assert word in streams.err
    assert "Traceback" not in streams.err
    assert "internal error" not in streams.err


@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_command_line_gets_one_line_and_changes_nothing(name, folder, capsys):
    before = contents(folder)
    arguments, words = REFUSED[name]
    refused(arguments, capsys, *words)
    assert contents(folder) == before


@pytest.mark.parametrize("options", [["--help"], ["-h"], ["--version"], ["-V"], ["help"]])
def test_help_and_version_without_a_command(options, capsys):
    assert main(options) == 0
    streams = capsys.readouterr()
    assert cj.__version__ in streams.out or streams.out.startswith("usage: collapse")
    assert streams.err == ""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(command, flag, capsys):
    assert main([command, flag]) == 0
    streams = capsys.readouterr()
    assert streams.out.startswith(f"usage: collapse {command}")
    assert streams.err == ""


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_help_of_a_command_lists_its_experiments(command, capsys):
    assert main([command, "--help"]) == 0
    page = capsys.readouterr().out
    assert all(f"\n{name} " in page for name in EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("command", ["run", "sweep"])
def test_every_experiment_has_help(name, command, capsys):
    assert main([command, name, "--help"]) == 0
    assert "--seed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, ["No space left", "free some space"]),
        (errno.EROFS, ["Read-only", "where you may write"]),
        (errno.EACCES, ["Permission denied", "permissions"]),
        (errno.EPERM, ["not permitted", "where you may write"]),
        (errno.EIO, ["Input/output error", "the disk"]),
        (errno.EMFILE, ["Too many open files", "ulimit"]),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_first(code, words, folder, capsys, monkeypatch):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    before = contents(folder)
    refused(["run", *ZIPF, "--out", "new/run"], capsys, "--out=new/run", *words)
    monkeypatch.undo()
    assert contents(folder) == before


def test_errors_of_the_disk_during_a_run_leave_nothing_and_are_one_line(
    folder, capsys, monkeypatch
):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    refused(["run", *ZIPF, "--out", "new/run"], capsys, "new/run", "No space", "free some")
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), 2, ["memory is too small", "--every"]),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), 2, ["memory is too small"]),
        (RuntimeError("INTERNAL: Out of memory allocating 9 bytes."), 2, ["corpora or batches"]),
        (OSError(errno.EACCES, "no", "weights.bin"), 2, ["weights.bin", "permissions"]),
        (OSError("a library's own"), 2, ["a library's own"]),
        (KeyboardInterrupt(), 130, ["interrupted", "collapse resume new"]),
        (ValueError("of a library\nin two lines"), 1, ["internal error", "in two lines"]),
    ],
)
def test_errors_of_a_run_are_one_line(error, code, words, folder, capsys, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(EXPERIMENTS["one-shot"], "run", fail)
    monkeypatch.setattr(EXPERIMENTS["one-shot"], "check", lambda *_: None)
    monkeypatch.delenv("COLLAPSE_JAX_DEBUG", raising=False)
    assert main(["run", "one-shot", "--quiet", "--out", "new"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words)
    assert Path("new").exists() == (code == 130), "only what can be resumed stays"


def test_a_platform_without_a_device_is_refused_before_a_directory_is_made(
    folder, capsys, monkeypatch
):
    def fail():
        raise RuntimeError("Unable to initialize backend 'cuda'")

    monkeypatch.setattr("jax.devices", fail)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    before = contents(folder)
    for command in (
        ["run", *ZIPF],
        ["reproduce", "--only", "one-shot"],
        ["verify"],
        ["sweep", "gaussian", "--every", "1,2"],
    ):
        words = ["JAX_PLATFORMS='cuda'", "Unable to initialize", "set JAX_PLATFORMS=cpu"]
        refused([*command, "--out", "new"], capsys, *words)
    assert contents(folder) == before


def test_a_reader_that_has_gone_ends_a_command_quietly(capsys, monkeypatch):
    def fail(_):
        raise BrokenPipeError

    monkeypatch.setattr(sys.stdout, "write", fail)
    assert main(["list"]) == BROKEN_PIPE
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run that was made in Python, and looks like one of the command line."""
    chain = cj.Chain(cj.Discrete(), cj.Categorical(np.full(5, 0.2)), cj.Replace(5))
    records = cj.simulate(chain, key=0, num_chains=2, num_generations=1, metrics=("probabilities",))
    path = tmp_path_factory.mktemp("saved") / "run"
    records.config["experiment"] = {"name": "discrete"}
    records.save(path)
    draw(records, path)
    command = {"experiment": "discrete", "arguments": ZIPF[1:], "seed": 0}
    (path / "command.json").write_text(json.dumps(command))
    return path


@pytest.fixture
def run(saved, tmp_path, monkeypatch):
    """A copy of the run, named run, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, "run")
    return Path("run")


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def some_chunk(run):
    return run / "records.zarr" / "entropy" / "c.0.0"


DAMAGED = {
    "cut config": (lambda run: cut(run / "config.json"), "config.json is damaged"),
    "no config": (lambda run: (run / "config.json").unlink(), "not a"),
    "cut provenance": (lambda run: cut(run / "provenance.json"), "provenance.json is damaged"),
    "empty journal": (lambda run: (run / "journal.jsonl").write_text(""), "it is empty"),
    "changed journal": (lambda run: (run / "journal.jsonl").write_text("{}\n"), "line 1"),
    "no journal": (lambda run: (run / "journal.jsonl").unlink(), "it is missing"),
    "no chunk": (lambda run: some_chunk(run).unlink(), "it is missing"),
    "cut chunk": (lambda run: cut(some_chunk(run)), "it was changed"),
    "added file": (lambda run: (run / "records.zarr" / "a").touch(), "did not write it"),
    "link": (lambda run: (run / "records.zarr" / "a").symlink_to("b"), "symbolic link"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_run_is_named(name, run, capsys):
    damage, words = DAMAGED[name]
    damage(run)
    for command in (["plot", "run"], ["report", "run"]):
        refused(command, capsys, "run", words)


COMMAND_FILES = {
    "cut": '{"experiment": "discr',
    "list": "[]",
    "of another program": '{"name": "npm"}',
    "unknown experiment": '{"experiment": "weather"}',
    "number for a text": '{"experiment": "discrete", "arguments": [3]}',
    "text for a number": '{"experiment": "discrete", "seed": "0"}',
    "text for a list": '{"experiment": "discrete", "arguments": "--quiet"}',
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("name", COMMAND_FILES)
def test_a_damaged_command_is_named(name, run, capsys):
    (run / "command.json").write_bytes(COMMAND_FILES[name].encode(errors="surrogateescape"))
    for command in (["resume", "run"], ["extend", "run", "--num-chains", "9"]):
        refused(command, capsys, "run/command.json is damaged", "backup")


def test_an_unfinished_run_names_its_remedy(run, capsys):
    shutil.rmtree(run / "records.zarr")
    refused(["plot", "run"], capsys, "not complete", "collapse resume run")


def test_damaged_captions_are_drawn_again(run, capsys):
    (run / "figures" / "captions.json").write_text('{"diver')
    assert main(["report", "run"]) == 0
    assert (run / "report.html").read_text().count("data:image/png;base64,") == 2


def test_a_refused_overwrite_leaves_the_earlier_run(run, capsys):
    before = contents(run)
    command = ["run", *ZIPF, "--overwrite", "--out", "run"]
    refused([*command, "--every", "0"], capsys, "--every=0")
    assert contents(run) == before
    (run / "notes.txt").write_text("of mine")
    refused(command, capsys, "'notes.txt'", "no run writes")
    assert (run / "notes.txt").exists()


@pytest.mark.parametrize("option", ["--num-chains=1", "--num-generations=0"])
def test_a_run_does_not_shrink(option, run, capsys):
    before = contents(run)
    refused(["extend", "run", option, "--quiet"], capsys, f"{option} is not", "can only grow")
    assert contents(run) == before


def test_a_refused_extension_leaves_the_command(run, capsys):
    before = (run / "command.json").read_bytes()
    refused(["extend", "run", "--num-chains", str(2**40), "--quiet"], capsys, "--num-chains=")
    assert json.loads((run / "command.json").read_bytes())["changes"] == {}
    assert json.loads(before)["arguments"] == ZIPF[1:]


OPTIONS = ["--num-chains", "--num-generations", "--every", "--policy.num-samples", "--seed"]
BAD = ["x", "-1", "1.5", "", "nan", "--", "1e9", "0x10", "[1]", "None,", "9" * 30, "é", "-inf"]
lines = st.lists(st.tuples(st.sampled_from(OPTIONS), st.sampled_from(BAD)), max_size=4)
policies = st.sampled_from(["", "policy:mixing", "policy:fresh", "policy:accumulate", "policy:"])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    command=st.sampled_from(["run", "sweep", "resume", "extend", "reproduce", "verify", "plot"]),
    experiment=st.sampled_from(["gaussian", "discrete", "gmm", "growing", "vae", "lm", "gauss"]),
    pairs=lines,
    policy=policies,
    join=st.booleans(),
    last=st.sampled_from(["--help", "--nonsense", "--num-chains=x", "word"]),
)
def test_any_bad_options_are_refused(command, experiment, pairs, policy, join, last, tmp_path):
    """The last word is never allowed, or asks for help: nothing runs, and nothing is made."""
    words = [f"{option}={value}" if join else option for option, value in pairs]
    if not join:
        words = [word for pair in pairs for word in pair]
    arguments = [command, experiment, *([policy] if policy else []), *words, last]
    arguments += ["--out", str(tmp_path / "new")]
    assert main(arguments) in (0, 2)
    assert not (tmp_path / "new").exists()

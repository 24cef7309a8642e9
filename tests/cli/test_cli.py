"""The commands as their user types them."""

import importlib
import json
import os
import re
import subprocess
import sys

import pytest

from collapse_jax.cli import main
from collapse_jax.experiments import EXPERIMENTS

SMALL = {
    "gaussian": ["--num-chains", "300", "--num-generations", "6", "--policy.num-samples", "20"],
    "discrete": ["--num-chains", "5", "--num-generations", "6", "--source", "zipf:12"],
}
SMALL["discrete"] += ["--policy.num-samples", "30"]


@pytest.mark.parametrize("name", ["gaussian", pytest.param("discrete", marks=pytest.mark.thorough)])
def test_run_plot_and_report(name, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["run", name, "--out", str(out), "--quiet", "--seed", "3", *SMALL[name]]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {out / 'report.html'}"
    for part in ("config.json", "provenance.json", "records.zarr", "state", "journal.jsonl"):
        assert (out / part).exists(), part
    config = json.loads((out / "config.json").read_text())
    assert config["seed"] == 3
    assert config["experiment"]["name"] == name
    pages = (out / "report.html").read_text()
    assert pages.count("data:image/png;base64,") == 2
    addresses = set(re.findall(r"https?://[^\s\"'<]+", pages.split("<pre>")[0]))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # names a language; nothing is fetched
    pictures = {path.name for path in (out / "figures").glob("*.p*")}
    assert len(pictures) == 4
    for path in (out / "figures").glob("*.png"):
        path.unlink()
    assert main(["plot", str(out)]) == 0
    assert {path.name for path in (out / "figures").glob("*.p*")} == pictures
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").exists()


def test_a_policy_is_chosen_by_name(tmp_path):
    out = tmp_path / "run"
    command = ["run", "gaussian", "policy:accumulate", "--policy.num-samples", "20", "--quiet"]
    command += ["--num-chains", "300", "--num-generations", "3", "--out", str(out)]
    assert main(command) == 0
    config = json.loads((out / "config.json").read_text())
    policy = {
        "type": "Accumulate",
        "num_samples": 20,
        "num_original": 0,
        "verifier": None,
        "selection": None,
    }
    assert config["experiment"]["policy"] == policy


def test_a_text_file_is_a_source(tmp_path):
    text = tmp_path / "poem.txt"
    text.write_text("a rose is a rose is a rose " * 20)
    out = tmp_path / "run"
    command = ["run", "discrete", "--source", f"text:{text}", "--num-chains", "4", "--quiet"]
    assert main([*command, "--num-generations", "5", "--out", str(out)]) == 0
    assert json.loads((out / "config.json").read_text())["chain"]["source"]["names"] == [
        "a",
        "rose",
        "is",
    ]


BAD = {
    "command": ["fly"],
    "experiment": ["run", "weather"],
    "option": ["run", "gaussian", "--num-chians", "3"],
    "number": ["run", "gaussian", "--num-chains", "many"],
    "generations": ["run", "gaussian", "--num-generations", "-1"],
    "size": ["run", "gaussian", "--policy.num-samples", "1"],
    "source": ["run", "discrete", "--source", "words"],
    "file": ["run", "discrete", "--source", "text:no/such/file"],
    "no run": ["plot", "no/such/run"],
    "no run to report": ["report", "no/such/run"],
    "too many": ["list", "all"],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_exit_code_2(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(BAD[name]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("collapse: ")
    assert streams.err.count("\n") == 1
    assert "Traceback" not in streams.err


def test_an_existing_directory_is_not_overwritten(tmp_path, capsys):
    assert main(["run", "gaussian", "--out", str(tmp_path)]) == 2
    assert "it exists" in capsys.readouterr().err


def test_the_installed_command_exits_with_2():
    command = [
        sys.executable,
        "-c",
        "import sys; from collapse_jax.cli import main; sys.exit(main())",
    ]
    found = subprocess.run([*command, "run", "nothing"], capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr


def test_list_and_help(capsys):
    assert main(["list"]) == 0
    assert main(["--help"]) == 0
    assert main(["run", "gaussian", "--help"]) == 0
    assert "--policy.num-samples" in capsys.readouterr().out


@pytest.mark.thorough
def test_a_column_of_a_file_is_a_source(tmp_path, capsys):
    (tmp_path / "heights.csv").write_text("cm\n" + "\n".join(map(str, range(150, 190))))
    command = ["run", "gaussian", "--policy.num-samples", "30", "--num-chains", "64", "--quiet"]
    command += ["--num-generations", "2", "--out", str(tmp_path / "run")]
    assert main([*command, "--source", f"{tmp_path}/heights.csv:m"]) == 2
    assert "the columns are 'cm'" in capsys.readouterr().err
    assert main([*command, "--source", f"{tmp_path}/heights.csv:cm"]) == 0


POINTS = ["--policy.num-samples", "10,30", "policy:mixing", "--policy.gamma", "0,0.5"]
FEW = ["--num-chains", "300", "--num-generations", "3", "--quiet"]


def test_a_sweep_has_the_grid_as_dimensions(tmp_path, capsys):
    out = tmp_path / "sweep"
    assert main(["sweep", "gaussian", *POINTS, *FEW, "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {out / 'report.html'}"
    import xarray

    with xarray.open_zarr(out / "records.zarr") as dataset:
        assert dataset.log_std_mean.dims == ("generation", "num_samples", "gamma")
        assert dataset.num_samples.values.tolist() == [10, 30]
        assert dataset.log_std_mean.notnull().all()
    assert (out / "report.html").read_text().count("data:image/png;base64,") == 1
    assert main(["plot", str(out)]) == 0


@pytest.mark.thorough
def test_a_sweep_reports_what_failed_and_runs_it_again(tmp_path, capsys):
    out = str(tmp_path / "sweep")
    command = ["sweep", "gaussian", "policy:mixing", "--policy.num-samples", "20", *FEW]
    command += ["--policy.beta", "0,0.5", "--policy.gamma", "0.1,0.6", "--out", out]
    assert main(command) == 1
    assert "failed: policy.beta=0.5, policy.gamma=0.6" in capsys.readouterr().err
    assert main([*command, "--retry"]) == 1
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.thorough
def test_policies_are_an_axis(tmp_path):
    command = ["sweep", "gaussian", "policy:replace,accumulate", "--policy.num-samples", "20"]
    assert main([*command, *FEW, "--out", str(tmp_path / "sweep")]) == 0


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_an_interrupted_reproduction_says_to_repeat_the_command(
    more, tmp_path, capsys, monkeypatch
):
    def interrupted(*given):
        raise KeyboardInterrupt("interrupted; resume it with `collapse resume growing`")

    monkeypatch.setattr(
        importlib.import_module("collapse_jax.cli.reproduce"), "run_to", interrupted
    )
    command = ["reproduce", "--only", "growing", "--scale", "smoke", *more]
    assert main([*command, "--out", str(tmp_path / "all")]) == 130
    without = " without --overwrite" if more else ""
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"collapse: interrupted; repeat the command{without} to resume")


def test_reproduce_goes_on_where_it_was(tmp_path, capsys):
    command = ["reproduce", "--only", "growing,weighting", "--scale", "smoke", "--quiet"]
    command += ["--out", str(tmp_path)]
    assert main(command) == 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "Statements of the literature: 3 agrees, 0 differs, 0 not tested." in page
    assert "<p>Cost: not recorded" not in page
    stamp = (tmp_path / "growing" / "report.html").stat().st_mtime_ns
    said = capsys.readouterr().err
    assert said.startswith("on two cores, as measured: growing 43 s, weighting 14 s; in total 58 s")
    assert main(command) == 0
    assert capsys.readouterr().err == "growing: already complete\nweighting: already complete\n"
    assert (tmp_path / "growing" / "report.html").stat().st_mtime_ns == stamp
    assert main([*command, "--seed", "1"]) == 2
    assert "was made with scale 'smoke', seed 0" in capsys.readouterr().err


WRONG = {
    "sweep without values": (["sweep", "gaussian", "--policy.num-samples", "10"], "axes="),
    "sweep of an unknown option": (["sweep", "gaussian", "--colour", "1,2"], "--colour"),
    "sweep of no experiment": (["sweep", "cubes", "--x", "1,2"], "experiment='cubes'"),
    "retry without a run": (
        ["sweep", "gaussian", "--policy.num-samples", "10,20", "--retry", "--out", "nowhere"],
        "path='nowhere'",
    ),
    "reproduce what is not there": (["reproduce", "--only", "cubes"], "--only='cubes'"),
    "scale": (["reproduce", "--scale", "huge"], "huge"),
    "shares": (["run", "gaussian", "policy:mixing", "--policy.gamma", "2"], "gamma"),
    "source": (["run", "gaussian", "--source", "cauchy"], "source='cauchy'"),
    "source file": (["run", "gaussian", "--source", "nowhere.npy"], "nowhere.npy"),
    "labels for a Gaussian": (["run", "gaussian", "--source", "zipf:3"], "labels"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_commands_get_one_line(name, capsys):
    arguments, expected = WRONG[name]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


def test_internal_errors_are_no_bad_input(tmp_path, monkeypatch, capsys):
    """A ValueError of a library is a fault of ours, and says so in one line."""

    def fail(*_):
        raise ValueError("operands could not be broadcast")

    monkeypatch.setattr(EXPERIMENTS["one-shot"], "run", fail)
    monkeypatch.delenv("COLLAPSE_JAX_DEBUG", raising=False)
    command = ["run", "one-shot", "--quiet", "--out", str(tmp_path / "run")]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("collapse: internal error, ValueError: operands")
    assert "COLLAPSE_JAX_DEBUG=1" in error
    assert error.count("\n") == 1
    monkeypatch.setenv("COLLAPSE_JAX_DEBUG", "1")
    with pytest.raises(ValueError, match="broadcast"):
        main([*command, "--overwrite"])


@pytest.mark.parametrize(
    "command",
    [["sweep", "gaussian"], ["run", "gaussian"], ["verify"], ["reproduce"], ["extend"], ["resume"]],
)
def test_every_command_has_help(command, capsys):
    assert main([*command, "--help"]) == 0
    found = capsys.readouterr()
    assert f"usage: collapse {command[0]}" in found.out
    assert found.err == ""


def test_a_missing_file_is_one_line(tmp_path, capsys):
    command = ["run", "gaussian", "--source", str(tmp_path / "none.npy"), "--quiet"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code"), [(["list"], 0), (["--version"], 0), (["run", "nothing"], 2)]
)
def test_the_package_runs_as_the_command(arguments, code):
    command = [sys.executable, "-m", "collapse_jax", *arguments]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == code
    assert (found.stdout if code == 0 else found.stderr).startswith(("gaussian ", "collapse"))
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("program", ["collapse", "other", "-m"])
def test_a_bad_variable_of_jax_is_one_line_of_the_command(program, tmp_path):
    script = tmp_path / program
    script.write_text("from collapse_jax.cli import main\nraise SystemExit(main(['list']))\n")
    environment = os.environ | {"JAX_ENABLE_X64": "banana"}
    command = [sys.executable, str(script)]
    if program == "-m":
        command = [sys.executable, "-m", "collapse_jax", "list"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == (1 if program == "other" else 2)
    assert "JAX_ENABLE_X64" in done.stderr
    assert (done.stderr.count("\n") == 1) == (program != "other")

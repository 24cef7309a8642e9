"""`collapse run` that is interrupted, killed, shared by processes, resumed and extended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.cli.command import Command

SIZES = ["--num-chains", "600", "--num-generations", "400"]
DISCRETE = ["discrete", "--source", "zipf:20", "--policy.num-samples", "50", *SIZES, "--quiet"]
SMALL = ["gaussian", "--policy.num-samples", "20", "--num-chains", "300", "--quiet"]


def start(arguments, devices=1, **environment):
    flags = f"--xla_force_host_platform_device_count={devices}"
    everything = {**os.environ, "XLA_FLAGS": flags, **environment}
    command = [sys.executable, "-c", "from collapse_jax.cli import main; raise SystemExit(main())"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*command, *arguments], env=everything, stdout=pipe, stderr=pipe, text=True
    )


def start_two(arguments):
    """Two processes of four devices each, as Slurm numbers them."""
    slurm = {
        "SLURM_JOB_ID": "4242",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_NNODES": "1",
    }
    return [
        start(arguments, devices=4, SLURM_PROCID=str(index), SLURM_LOCALID=str(index), **slurm)
        for index in range(2)
    ]


def wait_for(path):
    """Wait until a run has come as far as to make a file."""
    begin = time.monotonic()
    while not path.exists():
        assert time.monotonic() < begin + 120
        time.sleep(0.002)


def assert_same(one, other):
    assert one.variables.keys() == other.variables.keys()
    for name in [*one.variables, *one.coordinates]:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(["run", *DISCRETE, "--out", str(out)]) == 0
    return cj.Records.load(out)


@pytest.mark.parametrize(
    "stop", [pytest.param(signal.SIGINT, marks=pytest.mark.thorough), signal.SIGTERM]
)
def test_an_interrupt_says_how_to_go_on(stop, tmp_path, whole, capsys):
    out = tmp_path / "run"
    with start(["run", *DISCRETE, "--out", str(out)]) as process:
        wait_for(out / "journal.jsonl")
        process.send_signal(stop)
        output, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert error == f"collapse: interrupted; resume it with `collapse resume {out}`\n"
    assert not output
    assert main(["run", *DISCRETE, "--out", str(out)]) == 2
    assert f"collapse resume {out}" in capsys.readouterr().err
    assert main(["resume", str(out), "--quiet"]) == 0
    assert_same(cj.Records.load(out), whole)


@pytest.mark.thorough
def test_two_processes_of_four_devices_make_the_bits_of_one(tmp_path, whole, capsys):
    out = tmp_path / "run"
    both = start_two(["run", *DISCRETE, "--out", str(out), "--distributed"])
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert any("report: " in output for output, _ in outputs)
    assert_same(cj.Records.load(out), whole)
    assert (out / "journal-1.jsonl").exists()


MICRO = ["lm", "--preset", "micro", "--num-generations", "1", "--original-shares", "--quiet"]


@pytest.mark.thorough
def test_two_processes_work_at_one_chain_and_stop_together(tmp_path):
    out, alone = tmp_path / "run", tmp_path / "alone"
    command = ["run", *MICRO, "--devices", "all", "--distributed", "--out", str(out)]
    both = start_two(command)
    wait_for(out / "parts" / "replace" / "journal.jsonl")
    both[0].send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [130, 130], outputs
    both = start_two(["resume", str(out), "--quiet", "--distributed"])
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert [output.count("report: ") for output, _ in outputs] == [1, 0]
    assert main(["run", *MICRO, "--out", str(alone)]) == 0
    found, expected = cj.Records.load(out), cj.Records.load(alone)
    assert found.variables.keys() == expected.variables.keys()
    for name, one in expected.variables.items():
        np.testing.assert_allclose(found[name], one.values, rtol=1e-4, err_msg=name)
    assert found.provenance["num_devices"] == 8


def test_one_chain_for_all_processes_is_no_share(tmp_path, capsys):
    options = ["--devices", "all", "--process", "0/2", "--out", str(tmp_path / "run")]
    assert main(["run", *MICRO, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--process='0/2'" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.thorough
def test_the_range_of_a_killed_process_is_named_and_made_by_resume(tmp_path, whole, capsys):
    out = tmp_path / "run"
    shared = ["run", *DISCRETE, "--out", str(out), "--process"]
    with start([*shared, "1/2"], devices=4) as killed:
        wait_for(out / "lock-1")
        killed.kill()
    with start([*shared, "0/2"], devices=4) as process:
        output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert "chains 300 to 599 are missing" in output
    assert "after all other processes have ended" in output
    assert main(["plot", str(out)]) == 2
    assert "chains 300 to 599 are missing" in capsys.readouterr().err
    assert main(["resume", str(out), "--quiet"]) == 0
    assert_same(cj.Records.load(out), whole)


NETWORKS = {
    "vae": "--num-images 120 --image-size 8 --width 4 --latent-dim 2 --num-evaluated 100",
    "lm": "--preset micro --original-shares",
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", NETWORKS)
def test_a_share_of_the_chains_of_networks_has_no_report(name, tmp_path, capsys):
    out = tmp_path / "run"
    shared = ["run", name, *NETWORKS[name].split(), "--num-chains", "2", "--num-generations", "0"]
    shared += ["--quiet", "--out", str(out), "--process"]
    assert main([*shared, "0/2"]) == 0
    line = "is not complete yet: chain 1 is missing; run `collapse resume` after all other"
    assert line in capsys.readouterr().out
    assert not (out / "report.html").exists()
    for command in ("report", "pack"):
        assert main([command, str(out)]) == 2
        assert "it is not complete; resume it with `collapse resume" in capsys.readouterr().err
    assert main([*shared, "1/2"]) == 0
    assert "report: " in capsys.readouterr().out
    assert cj.Records.load(out)["chain"].tolist() == [0, 1]


@pytest.mark.thorough
def test_extend_and_resume_of_a_study(tmp_path, capsys):
    out, longer = tmp_path / "run", tmp_path / "longer"
    assert main(["run", *SMALL, "--num-generations", "10", "--out", str(out)]) == 0
    assert main(["extend", str(out), "--num-generations", "15", "--quiet"]) == 0
    assert main(["run", *SMALL, "--num-generations", "15", "--out", str(longer)]) == 0
    assert_same(cj.Records.load(out), cj.Records.load(longer))
    capsys.readouterr()
    assert main(["extend", str(out), "--num-generations", "5", "--quiet"]) == 2
    assert "is a run of 15 generations, and can only grow" in capsys.readouterr().err
    assert main(["resume", str(out), "--quiet"]) == 0, "a refused extension changes nothing"


@pytest.mark.parametrize("arguments", [["resume"], ["extend"], ["extend", "--num-chains", "3"]])
def test_a_run_must_be_named(arguments, capsys):
    assert main(arguments) == 2
    assert "RUN is missing: the command is `collapse" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--process", "2/2"], "--process='2/2'"),
        (["--process", "one"], "--process='one'"),
        (["--distributed"], "jax.distributed finds no cluster"),
    ],
)
def test_bad_processes_get_one_line(arguments, named, tmp_path, capsys):
    assert main(["run", *SMALL, *arguments, "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", [["reproduce"], ["sweep", *SMALL, "--every", "1,2"]])
def test_commands_that_are_not_shared_refuse_a_share(command, tmp_path, capsys):
    assert main([*command, "--process", "0/2", "--out", str(tmp_path / "run")]) == 2
    assert "--process" in capsys.readouterr().err


ROOT = Path(__file__).parents[2]
LINES = [
    line.split("#")[0].replace("\\", "").split()[2:]
    for page in (ROOT / "README.md", ROOT / "docs" / "scaling.md")
    for line in page.read_text().splitlines()
    if line.startswith("    collapse run ")
]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_documented_commands_have_these_options(words):
    name, *arguments = words
    assert Command(name, arguments).config() is not None

"""Runs in a run directory: the same bits as in memory, whatever stopped them, and refusals."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray

import collapse_jax as cj
from collapse_jax.results import provenance
from collapse_jax.store import directory
from collapse_jax.store.lock import locked

RUNS = Path(__file__).parents[1] / "crash" / "killed_runs.py"
GAUSSIAN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
WORDS = cj.Chain(cj.Discrete(), cj.Categorical(np.full(5, 0.2)), cj.Replace(20))
SETTINGS = {"num_chains": 300, "num_generations": 57, "every": 5, "chain_batch": 128}
CASES = {
    "gaussian": (GAUSSIAN, {}),
    "discrete": (WORDS, {"metrics": ("probabilities",)}),
    "reduced": (GAUSSIAN, {"reduce": cj.Reduce(survival=True, histograms={"log_std": [-1, 0]})}),
}


def run(name, **changes):
    chain, arguments = CASES[name]
    return cj.simulate(chain, key=1, **(SETTINGS | arguments | changes))


def assert_same(one, other):
    assert dict(one.variables).keys() == dict(other.variables).keys()
    for table in (one.variables, one.coordinates):
        for name, variable in table.items():
            theirs = {**other.variables, **other.coordinates}[name]
            assert variable.dims == theirs.dims
            assert variable.values.dtype == theirs.values.dtype
            np.testing.assert_array_equal(variable.values, theirs.values)
    for mine, theirs in zip(one.state.leaves, other.state.leaves, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert one.theory.keys() == other.theory.keys()
    for name, curve in one.theory.items():
        np.testing.assert_array_equal(curve.values, other.theory[name].values)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.thorough] * (name == "discrete")) for name in CASES],
)
def test_a_store_holds_the_bits_of_a_run_in_memory(name, tmp_path):
    whole = run(name)
    for seconds in (0, 30):
        path = tmp_path / str(seconds)
        stored = run(name, store=cj.Store(path, seconds=seconds), generation_chunk=4)
        assert_same(whole, stored)
        assert_same(whole, cj.Records.load(path))
        assert not stored.missing
        journal = (path / "journal.jsonl").read_bytes()
        assert_same(whole, run(name, store=path))
        assert (path / "journal.jsonl").read_bytes() == journal, "nothing was left to do"


def test_plain_xarray_reads_it_lazily(tmp_path):
    stored = run("discrete", store=tmp_path / "run")
    with xarray.open_zarr(tmp_path / "run" / "records.zarr", chunks=None) as dataset:
        assert dict(dataset.sizes) == {"generation": 13, "chain": 300, "state": 5}
        assert set(dataset.coords) == {"generation", "chain", "first_event"}
        np.testing.assert_array_equal(dataset.entropy[3], stored["entropy"][3])
        assert json.loads(dataset.attrs["config"])["every"] == 5
        assert dataset.support_size.dtype == stored["support_size"].dtype
    assert not dataset.entropy.variable._in_memory
    assert not stored.dataset.probabilities.variable._in_memory


def cut(path, lines):
    """Take a whole run back to its first lines, as a crash would have left it.

    What later lines removed is gone for good, so that only states that the first lines
    leave may be asked for.
    """
    journal = path / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:lines]))


@pytest.mark.parametrize(
    ("name", "tail"),
    [("gaussian", b'{"time": "2'), ("discrete", b"\0" * 512), ("reduced", b"")],
)
def test_a_run_goes_on_from_a_journal_that_ends_early(name, tail, tmp_path):
    whole = run(name, store=tmp_path / "run")
    lines = (tmp_path / "run" / "journal.jsonl").read_bytes().count(b"\n")
    for kept in range(1, lines):
        path = shutil.copytree(tmp_path / "run", tmp_path / f"{kept}")
        cut(path, kept)
        with (path / "journal.jsonl").open("ab") as file:
            file.write(tail)
        partial = cj.Records.load(path)
        if kept == 1:
            assert partial.missing == ((0, 299),)
            assert np.all(partial["status" if name != "reduced" else "status_count"] >= -1)
        assert_same(whole, run(name, store=path))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.thorough] * (name != "gaussian")) for name in CASES],
)
def test_an_extended_run_has_the_bits_of_a_longer_one(name, tmp_path):
    run(name, store=tmp_path / "run")
    arguments = {"num_chains": 400, "num_generations": 91}
    with pytest.raises(ValueError, match=r"num_chains is 300 there and 400 now.*extend=True"):
        run(name, store=tmp_path / "run", **arguments)
    store = cj.Store(tmp_path / "run", extend=True)
    extended = run(name, store=store, **arguments)
    assert_same(extended, run(name, **arguments))
    assert_same(extended, cj.Records.load(tmp_path / "run"))
    many = {"num_chains": 1600, "num_generations": 91, "chain_batch": 1024}
    assert_same(run(name, store=store, **many), run(name, **many))
    with pytest.raises(ValueError, match="num_chains is 1600 there and 400 now"):
        run(name, store=store, **arguments)


def test_a_crash_while_extending_is_made_good(tmp_path, monkeypatch):
    whole = run("gaussian", num_generations=91)
    run("gaussian", store=tmp_path / "run")
    install, calls = directory._install_metadata, []

    def crash(path):
        calls.append(path)
        if len(calls) == 2:  # the first is before the extension
            raise MemoryError
        install(path)

    monkeypatch.setattr(directory, "_install_metadata", crash)
    with pytest.raises(MemoryError):
        run("gaussian", store=cj.Store(tmp_path / "run", extend=True), num_generations=91)
    assert_same(whole, run("gaussian", store=tmp_path / "run", num_generations=91))


@pytest.mark.thorough
def test_corpora_with_room_for_the_last_generation_are_not_extended(tmp_path):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.AccumulateSubsample(10))
    arguments = {"key": 0, "num_chains": 8}
    cj.simulate(chain, num_generations=4, store=tmp_path / "run", **arguments)
    store = cj.Store(tmp_path / "run", extend=True)
    with pytest.raises(
        ValueError, match="AccumulateSubsample a corpus has the slots of 4 generations"
    ):
        cj.simulate(chain, num_generations=5, store=store, **arguments)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"key": 2}, "key is"),
        ({"every": 3}, "every is 5 there and 3 now"),
        ({"metrics": ("covariance",)}, "metrics is"),
        ({"reduce": cj.Reduce()}, "reduce is None there"),
        ({"first_chain": 7}, "first_chain is 0 there and 7 now"),
        ({"chain": cj.Chain(cj.Gaussian(1), GAUSSIAN.source, cj.Replace(11))}, "num_samples is 10"),
        ({"chain": WORDS}, "chain.family.type is 'Gaussian' there and 'Discrete' now"),
    ],
)
def test_another_run_is_refused_naming_what_differs(changes, named, tmp_path):
    run("gaussian", store=tmp_path / "run")
    before = files(tmp_path)
    chain = changes.pop("chain", GAUSSIAN)
    with pytest.raises(ValueError, match=named):
        cj.simulate(chain, store=tmp_path / "run", **({"key": 1} | SETTINGS | changes))
    assert files(tmp_path) == before


def test_another_precision_is_refused(tmp_path):
    import jax

    run("gaussian", store=tmp_path / "run")
    with jax.enable_x64(True), pytest.raises(ValueError, match="'float32' there and 'float64' now"):
        run("gaussian", store=tmp_path / "run")


def test_a_second_writer_is_refused_and_a_dead_one_holds_nothing(tmp_path):
    run("gaussian", store=tmp_path / "run")
    code = (
        "import sys, time; from pathlib import Path\n"
        "from collapse_jax.store.lock import locked\n"
        "with locked(Path(sys.argv[1]), (0, 1)): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="being written by another process"):
            run("gaussian", store=tmp_path / "run")
        process.kill()
    run("gaussian", store=tmp_path / "run")


def test_processes_of_one_run_hold_it_together(tmp_path):
    with locked(tmp_path, (0, 2)), locked(tmp_path, (1, 2)):
        for other in ((0, 1), (1, 2)):
            with pytest.raises(ValueError, match="another process"), locked(tmp_path, other):
                pass


@pytest.mark.thorough
def test_ranges_of_chains_by_process(tmp_path):
    whole = run("discrete", num_chains=500)
    first = cj.Store(tmp_path / "run", process=(0, 3))
    with pytest.warns(RuntimeWarning, match="lacks chains 168 to 499, which other"):
        part = run("discrete", num_chains=500, store=first)
    assert part.missing == ((168, 499),)
    np.testing.assert_array_equal(part["entropy"][:, :168], whole["entropy"][:, :168])
    assert np.all(np.isnan(part["entropy"][:, 168:]))
    last = cj.Store(tmp_path / "run", process=(2, 3))
    with pytest.warns(RuntimeWarning, match="lacks chains 168 to 335, which"):
        run("discrete", num_chains=500, store=last)
    assert_same(whole, run("discrete", num_chains=500, store=tmp_path / "run"))
    assert sorted(path.name for path in (tmp_path / "run").glob("journal*")) == [
        "journal-2.jsonl",
        "journal.jsonl",
    ]


def test_an_interrupt_ends_a_run_in_order(tmp_path):
    path = tmp_path / "run"
    command = [sys.executable, str(RUNS), "gaussian", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(path.glob("state/*.npy")):
            time.sleep(0.01)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]
    assert "has every generation so far" in error
    assert cj.Records.load(path).missing


def files(root):
    """Content of every file below a directory."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_run_of_another_version_loads_and_is_not_resumed(tmp_path, monkeypatch):
    path, arguments = tmp_path / "run", {"key": 0, "num_chains": 4, "store": tmp_path / "run"}
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "_version", lambda name: "0.1.0")
        made = cj.simulate(GAUSSIAN, num_generations=3, **arguments)
    loaded = cj.Records.load(path)
    np.testing.assert_array_equal(loaded["log_std"], made["log_std"])
    with pytest.raises(cj.ArgumentError, match=r"collapse_jax 0.1.0 made it and this is 0\.") as no:
        cj.simulate(GAUSSIAN, num_generations=3, **arguments)
    assert "\n" not in str(no.value)

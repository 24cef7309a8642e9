"""The table of benchmarks: rows are printed right, and a part that dies loses nothing else."""

import importlib
import json
import pathlib
import re
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
SCRIPT = """
import os, signal, sys, timing

def row(name):
    yield timing.Row(name, "a peer", 1e-9, 3e-9, 3.0, 2.0)

def raises():
    yield from row("before the error")
    raise ValueError("no such law")

def lacks():
    import no_such_package

def dies():
    yield from row("before the kill")
    os.kill(os.getpid(), signal.SIGKILL)

CASES = {CASES}
sys.exit(timing.main(CASES, __doc__))
"""
PARTS = {
    "good": "{'one': lambda: row('good'), 'two': lambda: row('better')}",
    "lacking": "{'lacks': lacks, 'after': lambda: row('after a peer was missing')}",
    "raising": "{'raises': raises, 'after': lambda: row('after the error')}",
    "killed": "{'dies': dies, 'after': lambda: row('never')}",
    "broken": "no_such_name",
    "last": "{'one': lambda: row('last')}",
}


@pytest.fixture(autouse=True)
def found(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def modules():
    return importlib.import_module("table"), importlib.import_module("timing")


def test_rows_are_printed_right():
    table, timing = modules()
    rows = [
        timing.Row("a", "NumPy", 9.5e-9, 4.07e-8, 4.28, 3.5, our_cores=1.96, peer_cores=1, pairs=5),
        timing.Row("b", "PyTorch", 0.0365, 1.2, 2327.0, 2500, per="token", note="on"),
        timing.Row("c", "PyTorch", 3.837, 3.906, 1.018, 1, unit="GB", per=""),
        timing.limited("d", 72.0, 120.0),
    ]
    lines = table.table(rows).splitlines()[2:]
    assert lines == [
        "| a; NumPy | 9.5 ns | 40.7 ns | 4.28 | 3.50 | 2.0 | 1.0 | 5 |  |",
        "| b, per token; PyTorch | 36.5 ms | 1.2 s | 2,330 | 2,500 **missed** | - | - | 1 | on |",
        "| c; PyTorch | 3.84 GB | 3.91 GB | 1.02 | 1.00 | - | - | 1 |  |",
        "| d; limit | 72 s | 120 s | 1.67 | 1.00 | - | - | 1 |  |",
    ]
    assert table.readme_rows(rows).splitlines() == [
        "| a; NumPy | 9.5 ns | 40.7 ns | 4.28 |",
        "| b, per token; PyTorch | 36.5 ms | 1.2 s | 2,330 |",
    ]


def test_ratios_are_those_of_neighbouring_runs(monkeypatch):
    _, timing = modules()
    seconds = iter([9.0, 1.0, 2.0, 2.0, 8.0, 1.0, 3.0])  # our first call, then pairs

    def measure(run):
        run()
        return timing.Run(next(seconds), 1.5)

    monkeypatch.setattr(timing, "measure", measure)
    calls = []
    row = timing.compare(
        "x", "y", lambda: calls.append("o"), 10, lambda: calls.append("p"), 20, repeats=3
    )
    assert "".join(calls) == "op" * 4
    assert (row.ours, row.peer, row.ratio) == (0.1, 0.15, 1.5)  # of 2/1, 8/2 and 3/1, halved
    assert (row.our_cores, row.pairs, row.compile_seconds) == (1.5, 3, 8.0)


def test_a_part_that_fails_or_is_killed_loses_nothing_else(tmp_path, capfd):
    table, _ = modules()
    for name, cases in PARTS.items():
        (tmp_path / f"{name}.py").write_text(SCRIPT.replace("{CASES}", cases))
    environments = {name: {"PYTHONPATH": str(BENCHMARKS)} for name in PARTS}
    out = tmp_path / "out"
    parts = table.run_all(PARTS, out, environments, tmp_path)
    assert {name: [row.name for row in part.rows] for name, part in parts.items()} == {
        "good": ["good", "better"],
        "lacking": ["after a peer was missing"],
        "raising": ["before the error", "after the error"],
        "killed": ["before the kill"],
        "broken": [],
        "last": ["last"],
    }
    assert [name for name, part in parts.items() if part.is_good] == ["good", "lacking", "last"]
    page = (out / "README.md").read_text()
    for line in (
        "| last; a peer | 1 ns | 3 ns | 3.00 | 2.00 | - | - | 1 |  |",
        "- `lacking`, lacks: no_such_package is not installed",
        "- `raising`, raises: ValueError: no such law",
        "- `killed`, the rest: killed by SIGKILL",
        "- `broken`, the rest: ended with exit code 1",
    ):
        assert line in page.splitlines()
    assert sys.version.split()[0] in page
    kept = json.loads((out / "rows" / "killed.json").read_text())
    assert kept["rows"][0]["ratio"] == 3.0
    assert "no such law" in capfd.readouterr().err

    again = table.run_all(["good"], out, environments, tmp_path)
    assert again == {**parts, "good": again["good"]}


DOCS = BENCHMARKS.parent / "docs"
QUOTED = {  # sentences of a page, and rows of the table whose ratio, inverted, they round
    r"`Accumulate` costs ([\d.]+) times": "Accumulate(100), every=G;",
    r"takes up to ([\d.]+) times as long as recording the": "Gaussian, M = 100, every generation",
}


@pytest.mark.parametrize("sentence", QUOTED)
def test_the_page_on_speed_quotes_the_ratios_of_the_table(sentence):
    rows = (DOCS / "benchmarks" / "README.md").read_text().splitlines()
    (row,) = (one for one in rows if one.startswith(f"| {QUOTED[sentence]}"))
    quoted = re.search(sentence, " ".join((DOCS / "performance.md").read_text().split()))
    assert quoted
    assert float(quoted[1]) * float(row.split(" | ")[3]) == pytest.approx(1, abs=0.09)


def test_ten_million_chains_take_the_same_time_on_every_page():
    table, speed, scaling = (
        (DOCS / name).read_text()
        for name in ("benchmarks/README.md", "performance.md", "scaling.md")
    )
    ours = [line for line in table.splitlines() if "10,000,000 chains" in line]
    seconds = re.search(r"\| (\d+) s, compilation included", ours[0])
    memory = re.search(r"\| ([\d.]+) GB", ours[1])
    assert seconds
    assert memory
    assert f"| {seconds[1]} | | {memory[1]} |" in speed
    words = f"take {seconds[1]} seconds, compilation included, and {memory[1]} GB"
    assert words in " ".join(scaling.split())


def test_every_part_is_a_script():
    table, _ = modules()
    assert all((BENCHMARKS / f"{name}.py").is_file() for name in table.PARTS)


def test_slices_become_a_table():
    slices = importlib.import_module("slices")
    report = {"fits": True, "peak_bytes": 2**31, "step_seconds": 0.02}
    rows = {"125m v5e:2x2": {"train": report, "generate": report | {"step_seconds": 1.0}}}
    rows["1.3b v5e:2x4"] = {"train": {"fits": False, "peak_bytes": None, "step_seconds": 0.0}}
    # 37,000 blocks in batches of 128 are 290 steps, 5 epochs of 11 models in 5 runs.
    assert slices.table(rows).splitlines()[2:] == [
        "| OPT-125m | v5e:2x2 | 128 | yes | 2.0 GiB | 20.0 ms | 409,600 | 0.4 | 4.0 |",
        "| OPT-1.3b | v5e:2x4 | 64 | no | more than it has |  |  |  |  |",
    ]


def test_what_an_accelerator_does_is_written_part_by_part(tmp_path, monkeypatch, capsys):
    accelerator = importlib.import_module("accelerator")

    def fails(tiny):
        raise ValueError("no such device")

    parts = {"bits": lambda tiny: {"passed": tiny}, "speed": fails}
    monkeypatch.setattr(accelerator, "PARTS", parts)
    assert accelerator.main(["--tiny", "--only", "bits", "--out", str(tmp_path)]) == 0
    assert accelerator.main(["--tiny", "--only", "bits", "speed", "--out", str(tmp_path)]) == 1
    found = json.loads((tmp_path / "accelerator.json").read_text())
    assert found["tiny"] is True
    assert found["parts"]["bits"]["passed"] is True
    assert found["parts"]["speed"]["reason"] == "ValueError: no such device"
    monkeypatch.setattr(accelerator, "LATEST", -1)
    assert accelerator.main(["--only", "bits", "--out", str(tmp_path)]) == 0
    assert "left out" in capsys.readouterr().out


@pytest.mark.thorough
def test_all_parts_for_an_accelerator_run_on_a_cpu_at_tiny_sizes(tmp_path):
    accelerator = importlib.import_module("accelerator")
    assert accelerator.main(["--tiny", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "accelerator.json").read_text())
    assert set(found["parts"]) == set(accelerator.PARTS)

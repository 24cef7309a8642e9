"""Time alternating runs of the library and a peer, and make the rows of a table of them.

A benchmark is a script with a table of cases, functions that yield `Row`s, and
`main(CASES, __doc__)`.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

PER = "chain and generation"


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table; less is better.

    Attributes:
      name: the measured task.
      against: the peer, or "limit".
      ours: seconds per unit of work, or gigabytes.
      peer: seconds or gigabytes of the peer, or the limit.
      ratio: peer / ours, the median over pairs of runs.
      bar: the least ratio that is wanted, 0 for none.
      unit: "s" or "GB".
      per: the unit of work.
      our_cores: CPU time over wall time, None if not measured.
      peer_cores: CPU time over wall time of the peer, None if not measured.
      pairs: number of pairs of runs.
      compile_seconds: duration of our first call beyond later ones.
      note: a remark.
      x: the varied size, None for none.
    """

    name: str
    against: str
    ours: float
    peer: float
    ratio: float
    bar: float = 0.0
    unit: str = "s"
    per: str = PER
    our_cores: float | None = None
    peer_cores: float | None = None
    pairs: int = 1
    compile_seconds: float | None = None
    note: str = ""
    x: float | None = None

    @property
    def title(self) -> str:
        """Return name, unit of work unless it is the usual one, and peer."""
        per = "" if self.per in ("", PER) else f", per {self.per}"
        return f"{self.name}{per}; {self.against}"

    @property
    def is_good(self) -> bool:
        """Tell whether the bar is met."""
        return self.ratio >= self.bar


class Run(NamedTuple):
    """The wall seconds of a call, and the number of busy cores."""

    seconds: float
    cores: float


def measure(run: Callable[[], object]) -> Run:
    """Time one call; CPU time is that of all threads of this process.

    Args:
      run: the call.
    """
    began, worked = time.perf_counter(), time.process_time()
    run()
    seconds = time.perf_counter() - began
    return Run(seconds, (time.process_time() - worked) / seconds)


def compare(
    name: str,
    against: str,
    ours: Callable[[], object],
    ours_units: float,
    peer: Callable[[], object],
    peer_units: float,
    *,
    bar: float = 0.0,
    per: str = PER,
    repeats: int = 5,
    note: str = "",
    x: float | None = None,
) -> Row:
    """Time the library and a peer alternately, after one warm-up each.

    Args:
      name: the measured task.
      against: name of the peer.
      ours: our run; its first call compiles.
      ours_units: units of work of our run, e.g. chain generations.
      peer: the peer's run.
      peer_units: units of work of the peer's run.
      bar: the least ratio peer / ours that is wanted, 0 for none.
      per: the unit of work.
      repeats: pairs of runs.
      note: a remark.
      x: the varied size, None for none.
    """
    cold = measure(ours).seconds
    peer()
    pairs = [(measure(ours), measure(peer)) for _ in range(repeats)]
    seconds = statistics.median(pair[0].seconds for pair in pairs)
    ratios = [pair[1].seconds / pair[0].seconds * ours_units / peer_units for pair in pairs]
    return Row(
        name=name,
        against=against,
        ours=seconds / ours_units,
        peer=statistics.median(pair[1].seconds for pair in pairs) / peer_units,
        ratio=statistics.median(ratios),
        bar=bar,
        per=per,
        our_cores=statistics.median(pair[0].cores for pair in pairs),
        peer_cores=statistics.median(pair[1].cores for pair in pairs),
        pairs=repeats,
        compile_seconds=max(0.0, cold - seconds),
        note=note,
        x=x,
    )


def limited(name: str, value: float, limit: float, **fields: Any) -> Row:
    """Return the row of a value that may not exceed a limit.

    Args:
      name: the measured task.
      value: seconds or gigabytes.
      limit: the most seconds or gigabytes.
      fields: other fields of the row.
    """
    return Row(name, "limit", value, limit, limit / value, 1.0, per="", **fields)


def peak_gigabytes() -> float:
    """Return the peak memory of this process in gigabytes.

    `ru_maxrss` would not do: Linux passes that of the parent on to its child.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kibibytes) * 1024 / 1e9


def apart(
    function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str] | None = None
) -> Any:
    """Call a function in a new process.

    Args:
      function: a function of a module.
      arguments: its arguments.
      environment: the environment of the process, None for that of this one.

    Raises:
      BrokenProcessPool: if the process is killed.
    """
    spawn = multiprocessing.get_context("spawn")
    with (
        _environment(os.environ if environment is None else environment),
        concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool,
    ):
        return pool.submit(function, *arguments).result()


@contextlib.contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    earlier, wanted = dict(os.environ), dict(wanted)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(earlier)


@dataclasses.dataclass
class Part:
    """The results of one benchmark so far.

    Attributes:
      rows: the measured rows.
      missing: missing packages, by case.
      failed: errors, by case.
      is_finished: whether every case has been tried.
      about: versions and CPU.
    """

    rows: list[Row] = dataclasses.field(default_factory=list)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    is_finished: bool = False
    about: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Tell whether no case failed and every measured row meets its bar."""
        return self.is_finished and not self.failed and all(row.is_good for row in self.rows)

    def save(self, path: Path) -> None:
        """Write the part as JSON, as a whole or not at all."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Part":
        """Read a part that `save` wrote."""
        fields = json.loads(path.read_text())
        return cls(**{**fields, "rows": [Row(**row) for row in fields["rows"]]})


def run(cases: Mapping[str, Callable[[], Iterator[Row]]], path: Path | None = None) -> Part:
    """Run cases one after another; print and write each row at once.

    Args:
      cases: functions that yield rows, by name.
      path: the file of rows; None to write none.

    Returns:
      The rows, and the errors of cases that failed.
    """
    part = Part()

    def save() -> None:
        if path is not None:
            part.save(path)

    save()
    for name, case in cases.items():
        try:
            for row in case():
                part.rows.append(row)
                save()
                print(line(row), flush=True)
        except ModuleNotFoundError as error:
            part.missing[name] = f"{error.name} is not installed"
            print(f"{name}: {part.missing[name]}", flush=True)
        except Exception as error:
            traceback.print_exc()
            part.failed[name] = f"{type(error).__name__}: {error}"
        save()
    part.is_finished = True
    save()
    return part


def main(cases: Mapping[str, Callable[[], Iterator[Row]]], description: str) -> int:
    """Run the command line of one benchmark.

    Args:
      cases: functions that yield rows, by name.
      description: text of `--help`.

    Returns:
      1 if a bar is missed or a case failed, else 0. A peer that is not installed is no failure.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=cases, help="one case")
    parser.add_argument("--json", type=Path, help="file for the rows")
    arguments = parser.parse_args()
    chosen = cases if arguments.only is None else {arguments.only: cases[arguments.only]}
    print(HEADER)
    return int(not run(chosen, arguments.json).is_good)


HEADER = f"{'ours':>10}{'peer':>10}{'ratio':>9}{'bar':>8}{'compile':>9}{'cores':>12}"


def line(row: Row) -> str:
    """Return a row as one line of text, for printing while the benchmark runs."""
    compiled = "" if row.compile_seconds is None else f"{row.compile_seconds:.1f} s"
    cores = f"{pretty_cores(row.our_cores)} / {pretty_cores(row.peer_cores)}"
    note = f" ({row.note})" if row.note else ""
    return (
        f"{pretty(row.ours, row.unit):>10}{pretty(row.peer, row.unit):>10}"
        f"{pretty_ratio(row.ratio):>9}{pretty_ratio(row.bar):>8}{compiled:>9}{cores:>12}"
        f"  {'ok' if row.is_good else 'BELOW':<6}{row.title}{note}"
    )


def pretty(value: float, unit: str = "s") -> str:
    """Return a value with three digits and a unit."""
    if unit != "s":
        return f"{value:.2f} {unit}"
    for name, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{_three_digits(value / scale)} {name}"
    return f"{_three_digits(value / 1e-9)} ns"


def pretty_ratio(ratio: float) -> str:
    """Return a ratio with two decimals below ten, and three digits above."""
    return f"{ratio:.2f}" if ratio < 10 else _three_digits(ratio)


def pretty_cores(number: float | None) -> str:
    """Return a number of cores with one decimal, "-" for None."""
    return "-" if number is None else f"{number:.1f}"


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.4g}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

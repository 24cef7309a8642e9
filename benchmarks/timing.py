"""Measures: ours and the peer in turn, rows of the table, and the command line of a benchmark.

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
      name: what is measured.
      against: the peer, or "limit".
      ours: seconds per unit of work, or gigabytes.
      peer: the peer's, or the limit.
      ratio: peer / ours; of pairs of runs the median of their ratios.
      bar: the least ratio that is wanted, 0 if none is.
      unit: "s" or "GB".
      per: the unit of work.
      our_cores: processor time over wall time, None if it was not taken.
      peer_cores: the same of the peer.
      pairs: how many pairs of runs the medians are over.
      compile_seconds: what our first call took beyond the later ones.
      note: what else there is to say.
      x: the size that is varied, where one is.
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
        """Name, unit of work unless it is the usual one, and peer."""
        per = "" if self.per in ("", PER) else f", per {self.per}"
        return f"{self.name}{per}; {self.against}"

    @property
    def is_good(self) -> bool:
        """Whether the bar is met."""
        return self.ratio >= self.bar


class Run(NamedTuple):
    """Wall seconds of a call, and how many cores it kept busy."""

    seconds: float
    cores: float


def measure(run: Callable[[], object]) -> Run:
    """Time one call; processor time is that of all threads of this process."""
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
    """Time both in turn, `repeats` times after one warm-up each.

    Args:
      name: what is compared.
      against: the peer.
      ours: our run; its first call compiles.
      ours_units: units of work in it, e.g. chain generations.
      peer: the other run.
      peer_units: units of work in that.
      bar: the least ratio peer / ours that is wanted, 0 if none is.
      per: the unit of work.
      repeats: pairs of runs.
      note: what else there is to say.
      x: the size that is varied, where one is.
    """
    first = measure(ours).seconds
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
        compile_seconds=max(0.0, first - seconds),
        note=note,
        x=x,
    )


def limited(name: str, value: float, limit: float, **fields: Any) -> Row:
    """A row of what may not exceed a limit."""
    return Row(name, "limit", value, limit, limit / value, 1.0, per="", **fields)


def peak_gigabytes() -> float:
    """Peak memory of this process, without that of the process which started it.

    Linux hands the parent's `ru_maxrss` on to the child.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kibibytes) * 1024 / 1e9


def apart(
    function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str] | None = None
) -> Any:
    """A call in a new process with that environment; BrokenProcessPool if it is killed."""
    spawn = multiprocessing.get_context("spawn")
    with (
        _environment(os.environ if environment is None else environment),
        concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool,
    ):
        return pool.submit(function, *arguments).result()


@contextlib.contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    kept, wanted = dict(os.environ), dict(wanted)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@dataclasses.dataclass
class Part:
    """What one benchmark has found so far.

    Attributes:
      rows: what was measured.
      missing: cases whose peer is not installed, and which it is.
      failed: cases that ended in an error, and in which.
      is_finished: whether every case has had its turn.
      about: versions and processor.
    """

    rows: list[Row] = dataclasses.field(default_factory=list)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    is_finished: bool = False
    about: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether nothing failed and every bar that could be tried is met."""
        return self.is_finished and not self.failed and all(row.is_good for row in self.rows)

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Part":
        """Read what `save` wrote."""
        fields = json.loads(path.read_text())
        return cls(**{**fields, "rows": [Row(**row) for row in fields["rows"]]})


def run(cases: Mapping[str, Callable[[], Iterator[Row]]], path: Path | None = None) -> Part:
    """Run the cases one after another, print their rows and write them to `path` as they come."""
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
    """The command line of one benchmark.

    Returns:
      1 if a bar is missed or a case failed, else 0. A peer that is not installed is no failure.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=cases, help="one case")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    chosen = cases if arguments.only is None else {arguments.only: cases[arguments.only]}
    print(HEADER)
    return int(not run(chosen, arguments.json).is_good)


HEADER = f"{'ours':>10}{'peer':>10}{'ratio':>9}{'bar':>8}{'compile':>9}{'cores':>12}"


def line(row: Row) -> str:
    """A row as printed while the benchmark runs."""
    compiled = "" if row.compile_seconds is None else f"{row.compile_seconds:.1f} s"
    cores = f"{pretty_cores(row.our_cores)} / {pretty_cores(row.peer_cores)}"
    note = f" ({row.note})" if row.note else ""
    return (
        f"{pretty(row.ours, row.unit):>10}{pretty(row.peer, row.unit):>10}"
        f"{pretty_ratio(row.ratio):>9}{pretty_ratio(row.bar):>8}{compiled:>9}{cores:>12}"
        f"  {'ok' if row.is_good else 'BELOW':<6}{row.title}{note}"
    )


def pretty(value: float, unit: str = "s") -> str:
    """Three digits and a unit."""
    if unit != "s":
        return f"{value:.2f} {unit}"
    for name, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{_three_digits(value / scale)} {name}"
    return f"{_three_digits(value / 1e-9)} ns"


def pretty_ratio(ratio: float) -> str:
    """Two digits behind the point below ten, three digits above."""
    return f"{ratio:.2f}" if ratio < 10 else _three_digits(ratio)


def pretty_cores(number: float | None) -> str:
    """One digit behind the point."""
    return "-" if number is None else f"{number:.1f}"


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.4g}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

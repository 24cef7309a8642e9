"""Ours and the peer, interleaved: the median of the ratios of neighbouring runs."""

import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One line of the table; rates are seconds per unit of work."""

    name: str
    ours: float
    peer: float
    ratio: float
    compile_seconds: float
    bar: float

    def line(self) -> str:
        """The line as printed."""
        verdict = "ok" if self.ratio >= self.bar else "BELOW"
        return (
            f"{self.name:<58} {_pretty(self.ours):>10} {_pretty(self.peer):>10} "
            f"{self.ratio:>9.2f} {self.bar:>7.4g} {self.compile_seconds:>8.1f}  {verdict}"
        )


def _pretty(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


HEADER = f"{'':<58} {'ours':>10} {'peer':>10} {'ratio':>9} {'bar':>7} {'compile':>8}"


def measure(run: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def compare(
    name: str,
    ours: Callable[[], object],
    ours_units: float,
    peer: Callable[[], object],
    peer_units: float,
    *,
    bar: float,
    repeats: int = 5,
) -> Comparison:
    """Time both in turn, `repeats` times after one warm-up each.

    Args:
      name: what is compared.
      ours: our run; its first call compiles.
      ours_units: units of work in it, e.g. chain generations.
      peer: the other run.
      peer_units: units of work in that.
      bar: the least ratio peer / ours that is wanted.
      repeats: pairs of runs.
    """
    first = measure(ours)
    peer()
    pairs = [(measure(ours) / ours_units, measure(peer) / peer_units) for _ in range(repeats)]
    result = Comparison(
        name=name,
        ours=statistics.median(pair[0] for pair in pairs),
        peer=statistics.median(pair[1] for pair in pairs),
        ratio=statistics.median(pair[1] / pair[0] for pair in pairs),
        compile_seconds=max(0.0, first - statistics.median(pair[0] for pair in pairs) * ours_units),
        bar=bar,
    )
    sys.stdout.write(result.line() + "\n")
    sys.stdout.flush()
    return result


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def dump(results: list[Comparison], path: str) -> None:
    """Write the table as JSON."""
    with open(path, "w") as file:
        json.dump([dataclasses.asdict(result) for result in results], file, indent=1)

"""Measure the cost of a run directory, and the memory of a study of ten million chains.

    python benchmarks/store.py [--only CASE] [--json FILE]

Run directories are temporary; set TMPDIR to a folder on the disk to be measured.
"""

import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import timing

import collapse_jax as cj

CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
MANY = 10_000_000
MOST_GB, LEAST_RATE = 1.5, 0.8


def cost(every: int = 10) -> Iterator[timing.Row]:
    """Compare runs on disk and in memory: 10^5 chains, 1,000 generations, 100 records."""
    arguments = {"num_chains": 10**5, "num_generations": 1000, "every": every}
    with tempfile.TemporaryDirectory() as directory:
        names = itertools.count()

        def on_disk() -> None:
            path = Path(directory) / str(next(names))
            cj.simulate(CHAIN, key=0, store=path, **arguments)

        yield timing.compare(
            "Gaussian, 100,000 chains, 1,000 generations, every tenth recorded, in a run directory",
            "ours in memory",
            on_disk,
            10**8,
            lambda: cj.simulate(CHAIN, key=0, **arguments),
            10**8,
            bar=1 / 1.1,
        )


def _large(chains: int) -> tuple[timing.Run, float]:
    """Make a reduced run on disk; return its time and the peak GB of the process."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "run"
        size = {"num_chains": chains, "num_generations": 1000}
        run = timing.measure(
            lambda: cj.simulate(CHAIN, key=0, reduce=cj.Reduce(), store=path, **size)
        )
    return run, timing.peak_gigabytes()


def _in_memory() -> timing.Run:
    """Return medians of five runs of the engine's benchmark, without compilation."""
    arguments = {"num_chains": 65_536, "num_generations": 300, "reduce": cj.Reduce(quantiles=())}
    runs = [
        timing.measure(lambda key=key: cj.simulate(CHAIN, key=key, **arguments)) for key in range(6)
    ]
    return timing.Run(*map(statistics.median, zip(*runs[1:], strict=True)))


def large() -> Iterator[timing.Row]:
    """Measure a reduced run of 10^7 chains on disk, compilation included."""
    peer, (ours, peak) = timing.apart(_in_memory), timing.apart(_large, MANY)
    seconds = ours.seconds / (MANY * 1000), peer.seconds / (65_536 * 300)
    name = (
        f"Gaussian, {MANY:,} chains, 1,000 generations, reduced with quantiles, in a run directory"
    )
    yield timing.Row(
        name,
        "ours in memory, 65,536 chains, compiled",
        *seconds,
        ratio=seconds[1] / seconds[0],
        bar=LEAST_RATE,
        our_cores=ours.cores,
        peer_cores=peer.cores,
        note=f"{ours.seconds:.0f} s, compilation included",
    )
    yield timing.limited(f"{name}, peak memory", peak, MOST_GB, unit="GB")


CASES = {"cost": cost, "large": large}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

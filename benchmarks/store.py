"""What a run directory costs, and whether a study of ten million chains stays small.

    python benchmarks/store.py [--only WORD]

Run directories lie where Python's tempfile puts them; set TMPDIR to the disk in question.
"""

import argparse
import itertools
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import timing

import collapse_jax as cj

CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
MANY = 10_000_000
MOST_GB, LEAST_RATE = 1.5, 0.8


def cost(every: int = 10) -> bool:
    """10^5 chains of 1,000 generations, each tenth recorded: on disk against in memory."""
    arguments = {"num_chains": 10**5, "num_generations": 1000, "every": every}
    with tempfile.TemporaryDirectory() as directory:
        names = itertools.count()

        def on_disk() -> None:
            path = Path(directory) / str(next(names))
            cj.simulate(CHAIN, key=0, store=path, **arguments)

        found = timing.compare(
            "100,000 chains x 1,000 generations, every 10: in memory",
            on_disk,
            10**8,
            lambda: cj.simulate(CHAIN, key=0, **arguments),
            10**8,
            bar=1 / 1.1,
        )
    return found.ratio >= found.bar


def _large(chains: int) -> tuple[float, float]:
    """Chain generations per second of a reduced run on disk, and peak GB of the process."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        cj.simulate(
            CHAIN,
            key=0,
            num_chains=chains,
            num_generations=1000,
            reduce=cj.Reduce(),
            store=Path(directory) / "run",
        )
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return chains * 1000 / seconds, peak


def _in_memory() -> float:
    """Chain generations per second of the benchmark of the engine, programs compiled."""
    arguments = {"num_chains": 65_536, "num_generations": 300, "reduce": cj.Reduce(quantiles=())}
    rates = []
    for key in range(6):
        began = time.perf_counter()
        cj.simulate(CHAIN, key=key, **arguments)
        rates.append(65_536 * 300 / (time.perf_counter() - began))
    return sorted(rates[1:])[2]


def large() -> bool:
    """10^7 chains of 1,000 generations, reduced, with quantiles, on disk, compilation included."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peer = pool.apply(_in_memory)
        rate, peak = pool.apply(_large, (MANY,))
    ratio = rate / peer
    is_good = ratio >= LEAST_RATE and peak <= MOST_GB
    sys.stdout.write(
        f"{MANY:,} chains x 1,000 generations, reduced, on disk: {rate / 1e6:.1f}M chain "
        f"generations/s, {ratio:.2f} of {peer / 1e6:.1f}M/s in memory (bar {LEAST_RATE}), "
        f"peak {peak:.2f} GB (bar {MOST_GB})  {'ok' if is_good else 'BELOW'}\n"
    )
    return is_good


CASES = {"cost": cost, "large": large}


def main() -> int:
    """Print what was measured; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CASES)
    chosen = parser.parse_args().only
    sys.stdout.write(timing.HEADER + "\n")
    return int(not all([CASES[name]() for name in CASES if chosen in (None, name)]))


if __name__ == "__main__":
    sys.exit(main())

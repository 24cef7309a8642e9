"""How long whole studies take, compilation included, and what they need.

    python benchmarks/studies.py [--only WORD]

Each runs in a process of its own, so that peak memory is its own.
"""

import argparse
import multiprocessing
import resource
import sys
import time

import jax
import numpy as np

import collapse_jax as cj
from collapse_jax.experiments.keep import KeepWordsExperiment


def subsample() -> int:
    """AccumulateSubsample, M = 10^4, 1,000 generations, 200 chains: a pool of 10^7 rows each."""
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.AccumulateSubsample(10_000))
    cj.simulate(chain, key=0, num_chains=200, num_generations=1000)
    return 1


def sweep() -> int:
    """100 points: 5 sizes by 20 gammas, 10^4 chains of 200 generations each."""
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(10))
    axes = {
        "policy.num_samples": [10, 30, 100, 300, 1000],
        "policy.gamma": np.linspace(0, 0.95, 20).tolist(),
    }
    cj.sweep(chain, axes, key=0, num_chains=10_000, num_generations=200, reduce=cj.Reduce())
    return 100


def words() -> int:
    """How much of a text to keep: 36 points, 7,000 distinct words, M to 50,000, 100 generations."""
    records = KeepWordsExperiment().run(seed=0, progress=False)
    return records["surviving"][0].size


STUDIES = {"subsample": (subsample, 300), "sweep": (sweep, 120), "words": (words, 300)}


def measure(name: str) -> tuple[float, int, float, int]:
    """Seconds, programs of 0.5 s and more to compile, peak GB and points of one study."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(seconds) if "backend_compile" in event else None
    )
    began = time.perf_counter()
    points = STUDIES[name][0]()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return seconds, sum(one >= 0.5 for one in compiled), peak, points


def main() -> int:
    """Print the table; exit code 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=STUDIES)
    chosen = parser.parse_args().only
    sys.stdout.write(
        f"{'':<12}{'seconds':>9}{'limit':>7}{'compiled':>10}{'peak GB':>9}{'points':>8}\n"
    )
    late = False
    for name in STUDIES if chosen is None else [chosen]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, compiled, peak, points = pool.apply(measure, (name,))
        limit = STUDIES[name][1]
        late |= seconds > limit
        line = f"{name:<12}{seconds:>9.1f}{limit:>7}{compiled:>10}{peak:>9.2f}{points:>8}\n"
        sys.stdout.write(line)
        sys.stdout.flush()
    return int(late)


if __name__ == "__main__":
    sys.exit(main())

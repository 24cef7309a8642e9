"""Measure the duration of whole studies, compilation included, and their peak memory.

    python benchmarks/studies.py [--only CASE] [--json FILE]

Each study runs in a process of its own, so that peak memory is that of the study.
"""

import functools
import sys
from collections.abc import Iterator

import jax
import numpy as np
import timing

import collapse_jax as cj
from collapse_jax.experiments.original_shares import KeepWordsExperiment


def subsample() -> None:
    """Simulate AccumulateSubsample with M = 10^4, 200 chains with pools of 10^7 rows each."""
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.AccumulateSubsample(10_000))
    cj.simulate(chain, key=0, num_chains=200, num_generations=1000)


def sweep() -> None:
    """Sweep over 5 sizes and 20 gammas, with 10^4 chains of 200 generations at each point."""
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(10))
    axes = {
        "policy.num_samples": [10, 30, 100, 300, 1000],
        "policy.gamma": np.linspace(0, 0.95, 20).tolist(),
    }
    cj.sweep(chain, axes, key=0, num_chains=10_000, num_generations=200, reduce=cj.Reduce())


def words() -> None:
    """Run `keep-words`: 36 points, 7,000 distinct words, M up to 50,000, 100 generations."""
    KeepWordsExperiment().run(seed=0, progress=False)


STUDIES = {
    "subsample": (
        "`AccumulateSubsample`, M = 10,000, 1,000 generations, 200 chains",
        subsample,
        300,
    ),
    "sweep": (
        "sweep of 5 sizes by 20 shares, 10,000 Gaussian chains, 200 generations",
        sweep,
        120,
    ),
    "words": (
        "`keep-words`: 36 points, 7,127 distinct words, 100 generations",
        words,
        300,
    ),
}
"""Name in the table, function to run, and limit in seconds, by study."""


def measure(name: str) -> tuple[timing.Run, int, float]:
    """Run one study; return its time, its programs that compile for 0.5 s or more, and peak GB."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(seconds) if "backend_compile" in event else None
    )
    run = timing.measure(STUDIES[name][1])
    return run, sum(one >= 0.5 for one in compiled), timing.peak_gigabytes()


def study(name: str) -> Iterator[timing.Row]:
    """Measure one study in a process of its own."""
    title, _, limit = STUDIES[name]
    run, compiled, peak = timing.apart(measure, name)
    yield timing.limited(
        title,
        run.seconds,
        limit,
        our_cores=run.cores,
        note=f"programs compiled: {compiled}, peak {peak:.2f} GB",
    )


CASES = {name: functools.partial(study, name) for name in STUDIES}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

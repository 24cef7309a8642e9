"""Measure what users type: options, policies, short runs and the command line, each with its bar.

    python benchmarks/typed.py [--only CASE] [--json FILE]

Most lines are measured twice: against the bare engine (the last generation recorded and nothing
else), where the bar says how many times its duration the line may take, and against NumPy on the
same exact law. Compile time is apart, except for the command line.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import peers
import timing
from engine import MULTINOMIAL, SAME_LAW, gaussian, normal, runner

import collapse_jax as cj

CHAINS, GENERATIONS = 65_536, 100
UNITS = CHAINS * GENERATIONS
BARE = "ours, bare"


def _line(chain: cj.Chain, **arguments):
    """Return a function that simulates, and reads the records as a user does."""
    simulate = runner(chain, CHAINS, GENERATIONS, **{"every": 1, **arguments})
    return lambda: simulate().dataset


def _against_bare(text: str, ours, most: float) -> timing.Row:
    bare = _line(gaussian(100), every=GENERATIONS)
    return timing.compare(text, BARE, ours, UNITS, bare, UNITS, bar=1 / most)


def _against_numpy(text: str, ours, step, bar: float, generations: int = 5) -> timing.Row:
    units = CHAINS * generations
    return timing.compare(text, SAME_LAW, ours, UNITS, lambda: step(generations), units, bar=bar)


def variance(key, family, params, corpus, source, generation0):
    """Return the variance of a model: a metric as users write it."""
    return jnp.exp(2 * params.log_scale[0])


def reductions() -> Iterator[timing.Row]:
    """Measure records of every generation, reduced and not."""
    rng, chain = np.random.default_rng(0), gaussian(100)
    cases = [
        ("reduce=Reduce(quantiles=())", cj.Reduce(quantiles=()), 2.0),
        ("reduce=Reduce()", cj.Reduce(), 2.0),
    ]
    for text, reduce, most in cases:
        yield _against_bare(text, _line(chain, reduce=reduce), most)
    ours = _line(chain, reduce=cj.Reduce())
    step = lambda number: peers.gaussian_1d(number, CHAINS, 100, rng)  # noqa: E731
    yield _against_numpy("reduce=Reduce()", ours, step, 1.5)


def metrics() -> Iterator[timing.Row]:
    """Measure a metric of one number, alone and with statistics."""
    chain = gaussian(100)
    one = _line(chain, metrics=[variance], every=GENERATIONS)
    yield _against_bare("metrics=[variance], every=G", one, 1.5)
    both = _line(chain, metrics=[variance], reduce=cj.Reduce())
    yield _against_bare("metrics=[variance], reduce=Reduce()", both, 2.5)
    named = _line(chain, metrics=["covariance"], reduce=cj.Reduce())
    yield _against_bare('metrics=["covariance"], reduce=Reduce()', named, 2.5)


def policies() -> Iterator[timing.Row]:
    """Measure Gaussian chains under each policy whose corpora are moments."""
    rng, size = np.random.default_rng(0), 100
    pooled = cj.Chain(cj.Gaussian(1), normal(1), cj.Accumulate(size))
    yield _against_bare("Accumulate(100), every=G", _line(pooled, every=GENERATIONS), 2.0)
    fresh = cj.Chain(cj.Gaussian(1), normal(1), cj.Fresh(size))
    yield _against_bare("Fresh(100), every=G", _line(fresh, every=GENERATIONS), 2.0)
    mixed = cj.Chain(cj.Gaussian(1), normal(1), cj.Mixing(size, gamma=0.1))
    ours = _line(mixed, every=GENERATIONS)
    step = lambda number: peers.gaussian_mixing_drawn(number, CHAINS, size, 0.1, rng)  # noqa: E731
    yield _against_numpy("Mixing(100, gamma=0.1), every=G", ours, step, 3)


def short() -> Iterator[timing.Row]:
    """Measure runs of 20 generations, as sweeps make them, and the smallest run."""
    rng = np.random.default_rng(0)
    cases = [(1000, 100, 512, 5), (10**4, 1000, 64, 5), (100, 10, 4096, 4), (10**6, 100, 512, 2)]
    for size, states, chains, bar in cases:
        law = np.full(states, 1 / states)
        chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(size))
        yield timing.compare(
            f"Discrete, M = {size:,}, K = {states:,}, {chains:,} chains of 20 generations",
            MULTINOMIAL,
            runner(chain, chains, 20, every=20),
            chains * 21,
            lambda law=law, size=size, chains=chains: peers.discrete(20, chains, size, law, rng),
            chains * 21,
            bar=bar,
        )
    small = runner(gaussian(100), 64, 1)
    small()
    seconds = sorted(timing.measure(small).seconds for _ in range(200))[100]
    yield timing.limited("simulate: 64 Gaussian chains, one generation", seconds, 1.5e-3)


def command_line() -> Iterator[timing.Row]:
    """Measure the second run of the main job: start, figures and report included."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        job = "run gaussian --num-chains 200000 --num-generations 600 --every 10 --overwrite"
        command = [sys.executable, "-c", "import sys; from collapse_jax.cli import main; main()"]
        environment = {**os.environ, "COLLAPSE_JAX_CACHE": str(Path(folder) / "cache")}

        def run() -> None:
            whole = [*command, *job.split(), "--out", str(out)]
            subprocess.run(whole, env=environment, check=True, capture_output=True)

        run()
        seconds = min(timing.measure(run).seconds for _ in range(2))
        files = sum(1 for path in out.rglob("*") if path.is_file())
    units = 4 * 200_000 * 600
    yield timing.limited(
        f"`collapse {job}`, per chain and generation",
        seconds / units,
        1 / 40e6,
        note=f"{seconds:.1f} s, {files} files",
    )


CASES = {
    "reductions": reductions,
    "metrics": metrics,
    "policies": policies,
    "short": short,
    "command": command_line,
}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

"""Compare the speed of the engine with NumPy on the same exact laws.

    python benchmarks/engine.py [--only CASE] [--json FILE]

Every ratio is the median over pairs of interleaved runs. The library uses all cores; NumPy's
generators use one.
"""

import sys
from collections.abc import Iterator

import numpy as np
import peers
import timing

import collapse_jax as cj
from collapse_jax.theory.ancestor_chains import absorption_times
from collapse_jax.theory.ancestors import mean_absorption_time

REDUCE = cj.Reduce(quantiles=())
SAME_LAW = "NumPy on the same exact law"
MULTINOMIAL = "`Generator.multinomial` over all chains"


def normal(dim: int) -> cj.Normal:
    """Return the standard normal law."""
    return cj.Normal(np.zeros(dim), np.eye(dim))


def gaussian(size: int, dim: int = 1) -> cj.Chain:
    """Return the Gaussian chain of the paper's theorem."""
    return cj.Chain(cj.Gaussian(dim), normal(dim), cj.Replace(size))


def runner(chain: cj.Chain, chains: int, generations: int, **arguments):
    """Return a function that simulates a chain with a new key in each call."""
    keys = iter(range(1000))
    return lambda: cj.simulate(
        chain, key=next(keys), num_chains=chains, num_generations=generations, **arguments
    )


def gaussian_reduced() -> Iterator[timing.Row]:
    """Compare 65,536 chains whose means and stds are recorded in every generation."""
    rng, chains = np.random.default_rng(0), 65_536
    ours = runner(gaussian(100), chains, 300, reduce=REDUCE)
    large = runner(gaussian(10**6), chains, 300, reduce=REDUCE)
    name = "Gaussian, 65,536 chains, M = 100, metrics reduced"
    yield timing.compare(
        name,
        SAME_LAW,
        ours,
        chains * 300,
        lambda: peers.gaussian_1d(20, chains, 100, rng),
        chains * 20,
        bar=3.5,
    )
    yield timing.compare(
        name,
        "the paper's loop, which samples",
        ours,
        chains * 300,
        lambda: peers.gaussian_sampling_loop(100, 30, 100, rng),
        100 * 30,
        bar=1000,
    )
    yield timing.compare(
        "Gaussian, 65,536 chains, M = 1,000,000, metrics reduced",
        "ours at M = 100",
        large,
        chains * 300,
        ours,
        chains * 300,
        bar=1 / 1.2,
    )


def gaussian_ten() -> Iterator[timing.Row]:
    """Compare chains in ten dimensions, with only the last generation recorded."""
    rng, chains = np.random.default_rng(0), 16_384
    yield timing.compare(
        "Gaussian, dim 10, 16,384 chains",
        "NumPy with Bartlett factors",
        runner(gaussian(100, 10), chains, 200, every=200),
        chains * 200,
        lambda: peers.gaussian_bartlett(4, chains, 100, 10, rng),
        chains * 4,
        bar=3,
    )


def discrete() -> Iterator[timing.Row]:
    """Compare discrete chains with `Generator.multinomial`, for several sizes."""
    rng = np.random.default_rng(0)
    cases = [(1000, 100, 8192, 5), (10**4, 1000, 1024, 5), (100, 10, 65_536, 3)]
    for size, states, chains, bar in [*cases, (10**6, 100, 4096, 1.2)]:
        law = np.full(states, 1 / states)
        chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(size))
        generations = 20 if size > 10**5 else 200
        yield timing.compare(
            f"Discrete, M = {size:,}, K = {states:,}",
            MULTINOMIAL,
            runner(chain, chains, generations, every=generations),
            chains * generations,
            lambda law=law, size=size, chains=chains: peers.discrete(3, chains, size, law, rng),
            chains * 4,
            bar=bar,
            note=f"{chains:,} chains",
        )


def dual() -> Iterator[timing.Row]:
    """Compare absorption times from ancestors with the least possible cost of forward chains."""
    law = np.full(1000, 0.001)
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(1000))
    keys = iter(range(1000))
    yield timing.compare(
        "Absorption time, M = K = 1,000, simulated by ancestors",
        "our forward chains",
        lambda: absorption_times(law, 1000, key=next(keys), num_chains=4096),
        4096,
        runner(chain, 1024, 300, every=300),
        1024 * 300 / mean_absorption_time(law, 1000),
        bar=100,
        per="chain",
    )


def regimes() -> Iterator[timing.Row]:
    """Compare chains with original and reused rows with NumPy on the same exact laws."""
    rng, law = np.random.default_rng(0), np.full(100, 0.01)
    mixing = cj.Mixing(100, gamma=0.1, allocation="fixed")
    normals = cj.Chain(cj.Gaussian(1), normal(1), mixing)
    words = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Mixing(1000, gamma=0.1))
    pool = cj.Chain(cj.Gaussian(1), normal(1), cj.AccumulateSubsample(1000))
    yield timing.compare(
        "Gaussian with `Mixing`, gamma = 0.1, 65,536 chains, M = 100",
        SAME_LAW,
        runner(normals, 65_536, 100, reduce=REDUCE),
        65_536 * 100,
        lambda: peers.gaussian_mixing(10, 65_536, 100, 0.1, rng),
        65_536 * 10,
        bar=3,
    )
    yield timing.compare(
        "Discrete with `Mixing`, gamma = 0.1, 8,192 chains, M = 1,000, K = 100",
        MULTINOMIAL,
        runner(words, 8192, 100, every=100),
        8192 * 100,
        lambda: peers.discrete(3, 8192, 1000, law, rng),  # draws from the mixed law cost as much
        8192 * 4,
        bar=3,
    )
    yield timing.compare(
        "Gaussian with `AccumulateSubsample`, 256 chains, M = 1,000, 100 generations",
        "NumPy with the pool stored",
        runner(pool, 256, 100, every=100),
        256 * 100,
        lambda: peers.gaussian_pool(100, 256, 1000, rng),
        256 * 100,
        bar=3,
        repeats=3,
    )


def recording() -> Iterator[timing.Row]:
    """Compare steps whose default variables are recorded with steps alone."""
    law = np.full(100, 0.01)
    chains = {
        "Gaussian, M = 100": (gaussian(100), 32_768, 200),
        "Discrete, M = 1,000, K = 100": (
            cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(1000)),
            4096,
            50,
        ),
        "Discrete, M = 1,000,000, K = 100": (
            cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(10**6)),
            2048,
            20,
        ),
    }
    for name, (chain, number, generations) in chains.items():
        yield timing.compare(
            f"{name}, every generation recorded",
            "ours, only the last one recorded",
            runner(chain, number, generations, every=1),
            number * generations,
            runner(chain, number, generations, every=generations),
            number * generations,
            bar=0.5,
        )


CASES = {
    "gaussian": gaussian_reduced,
    "dim10": gaussian_ten,
    "discrete": discrete,
    "dual": dual,
    "regimes": regimes,
    "recording": recording,
}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

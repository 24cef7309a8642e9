"""Compare rates, kernel densities and regressions with NumPy and scikit-learn.

    python benchmarks/families.py [--only CASE] [--json FILE]

The library uses all cores; NumPy's generators use one. The peers are in `family_peers.py`.
"""

import sys
from collections.abc import Iterator

import family_peers as peers
import numpy as np
import timing
from engine import SAME_LAW, runner

import collapse_jax as cj

SIZE, CHAINS, GENERATIONS = 100, 65_536, 100


def _row(
    text: str,
    chain: cj.Chain,
    chains: int,
    generations: int,
    peer,
    few: int,
    against=SAME_LAW,
    **fields,
):
    """Compare a chain whose last generation is recorded; the peer runs `few` chains, 4 times."""
    return timing.compare(
        text,
        against,
        runner(chain, chains, generations, every=generations),
        chains * generations,
        peer,
        few * 4,
        **fields,
    )


RATES = {
    "Poisson": (cj.Poisson(), cj.PoissonLaw(1.0), peers.poisson),
    "Exponential": (cj.Exponential(), cj.ExponentialLaw(1.0), peers.exponential),
}
"""Family, truth and peer, by name."""


def _rates(name: str, *sizes: int) -> Iterator[timing.Row]:
    rng, (family, source, peer) = np.random.default_rng(0), RATES[name]
    for size in sizes:
        yield _row(
            f"{name}, rate 1, M = {size:,}, {CHAINS:,} chains",
            cj.Chain(family, source, cj.Replace(size)),
            CHAINS,
            GENERATIONS,
            lambda size=size: peer(4, CHAINS, size, rng),
            CHAINS,
            bar=4,
        )


def poisson() -> Iterator[timing.Row]:
    """Compare fitted rates of small, middle and large corpora."""
    yield from _rates("Poisson", 4, SIZE, 10**6)


def exponential() -> Iterator[timing.Row]:
    """Compare fitted rates of waiting times."""
    yield from _rates("Exponential", 4, SIZE)


def reduced() -> Iterator[timing.Row]:
    """Compare runs that record means and standard deviations of every generation."""
    rng = np.random.default_rng(0)
    for name, (family, source, peer) in RATES.items():
        chain = cj.Chain(family, source, cj.Replace(SIZE))
        yield timing.compare(
            f"{name}, M = {SIZE}, {CHAINS:,} chains, `reduce=Reduce(quantiles=())`",
            SAME_LAW,
            runner(chain, CHAINS, GENERATIONS, reduce=cj.Reduce(quantiles=())),
            CHAINS * GENERATIONS,
            lambda peer=peer: peer(4, CHAINS, SIZE, rng, is_reduced=True),
            CHAINS * 4,
            bar=4,
        )


def kernel_density() -> Iterator[timing.Row]:
    """Compare kernel densities of a given and of Scott's width."""
    rng, chains = np.random.default_rng(0), 4096
    for dim, size, bandwidth in ((1, 30, 0.4), (1, 1000, "scott"), (2, 1000, 0.4)):
        family = cj.KernelDensity(dim, bandwidth)
        source = cj.Normal(np.zeros(dim), np.eye(dim))
        few = max(64, 2**20 // (size * dim))  # chains whose rows NumPy has in its caches
        yield _row(
            f"KernelDensity, dim {dim}, M = {size:,}, width {bandwidth}",
            cj.Chain(family, source, cj.Replace(size)),
            chains * 8 if size < 100 else chains,
            20,
            lambda few=few, dim=dim, size=size, width=bandwidth: peers.kernel_density(
                4, few, dim, size, width, rng
            ),
            few,
            bar=5,
        )


def linear() -> Iterator[timing.Row]:
    """Compare least squares."""
    rng, chains = np.random.default_rng(0), 4096
    for dim in (2, 10):
        chain = cj.Chain(
            cj.LinearRegression(dim), cj.LinearModel(np.linspace(-1, 1, dim)), cj.Replace(SIZE)
        )
        yield _row(
            f"LinearRegression, dim {dim}, M = {SIZE}",
            chain,
            chains,
            50,
            lambda dim=dim: peers.linear(4, 512, dim, SIZE, rng),
            512,
            bar=5,
            against="NumPy, rows of all chains",
        )


def logistic() -> Iterator[timing.Row]:
    """Compare maximum likelihood fits of labels."""
    rng, chains = np.random.default_rng(0), 4096
    for dim in (2, 10):
        chain = cj.Chain(
            cj.LogisticRegression(dim), cj.LogisticModel(np.linspace(-1, 1, dim)), cj.Replace(200)
        )
        yield _row(
            f"LogisticRegression, dim {dim}, M = 200",
            chain,
            chains,
            10,
            lambda dim=dim: peers.logistic(4, 16, dim, 200, rng),
            16,
            bar=20,
            against="scikit-learn, lbfgs",
        )


CASES = {
    "poisson": poisson,
    "exponential": exponential,
    "reduced": reduced,
    "kernel_density": kernel_density,
    "linear": linear,
    "logistic": logistic,
}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

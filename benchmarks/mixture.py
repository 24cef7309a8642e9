"""Compare mixture chains with scikit-learn in a loop, and measure how the cost grows with M.

    python benchmarks/mixture.py [--only CASE] [--json FILE]

A generation is a fit (k-means start, tolerance 1e-5) and a sample of M rows; generation 0 is
a fit to original rows. scikit-learn runs with one thread or with its default number, whichever
is faster, in float64, and records nothing. The library runs in float32 with its default
variables recorded.
"""

import functools
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import peers
import timing
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import collapse_jax as cj


def blob(dim: int) -> cj.NormalMixture:
    """Return the standard normal law, in which EM cannot find two components."""
    return cj.NormalMixture([1.0], np.zeros((1, dim)), np.eye(dim)[None])


def separate(num_components: int, dim: int) -> cj.NormalMixture:
    """Return normal laws with means 3 standard deviations from the origin per coordinate."""
    means = 3 * np.random.default_rng(0).standard_normal((num_components, dim))
    means[:2, 0] = [-4, 4]
    weights = np.full(num_components, 1 / num_components)
    return cj.NormalMixture(weights, means, np.broadcast_to(np.eye(dim), (len(means), dim, dim)))


SIZES = {
    "small-blob": (blob(2), 2, 1000, 256, 20, (2, 6), 40),
    "small": (separate(2, 2), 2, 1000, 256, 40, (2, 12), 40),
    "medium-blob": (blob(2), 2, 10_000, 64, 10, (2, 3), 25),
    "medium": (separate(2, 2), 2, 10_000, 64, 20, (2, 4), 25),
    "large": (separate(8, 10), 8, 10_000, 16, 8, (5, 8), 5),
}
"""Source, K, M, our chains and generations, those of scikit-learn, and least ratio, by case.

With eight components EM takes from two to two hundred iterations, depending on the start: both
programs need enough chains for a mean.
"""


LAWS = {1: "one normal law", 2: "two normal laws", 8: "eight normal laws"}


def against_scikit_learn(name: str) -> Iterator[timing.Row]:
    """Compare one case with scikit-learn."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    source, num_components, size, chains, generations, few, bar = SIZES[name]
    few_chains, few_generations = few
    dim = source.row_dim
    family = cj.GaussianMixture(num_components, dim)
    chain = cj.Chain(family, source, cj.Replace(size))
    keys, seeds = iter(range(1000)), iter(range(1000))

    def ours() -> cj.Records:
        run = {"num_chains": chains, "num_generations": generations - 1}
        return cj.simulate(chain, key=next(keys), **run)

    def peer(threads: int | None) -> None:
        with threadpool_limits(threads):
            for _ in range(few_chains):
                rng = np.random.RandomState(next(seeds))
                peers.mixture_loop(few_generations, source, num_components, size, rng)

    peer(1)
    threads = min((1, None), key=lambda limit: timing.measure(lambda: peer(limit)).seconds)
    yield timing.compare(
        f"Mixture on {LAWS[len(source.weights)]}, {chains} chains, M = {size:,}, "
        f"K = {num_components}, dim {dim}, k-means",
        "scikit-learn, its better number of threads",
        ours,
        chains * generations,
        lambda: peer(threads),
        few_chains * few_generations,
        bar=bar,
        note=f"peer: {'one thread' if threads == 1 else 'its own number of threads'}",
    )


def growth() -> Iterator[timing.Row]:
    """Compare the time per row at M = 200,000 and M = 10,000: the ratio is 1 if it is linear.

    Both make ten iterations of EM, so that convergence has no influence.
    """
    family = cj.GaussianMixture(2, 2, tolerance=1e-300, max_iterations=10)
    keys = iter(range(1000))

    def run(size: int, chains: int) -> None:
        chain = cj.Chain(family, blob(2), cj.Replace(size))
        cj.simulate(chain, key=next(keys), num_chains=chains, num_generations=4)

    yield timing.compare(
        "Mixture, ten iterations of EM, M = 200,000",
        "ours at M = 10,000",
        lambda: run(200_000, 16),
        200_000 * 16 * 5,
        lambda: run(10_000, 160),
        10_000 * 160 * 5,
        bar=0.7,
        per="row and generation",
        repeats=3,
    )


CASES = {
    **{name: functools.partial(against_scikit_learn, name) for name in SIZES},
    "growth": growth,
}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

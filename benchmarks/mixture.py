"""How fast mixture chains are against scikit-learn in a loop, and how the cost grows with M.

    python benchmarks/mixture.py [--only WORD] [--json FILE]

A generation is a fit (k-means start, tolerance 1e-5) and a sample of M rows; generation 0 is
a fit to original rows. scikit-learn runs at its better of one thread and its default. Ours
runs in float32 with its default variables recorded, scikit-learn in float64 and records nothing.
"""

import argparse
import sys
import warnings

import numpy as np
import peers
import timing
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import collapse_jax as cj


def blob(dim: int) -> cj.NormalMixture:
    """The standard normal law: two components have nothing to find."""
    return cj.NormalMixture([1.0], np.zeros((1, dim)), np.eye(dim)[None])


def separate(num_components: int, dim: int) -> cj.NormalMixture:
    """Normal laws with means 3 standard deviations from the origin per coordinate."""
    means = 3 * np.random.default_rng(0).standard_normal((num_components, dim))
    means[:2, 0] = [-4, 4]
    weights = np.full(num_components, 1 / num_components)
    return cj.NormalMixture(weights, means, np.broadcast_to(np.eye(dim), (len(means), dim, dim)))


CASES = {
    "small-blob": (blob(2), 2, 1000, 256, 20, (2, 6), 40),
    "small": (separate(2, 2), 2, 1000, 256, 40, (2, 12), 40),
    "medium-blob": (blob(2), 2, 10_000, 64, 10, (2, 3), 25),
    "medium": (separate(2, 2), 2, 10_000, 64, 20, (2, 4), 25),
    "large": (separate(8, 10), 8, 10_000, 16, 8, (5, 8), 5),
}
"""Source, K, M, our chains and generations, scikit-learn's, least ratio.

Of eight components EM takes from two to two hundred iterations, as k-means was lucky: both
need enough chains for a mean.
"""


def against_scikit_learn(name: str) -> timing.Comparison:
    """One case."""
    source, num_components, size, chains, generations, few, bar = CASES[name]
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
    threads = min((1, None), key=lambda limit: timing.measure(lambda: peer(limit)))
    return timing.compare(
        f"{name}: K={num_components}, dim={dim}, M={size:,}, {chains} chains",
        ours,
        chains * generations,
        lambda: peer(threads),
        few_chains * few_generations,
        bar=bar,
        repeats=5,
    )


def growth() -> timing.Comparison:
    """One generation per row at M = 200,000 against M = 10,000: one or more if it is linear.

    Ten EM iterations each, so that convergence plays no part.
    """
    family = cj.GaussianMixture(2, 2, tolerance=1e-300, max_iterations=10)
    keys = iter(range(1000))

    def run(size: int, chains: int) -> None:
        chain = cj.Chain(family, blob(2), cj.Replace(size))
        cj.simulate(chain, key=next(keys), num_chains=chains, num_generations=4)

    return timing.compare(
        "cost of a row, M=200,000 (ours) against M=10,000 (peer)",
        lambda: run(200_000, 16),
        200_000 * 16 * 5,
        lambda: run(10_000, 160),
        10_000 * 160 * 5,
        bar=0.7,
        repeats=3,
    )


def main() -> int:
    """Print the table; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*CASES, "growth"])
    parser.add_argument("--json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    sys.stdout.write(f"cores: {timing.cores()}; times per chain and generation\n")
    sys.stdout.write(timing.HEADER + "\n")
    results = [against_scikit_learn(name) for name in CASES if arguments.only in (None, name)]
    if arguments.only in (None, "growth"):
        results.append(growth())
    if arguments.json:
        timing.dump(results, arguments.json)
    return int(any(result.ratio < result.bar for result in results))


if __name__ == "__main__":
    sys.exit(main())

"""Compare selections of the newest model's rows with the same selections in NumPy.

    python benchmarks/selections.py [--only CASE] [--json FILE]

The library uses all cores; NumPy's generators use one. Functions of users are the same code.
"""

import sys
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
import selection_peers as peers
import timing
from engine import SAME_LAW, normal, runner

import collapse_jax as cj

ROWS = "NumPy on the same rows"
SIZE, CANDIDATES = 100, 2000
BAR = 4


def first(rows):
    """Return the first coordinate: a score that every row has for free."""
    return rows[..., 0]


def near(rows):
    """Accept rows within two of the truth's standard deviations."""
    return abs(rows[..., 0]) < 2


def closeness(rows):
    """Score rows by their distance to a point away from the truth."""
    return -((rows - 1) ** 2).sum(-1)


def clipped(rows):
    """Cut the tails of all coordinates."""
    return rows.clip(-2, 2)


def _row(text: str, dim: int, chains: int, selection, select) -> timing.Row:
    rng, generations = np.random.default_rng(0), 10
    chain = cj.Chain(cj.Gaussian(dim), normal(dim), cj.Replace(SIZE, selection=selection))
    few = max(16, 2**20 // (CANDIDATES * dim))  # chains whose candidates NumPy has in its caches
    return timing.compare(
        f"Gaussian, dim {dim}, M = {SIZE}, {text}",
        ROWS,
        runner(chain, chains, generations, every=generations),
        chains * generations,
        lambda: peers.gaussian(4, few, dim, rng, select(rng)),
        few * 4,
        bar=BAR,
    )


def _gaussian(text: str, selection, select) -> Iterator[timing.Row]:
    for dim, chains in ((1, 2048), (10, 256)):
        yield _row(text, dim, chains, selection, select)


def accept() -> Iterator[timing.Row]:
    """Compare a verifier."""
    yield from _gaussian("`Accept`", cj.Accept(near), lambda _: peers.accept(SIZE, 0.95, near))


def top() -> Iterator[timing.Row]:
    """Compare the best twentieth of the rows."""
    yield from _gaussian(
        f"`Top` of {CANDIDATES:,}",
        cj.Top(CANDIDATES, closeness),
        lambda _: peers.top(SIZE, CANDIDATES, closeness),
    )


def best_of() -> Iterator[timing.Row]:
    """Compare raters who choose among a few candidates for each row."""
    for number in (2, 8):
        yield from _gaussian(
            f"`BestOf` {number}",
            cj.BestOf(number, closeness),
            lambda rng, number=number: peers.best_of(SIZE, number, closeness, rng),
        )


def edit() -> Iterator[timing.Row]:
    """Compare rows that are clipped."""
    yield from _gaussian("`Edit`", cj.Edit(clipped), lambda _: peers.edit(SIZE, clipped))


def discrete() -> Iterator[timing.Row]:
    """Compare selections on 100 states, whose counts are exact."""
    rng, size, states, chains, generations = np.random.default_rng(0), 1000, 100, 4096, 20
    law, numbers = np.full(states, 1 / states), np.linspace(-1, 1, states)
    kept = np.arange(states) % 10 > 0
    draws = {
        "`Accept`": (
            cj.Accept(lambda states: states % 10 > 0),
            lambda laws: rng.multinomial(
                size, laws * kept / (laws * kept).sum(axis=1, keepdims=True)
            ),
        ),
        "`Top` of 20,000": (
            cj.Top(20_000, lambda states: states),
            peers.top_counts(20_000, size, np.arange(states), rng),
        ),
        "`BestOf` 2": (
            cj.BestOf(2, lambda states: jnp.asarray(numbers)[states]),
            peers.pair_counts(size, numbers, rng),
        ),
        "`Edit`": (
            cj.Edit(lambda states: (states // 2) * 2),
            lambda laws: (
                np.repeat(rng.multinomial(size, laws).reshape(chains, -1, 2).sum(axis=2), 2, axis=1)
                * (np.arange(states) % 2 == 0)
            ),
        ),
    }
    for text, (selection, draw) in draws.items():
        for corpus in ("counts", "samples"):
            family, policy = cj.Discrete(corpus=corpus), cj.Replace(size, selection=selection)
            chain = cj.Chain(family, cj.Categorical(law), policy)
            yield timing.compare(
                f"Discrete as {corpus}, M = {size:,}, K = {states}, {text}",
                SAME_LAW,
                runner(chain, chains, generations, every=generations),
                chains * generations,
                lambda draw=draw: peers.discrete(2, law, chains, size, draw),
                chains * 2,
                bar=BAR,
            )


def top_counts() -> Iterator[timing.Row]:
    """Compare the best of many and of very many candidates: counts cost O(states)."""
    chains, generations = 4096, 20
    runs = []
    for number in (20_000, 2_000_000):
        best = cj.Top(number, lambda states: states)
        policy = cj.Replace(1000, selection=best)
        family, law = cj.Discrete(corpus="counts"), cj.Categorical(np.full(100, 0.01))
        chain = cj.Chain(family, law, policy)
        runs.append(runner(chain, chains, generations, every=generations))
    yield timing.compare(
        "Discrete as counts, M = 1,000, K = 100, `Top` of 2,000,000",
        "ours, of 20,000",
        runs[1],
        chains * generations,
        runs[0],
        chains * generations,
        bar=1 / 1.5,
    )


def pools() -> Iterator[timing.Row]:
    """Compare pools that original rows join with chains without memory."""
    chains, generations = 65_536, 100
    chain = lambda policy: cj.Chain(cj.Gaussian(1), normal(1), policy)  # noqa: E731
    pooled = chain(cj.Accumulate(75, num_original=25))
    yield timing.compare(
        "`Accumulate(75, num_original=25)`",
        "ours, `Replace(100)`",
        runner(pooled, chains, generations, every=generations),
        chains * generations,
        runner(chain(cj.Replace(100)), chains, generations, every=generations),
        chains * generations,
        bar=1 / 2.5,
    )


CASES = {
    "accept": accept,
    "top": top,
    "best_of": best_of,
    "edit": edit,
    "discrete": discrete,
    "top_counts": top_counts,
    "pools": pools,
}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

"""Chains that the golden numbers lack: other families, selections, and models among each other."""

from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

import collapse_jax as cj

M = 24
LAW = [0.4, 0.3, 0.15, 0.1, 0.04, 0.01]
POLICIES: dict[str, Callable[[], cj.AbstractPolicy]] = {
    "replace": lambda: cj.Replace(M),
    "accumulate": lambda: cj.Accumulate(M),
    "subsample": lambda: cj.AccumulateSubsample(M),
    "fresh": lambda: cj.Fresh(M - 6, num_original=6),
    "mixing": lambda: cj.Mixing(M, gamma=0.25),
    "mixing, previous data": lambda: cj.Mixing(M, beta=0.25, gamma=0.25),
}
SELECTIONS: dict[str, Callable[[], cj.AbstractSelection]] = {
    "top": lambda: cj.Top(2 * M, _score),
    "top, tempered": lambda: cj.Top(2 * M, _score, temperature=0.5),
    "best of": lambda: cj.BestOf(3, _score),
    "edit": lambda: cj.Edit(lambda rows: rows),
}


def _score(rows: Any) -> Any:
    """Prefer large rows, or large states."""
    values = jnp.asarray(rows, jnp.float32)
    return values if values.ndim == 1 else values[:, 0]


def _families() -> Iterator[tuple[str, Callable[[], tuple[Any, Any]]]]:
    yield "poisson", lambda: (cj.Poisson(), cj.PoissonLaw(3.0))
    yield "exponential", lambda: (cj.Exponential(), cj.ExponentialLaw(2.0))
    yield "bernoulli", lambda: (cj.Bernoulli(), cj.Categorical([0.3, 0.7]))
    yield "kernel density", lambda: (cj.KernelDensity(2), cj.Normal(np.zeros(2), np.eye(2)))
    yield (
        "linear regression",
        lambda: (cj.LinearRegression(2), cj.LinearModel([1.0, -2.0], 0.5, np.eye(2))),
    )
    yield (
        "logistic regression",
        lambda: (cj.LogisticRegression(2), cj.LogisticModel([1.0, -2.0], np.eye(2))),
    )


def _learners() -> Iterator[tuple[str, tuple[Any, Any]]]:
    plane = cj.Normal([0.0, 1.0], [[1.0, 0.3], [0.3, 2.0]])
    prior = cj.NormalInverseWishart([0.0, 1.0], 2.0, [[4.0, 1.0], [1.0, 3.0]], 9)
    drawn = {"learner": "posterior_sample"}
    yield "kernel density 1-D", (cj.KernelDensity(1, 0.4), cj.Normal(0.0, 1.0))
    yield "series density", (cj.SeriesDensity(8, 0.5), cj.Normal(0.5, 2.0))
    yield "dirichlet samples", (cj.Discrete(prior=0.5, **drawn), cj.Categorical(LAW))
    yield "inverse wishart samples", (cj.Gaussian(2, prior=prior, **drawn), plane)
    yield "shrunk covariances", (cj.Gaussian(2, "ledoit_wolf"), plane)


def more_cases() -> Iterator[tuple[str, Callable[[], cj.Chain | cj.Ecosystem], dict[str, Any]]]:
    """Yield the name, the chain and further arguments of `compile_for` of every case."""
    for family, make in _families():
        for policy, make_policy in POLICIES.items():
            yield f"{family} | {policy}", _maker(make, make_policy), {}
    for name, pair in _learners():
        yield f"{name} | replace", lambda pair=pair: cj.Chain(*pair, cj.Replace(M)), {}
    for selection, select in SELECTIONS.items():
        for family, parts in (
            ("gaussian", lambda: (cj.Gaussian(1), cj.Normal(0.5, 2.0))),
            ("discrete", lambda: (cj.Discrete(), cj.Categorical(LAW))),
        ):
            policy = _selecting(select)
            yield f"{family} | {selection}", _maker(parts, policy), {}
    detector = {"detector": cj.Detector(0.9, 0.2), "gamma": 0.25, "original": "data"}
    yield (
        "gaussian | detector",
        lambda: cj.Chain(cj.Gaussian(1), cj.Normal(0.5, 2.0), cj.Mixing(M, **detector)),
        {},
    )
    weights = [[0.8, 0.1], [0.2, 0.7]]
    for family, parts in (
        ("gaussian", (cj.Gaussian(1), cj.Normal(0.5, 2.0))),
        ("discrete", (cj.Discrete(), cj.Categorical(LAW))),
    ):
        chain = cj.Chain(*parts, cj.Replace(M))
        yield f"{family} | ecosystem", lambda chain=chain: cj.Ecosystem(chain, weights), {}


def _maker(parts: Any, policy: Any) -> Callable[[], cj.Chain]:
    return lambda: cj.Chain(*parts(), policy())


def _selecting(select: Any) -> Callable[[], cj.AbstractPolicy]:
    return lambda: cj.Replace(M, selection=select())

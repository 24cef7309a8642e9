"""Selected normal rows against a program that keeps every candidate, in law.

False-fail rate of an assertion 1e-9, as in test_chains.py.
"""

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.testing import FALSE_FAIL, same_law_evidence

DIM, SIZE, CANDIDATES, LAST, CHAINS = 10, 40, 800, 3, 1500
TARGET = np.full(DIM, 0.6)
COVARIANCE = 0.3 ** np.abs(np.subtract.outer(np.arange(DIM), np.arange(DIM)))
PRECISION = np.linalg.inv(COVARIANCE)
VARIABLES = ("position", "spread", "volume", "score")


def mahalanobis(rows, precision=PRECISION):
    """Score rows by their squared Mahalanobis distance to a displaced target."""
    left = rows - TARGET.astype(rows.dtype)
    return -((left @ precision.astype(rows.dtype)) * left).sum(-1)


def ours():
    """Variables of the last generation by name, [chain]: 5 % of the candidates are kept."""
    best = cj.Top(CANDIDATES, lambda rows: mahalanobis(rows, jnp.asarray(PRECISION)))
    truth = cj.Normal(np.zeros(DIM), COVARIANCE)
    chain = cj.Chain(cj.Gaussian(DIM), truth, cj.Replace(SIZE, selection=best))
    run = {"num_chains": CHAINS, "num_generations": LAST, "every": LAST}
    records = cj.simulate(chain, key=0, **run)
    assert np.all(records["status"] == 0)
    means = records["mean"][-1].astype(np.float64)
    found = (
        means.mean(axis=1),
        records["trace_covariance"][-1],
        records["log_det_covariance"][-1],
        records["chosen_score"][-1],
    )
    return dict(zip(VARIABLES, map(np.asarray, found), strict=True))


def keeping_rows(select, seed=1):
    """The same of a NumPy program that draws and keeps all rows, chain by chain."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(CHAINS):
        rows, score = rng.multivariate_normal(np.zeros(DIM), COVARIANCE, SIZE), 0.0
        for _ in range(LAST):
            mean, root = rows.mean(axis=0), np.linalg.cholesky(np.cov(rows.T))
            candidates = mean + rng.standard_normal((CANDIDATES, DIM)) @ root.T
            rows = candidates[select(candidates)]
            score = mahalanobis(rows).mean()
        covariance = np.cov(rows.T)
        volume = np.linalg.slogdet(covariance)[1]
        found.append((rows.mean(), np.trace(covariance), volume, score))
    return dict(zip(VARIABLES, np.array(found).T, strict=True))


def best(candidates):
    return np.argsort(-mahalanobis(candidates))[:SIZE]


WRONG = {
    "Euclidean distance": lambda rows: np.argsort(((rows - TARGET) ** 2).sum(-1))[:SIZE],
    "the farthest": lambda rows: np.argsort(mahalanobis(rows))[:SIZE],
    "the best half, then a random part": lambda rows: np.argsort(-mahalanobis(rows))[
        : CANDIDATES // 2 : CANDIDATES // 2 // SIZE
    ],
    "with replacement": lambda rows: best(rows)[np.arange(SIZE) // 2],
    "the first rows": lambda rows: np.arange(SIZE),
}


@pytest.fixture(scope="module")
def records():
    return ours()


@pytest.mark.thorough
def test_the_best_rows_in_ten_dimensions_as_in_a_program_that_keeps_rows(records):
    expected = keeping_rows(best)
    for name in VARIABLES:
        same_law_evidence(records[name], expected[name]).check(FALSE_FAIL / len(VARIABLES))


@pytest.mark.thorough
@pytest.mark.parametrize("name", WRONG)
def test_other_selections_are_told_apart(name, records):
    wrong = keeping_rows(WRONG[name])
    found = [same_law_evidence(records[one], wrong[one]).p_value for one in VARIABLES]
    assert min(found) < FALSE_FAIL / len(VARIABLES)

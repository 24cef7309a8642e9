"""Models that train on each other's rows: against expectations and a program that keeps rows.

False-fail rate of an assertion 1e-9, as in test_chains.py.
"""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import replace_fields
from collapse_jax.testing import assert_same_law
from collapse_jax.theory import ecosystem

CHAINS = 20_000
LAW = np.array([0.5, 0.3, 0.2])
WEIGHTS = np.array([[0.5, 0.3, 0.1], [0.2, 0.6, 0.2], [0.0, 0.4, 0.3]])
thorough = pytest.mark.thorough


def similarities(weights=WEIGHTS, corpus="counts", size=40, last=30):
    """Return p_i . p_j at the last generation, [chain, model, model]."""
    chain = cj.Chain(cj.Discrete(corpus=corpus), cj.Categorical(LAW), cj.Replace(size))
    records = cj.simulate(
        cj.Ecosystem(chain, weights),
        key=0,
        num_chains=CHAINS,
        num_generations=last,
        every=last,
        metrics=("probabilities",),
    )
    laws = records["probabilities"][-1].astype(np.float64)
    return np.einsum("nik,njk->nij", laws, laws)


def largest_distance(found, weights=WEIGHTS):
    """Return the largest distance from the recursion in standard errors."""
    exact = ecosystem.expected_similarity(weights, LAW, [40] * 31)[-1]
    errors = found.std(axis=0) / np.sqrt(CHAINS)
    return np.max(np.abs(found.mean(axis=0) - exact) / errors)


@thorough
@pytest.mark.parametrize("corpus", ["counts", "samples"])
def test_similarities_have_their_expectations(corpus):
    """All entries of 3 models, M = 40, 30 generations, within 4 standard errors."""
    assert largest_distance(similarities(corpus=corpus)) < 4


@thorough
def test_other_weights_are_told_apart():
    """Weights of the other axis, and rows that are the own model's in place of original ones."""
    closed = WEIGHTS / 1.3
    assert largest_distance(similarities(closed.T), closed) > 6  # a right one is below 4
    own = WEIGHTS + np.diag(1 - WEIGHTS.sum(axis=1))
    assert largest_distance(similarities(own)) > 6


def numpy_models(rng, size, last):
    """ln sigma and mean of normal models whose rows are drawn one by one, [chain, model]."""
    means, stds = np.zeros((CHAINS, 3)), np.ones((CHAINS, 3))
    rows = rng.standard_normal((3, CHAINS, size)) + np.array([0.0, 1.0, 2.0])[:, None, None]
    for generation in range(last + 1):
        means, stds = rows.mean(axis=2).T, rows.std(axis=2).T
        if generation < last:
            mean = np.column_stack([means, np.zeros(CHAINS)])
            std = np.column_stack([stds, np.ones(CHAINS)])
            rows = np.empty((3, CHAINS, size))
            for i in range(3):
                shares = np.append(WEIGHTS[i], 1 - WEIGHTS[i].sum())
                origin = rng.choice(4, (CHAINS, size), p=shares)
                mean[:, 3] = i
                drawn = np.take_along_axis(std, origin, 1) * rng.standard_normal((CHAINS, size))
                rows[i] = np.take_along_axis(mean, origin, 1) + drawn
    return np.log(stds), means


@thorough
@pytest.mark.parametrize("corpus", ["moments", "samples"])
def test_normal_models_as_in_a_program_that_keeps_rows(corpus):
    """Model i has the original source N(i, 1)."""
    chain = cj.Chain(cj.Gaussian(1, "mle", corpus=corpus), cj.Normal(0.0, 1.0), cj.Replace(8))
    sources = [cj.Normal(float(index), 1.0) for index in range(3)]
    models = cj.Ecosystem(chain, WEIGHTS, sources)
    records = cj.simulate(models, key=1, num_chains=CHAINS, num_generations=3)
    twin = numpy_models(np.random.default_rng(5), 8, 3)
    found = records["log_std"][-1], records["mean"][-1, :, :, 0]
    for one, other in zip(found, twin, strict=True):
        for index in range(3):
            assert_same_law(one[:, index], other[:, index])
        joint = one.astype(np.float64) @ np.array([1.0, -2.0, 1.0])  # models depend on each other
        assert_same_law(joint, other @ np.array([1.0, -2.0, 1.0]))


@thorough
def test_a_model_is_the_same_in_any_run():
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace([10, 6, 14, 9]))
    models = cj.Ecosystem(chain, [[0.7, 0.1], [0.5, 0.5]])
    run = {"key": 0, "num_generations": 3}
    whole = cj.simulate(models, num_chains=7, **run)
    part = cj.simulate(models, num_chains=2, first_chain=4, **run)
    assert np.array_equal(whole["mean"][:, 4:6], part["mean"])
    assert replace_fields(models) == models

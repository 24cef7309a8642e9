"""Weighted original rows: against a program that keeps rows, and closed forms.

False-fail rate of an assertion 1e-9, as in test_chains.py.
"""

import functools

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config, replace_fields
from collapse_jax.testing import assert_mean, assert_same_law
from collapse_jax.theory import gaussian_accumulation as theory

CHAINS, G, W = 20_000, 4, 0.7
MADE, ORIGINAL = [6, 4, 7, 3, 5], [3, 5, 1, 4, 2]
thorough = pytest.mark.thorough


@functools.cache
def twin():
    """ln sigma and the mean, fitted by the MLE to weighted rows, [generation, chain]."""
    rng = np.random.default_rng(9)
    rows, weights, found = rng.standard_normal((CHAINS, 9)), np.full(9, 1 / 9), []
    for g in range(G + 1):
        mean = rows @ weights
        std = np.sqrt((rows - mean[:, None]) ** 2 @ weights)
        found.append((np.log(std), mean))
        if g < G:
            m, n = MADE[g + 1], ORIGINAL[g + 1]
            made = mean[:, None] + std[:, None] * rng.standard_normal((CHAINS, m))
            rows = np.concatenate([made, rng.standard_normal((CHAINS, n))], axis=1)
            weights = np.concatenate([np.full(m, (1 - W) / m), np.full(n, W / n)])
    return [np.stack(values) for values in zip(*found, strict=True)]


def run(policy, corpus="moments", estimator="mle", **options):
    family = cj.Gaussian(1, estimator, corpus=corpus, **options)
    chain = cj.Chain(family, cj.Normal(0.0, 1.0), policy)
    return cj.simulate(chain, key=1, num_chains=CHAINS, num_generations=G)


def assert_one_law(records, other=None):
    found = records["log_std"].astype(np.float64), records["mean"][:, :, 0].astype(np.float64)
    for first, second in zip(found, other or twin(), strict=True):
        for g in range(1, G + 1):
            assert_same_law(first[g], second[g])


WEIGHTED = cj.Fresh(MADE, ORIGINAL, weight=W)


@pytest.mark.parametrize("corpus", ["moments", pytest.param("samples", marks=thorough)])
def test_weighted_rows_as_in_a_program_that_keeps_them(corpus):
    assert_one_law(run(WEIGHTED, corpus))


@config
class WeighsRowsOfTheModel(cj.Fresh):
    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "weight", 1 - self.weight)


@config
class WeighsSingleRows(cj.Fresh):
    def next(self, step):
        share = self.num_original[1] * self.weight / (self.num_original[1] + self.num_samples[1])
        return cj.Fresh.next(replace_fields(self, weight=share), step)


@config
class IgnoresTheWeight(cj.Fresh):
    def next(self, step):
        return cj.Fresh(self.num_samples, self.num_original).next(step)


@thorough
@pytest.mark.parametrize(
    "fault",
    [WeighsRowsOfTheModel, WeighsSingleRows, IgnoresTheWeight],
    ids=lambda fault: fault.__name__,
)
def test_faults_of_weights_are_caught(fault):
    records = run(fault(MADE, ORIGINAL, weight=W))
    with pytest.raises(AssertionError, match="distribution functions"):
        assert_one_law(records)


@thorough
@pytest.mark.parametrize(("estimator", "bias"), [("mle", 1.0), ("unbiased", 0.8)])
def test_errors_of_weighted_fits_are_exact(estimator, bias):
    records = run(WEIGHTED, estimator=estimator, sampling_bias=bias)
    exact = theory.weighted_fresh_moments(MADE, ORIGINAL, W, estimator, bias)
    for g in range(G + 1):
        assert_mean(records["mean"][g, :, 0].astype(np.float64) ** 2, exact.squared_error[g])
        assert_mean(np.exp(2 * records["log_std"][g].astype(np.float64)), exact.variance[g])
    assert np.allclose(records.theory["variance"], exact.variance)


def test_the_weight_of_equal_rows_is_their_share():
    sizes, share = [15] * 9, 5 / 20
    weighted = theory.weighted_fresh_moments(sizes, 5, share, "unbiased", 1.1)
    equal = theory.fresh_share_moments([20] * 9, share, "unbiased", "fixed", 1.1)
    assert np.allclose(weighted.variance, equal.variance)
    assert np.allclose(weighted.squared_error, equal.squared_error)


@pytest.mark.parametrize(("made", "real"), [(200, 200), (3, 1), (1, 40), (1, 1), (10**9, 7)])
@pytest.mark.parametrize("refit", [False, True])
def test_the_best_weight_has_the_least_error(made, real, refit):
    best = theory.best_fresh_weight(made, real, refit=refit)
    near = best * np.exp(np.linspace(-0.3, 0.3, 61))
    near = near[near <= 1]
    least = theory.weighted_fresh_error(best, made, real, refit=refit)
    assert np.all(theory.weighted_fresh_error(near, made, real, refit=refit) >= least * (1 - 1e-9))


def test_errors_tend_to_the_stationary_one():
    moments = theory.weighted_fresh_moments([30] * 200, 20, 0.4, "mle")
    limit = theory.weighted_fresh_error(0.4, 30, 20, refit=True)
    assert np.isclose(moments.squared_error[-1], limit)
    assert np.allclose(sum(moments), 1)


@thorough
@pytest.mark.parametrize("corpus", ["moments", "samples"])
def test_all_weight_on_original_rows_leaves_independent_fits(corpus):
    """Then the divisor of the unbiased estimator counts the original rows."""
    records = run(cj.Fresh(7, 3, weight=1.0), corpus, "unbiased")
    assert_mean(np.exp(2 * records["log_std"][G].astype(np.float64)), 1.0)
    assert_mean(records["mean"][G, :, 0].astype(np.float64) ** 2, 1 / 3)

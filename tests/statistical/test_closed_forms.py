"""Regimes against their closed forms: 40,000 chains always, 10^6 in `make verify`.

The many chains must be within 4 standard errors of the expectation in each of five
generations; their seed is fixed, so that either holds on every machine or on none.
"""

import numpy as np
import pytest
from scipy import stats

import collapse_jax as cj
from collapse_jax.testing import assert_mean
from collapse_jax.theory import discrete, gaussian

GENERATIONS = (1, 2, 5, 10, 20)
LAW = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
G, M = GENERATIONS[-1], 20
SIZES = np.full(G + 1, M)
GROWING = np.arange(10, 10 + G + 1)


def normal(policy, estimator="mle", **options):
    return cj.Chain(cj.Gaussian(1, estimator, **options), cj.Normal(0.0, 1.0), policy)


def words(policy):
    return cj.Chain(cj.Discrete(corpus="counts"), cj.Categorical(LAW), policy)


def spread_and_error(error, variance=None):
    return {"variance": 1 - error if variance is None else variance, "error": error}


def fresh_share(allocation):
    return {
        "heterozygosity": discrete.fresh_share_expected_heterozygosity(LAW, M, 0.25, G, allocation)
    }


def biased(bias):
    return spread_and_error(
        gaussian.biased_mean_squared_error(SIZES, bias), gaussian.biased_expected_variance(bias, G)
    )


CASES = {
    "fresh share, multinomial": (
        words(cj.Mixing(M, gamma=0.25)),
        fresh_share("multinomial"),
    ),
    "fresh share, fixed": (
        words(cj.Mixing(M, gamma=0.25, allocation="fixed")),
        fresh_share("fixed"),
    ),
    "lambda < 1": (normal(cj.Replace(M), "unbiased", sampling_bias=0.9), biased(0.9)),
    "lambda > 1": (normal(cj.Replace(M), "unbiased", sampling_bias=1.1), biased(1.1)),
    "accumulate": (
        normal(cj.Accumulate(M)),
        spread_and_error(gaussian.accumulate_mean_squared_error(SIZES)),
    ),
    "accumulate, growing": (
        normal(cj.Accumulate(GROWING)),
        spread_and_error(gaussian.accumulate_mean_squared_error(GROWING)),
    ),
    "accumulate, unbiased": (
        normal(cj.Accumulate(M), "unbiased"),
        {"variance": gaussian.accumulate_expected_variance(SIZES, "unbiased")},
    ),
    "fresh": (
        normal(cj.Fresh(12, 8)),
        spread_and_error(gaussian.fresh_mean_squared_error(12, 8, G)),
    ),
}
MEASURED = {
    "heterozygosity": lambda records, g: records["heterozygosity"][g],
    "variance": lambda records, g: np.exp(2 * records["log_std"][g].astype(np.float64)),
    "error": lambda records, g: records["mean"][g, :, 0].astype(np.float64) ** 2,
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("chains", "false_fail"),
    [(40_000, 1e-9), pytest.param(10**6, 2 * stats.norm.sf(4), marks=pytest.mark.slow)],
)
def test_regimes_have_their_expectations(name, chains, false_fail):
    chain, expected = CASES[name]
    records = cj.simulate(chain, key=5, num_chains=chains, num_generations=G)
    for variable, curve in expected.items():
        for g in GENERATIONS:
            values = MEASURED[variable](records, g)
            assert_mean(values, float(curve[g]), false_fail=false_fail)


def test_limits_of_the_closed_forms():
    error = gaussian.fresh_mean_squared_error(12, 8, 400)[-1]
    assert error == pytest.approx(20 / (20**2 - 12 * 11), rel=1e-12)
    # A pooled fit gives each row one weight: the real share of the rows.
    assert gaussian.weighted_fresh_error(8 / 20, 12, 8, refit=True) == pytest.approx(error)
    best = gaussian.best_fresh_weight(50, 50)
    assert best == pytest.approx(0.6180339887)
    assert gaussian.weighted_fresh_error(best, 50, 50, refit=False) == pytest.approx(best / 50)
    sizes = np.full(100_000, 10)
    limit = np.sin(np.pi / np.sqrt(10)) / (np.pi / np.sqrt(10))
    assert gaussian.accumulate_expected_variance(sizes, "mle")[-1] == pytest.approx(limit, rel=1e-5)
    for allocation in ("multinomial", "fixed"):
        none = discrete.fresh_share_expected_heterozygosity(LAW, M, 0.0, G, allocation)
        np.testing.assert_allclose(none, discrete.expected_heterozygosity(LAW, M, G), rtol=1e-12)

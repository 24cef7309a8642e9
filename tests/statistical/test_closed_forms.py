"""Regimes against their closed forms: 40,000 chains always, 10^6 in `make verify`.

The many chains must be within 4 standard errors of the expectation in each of five
generations; their seed is fixed, so that either holds on every machine or on none.
"""

import numpy as np
import pytest
from scipy import stats

import collapse_jax as cj
from collapse_jax.testing import assert_mean
from collapse_jax.theory import ancestors, bounds, discrete, gaussian, gaussian_accumulation

GENERATIONS = (1, 2, 5, 10, 20)
LAW = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
G, M = GENERATIONS[-1], 20
SIZES = np.full(G + 1, M)
GROWING = np.arange(10, 10 + G + 1)
FEW, MANY = (40_000, 1e-9), (10**6, 2 * stats.norm.sf(4))  # chains, false-fail rate


def normal(policy, estimator="mle", **options):
    return cj.Chain(cj.Gaussian(1, estimator, **options), cj.Normal(0.0, 1.0), policy)


def words(policy):
    return cj.Chain(cj.Discrete(corpus="counts"), cj.Categorical(LAW), policy)


def spread_and_error(error, variance=None):
    return {"variance": 1 - error if variance is None else variance, "error": error}


def replace(estimator):
    return {
        "wasserstein2_squared": gaussian.expected_wasserstein2_squared(SIZES, estimator),
        "log_variance": gaussian.expected_log_variance(SIZES, estimator),
    }


def biased(bias, estimator):
    return spread_and_error(
        gaussian.mean_squared_error(SIZES, estimator, bias),
        gaussian.expected_variance(SIZES, estimator, bias),
    )


def fresh_share(gamma, estimator, allocation="multinomial", **options):
    moments = gaussian_accumulation.fresh_share_moments(
        SIZES, gamma, estimator, allocation, **options
    )
    return spread_and_error(moments.squared_error, moments.variance)


def diversity(gamma=0.0, allocation="multinomial"):
    expected = {"heterozygosity": discrete.expected_heterozygosity(LAW, SIZES, gamma, allocation)}
    if allocation == "multinomial":
        expected["support_size"] = ancestors.expected_support_size(LAW, SIZES, gamma)
        expected["is_absorbed"] = ancestors.absorption_probability(LAW, SIZES, gamma)
    return expected


CASES = {
    "replace, unbiased": (normal(cj.Replace(M), "unbiased"), replace("unbiased")),
    "replace, MLE": (normal(cj.Replace(M)), replace("mle")),
    "replace, states": (words(cj.Replace(M)), diversity()),
    "fresh share, multinomial": (words(cj.Mixing(M, gamma=0.25)), diversity(0.25)),
    "fresh share, fixed": (
        words(cj.Mixing(M, gamma=0.25, allocation="fixed")),
        diversity(0.25, "fixed"),
    ),
    "lambda < 1": (
        normal(cj.Replace(M), "unbiased", sampling_bias=0.9),
        biased(0.9, "unbiased"),
    ),
    "lambda > 1": (normal(cj.Replace(M), sampling_bias=1.1), biased(1.1, "mle")),
    "accumulate": (
        normal(cj.Accumulate(M)),
        spread_and_error(gaussian_accumulation.accumulate_mean_squared_error(SIZES, "mle")),
    ),
    "accumulate, growing": (
        normal(cj.Accumulate(GROWING)),
        spread_and_error(gaussian_accumulation.accumulate_mean_squared_error(GROWING, "mle")),
    ),
    "accumulate, unbiased": (
        normal(cj.Accumulate(M), "unbiased"),
        spread_and_error(
            gaussian_accumulation.accumulate_mean_squared_error(SIZES, "unbiased"),
            gaussian_accumulation.accumulate_expected_variance(SIZES, "unbiased"),
        ),
    ),
    "accumulate, states": (
        words(cj.Accumulate(GROWING)),
        {"heterozygosity": discrete.accumulate_expected_heterozygosity(LAW, GROWING)},
    ),
    "fresh": (
        normal(cj.Fresh(12, 8)),
        fresh_share(8 / 20, "mle", "fixed"),
    ),
    "fresh share of rows, MLE": (normal(cj.Mixing(M, gamma=0.25)), fresh_share(0.25, "mle")),
    "fresh share of rows, unbiased, lambda": (
        normal(cj.Mixing(M, gamma=0.25), "unbiased", sampling_bias=1.2),
        fresh_share(0.25, "unbiased", sampling_bias=1.2),
    ),
}
MEASURED = {
    "log_variance": lambda records, g: 2 * records["log_std"][g],
    "variance": lambda records, g: np.exp(2 * records["log_std"][g].astype(np.float64)),
    "error": lambda records, g: records["mean"][g, :, 0].astype(np.float64) ** 2,
}


# One more case of a kind, or in test_chains too.
MORE = ("replace, unbiased", "replace, MLE", "accumulate", "fresh share of rows, MLE")


THOROUGH = (
    "fresh share, multinomial",
    "fresh share, fixed",
    "accumulate, states",
    "fresh share of rows, unbiased, lambda",
)


def marks(name):
    """Return the marks of a regime with few chains."""
    return [pytest.mark.slow] * (name in MORE) + [pytest.mark.thorough] * (name in THOROUGH)


@pytest.mark.parametrize(
    ("chains", "false_fail", "name"),
    [
        *(pytest.param(*FEW, name, marks=marks(name)) for name in CASES),
        *(pytest.param(*MANY, name, marks=pytest.mark.slow) for name in CASES),
    ],
)
def test_regimes_have_their_expectations(name, chains, false_fail):
    chain, expected = CASES[name]
    records = cj.simulate(chain, key=5, num_chains=chains, num_generations=G)
    for variable, curve in expected.items():
        for g in GENERATIONS:
            if variable == "is_absorbed" and curve[g] * chains < 100:
                continue  # too rare for a z-test
            values = (
                MEASURED[variable](records, g) if variable in MEASURED else records[variable][g]
            )
            assert_mean(values, float(curve[g]), false_fail=false_fail)


@pytest.mark.parametrize(
    ("chains", "false_fail"),
    [
        pytest.param(*FEW, marks=pytest.mark.thorough),
        pytest.param(*MANY, marks=pytest.mark.slow),
    ],
)
def test_absorption_takes_its_time(chains, false_fail):
    records = cj.simulate(
        words(cj.Replace(M)), key=5, num_chains=chains, num_generations=700, every=700
    )
    assert np.all(records["is_absorbed"][-1])
    expected = ancestors.mean_absorption_time(LAW, M)
    assert_mean(1 + records["first_event"], expected, false_fail=false_fail)


def squared_distance(key, family, params, corpus, source, first):
    return ((family.probabilities(params) - source.law) ** 2).sum()


@pytest.mark.thorough
def test_kept_rows_bound_the_drift():
    original, synthetic = 30, 20
    data = cj.Empirical(np.repeat(np.arange(5), [15, 7, 5, 2, 1]))
    sizes = [original] + [original + synthetic] * G
    kept = {"gamma": original / (original + synthetic), "original": "data", "allocation": "fixed"}
    chain = cj.Chain(cj.Discrete(), data, cj.Mixing(sizes, **kept))
    records = cj.simulate(
        chain, key=5, num_chains=40_000, num_generations=G, metrics=(squared_distance,)
    )
    first = np.array([15, 7, 5, 2, 1]) / original
    squared, bound = bounds.partly_synthetic_distance(first, synthetic, original, G + 1)
    for g in GENERATIONS:
        assert_mean(records["squared_distance"][g], squared[g])
        assert 2 * np.mean(records["total_variation"][g]) <= bound[g]


def test_limits_of_the_closed_forms():
    error = gaussian_accumulation.fresh_share_moments(
        np.full(400, 20), 8 / 20, "mle", "fixed"
    ).squared_error[-1]
    assert error == pytest.approx(20 / (20**2 - 12 * 11), rel=1e-12)
    # A pooled fit gives each row one weight: the real share of the rows.
    assert gaussian_accumulation.weighted_fresh_error(8 / 20, 12, 8, refit=True) == pytest.approx(
        error
    )
    best = gaussian_accumulation.best_fresh_weight(50, 50)
    assert best == pytest.approx(0.6180339887)
    assert gaussian_accumulation.weighted_fresh_error(best, 50, 50, refit=False) == pytest.approx(
        best / 50
    )
    sizes = np.full(100_000, 10)
    limit = np.sin(np.pi / np.sqrt(10)) / (np.pi / np.sqrt(10))
    assert gaussian_accumulation.accumulate_expected_variance(sizes, "mle")[-1] == pytest.approx(
        limit, rel=1e-5
    )

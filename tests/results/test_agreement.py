"""Standardized differences: their tails under many laws, and what is not tested."""

import math

import numpy as np
import pytest

from collapse_jax.results.agreement import ChainMean, chains_needed, judge, threshold
from collapse_jax.results.quantiles import quantiles
from collapse_jax.utils.interval import mean_over_chains

ANY, SHARE, POSITIVE = (-math.inf, math.inf), (0.0, 1.0), (0.0, math.inf)
LAWS = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0, ANY),
    "log-normal": (lambda rng, shape: np.exp(rng.normal(size=shape)), math.exp(0.5), POSITIVE),
    "very skewed": (lambda rng, shape: np.exp(3 * rng.normal(size=shape)), math.exp(4.5), POSITIVE),
    "chi-square": (lambda rng, shape: rng.chisquare(1, shape), 1.0, POSITIVE),
    "truth values": (lambda rng, shape: rng.random(shape) < 0.3, 0.3, SHARE),
    "rare": (lambda rng, shape: rng.random(shape) < 2e-4, 2e-4, SHARE),
    "nearly certain": (lambda rng, shape: rng.random(shape) > 2e-4, 1 - 2e-4, SHARE),
    "mostly 0": (lambda rng, shape: rng.random(shape) * (rng.random(shape) < 0.01), 0.005, SHARE),
}


def found(values, is_reduced, frozen=0):
    whole = ChainMean.of(values, frozen)
    return whole._replace(skewness=math.nan) if is_reduced else whole


@pytest.mark.parametrize("is_reduced", [False, True])
@pytest.mark.parametrize("num_chains", [2, 30, 1000])
@pytest.mark.parametrize("name", LAWS)
def test_large_differences_are_rare(name, num_chains, is_reduced):
    draw, exact, bounds = LAWS[name]
    values = draw(np.random.default_rng(0), (2000, num_chains))
    scores = [judge(found(row, is_reduced), exact, bounds=bounds).standardized for row in values]
    for size in (2.0, 2.5, 3.0):
        bound = 2000 * 2 * math.exp(-(size**2) / 2)
        # The number of exceedances is below the bound by 4 of its standard deviations or more.
        assert np.sum(np.abs(scores) > size) <= bound + 4 * math.sqrt(bound)


@pytest.mark.parametrize("is_reduced", [False, True])
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("normal", 0.1),
        ("log-normal", 1.5),
        ("chi-square", 0.9),
        ("truth values", 0.33),
        ("rare", 0.003),
        ("nearly certain", 0.99),
    ],
)
def test_a_wrong_expectation_is_found(name, wrong, is_reduced):
    draw, _, bounds = LAWS[name]
    values = draw(np.random.default_rng(1), 40_000)
    assert abs(judge(found(values, is_reduced), wrong, bounds=bounds).standardized) > 8


@pytest.mark.parametrize(
    ("mean", "exact"), [(-math.inf, -math.inf), (math.inf, math.inf), (0.0, 0.0), (2.5, 2.5)]
)
@pytest.mark.parametrize("bounds", [ANY, POSITIVE, (0.0, 3.0)])
def test_equal_values_agree(mean, exact, bounds):
    for std in (0.0, math.nan):
        if std == 0 or math.isinf(mean):
            verdict = judge(ChainMean(10, mean, std), exact, bounds=bounds)
            assert (verdict.standardized, verdict.note) == (0.0, "")


@pytest.mark.parametrize(("mean", "exact"), [(-math.inf, 1.0), (1.0, math.inf)])
def test_infinite_and_finite_values_differ(mean, exact):
    assert judge(ChainMean(10, mean, math.nan), exact).standardized == -math.inf


def test_reasons_not_to_test():
    cases = {
        "a single chain": ChainMean(1, 0.0, 0.0),
        "3 of 1,003 chains are frozen": ChainMean(1000, 0.0, 1.0, frozen=3),
        "2 of 2 chains are frozen": ChainMean(0, math.nan, math.nan, frozen=2),
        "no chain has a value": ChainMean(0, math.nan, math.nan),
        "too few chains for a law so skewed": ChainMean(1000, 1.0, 1.0, skewness=9.0),
    }
    for reason, mean in cases.items():
        verdict = judge(mean, 0.5)
        assert verdict.note == reason
        assert math.isnan(verdict.standardized)


def test_absorbed_chains():
    # All 4,096 chains are absorbed, which has probability 0.999: nothing remarkable.
    absorbed = ChainMean(4096, 1.0, 0.0)
    assert 0 < judge(absorbed, 0.999, bounds=SHARE).standardized < 3
    assert 0 > judge(ChainMean(4096, 0.0, 0.0), 1e-4, bounds=SHARE).standardized > -1
    # Four in five of them have lost what theory says they have: that is remarkable.
    assert judge(absorbed, 0.2, bounds=SHARE).standardized > 50
    assert judge(absorbed, 0.0, bounds=SHARE).standardized > 100
    verdict = judge(absorbed, 0.9995, bounds=SHARE)
    assert verdict.low < 0.9995 < verdict.high
    assert verdict.high == 1.0


def test_the_variance_of_theory_counts():
    mean = ChainMean(4096, 0.01, 1e-9, skewness=0.0)
    assert abs(judge(mean, 0.0).standardized) > 60
    assert judge(mean, 0.0, variance=1.0).standardized == pytest.approx(0.64)
    # Theory knows that every chain has the same value, and the value differs.
    assert judge(ChainMean(4096, 0.01, 0.0), 0.011, variance=0.0).standardized < -1000
    rounded = ChainMean(4096, 1.0 + 1e-7, 0.0)
    assert abs(judge(rounded, 1.0, variance=0.0).standardized) < 1


def test_intervals_are_students():
    values = np.random.default_rng(2).normal(size=50)
    verdict = judge(ChainMean.of(values, 0), 0.0)
    mean, half = mean_over_chains(values)
    assert [verdict.low, verdict.high] == pytest.approx([mean - half, mean + half])


def test_threshold():
    limit = threshold(300, 1e-6)
    assert 300 * 2 * math.exp(-(limit**2) / 2) == pytest.approx(1e-6)


@pytest.mark.parametrize("levels", [(0.0, 0.05, 0.5, 0.95, 1.0)])
def test_quantiles_of_infinite_values(levels):
    infinite = math.inf
    cases = {
        (-infinite,) * 3: [-infinite] * 5,
        (-infinite, 1.0, 2.0, 3.0, 4.0): [-infinite, -infinite, 2.0, 3.8, 4.0],
        (1.0, 2.0, infinite): [1.0, 1.1, 2.0, infinite, infinite],
        (-infinite, infinite): [-infinite, -infinite, -infinite, -infinite, infinite],
    }
    for values, expected in cases.items():
        assert quantiles(np.array(values), levels, axis=0).tolist() == pytest.approx(expected)
    finite = np.random.default_rng(3).normal(size=(4, 17))
    assert np.array_equal(quantiles(finite, levels, axis=1), np.quantile(finite, levels, axis=1))


@pytest.mark.parametrize("bounds", [ANY, SHARE])
@pytest.mark.parametrize("num_chains", [2, 5, 33])
def test_no_difference_exceeds_what_so_few_chains_can_show(num_chains, bounds):
    rng = np.random.default_rng(4)
    for spread in (1e-3, 0.1, 1.0):
        values = rng.random(num_chains) < 0.5 if bounds == SHARE else rng.normal(size=num_chains)
        for exact in (1e-6, 0.3, 0.999):
            verdict = judge(ChainMean.of(values * spread, 0), exact, bounds=bounds)
            assert verdict.note or abs(verdict.standardized) <= verdict.most


def test_the_chains_needed_are_the_fewest_that_can_exceed_the_threshold():
    limit = threshold(20, 1e-6)
    needed = chains_needed(7, math.sqrt(7), limit)
    assert (needed - 1) <= limit**2 < needed
    # A wrong mean of that many values is found, and of one value less it is not.
    for number, is_found in ((needed, True), (needed - 1, False)):
        score = judge(ChainMean(number, 1e6, 1.0, skewness=0.0), 0.0).standardized
        assert (score > limit) == is_found


def test_two_chains_tell_nothing_of_the_skewness():
    assert math.isnan(ChainMean.of(np.array([0.0, 1.0]), 0).skewness)
    verdict = judge(ChainMean.of(np.array([0.1, 0.3]), 0), 5.0, bounds=POSITIVE)
    assert verdict.note == "too few chains for a law so skewed"


def test_overflow_is_no_difference():
    infinite = ChainMean(64, math.inf, math.nan)
    for found, exact in ((infinite, 1e38), (infinite, math.inf), (ChainMean(64, 3e38, 1e37), 4e38)):
        verdict = judge(found, exact, bounds=POSITIVE, dtype="float32")
        assert (verdict.note, math.isnan(verdict.standardized)) == ("beyond float32", True)
    assert judge(infinite, 1.0, bounds=POSITIVE, dtype="float32").standardized == math.inf
    assert judge(ChainMean(64, 3e38, 1e37), 4e38, dtype="float64").note == ""

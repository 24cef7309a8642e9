"""The tests that the tests rest on: right levels, stated power, refusal of too few draws."""

import numpy as np
import pytest
from scipy import stats

from collapse_jax import testing

RATE, RUNS, DRAWS = 0.05, 400, 1500
CELLS = np.array([0.4, 0.3, 0.2, 0.08, 0.02])


def evidence(kind, rng, effect=0.0):
    values = rng.normal(size=DRAWS)
    if kind == "mean":
        return testing.mean_evidence(values + effect, 0.0, RATE)
    if kind == "law":
        share = rng.random(DRAWS) < effect  # moved by so much of the mass
        return testing.law_evidence(np.where(share, values + 10, values), stats.norm.cdf, RATE)
    if kind == "same law":
        share = rng.random(DRAWS) < effect
        other = rng.normal(size=DRAWS)
        return testing.same_law_evidence(np.where(share, values + 10, values), other, RATE)
    signs = np.array([1, -1, 1, -1, -1]) * np.sqrt(1 / CELLS)
    law = CELLS * (1 + effect * (signs - CELLS @ signs) / np.sqrt(len(CELLS)))
    scale = np.sqrt(np.sum((law - CELLS) ** 2 / CELLS))
    law = CELLS + (law - CELLS) * (effect / scale if effect else 0)
    return testing.frequency_evidence(rng.multinomial(DRAWS, law), CELLS, RATE)


@pytest.mark.parametrize("kind", ["mean", "law", "same law", "cells"])
def test_levels_and_power_are_as_stated(kind):
    rng = np.random.default_rng(7)
    found = [evidence(kind, rng) for _ in range(RUNS)]
    fails = np.mean([one.p_value < RATE for one in found])
    assert fails < RATE + 4 * np.sqrt(RATE / RUNS)
    assert stats.kstest([one.p_value for one in found], "uniform").pvalue > 1e-4
    effect = found[0].detectable
    caught = [evidence(kind, rng, effect).p_value < RATE for _ in range(RUNS)]
    assert np.mean(caught) > 0.97
    # ... and one of a fifth of that size mostly is not.
    small = [evidence(kind, rng, effect / 5).p_value < RATE for _ in range(RUNS)]
    assert np.mean(small) < 0.5


def test_too_few_or_infinite_draws_are_refused():
    few, bad = np.zeros(999), np.full(2000, np.nan)
    for values in (few, bad):
        with pytest.raises(AssertionError, match=r"too few|not finite"):
            testing.assert_mean(values, 0.0)
        with pytest.raises(AssertionError, match=r"too few|not finite"):
            testing.assert_law(values, stats.norm.cdf)
        with pytest.raises(AssertionError, match=r"too few|not finite"):
            testing.assert_same_law(values, np.arange(2000.0))
    with pytest.raises(AssertionError, match="too few"):
        testing.assert_frequencies([5, 5], [0.5, 0.5])


def test_impossible_cells_and_constants():
    testing.assert_mean(np.ones(1000), 1.0)
    with pytest.raises(AssertionError, match="standard errors"):
        testing.assert_mean(np.ones(1000), 1.1)
    testing.assert_frequencies([1000, 1000, 0], [0.5, 0.5, 0.0])
    with pytest.raises(AssertionError, match="impossible cell"):
        testing.assert_frequencies([1000, 1000, 1], [0.5, 0.5, 0.0])
    with pytest.raises(AssertionError, match="chi-square"):
        testing.assert_frequencies([1000, 1500], [0.5, 0.5])

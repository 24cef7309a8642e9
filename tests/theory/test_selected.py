"""Two states whose rows raters choose: the enumeration against known values and against chains."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.testing import FALSE_FAIL, frequency_evidence
from collapse_jax.theory import selected

CHAINS, LAST, SHARE = 40_000, 4, 0.3


def evidence(size, candidates, advantage, expected):
    """The evidence of the preferred rows' numbers in the last generation about a law [M + 1]."""
    raters = cj.BestOf(candidates, lambda states: advantage * states)
    chain = cj.Chain(
        cj.Discrete(corpus="counts"),
        cj.Categorical([1 - SHARE, SHARE]),
        cj.Replace(size, selection=raters),
    )
    run = {"num_chains": CHAINS, "num_generations": LAST, "every": LAST}
    records = cj.simulate(chain, key=0, metrics=["probabilities"], **run)
    numbers = np.rint(records["probabilities"][-1, :, 1] * size).astype(int)
    found = np.bincount(numbers, minlength=size + 1)
    often = expected * CHAINS >= 20
    observed = [*found[often], found[~often].sum()]
    return frequency_evidence(observed, [*expected[often], max(0.0, 1 - expected[often].sum())])


def law(size, candidates, advantage):
    return selected.preferred_counts(SHARE, advantage, candidates, size, LAST)[-1]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("size", "candidates", "advantage"), [(5, 2, 0.8), (20, 3, -0.4), (60, 2, 0.3), (60, 16, 0.2)]
)
def test_chains_have_the_enumerated_law(size, candidates, advantage):
    evidence(size, candidates, advantage, law(size, candidates, advantage)).check(FALSE_FAIL)


@pytest.mark.thorough
def test_other_laws_are_told_apart():
    for wrong in (law(60, 3, 0.3), law(60, 2, -0.3), law(60, None, 0.3), law(60, 2, 0.36)):
        assert evidence(60, 2, 0.3, wrong).p_value < FALSE_FAIL


def test_fixation_has_known_values():
    found = selected.fixation_probability(0.05, None, 60)
    np.testing.assert_allclose(found[[6, 15, 30]], [0.45391, 0.78000, 0.95282], atol=5e-6)
    neutral = selected.fixation_probability(3.0, 1, 40)
    np.testing.assert_allclose(neutral, np.arange(41) / 40, atol=1e-10)


def test_two_candidates_have_the_closed_form():
    share, weight = np.linspace(0, 1, 7), np.exp(0.7)
    expected = share * (share + (1 - share) * 2 * weight / (weight + 1))
    found = selected.preferred_probability(share, 0.7, 2)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_many_candidates_have_the_limit():
    share = np.linspace(0, 1, 5)
    found = selected.preferred_probability(share, 0.7, 4096)
    np.testing.assert_allclose(found, selected.preferred_probability(share, 0.7, None), atol=2e-4)


BAD = {
    "share": lambda: selected.preferred_probability(1.5, 0.1, 2),
    "advantage": lambda: selected.preferred_probability(0.5, np.nan, 2),
    "num_candidates": lambda: selected.preferred_probability(0.5, 0.1, 0),
    "size": lambda: selected.fixation_probability(0.1, 2, 0),
    "num_generations": lambda: selected.preferred_counts(0.5, 0.1, 2, 10, -1),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_in_one_line(name, refused):
    refused(BAD[name], f"{name}=")

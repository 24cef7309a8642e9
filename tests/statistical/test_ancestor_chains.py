"""The simulated dual against the exact law and against forward chains."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.testing import assert_mean, assert_same_law
from collapse_jax.theory import ancestors
from collapse_jax.theory.ancestor_chains import absorption_times, support_sizes

LAWS = {
    "even": (np.full(40, 1 / 40), 40),
    "uneven": (np.array([0.6, 0.3, 0.1, 0.0]), 25),
    "two rows": (np.array([0.5, 0.5]), 2),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", LAWS)
def test_absorption_times(name):
    law, size = LAWS[name]
    times = absorption_times(law, size, key=1, num_chains=100_000)
    assert_mean(times, ancestors.mean_absorption_time(law, size))
    exact = ancestors.absorption_probability(law, np.full(20 * size, size))
    for fits in (1, size // 2 + 1, size, 2 * size, 4 * size):
        if 0.001 < exact[fits - 1] < 0.999:
            assert_mean(times <= fits, exact[fits - 1])
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(size))
    forward = cj.simulate(chain, key=2, num_chains=20_000, num_generations=40 * size, every=10**6)
    assert_same_law(times, 1 + forward["first_event"])


CASES = [
    pytest.param("uneven", marks=pytest.mark.thorough),
    pytest.param("even", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name", CASES)
def test_support(name):
    law, size = LAWS[name]
    wanted = [0, 1, 2, 7, 30]
    found = support_sizes(law, size, wanted, key=1, num_chains=40_000)
    expected = ancestors.expected_support_size(law, np.full(31, size))
    for values, g in zip(found, wanted, strict=True):
        assert_mean(values, expected[g])
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(size))
    forward = cj.simulate(chain, key=2, num_chains=20_000, num_generations=30)
    for values, g in zip(found, wanted, strict=True):
        assert_same_law(values, forward["support_size"][g])


def test_one_row_and_one_state():
    assert np.all(absorption_times([0.3, 0.7], 1, key=0, num_chains=9) == 1)
    assert np.all(absorption_times([1.0], 50, key=0, num_chains=9) == 1)
    assert np.all(support_sizes([1.0], 50, [0, 3], key=0, num_chains=9) == 1)


@pytest.mark.thorough
def test_a_chain_does_not_depend_on_the_others():
    law, size = LAWS["even"]
    many = absorption_times(law, size, key=3, num_chains=5000)
    np.testing.assert_array_equal(
        many[4990:], absorption_times(law, size, key=3, num_chains=10, first_chain=4990)
    )
    whole = support_sizes(law, size, [2, 20], key=3, num_chains=50)
    part = support_sizes(law, size, [2, 20], key=3, num_chains=7, first_chain=43)
    np.testing.assert_array_equal(whole[:, 43:], part)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probabilities": [0.5, 0.6]}, "probabilities="),
        ({"num_samples": 30_000}, "num_samples=30000"),
        ({"num_chains": 0}, "num_chains=0"),
        ({"generations": [3, 1]}, "generations="),
        ({"generations": []}, "generations="),
    ],
)
def test_bad_arguments(arguments, message):
    given = {"probabilities": [0.5, 0.5], "num_samples": 5, "generations": [1]} | arguments
    with pytest.raises(ValueError, match=message):
        support_sizes(**({"key": 0, "num_chains": 3} | given))

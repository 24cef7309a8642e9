"""Tables of laws: their law is exact, and a draw follows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import collapse_jax as cj
from collapse_jax.random.alias import AliasTable, alias_table, binomial_table, draw_from


def _law(table: AliasTable) -> np.ndarray:
    """Return the probability of each number that a table can give, from its first on."""
    share = table.threshold / 2.0**32
    law = share / len(share)
    np.add.at(law, table.other - table.first, (1 - share) / len(law))
    return law


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("shape", ["even", "steps", "random", "steep", "one", "ends"])
def test_a_table_has_the_law_of_its_weights(size, shape):
    random = np.random.default_rng(size)
    weights = {
        "even": np.ones(size),
        "steps": 1.0 + np.arange(size) % 2,
        "random": random.random(size),
        "steep": random.random(size) ** 20,
        "one": (np.arange(size) == size // 2).astype(float),
        "ends": 1e-12 + np.isin(np.arange(size), (0, size - 1)),
    }[shape]
    np.testing.assert_allclose(_law(alias_table(weights)), weights / weights.sum(), atol=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 12, 100, 10**4, 10**6, 2 * 10**9])
@pytest.mark.parametrize("p", [0.0, 1e-9, 1e-3, 0.1, 0.5, 0.75, 1 - 1e-6, 1.0])
def test_the_table_of_a_binomial_law_is_exact(n, p):
    table = binomial_table(n, p, 1 - p)
    numbers = table.first + np.arange(len(table.other))
    exact = stats.binom.pmf(numbers, n, p) if n else np.ones(1)
    distance = 0.5 * (np.abs(_law(table) - exact).sum() + max(0, 1 - exact.sum()))
    assert distance < 1e-8
    assert len(table.other) == len(binomial_table(n, 0.3, 0.7).other), "its size depends on n alone"


def test_a_table_too_large_is_none():
    assert binomial_table(2**36, 0.5, 0.5) is None


def test_draws_follow_the_table():
    table, number = binomial_table(20, 0.3, 0.7), 200_000
    keys = jax.vmap(lambda c: jax.random.fold_in(jax.random.key(5), c))(jnp.arange(number))
    draw = jax.vmap(lambda key: draw_from(cj.Keys(key, jnp.int32(3)), cj.Purpose.POLICY, table))
    counts = np.bincount(np.asarray(draw(keys)), minlength=21)
    wrong = stats.binom.pmf(np.arange(21), 20, 0.31) * number
    expected = stats.binom.pmf(np.arange(21), 20, 0.3) * number
    seen = expected > 5

    def statistic(law):
        return np.sum((counts[seen] - law[seen]) ** 2 / law[seen])

    limit = stats.chi2.isf(1e-6, seen.sum())
    assert statistic(expected) < limit
    assert statistic(wrong) > limit, "a law that differs by 0.01 is told apart"

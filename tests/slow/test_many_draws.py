"""Joint laws by 10^8 draws, impossible states by 10^9: run by `make verify`."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from collapse_jax.random.hypergeometric import multivariate_hypergeometric
from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.threefry import as_key

pytestmark = pytest.mark.slow

FALSE_FAIL = 1e-8
BATCH = 500_000


def outcome_counts(draw, base, num_states, batches):
    """How often each outcome came, numbered by its digits to the base, in all batches."""
    place = base ** np.arange(num_states - 1)

    @jax.jit
    def batch(first):
        chains = first + jnp.arange(BATCH, dtype=jnp.uint32)
        keys = jax.vmap(lambda c: chain_key(as_key(8), c))(chains)
        rows = jax.vmap(lambda key: draw(Keys(key, jnp.int32(0))))(keys)
        return jnp.sum(rows[:, :-1] * place, axis=1)

    total = np.zeros(base ** (num_states - 1), np.int64)
    for number in range(batches):
        total += np.bincount(np.asarray(batch(np.uint32(number * BATCH))), minlength=len(total))
    return total


def outcomes(base, num_states, total):
    digits = [d[::-1] for d in itertools.product(range(base), repeat=num_states - 1)]
    first = np.array(digits)
    return np.column_stack([first, total - first.sum(axis=1)])


def assert_fits(observed, exact):
    """Pearson's test at level FALSE_FAIL; it sees a relative error of 4e-4 in an outcome."""
    assert np.sum(observed[exact == 0]) == 0
    expected = exact * observed.sum()
    rare = expected < 20
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    statistic = ((observed - expected)[keep] ** 2 / expected[keep]).sum()
    assert stats.chi2.sf(statistic, keep.sum() - 1) > FALSE_FAIL, statistic


def test_multinomial_by_a_hundred_million_draws():
    n, weights = 40, np.array([3.0, 0.0, 1.0, 2.0])
    observed = outcome_counts(
        lambda keys: multinomial(keys, 1, n, jnp.asarray(weights)), n + 1, 4, 200
    )
    rows = outcomes(n + 1, 4, n)
    assert_fits(observed, stats.multinomial.pmf(rows, n, weights / weights.sum()))
    wrong = weights * (1, 1, 1, 1.002)
    with pytest.raises(AssertionError):
        assert_fits(observed, stats.multinomial.pmf(rows, n, wrong / wrong.sum()))


def test_multivariate_hypergeometric_by_a_hundred_million_draws():
    counts, sample = (30, 20, 25), 40
    observed = outcome_counts(
        lambda keys: multivariate_hypergeometric(keys, 1, jnp.array(counts), sample), 31, 3, 200
    )
    rows = outcomes(31, 3, sample)
    exact = stats.multivariate_hypergeom.pmf(rows, counts, sample)
    assert_fits(observed, np.nan_to_num(exact))
    wrong = np.array(stats.multivariate_hypergeom.pmf(rows, (31, 19, 25), sample))
    with pytest.raises(AssertionError):
        assert_fits(observed, np.nan_to_num(wrong))


def test_impossible_states_stay_empty_in_a_thousand_million_draws():
    weights = np.random.default_rng(0).random(1000) * (np.arange(1000) % 3 > 0)
    chains, size = 1000, 10**6

    @jax.jit
    def counts(size):
        keys = jax.vmap(lambda c: chain_key(as_key(9), c))(jnp.arange(chains))
        return jax.vmap(
            lambda key: multinomial(Keys(key, jnp.int32(0)), 1, size, jnp.asarray(weights))
        )(keys)

    for law_size in (size, 10):
        found = np.asarray(counts(jnp.int32(law_size)))
        assert found[:, weights == 0].sum() == 0
        assert np.all(found.sum(axis=1) == law_size)

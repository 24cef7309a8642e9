"""The laws that the discrete samplers draw from, against scipy's, at large and small counts.

A law is computed from the sampler's explicit acceptance or quantile function, not from
draws: these comparisons are deterministic. Tests on draws fail falsely with probability
FALSE_FAIL each.
"""

import contextlib
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from collapse_jax.random.binomial import binomial
from collapse_jax.random.hypergeometric import multivariate_hypergeometric
from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.threefry import as_key
from collapse_jax.verify.samplers import binomial_error, hypergeometric_error

FALSE_FAIL = 1e-8
# Total variation, relative mean error, acceptance above 1.
BARS = {False: (1e-5, 1e-6, 2e-6), True: (1e-9, 1e-9, 1e-9)}


def precision(x64):
    return jax.enable_x64(True) if x64 else contextlib.nullcontext()


def binomial_points(number, largest, seed=1):
    """n log-uniform to `largest`, p from both tails: half rejection, half inversion."""
    rng = np.random.default_rng(seed)
    for i in range(number):
        n = int(np.exp(rng.uniform(np.log(20), np.log(largest))))
        smallest, greatest = (6.5 / n, 0.5) if i % 2 else (1e-6 / n, 5.5 / n)
        p = np.exp(rng.uniform(np.log(smallest), np.log(max(min(greatest, 0.5), smallest))))
        yield n, float(np.float32(p))


@pytest.mark.parametrize("x64", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_binomial_law_at_200_points(x64):
    with precision(x64):
        found = np.array([binomial_error(n, p) for n, p in binomial_points(200, 1e7)])
    assert np.all(found.max(axis=0) <= BARS[x64]), found.max(axis=0)


def test_a_shifted_p_is_caught():
    distance, mean, _ = binomial_error(10**6, 0.3, shift=1e-3)
    assert distance > BARS[False][0]
    assert mean > BARS[False][1]


def hypergeometric_points(number, largest, seed=2):
    rng = np.random.default_rng(seed)
    while number:
        total = int(np.exp(rng.uniform(np.log(60), np.log(largest))))
        good, sample = (int(total * 0.5 * rng.uniform() ** rng.integers(1, 8)) for _ in range(2))
        if good and sample and not 5.9 < good * sample / total < 6.1:
            number -= 1
            yield good, total - good, sample


@pytest.mark.parametrize("x64", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_hypergeometric_law(x64):
    with precision(x64):
        points = hypergeometric_points(200, 1e7)
        found = np.array([hypergeometric_error(*point) for point in points])
    assert np.all(found.max(axis=0) <= BARS[x64]), found.max(axis=0)


def draws(function, chains, seed):
    chain_keys = jax.vmap(lambda c: chain_key(as_key(seed), c))(jnp.arange(chains))
    return np.asarray(jax.jit(jax.vmap(lambda k: function(Keys(k, jnp.int32(0)))))(chain_keys))


def compositions(total, parts):
    ranges = itertools.product(range(total + 1), repeat=parts - 1)
    return np.array([(*row, total - sum(row)) for row in ranges if sum(row) <= total])


def assert_fits(rows, outcomes, probabilities):
    """Pearson's test; its level is FALSE_FAIL, every expected count is 20 or more."""
    index = {tuple(row): i for i, row in enumerate(outcomes.tolist())}
    observed = np.bincount([index[tuple(row)] for row in rows.tolist()], minlength=len(outcomes))
    assert np.all(observed[probabilities == 0] == 0)
    expected = probabilities * len(rows)
    rare = expected < 20
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    statistic = ((observed - expected)[keep] ** 2 / expected[keep]).sum()
    assert stats.chi2.sf(statistic, keep.sum() - 1) > FALSE_FAIL, statistic


@pytest.mark.parametrize(("n", "weights"), [(5, (0.1, 0.0, 0.4, 0.5)), (17, (3.0, 1.0, 2.0))])
def test_multinomial_joint_law(n, weights):
    rows = draws(lambda keys: multinomial(keys, 1, n, jnp.array(weights)), 100_000, 4)
    outcomes = compositions(n, len(weights))
    exact = stats.multinomial.pmf(outcomes, n, np.array(weights) / np.sum(weights))
    assert_fits(rows, outcomes, exact)
    wrong = np.array(weights) + 0.02 * np.arange(len(weights))  # negative control
    other = stats.multinomial.pmf(outcomes, n, wrong / wrong.sum())
    with pytest.raises(AssertionError):
        assert_fits(rows, outcomes, other)


@pytest.mark.parametrize(
    ("counts", "sample"),
    [((3, 0, 5, 4), 6), pytest.param((30, 20, 25), 40, marks=pytest.mark.thorough)],
)
def test_multivariate_hypergeometric_joint_law(counts, sample):
    rows = draws(
        lambda keys: multivariate_hypergeometric(keys, 1, jnp.array(counts), sample), 100_000, 5
    )
    outcomes = compositions(sample, len(counts))
    outcomes = outcomes[np.all(outcomes <= counts, axis=1)]
    exact = stats.multivariate_hypergeom.pmf(outcomes, counts, sample)
    assert_fits(rows, outcomes, exact)


@pytest.mark.parametrize(("n", "p"), [(30, 0.4), (50, 0.2), (4000, 0.01), (300, 0.97)])
def test_binomial_draws(n, p):
    rows = draws(lambda keys: binomial(keys, 1, jnp.full(1, n), p), 200_000, 6)
    outcomes = np.arange(n + 1)[:, None]
    assert_fits(rows, outcomes, stats.binom.pmf(outcomes[:, 0], n, float(np.float32(p))))

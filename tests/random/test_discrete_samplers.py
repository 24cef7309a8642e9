"""Edges, sums and batches of the integer, binomial, multinomial and hypergeometric samplers."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from collapse_jax.random import rounded_normal
from collapse_jax.random.binomial import binomial, binomial_proposal, binomial_quantile
from collapse_jax.random.hypergeometric import hypergeometric, multivariate_hypergeometric
from collapse_jax.random.integers import uniform_integers
from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.threefry import as_key


def keys_of(chain):
    return Keys(chain_key(as_key(11), chain), jnp.int32(3))


@functools.cache
def batched(function):
    return jax.jit(jax.vmap(lambda c: function(keys_of(c))))


def batch(function, chains, first=0):
    return np.asarray(batched(function)(first + jnp.arange(chains)))


DRAWS = {1: 6, 2: 6, 101: 6, 256: 5, 1000: 4, 10**4: 3, 2**16: 2}  # of a block


@pytest.mark.parametrize("bound", [*DRAWS, 2**16 + 1, 10**9, 2**31 - 1])
def test_integers_follow_their_twin_in_exact_arithmetic(bound):
    keys, draws = keys_of(0), DRAWS.get(bound, 1)
    found = np.asarray(uniform_integers(keys, 1, bound, (600,)))
    blocks = -(-600 // (16 * draws)) * 16
    high, low = (np.asarray(x).astype(object) for x in keys.bits(1, (blocks,)))
    fractions = [int(h) << 32 | int(low_) for h, low_ in zip(high, low, strict=True)]

    def twin(index):
        which, block = divmod(index, blocks)
        return fractions[block] * bound ** (which + 1) // 2**64 % bound

    assert found.tolist() == [twin(i) for i in range(600)]


@pytest.mark.parametrize("bound", [jnp.int32(1000), 10**6])
def test_more_rows_leave_the_earlier_integers(bound):
    short = uniform_integers(keys_of(0), 1, bound, (5, 31))
    long = uniform_integers(keys_of(0), 1, bound, (300, 31))
    assert np.array_equal(short, long[:5])


def test_integers_are_uniform():
    found = batch(lambda keys: uniform_integers(keys, 1, 13, (1000,)), 200)
    counts = np.bincount(found.ravel(), minlength=13)
    assert stats.chisquare(counts).pvalue > 1e-8


@pytest.mark.parametrize("bound", [0, -1, 2**31])
def test_a_bad_bound_is_named(bound):
    with pytest.raises(ValueError, match=f"bound={bound}"):
        uniform_integers(keys_of(0), 1, bound, (3,))


EDGES = [
    (0, 0.3, 0.7, 0),
    (5, 0.0, 1.0, 0),
    (5, 1.0, 0.0, 5),
    (10**6, 0.0, 3.0, 0),
    (10**6, 2.0, 0.0, 10**6),
    (2**31 - 1, 1e-37, 0.0, 2**31 - 1),
    (2**31 - 1, 0.0, 1e-37, 0),
    (0, 0.0, 0.0, 0),
]


def test_binomial_edges():
    n, success, failure, expected = (np.array(x) for x in zip(*EDGES, strict=True))
    found = batch(lambda keys: binomial(keys, 1, jnp.asarray(n), success, failure), 50)
    assert np.all(found == expected)


def test_binomial_stays_in_range_whatever_n_and_p():
    n = jnp.asarray([1, 3, 11, 13, 40, 1000, 10**7, 2**31 - 1])[:, None]
    p = jnp.asarray([0, 1e-30, 1e-9, 1e-3, 0.3, 0.5, 0.8, 1 - 2**-24, 1])
    found = batch(lambda keys: binomial(keys, 1, n, p), 40)
    assert np.all((found >= 0) & (found <= np.asarray(n)))
    assert found.dtype == np.int32
    small = np.asarray(p * n < 1e-9)
    assert np.all(found[:, small] == 0)


def test_weights_that_are_not_finite_end():
    bad = jnp.asarray([jnp.nan, jnp.inf, -1.0])
    assert binomial(keys_of(0), 1, 100, bad, 1.0).shape == (3,)


def test_tiny_probabilities_keep_their_digits():
    p = np.float32(1e-12)
    uniform = jnp.float32(10**6 * 1e-12) * jnp.asarray([0.999, 1.001], jnp.float32)
    count = binomial_quantile(jnp.int32(10**6), jnp.float32(p), None, uniform)
    assert count.tolist() == [1, 0]


MIXED = np.random.default_rng(0)
N = jnp.asarray(np.exp(MIXED.uniform(0, 16, 60)).astype(np.int32))
P = jnp.asarray(MIXED.uniform(0, 1, 60), jnp.float32)
CASES = {
    "binomial": lambda keys: binomial(keys, 1, N, P),
    "multinomial": lambda keys: multinomial(keys, 1, 12345, P[:3]),
    "hypergeometric": lambda keys: hypergeometric(keys, 1, N, N[::-1], N // 3),
    "integers": lambda keys: uniform_integers(keys, 1, 1000, (100,)),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.thorough] * (name != "integers")) for name in CASES],
)
def test_a_chain_is_the_same_in_every_batch(name):
    thousand = batch(CASES[name], 1000)
    assert np.array_equal(batch(CASES[name], 7), thousand[:7])
    assert np.array_equal(batch(CASES[name], 1), thousand[:1])
    assert np.array_equal(batch(CASES[name], 1, first=999), thousand[999:])


@pytest.mark.thorough
def test_lanes_do_not_depend_on_their_number():
    long = binomial(keys_of(0), 1, N, P)
    assert np.array_equal(binomial(keys_of(0), 1, N[:7], P[:7]), long[:7])


@pytest.mark.parametrize("states", [1, 5])
def test_multinomial_counts_sum_to_n_and_spare_zero_weights(states):
    weights = np.random.default_rng(states).exponential(size=states)
    weights[1::3] = 0
    sizes = np.array([0, 1, 100, 10**6, 2**31 - 1])
    found = batch(
        lambda keys: jax.vmap(lambda n: multinomial(keys, 1, n, jnp.asarray(weights)))(
            jnp.asarray(sizes)
        ),
        16,
    ).astype(np.int64)
    assert np.all(found >= 0)
    assert np.all(found.sum(axis=-1) == sizes)
    assert np.all(found[..., weights == 0] == 0)


@pytest.mark.thorough
def test_multivariate_hypergeometric_sums():
    counts, samples = np.array([1, 0, 700, 300, 0, 600]), np.array([0, 1, 800, 1601])
    found = batch(
        lambda keys: jax.vmap(
            lambda sample: multivariate_hypergeometric(keys, 1, jnp.asarray(counts), sample)
        )(jnp.asarray(samples)),
        30,
    )
    assert np.all(found.sum(axis=-1) == samples)
    assert np.all((found >= 0) & (found <= counts))
    assert np.all(found[:, -1] == counts)


HYPERGEOMETRIC_EDGES = [
    (0, 9, 4, 0),
    (9, 0, 4, 4),
    (9, 7, 0, 0),
    (9, 7, 16, 9),
    (0, 0, 0, 0),
    (10**7, 0, 10**6, 10**6),
]


def test_hypergeometric_edges():
    good, bad, sample, expected = (np.array(x) for x in zip(*HYPERGEOMETRIC_EDGES, strict=True))
    found = batch(lambda keys: hypergeometric(keys, 1, good, bad, sample), 50)
    assert np.all(found == expected)


def test_acceptance_follows_its_twin():
    """The slow twin: scipy's pmf over the proposal's density, at float64."""
    n, p, kind = 200, 0.2, np.float64
    with jax.enable_x64(True):
        score = np.linspace(-4, 4, 301)
        half = jnp.full(301, 0.5)
        law = binomial_proposal(jnp.int32(n), jnp.asarray(p), None, jnp.asarray(score), half)
    mean, sd = n * p, np.sqrt(n * p * (1 - p))
    spread, bend = sd + 0.05 / sd, (1 - 2 * p) / sd / 6
    position = mean + spread * (score + bend * (score**2 - 1))
    count = np.floor(position) + (position - np.floor(position) > 0.5)
    excess = count - mean
    slope = -2 * excess * (1 / (count + mean) + 1 / (2 * n - count - mean))
    density = stats.norm.pdf(score) / (spread * (1 + 2 * bend * score))
    room = 1.1 / mean + 1 / mean**2 + 16 * np.finfo(kind).eps
    tilt = 1 + np.clip(slope, -1, 1) * (position - count)
    expected = stats.binom.pmf(count, n, p) * tilt / density / (1 + room)
    assert np.array_equal(law.outcome, count)
    np.testing.assert_allclose(law.acceptance, expected, rtol=1e-10)


@pytest.mark.parametrize("mean", [25, 300, 10**4, 10**6])
@pytest.mark.parametrize("p", [0.5, 0.3, 0.01])
def test_the_squeeze_is_below_the_acceptance(mean, p):
    from collapse_jax.random import binomial as module

    with jax.enable_x64(True):
        score = jnp.linspace(-4, 4, 40_001)
        weights = module._weights(jnp.asarray(p), None)
        law = module._rarer(jnp.int32(round(mean / p)), *weights)
        bound = rounded_normal.squeeze(law, score)
        for rounding in (0.0, 0.999999):
            proposal = rounded_normal.propose(law, score, jnp.full_like(score, rounding))
            acceptance = proposal.acceptance
            assert np.all(bound <= acceptance)
            assert np.all(acceptance <= 1)


def test_stirling_ratio_is_the_factorial():
    counts = np.concatenate([np.arange(0, 60), [10**3, 10**6, 2**31 - 1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_power = np.where(counts > 0, counts * np.log(counts), 0)
    from math import lgamma

    exact = [2 * (lgamma(k + 1) + k - power) for k, power in zip(counts, log_power, strict=True)]
    exact = np.exp(np.array(exact[:60])) / (2 * np.pi)
    for dtype, tolerance in ((np.float32, 3e-7), (np.float64, 1e-12)):
        with jax.enable_x64(True):
            found = np.asarray(rounded_normal.stirling_ratio(jnp.asarray(counts, dtype)))
        np.testing.assert_allclose(found[:60], exact, rtol=tolerance)
        np.testing.assert_allclose(found[60:], counts[60:] + 1 / 6, rtol=max(tolerance, 1e-7))


def test_the_compiler_has_nothing_to_say():
    """Chains that share the law of a small draw: 30 broadcast terms took XLA for a circle."""
    code = (
        "import collapse_jax as cj; policy = cj.Mixing(10, gamma=0.2, beta=0.1); "
        "chain = cj.Chain(cj.Discrete(), cj.Categorical([0.1, 0.2, 0.3, 0.2, 0.2]), policy); "
        "cj.simulate(chain, key=0, num_chains=16, num_generations=1)"
    )
    environment = os.environ | {"JAX_ENABLE_X64": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert "simplifier" not in done.stderr

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

from collapse_jax.random.binomial import binomial, binomial_proposal, binomial_quantile
from collapse_jax.random.hypergeometric import (
    hypergeometric_proposal,
    hypergeometric_quantile,
    multivariate_hypergeometric,
)
from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.threefry import as_key

FALSE_FAIL = 1e-8
BARS = {False: (1e-5, 1e-6), True: (1e-9, 1e-9)}  # total variation, relative mean error
_GAUSS = np.polynomial.legendre.leggauss(8)
# One size, so that a proposal compiles once; NumPy's f64 scores are rounded on entry.
_SIZE = 2**18


def precision(x64):
    return jax.enable_x64(True) if x64 else contextlib.nullcontext()


_propose_binomial = jax.jit(lambda n, p, z, r: binomial_proposal(n, p, None, z, r))
_propose_hypergeometric = jax.jit(hypergeometric_proposal)
_quantile_binomial = jax.jit(lambda n, p, u: binomial_quantile(n, p, None, u))
_quantile_hypergeometric = jax.jit(hypergeometric_quantile)


def law_of_rejection(propose, mean, deviation, skewness, x64):
    """Counts and probabilities by Gauss quadrature between the kinks of the rounding."""
    reach, bend = (9.0 if x64 else 6.3), skewness / 6
    spread = deviation + 0.05 / deviation
    # y = mean + spread (z + bend (z^2 - 1)) has kinks at integer y only.
    ends = mean + spread * (np.array([-reach, reach]) + bend * (reach**2 - 1))
    lowest = mean - spread * (bend + (0.25 / bend if bend * reach > 0.5 else np.inf))
    kinks = np.arange(np.ceil(max(ends[0], lowest)), np.floor(ends[1]) + 1)
    if bend > 1e-12:
        root = np.sqrt(np.maximum(1 + 4 * bend * ((kinks - mean) / spread + bend), 0))
        kinks = 2 * ((kinks - mean) / spread + bend) / (1 + root)
    else:
        kinks = (kinks - mean) / spread
    middle, half = (kinks[1:] + kinks[:-1]) / 2, np.diff(kinks) / 2
    scores = (middle[:, None] + half[:, None] * _GAUSS[0]).ravel()
    masses = (
        half[:, None] * _GAUSS[1] * stats.norm.pdf(middle[:, None] + half[:, None] * _GAUSS[0])
    ).ravel()
    padded = np.zeros(_SIZE)
    padded[: len(scores)] = scores
    counts, weights, accepted = [], [], []
    for rounding in (0.0, 1.0 - 2**-24):
        proposal = propose(jnp.asarray(padded, float), jnp.full(_SIZE, rounding, float))
        assert float(jnp.max(proposal.acceptance)) < 1 + (1e-9 if x64 else 2e-6)
        counts.append(np.asarray(proposal.outcome)[: len(scores)])
        weights.append(np.asarray(proposal.weight, float)[: len(scores)])
        accepted.append(np.asarray(proposal.acceptance, float)[: len(scores)].clip(0, 1))
    joint = np.concatenate([masses * w * a for w, a in zip(weights, accepted, strict=True)])
    counts = np.concatenate(counts)
    shift = counts.min()
    probabilities = np.bincount(counts - shift, joint)
    return shift + np.arange(len(probabilities)), probabilities / probabilities.sum()


def law_of_quantile(quantile, x64):
    """P(X = k) by bisection for the uniform numbers where the quantile steps."""
    counts = np.arange(0, 31)
    low, high = np.full(31, -200.0), np.zeros(31)  # log2 of the threshold of X > k
    for _ in range(60 if x64 else 40):
        middle = (low + high) / 2
        above = np.asarray(quantile(jnp.asarray(np.exp2(middle), float))) > counts
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    survival = np.where(low <= -120, 0.0, np.exp2(low))
    return counts, -np.diff(np.concatenate([[1.0], survival]))


def errors(counts, probabilities, exact):
    """Total variation and relative error of the mean."""
    reference = exact.pmf(counts)
    distance = 0.5 * (np.abs(probabilities - reference).sum() + max(0, 1 - reference.sum()))
    excess = ((counts - exact.mean()) * (probabilities - reference)).sum()
    return distance, abs(excess) / exact.mean()


def binomial_points(number, largest, seed=1):
    """n log-uniform to `largest`, p from both tails: half rejection, half inversion."""
    rng = np.random.default_rng(seed)
    for i in range(number):
        n = int(np.exp(rng.uniform(np.log(20), np.log(largest))))
        smallest, greatest = (6.5 / n, 0.5) if i % 2 else (1e-6 / n, 5.5 / n)
        p = np.exp(rng.uniform(np.log(smallest), np.log(max(min(greatest, 0.5), smallest))))
        yield n, float(np.float32(p))


def binomial_errors(n, p, x64, fault=0.0):
    if n * p >= 6:
        sigma = np.sqrt(n * p * (1 - p))
        law = law_of_rejection(
            lambda z, r: _propose_binomial(n, jnp.asarray(p * (1 + fault), float), z, r),
            n * p * (1 + fault),
            sigma,
            (1 - 2 * p) / sigma,
            x64,
        )
    else:
        q = jnp.asarray(p * (1 + fault), float)
        law = law_of_quantile(lambda u: _quantile_binomial(n, q, u), x64)
    return errors(*law, stats.binom(n, p))


@pytest.mark.parametrize("x64", [False, True])
def test_binomial_law_at_200_points(x64):
    with precision(x64):
        found = np.array([binomial_errors(n, p, x64) for n, p in binomial_points(200, 1e7)])
    assert np.all(found.max(axis=0) <= BARS[x64]), found.max(axis=0)


def test_a_shifted_p_is_caught():
    distance, mean = binomial_errors(10**6, 0.3, x64=False, fault=1e-3)
    assert distance > BARS[False][0]
    assert mean > BARS[False][1]


def hypergeometric_errors(good, bad, sample, x64):
    total = good + bad
    exact = stats.hypergeom(total, good, sample)
    if exact.mean() >= 6:
        law = law_of_rejection(
            lambda z, r: _propose_hypergeometric(good, bad, sample, z, r),
            exact.mean(),
            exact.std(),
            (1 - 2 * good / total) * (1 - 2 * sample / total) / exact.std(),
            x64,
        )
    else:
        law = law_of_quantile(lambda u: _quantile_hypergeometric(good, bad, sample, u), x64)
    return errors(*law, exact)


def hypergeometric_points(number, largest, seed=2):
    rng = np.random.default_rng(seed)
    while number:
        total = int(np.exp(rng.uniform(np.log(60), np.log(largest))))
        good, sample = (int(total * 0.5 * rng.uniform() ** rng.integers(1, 8)) for _ in range(2))
        if good and sample and not 5.9 < good * sample / total < 6.1:
            number -= 1
            yield good, total - good, sample


@pytest.mark.parametrize("x64", [False, True])
def test_hypergeometric_law(x64):
    with precision(x64):
        points = hypergeometric_points(200, 1e7)
        found = np.array([hypergeometric_errors(*point, x64) for point in points])
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


@pytest.mark.parametrize(("counts", "sample"), [((3, 0, 5, 4), 6), ((30, 20, 25), 40)])
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

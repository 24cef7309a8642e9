"""Poisson, exponential and Bernoulli chains: against theory, NumPy and drawn rows.

Statistical assertions compare z with 5: among about 60 of them a right program fails once in
30,000 seeds, and the seeds are fixed. Planted faults must reach 8.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import collapse_jax as cj
from collapse_jax.core import corpus
from collapse_jax.families import bernoulli, exponential, mean_family, poisson
from collapse_jax.random import exponential as exponential_draws
from collapse_jax.random import poisson as poisson_draws
from collapse_jax.random.keys import Keys
from collapse_jax.testing import assert_same_law, check_family, check_source, strategies
from collapse_jax.theory import bounds, rates
from collapse_jax.verify.samplers import poisson_error

CHAINS, G = 20_000, 6
FAMILIES = {
    "Poisson": (cj.Poisson, cj.PoissonLaw(0.4)),
    "Exponential": (cj.Exponential, cj.ExponentialLaw(0.5)),
    "Bernoulli": (cj.Bernoulli, cj.Categorical([0.8, 0.2])),
}
POLICIES = {
    "replace": cj.Replace(8),
    "sizes": cj.Replace([8, 30, 5, 12, 8, 40, 9]),
    "accumulate": cj.Accumulate(8),
    "fresh": cj.Fresh(6, 2),
    "mixing": cj.Mixing(8, gamma=0.25),
}


def run(chain, chains=CHAINS, generations=G, key=0, **options):
    return cj.simulate(chain, key=key, num_chains=chains, num_generations=generations, **options)


def chain_of(name, policy):
    family, source = FAMILIES[name]
    return cj.Chain(family(), source, policy)


def largest(name, policy="replace"):
    """The largest standard error by which a family's chain is off its theory."""
    records = run(chain_of(name, POLICIES[policy]))
    return cj.compare_with_theory(records, generations=[0, 1, 3, G]).largest


CASES = [
    *[("Poisson", policy) for policy in POLICIES],
    *[("Exponential", policy) for policy in ("replace", "sizes")],
    *[("Bernoulli", policy) for policy in POLICIES],
]
QUICK = {("Poisson", "sizes"), ("Exponential", "sizes")}


@pytest.mark.parametrize(
    ("name", "policy"),
    [pytest.param(*one, marks=() if one in QUICK else pytest.mark.thorough) for one in CASES],
)
def test_chains_have_their_expectations(name, policy):
    assert largest(name, policy) < 5


def test_expectations_are_known_where_they_are_stated():
    for name, policy in CASES:
        chain = chain_of(name, POLICIES[policy])
        curves = chain.family.theory(chain, chain.policy.sizes(G))
        assert {"rate_variance", "log_rate_variance"} & curves.keys()
    reused = cj.Mixing(8, beta=0.5)
    for name in FAMILIES:
        chain = chain_of(name, reused)
        assert chain.family.theory(chain, reused.sizes(G)) == {}


@pytest.mark.parametrize("mean", [0.01, 1, 3.9, 4, 4.7, 7.9, 20.5, 300, 1e5, 1e7])
def test_poisson_sampler_has_the_poisson_law(mean):
    distance, bias, excess = poisson_error(mean)
    assert distance < 3e-6
    assert bias < 4e-7
    assert excess <= 0


def test_an_error_of_the_sampler_would_be_found():
    assert poisson_error(50.0, shift=1e-3).distance > 1e-4
    assert poisson_error(1.0, shift=1e-3).distance > 1e-4
    assert poisson_error(500.0, shift=1e-3).distance > 1e-4


@pytest.mark.thorough
def test_lanes_of_one_batch_take_their_own_method():
    """Numbers below 8, from 8 and from 256 on, side by side and one by one."""
    means = jnp.array([0.0, 3.5, 7.99, 8.0, 100.25, 255.9, 256.0, 5000.5], jnp.float32)
    keys = jax.random.split(jax.random.key(0), len(means))

    def draw(key, mean):
        return poisson_draws.poisson(Keys(key, jnp.int32(1)), 1, mean, (200,))

    together = np.asarray(jax.jit(jax.vmap(draw))(keys, means))
    alone = [np.asarray(jax.jit(draw)(*one)) for one in zip(keys, means, strict=True)]
    np.testing.assert_array_equal(together, alone)
    scores = (together.mean(axis=1) - means)[1:] / np.sqrt(means[1:] / 200)
    assert np.max(np.abs(scores)) < 4


@pytest.mark.thorough
@pytest.mark.parametrize("mean", [0.3, 8.0, 200.0])
def test_poisson_sampler_with_x64(mean):
    with jax.enable_x64(True):
        assert poisson_error(mean).distance < 1e-9


def draws(draw, count=50_000):
    keys = jax.vmap(lambda c: jax.random.fold_in(jax.random.key(3), c))(jnp.arange(count))
    made = jax.jit(jax.vmap(lambda key: draw(Keys(key, jnp.int32(1)))))(keys)
    return np.asarray(made, np.float64)


@pytest.mark.parametrize(("size", "rate"), [(2**31 - 1, 3.0), (2**31 - 1, 1e-9), (1000, 1e8)])
def test_means_of_many_rows(size, rate):
    """Around 2^31 rows, and sums beyond the range of integers: mean, variance, third moment."""
    found = draws(lambda keys: poisson_draws.poisson_mean(keys, 1, size, rate))
    total = size * float(np.float32(rate))
    scores = (found - np.float32(rate)) / np.sqrt(np.float32(rate) / size)
    root = np.sqrt(len(scores))
    assert abs(scores.mean()) * root < 5
    spread = np.sqrt(2 + 1 / total)
    assert abs((scores**2).mean() - 1) * root / spread < 5
    assert abs((scores**3).mean() - total**-0.5) * root / np.sqrt(15 + 100 / total) < 5


@pytest.mark.parametrize("size", [1, 2, 2**30 + 3, 2**31 - 1])
def test_logarithms_of_exponential_means(size):
    found = draws(lambda keys: exponential_draws.log_exponential_mean(keys, 1, size))
    traced = draws(lambda keys: exponential_draws.log_exponential_mean(keys, 1, jnp.int32(size)))
    assert np.max(np.abs(found - traced)) < 2e-6 * max(1, np.abs(found).max())
    variance = rates.variance_of_log_rate([size])[0]
    scores = (found + rates.expected_log_rate([size])[0]) / np.sqrt(variance)
    assert abs(scores.mean()) * np.sqrt(len(scores)) < 5
    assert abs((scores**2).mean() - 1) * np.sqrt(len(scores) / np.var(scores**2)) < 5


def test_exponential_rows_have_both_tails():
    from scipy import stats

    found = draws(lambda keys: exponential_draws.exponential(keys, 1, (40,)), 5000).ravel()
    assert stats.kstest(found, "expon").pvalue > 1e-6
    assert found.min() < 1e-4 < 10 < found.max()
    assert np.unique(found[found < 1e-3]).size == np.sum(found < 1e-3)


def numpy_chain(name, size, rng):
    """The chain of rows in NumPy: the rate after G generations."""
    rate = np.full(CHAINS, {"Poisson": 0.4, "Exponential": 0.5, "Bernoulli": 0.2}[name])
    for _ in range(G + 1):
        shape = (size, CHAINS)
        if name == "Poisson":
            rate = rng.poisson(rate, shape).mean(axis=0)
        elif name == "Exponential":
            rate = 1 / rng.exponential(1 / rate, shape).mean(axis=0)
        else:
            rate = (rng.random(shape) < rate).mean(axis=0)
    return rate


@pytest.mark.parametrize(
    "name",
    [
        "Exponential",
        *(pytest.param(name, marks=pytest.mark.thorough) for name in ("Poisson", "Bernoulli")),
    ],
)
def test_a_plain_program_has_the_same_law(name):
    ours = run(chain_of(name, cj.Replace(8)), every=G)["rate"][-1]
    assert_same_law(ours.round(5), numpy_chain(name, 8, np.random.default_rng(1)).round(5))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["Poisson", "Exponential"])
def test_totals_and_rows_have_one_law(name):
    family, source = FAMILIES[name]
    for policy in (cj.Replace(8), cj.Accumulate(8), cj.Mixing(8, gamma=0.25)):
        found = [
            run(cj.Chain(family(corpus=kind), source, policy), key=key, every=G)["rate"][-1]
            for key, kind in enumerate(("moments", "samples"))
        ]
        assert_same_law(*(rate.round(5) for rate in found))


@pytest.mark.thorough
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "policy",
    [
        cj.AccumulateSubsample(8),
        cj.Mixing(8, beta=0.25, gamma=0.25, original="data"),
        cj.Mixing(8, beta=0.25, gamma=0.25, previous="distribution"),
        cj.Replace(8, verifier=lambda rows: rows.reshape(len(rows)) >= 0),
    ],
)
def test_every_policy_keeps_the_mean(name, policy):
    """The mean of a row is that of the truth, whatever rows are chosen without their values."""
    records = run(chain_of(name, policy), generations=4)
    rate = records["rate"][-1].astype(np.float64)
    values, exact = (1 / rate, 2.0) if name == "Exponential" else (rate, FAMILIES[name][1])
    if name != "Exponential":
        exact = 0.4 if name == "Poisson" else 0.2
    assert abs(values.mean() - exact) * np.sqrt(len(values)) / values.std() < 5
    assert set(np.unique(records["status"])) == {0}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.thorough
def test_rules_of_families(name):
    family, source = FAMILIES[name]
    check_family(family(), source)
    if name != "Bernoulli":
        check_family(family(corpus="samples"), source)
        check_source(source)


def test_absorption_is_the_published_recursion():
    found = rates.poisson_absorption(0.01, [100] * 5)
    assert found == pytest.approx(1 - bounds.poisson_survival(0.01, 100, 5), rel=1e-12)


def test_zero_is_for_ever():
    records = run(chain_of("Poisson", cj.Replace(2)), chains=500, generations=60)
    is_zero = records["rate"] == 0
    assert not np.any(is_zero[:-1] & ~is_zero[1:])
    assert np.array_equal(is_zero, records["is_absorbed"])
    assert is_zero[-1].mean() > 0.9


def test_rates_beyond_the_range_of_floats_have_logarithms():
    records = run(chain_of("Exponential", cj.Replace(1)), chains=64, generations=400)
    assert records["log_rate"][-1].mean() > 150
    assert np.all(np.isfinite(records["log_rate"]))
    assert set(np.unique(records["status"])) == {0}


COUNTED = np.array([0.0, 2.0, 1.0, 5.0, 0.0, 2.0])
SOURCES = {
    "floats": cj.Empirical(COUNTED),
    "labels": cj.Empirical(COUNTED.astype(int)),
    "sampler": cj.Sampler(lambda key, n: jnp.round(jax.random.uniform(key, (n, 1)) * 4), 1),
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_of_whole_numbers(name):
    chain = cj.Chain(cj.Poisson(), SOURCES[name], cj.Replace(6))
    first = run(chain, chains=4, generations=1)["rate"][0]
    assert np.all(np.abs(first * 6 - np.round(first * 6)) < 1e-4)
    if name in ("floats", "labels"):
        assert first == pytest.approx(COUNTED.mean())


def test_rows_are_recorded_on_request():
    chain = cj.Chain(cj.Poisson(corpus="samples"), cj.PoissonLaw(2.0), cj.Replace([3, 5]))
    rows = run(chain, chains=4, generations=1, metrics=["samples"])["samples"]
    assert rows.shape == (2, 4, 5, 1)
    assert np.all(np.isnan(rows[0, :, 3:]))
    assert np.array_equal(rows[1], np.round(rows[1]))


BAD = {
    "real rows": (cj.Poisson, cj.Empirical([0.5, 1.0]), "Empirical.data=a row of 0.5"),
    "rows below 0": (cj.Exponential, cj.Empirical([-1.0, 1.0]), "Empirical.data=a row of -1"),
    "normal": (cj.Poisson, cj.Normal(0.0, 1.0), "Chain.source='Normal'"),
    "mixture": (cj.Exponential, cj.NormalMixture([1.0], [0.0], [1.0]), "'NormalMixture'"),
    "waiting times": (cj.Poisson, cj.ExponentialLaw(1.0), "'ExponentialLaw'"),
    "vectors": (cj.Exponential, cj.Normal([0.0, 0.0], np.eye(2)), "have length 2"),
    "three states": (cj.Bernoulli, cj.Categorical([0.5, 0.25, 0.25]), "have 3 states"),
    "numbers": (cj.Bernoulli, cj.Normal(0.0, 1.0), "are no labels"),
}


@pytest.mark.parametrize("name", BAD)
def test_rows_of_another_kind_are_refused(name):
    family, source, message = BAD[name]
    with pytest.raises(cj.ArgumentError, match=message):
        cj.Chain(family(), source, cj.Replace(5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cj.Poisson("rows"), "Poisson.corpus='rows'"),
        (lambda: cj.Exponential("rows"), "Exponential.corpus='rows'"),
        (lambda: cj.PoissonLaw(-1), "PoissonLaw.rate=-1"),
        (lambda: cj.PoissonLaw(2e9), "PoissonLaw.rate=2"),
        (lambda: cj.ExponentialLaw(0), "ExponentialLaw.rate=0"),
        (
            lambda: cj.Chain(cj.Poisson("moments"), cj.PoissonLaw(1), cj.AccumulateSubsample(5)),
            "Poisson.corpus='moments'",
        ),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(cj.ArgumentError, match=message):
        make()


@given(st.lists(st.tuples(st.integers(1, 9), strategies.numbers()), min_size=2, max_size=2))
def test_pooled_totals_are_those_of_all_rows(parts):
    left, right = (
        corpus.Totals(size, jnp.float32(abs(mean)), jnp.float32(0)) for size, mean in parts
    )
    pool = left.merge(right, jnp.int32(parts[0][0]))
    rows = sum(size for size, _ in parts)
    exact = sum(size * abs(mean) for size, mean in parts) / rows
    assert int(pool.size) == rows
    assert float(pool.relative_mean) == pytest.approx(exact, rel=1e-6, abs=1e-12)


@pytest.mark.thorough
@given(strategies.rate_chains(), strategies.seeds())
def test_models_of_drawn_chains_are_laws(chain, seed):
    records = run(chain, chains=9, generations=3, key=seed)
    assert np.all(records["rate"] >= 0)
    if isinstance(chain.family, cj.Bernoulli):
        assert np.all(records["rate"] <= 1)
    assert set(np.unique(records["status"])) <= {0, 2}


# Planted faults: each is a right-looking program with another law.


def patched(where, name, wrong):
    """Plant wrong(right, *arguments) for a function."""

    def plant(patch):
        right = getattr(where, name)
        patch.setattr(where, name, lambda *given, **named: wrong(right, *given, **named))

    return plant


def rounded_down(right, *given):
    return jnp.floor(right(*given))


FAULTS = {
    "Poisson": {
        "one row fewer": patched(
            poisson, "poisson_mean", lambda right, k, p, n, rate: right(k, p, n - 1, rate)
        ),
        "one row for all": patched(
            poisson, "poisson_mean", lambda right, k, p, n, rate: right(k, p, 1, rate)
        ),
        "rounded": patched(poisson, "poisson_mean", rounded_down),
        "no fraction of the mean": patched(
            poisson_draws, "product_parts", lambda right, *given: (right(*given)[0], 0 * given[1])
        ),
        "the square root of the mean": patched(
            poisson, "poisson_mean", lambda right, k, p, n, rate: right(k, p, n, jnp.sqrt(rate))
        ),
        "never zero": patched(
            poisson,
            "poisson_mean",
            lambda right, k, p, n, rate: jnp.maximum(right(k, p, n, rate), 1 / n),
        ),
    },
    "Exponential": {
        "half the degrees of freedom": patched(
            exponential_draws, "log_chi_square", lambda right, z, dof: right(z, dof // 2)
        ),
        "degrees of freedom less 2": patched(
            exponential_draws, "log_chi_square", lambda right, z, dof: right(z, dof - 2)
        ),
        "the mean for the rate": patched(
            exponential, "log_exponential_mean", lambda right, *given: -right(*given)
        ),
        "no randomness": patched(
            exponential, "log_exponential_mean", lambda right, *given: 0 * right(*given)
        ),
        "a step twice": patched(
            exponential, "log_exponential_mean", lambda right, *given: 2 * right(*given)
        ),
        "an unbiased rate": patched(
            cj.Exponential,
            "params_of",
            lambda right, self, totals: right(self, totals) + jnp.log(1 - 1 / totals.size),
        ),
    },
    "Bernoulli": {
        "one row fewer": patched(
            bernoulli, "binomial", lambda right, k, p, n, *law: right(k, p, n - 1, *law)
        ),
        "a row more for ones": patched(
            bernoulli,
            "binomial",
            lambda right, k, p, n, *law: jnp.minimum(right(k, p, n, *law) + 1, n),
        ),
        "weights exchanged": patched(
            bernoulli, "binomial", lambda right, k, p, n, one, other: right(k, p, n, other, one)
        ),
        "weights squared": patched(
            bernoulli, "binomial", lambda right, k, p, n, one, other: right(k, p, n, one**2, other)
        ),
        "never lost": patched(
            bernoulli,
            "binomial",
            lambda right, k, p, n, *law: jnp.clip(right(k, p, n, *law), 1, n - 1),
        ),
    },
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, faults in FAULTS.items() for fault in faults]
)
def test_planted_faults_are_caught(name, fault, monkeypatch):
    jax.clear_caches()
    FAULTS[name][fault](monkeypatch)
    policy = "sizes" if fault == "no fraction of the mean" else "replace"
    try:
        assert largest(name, policy) > 8
    finally:
        monkeypatch.undo()
        jax.clear_caches()


@pytest.mark.thorough
def test_faults_of_totals_are_caught(monkeypatch):
    """Pooling without weights moves the mean of unequal parts."""
    jax.clear_caches()
    right = corpus.Totals.merge

    def wrong(self, other, start):
        pool = right(self, other, start)
        mean = (self.relative_mean + other.relative_mean) / 2
        return corpus.Totals(pool.num_rows, mean, pool.log_scale)

    monkeypatch.setattr(mean_family.Totals, "merge", wrong)
    try:
        assert largest("Poisson", "accumulate") > 8
    finally:
        monkeypatch.undo()
        jax.clear_caches()

"""Chains of kernel density estimates: against closed forms, scipy and a plain program.

Statistical assertions compare z with 5, planted faults must reach 8; seeds are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import collapse_jax as cj
from collapse_jax.families import kernel_density as module
from collapse_jax.families.kernel_density import KernelDensity
from collapse_jax.testing import assert_same_law, check_family, strategies
from collapse_jax.theory import gaussian, kernel_density

CHAINS, G = 20_000, 5
NORMAL = cj.Normal(0.5, 2.0)
PLANE = cj.Normal([0.0, 1.0], [[1.0, 0.3], [0.3, 2.0]])
POLICIES = {
    "replace": cj.Replace(10),
    "sizes": cj.Replace([10, 20, 5, 12, 8, 30]),
    "accumulate": cj.Accumulate(10),
    "fresh": cj.Fresh(8, 2),
    "mixing": cj.Mixing(10, gamma=0.3),
}
FAMILIES = {
    "fixed": (KernelDensity(1, 0.4), NORMAL),
    "scott": (KernelDensity(1), NORMAL),
    "plane": (KernelDensity(2, "silverman"), PLANE),
    "mixture": (KernelDensity(1, 0.4), cj.NormalMixture([0.5, 0.5], [-1.0, 2.0], [1.0, 0.3])),
}
QUICK = {("fixed", "mixing")}
CASES = [(name, policy) for name in FAMILIES for policy in POLICIES]


def run(family, source, policy, key=0, chains=CHAINS, generations=G, **options):
    chain = cj.Chain(family, source, policy)
    return cj.simulate(chain, key=key, num_chains=chains, num_generations=generations, **options)


def largest(name="fixed", policy="mixing"):
    records = run(*FAMILIES[name], POLICIES[policy])
    return cj.compare_with_theory(records, generations=[0, 1, G]).largest


@pytest.mark.parametrize(
    ("name", "policy"),
    [pytest.param(*one, marks=() if one in QUICK else pytest.mark.thorough) for one in CASES],
)
def test_chains_have_their_expectations(name, policy):
    assert largest(name, policy) < 5


FREQUENCIES = np.array([0.5, 1.0, 2.0])


def characteristic_errors(family, chains, generations, **options):
    """Standard errors between E e^{iuX} of a row of the last corpus and the closed form."""
    policy = cj.Mixing(30, gamma=0.3)
    options |= {"every": generations, "metrics": ["samples"]}
    records = run(family, cj.Normal(0.0, 1.0), policy, 1, chains, generations, **options)
    rows = records["samples"][-1][:, :, 0].astype(np.float64)
    factor = kernel_density.characteristic_factor(FREQUENCIES, 0.4, generations, 0.3)[-1]
    found = np.cos(FREQUENCIES[:, None, None] * rows).mean(axis=2)
    gap = found.mean(axis=1) - factor * np.exp(-(FREQUENCIES**2) / 2)
    return np.abs(gap) / found.std(axis=1) * np.sqrt(found.shape[1])


def test_characteristic_function_of_a_row():
    assert np.max(characteristic_errors(KernelDensity(1, 0.4), CHAINS, 30)) < 5


@pytest.mark.thorough
def test_characteristic_function_of_100_000_chains():
    assert np.max(characteristic_errors(KernelDensity(1, 0.4), 100_000, 30)) < 4


def test_closed_forms_agree_with_each_other():
    moments = kernel_density.expected_moments([30] * 6, 0.4)
    plain = gaussian.kernel_density_expected_variance(0.4, 30, 5)
    assert moments.corpus_variance == pytest.approx(plain, rel=1e-12)
    b = 0.7 * np.exp(-(0.4**2) / 2)
    closed = 0.3 * (1 - b**30) / (1 - b) + b**30
    assert kernel_density.characteristic_factor(1.0, 0.4, 30, 0.3)[30] == pytest.approx(closed)
    late = kernel_density.expected_moments([10**6] * 300, 0.4, 0.3)
    assert late.corpus_variance[-1] == pytest.approx(1 + 0.7 * 0.4**2 / 0.3, rel=1e-4)


def test_expectations_are_unknown_where_rows_are_selected():
    policy = cj.Replace(10, selection=cj.Edit(lambda rows: 0.5 * rows))
    chain = cj.Chain(*FAMILIES["fixed"], policy)
    assert chain.family.theory(chain, policy.sizes(G)) == {}


@pytest.mark.parametrize(("rule", "dim"), [("scott", 1), ("silverman", 3)])
def test_rules_are_those_of_scipy(rule, dim):
    rows = np.random.default_rng(0).normal(size=(40, dim)) * [1.0, 20.0, 0.1][:dim] + 5
    corpus = cj.Rows.of_rows(jnp.asarray(rows, jnp.float32), 40)
    model = KernelDensity(dim, rule).fit(None, corpus, None, None).params
    ours = np.exp(2 * model.log_scale) * np.asarray(model.kernel @ model.kernel.T)
    peer = stats.gaussian_kde(rows.T, rule)
    np.testing.assert_allclose(ours, peer.covariance, rtol=2e-4, atol=2e-6 * np.abs(ours).max())
    assert kernel_density.rule_factor(rule, 40, dim) == pytest.approx(peer.factor)


def plain_chain(rows, bandwidth, rng):
    """The chain in NumPy: the standard deviation of the density after G generations."""
    data = rng.normal(0.5, np.sqrt(2.0), (CHAINS, rows))
    for _ in range(G):
        chosen = np.take_along_axis(data, rng.integers(0, rows, data.shape), axis=1)
        data = chosen + bandwidth * rng.normal(size=data.shape)
    return 0.5 * np.log(data.var(axis=1) + bandwidth**2)


def test_a_plain_program_has_the_same_law():
    ours = run(KernelDensity(1, 0.4), NORMAL, cj.Replace(10), every=G)["log_std"][-1]
    assert_same_law(ours, plain_chain(10, 0.4, np.random.default_rng(1)))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["fixed", "plane"])
def test_rules_of_families(name):
    check_family(*FAMILIES[name], consistent=False)  # a kernel smooths


@pytest.mark.thorough
@pytest.mark.parametrize(
    "policy",
    [
        cj.AccumulateSubsample(10),
        cj.Mixing(10, beta=0.25, gamma=0.25, original="data"),
        cj.Mixing(10, beta=0.25, gamma=0.25, previous="distribution"),
        cj.Replace([10, 12, 8], verifier=lambda rows: rows[:, 0] > -9),
    ],
)
def test_every_policy_keeps_the_mean(policy):
    records = run(*FAMILIES["fixed"], policy, generations=2)
    mean = records["mean"][-1][:, 0]
    assert abs(mean.mean() - 0.5) * np.sqrt(len(mean)) / mean.std() < 5
    assert set(np.unique(records["status"])) == {0}


def test_chains_of_a_rule_leave_the_range_of_floats():
    records = run(KernelDensity(1), NORMAL, cj.Replace(3), chains=64, generations=800, every=800)
    assert records["log_std"][-1].mean() < -90  # though the expected variance grows
    assert set(np.unique(records["status"])) == {0}


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_do_not_matter(scale):
    found = [
        run(KernelDensity(1, 0.4 * unit), cj.Normal(unit, unit**2), cj.Replace(6), chains=32)
        for unit in (1.0, scale)
    ]
    logs = [records["log_std"] for records in found]
    np.testing.assert_allclose(logs[1] - np.log(scale), logs[0], atol=2e-5)


def test_data_without_spread():
    same = cj.Empirical([2.0, 2.0, 2.0])
    fixed = run(KernelDensity(1, 0.4), same, cj.Replace(3), chains=4, generations=1)
    assert np.exp(fixed["log_std"][0]) == pytest.approx(0.4)
    for bandwidth in ("scott", 0.0):
        records = run(KernelDensity(1, bandwidth), same, cj.Replace(3), chains=4, generations=1)
        assert set(records["status"].ravel()) == {cj.Status.DEGENERATE}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KernelDensity(0), "KernelDensity.dim=0"),
        (lambda: KernelDensity(1, "wide"), "KernelDensity.bandwidth='wide'"),
        (lambda: KernelDensity(1, -0.1), "KernelDensity.bandwidth=-0.1"),
        (lambda: cj.Chain(KernelDensity(2), NORMAL, cj.Replace(5)), "have length 1"),
        (lambda: cj.Chain(KernelDensity(1), cj.Categorical([1.0]), cj.Replace(5)), "are labels"),
        (lambda: cj.Chain(KernelDensity(1), NORMAL, cj.Replace(1)), "needs 2 rows"),
        (lambda: kernel_density.rule_factor("wide", 3), "rule='wide'"),
        (lambda: kernel_density.expected_moments([5], -1.0), "bandwidth=-1"),
        (lambda: kernel_density.characteristic_factor("u", 1.0, 3), "frequency='u'"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(cj.ArgumentError, match=message):
        make()


_fit = jax.jit(lambda corpus: KernelDensity(1, 0.5).fit(None, corpus, None, None).params)


@given(strategies.tables(((5, 1),)), st.lists(st.booleans(), min_size=5, max_size=5))
def test_moments_are_those_of_rows_in_use(table, used):
    """Empty slots may be anywhere; the variance is that of the rows plus the kernel's."""
    weights = jnp.asarray(used, jnp.float32)
    corpus = cj.Rows(jnp.asarray(table), weights, jnp.zeros(1), jnp.zeros(()))
    model = _fit(corpus)
    assert int(model.num_rows) == sum(used)
    if any(used):
        rows = table[np.array(used), 0].astype(np.float64)
        variance = float(jnp.exp(2 * model.log_scale) * model.variance[0])
        assert variance == pytest.approx(rows.var() + 0.25, rel=1e-5)
        assert float(model.location[0]) == pytest.approx(rows.mean(), abs=1e-5)


@pytest.mark.thorough
@given(strategies.kernel_chains(), strategies.seeds())
def test_drawn_chains_run(chain, seed):
    records = cj.simulate(chain, key=seed, num_chains=5, num_generations=3)
    assert set(np.unique(records["status"])) <= {0, 2}


# Planted faults


def draws_as(change):
    def plant(patch):
        right = module.indices_and_scores

        def wrong(keys, purposes, bound, shape):
            return change(*right(keys, purposes, bound, shape), bound)

        patch.setattr(module, "indices_and_scores", wrong)

    return plant


def fits_as(change):
    def plant(patch):
        right = KernelDensity.fit

        def wrong(self, *given):
            fit = right(self, *given)
            return fit._replace(params=change(fit.params))

        patch.setattr(KernelDensity, "fit", wrong)

    return plant


def with_kernel(factor):
    def change(model):
        return module.dataclasses.replace(model, kernel=model.kernel * factor)

    return fits_as(change)


FAULTS = {
    "no noise": draws_as(lambda index, scores, bound: (index, 0 * scores)),
    "noise of one size": draws_as(lambda index, scores, bound: (index, jnp.sign(scores))),
    "every row once": draws_as(
        lambda index, scores, bound: (jnp.arange(len(index)) % bound, scores)
    ),
    "one row for all": draws_as(lambda index, scores, bound: (0 * index, scores)),
    "the last row never": draws_as(
        lambda index, scores, bound: (jnp.where(index == bound - 1, 0, index), scores)
    ),
    "variance for deviation": with_kernel(0.4),
    "kernel of two deviations": with_kernel(2.0),
    "rows that shrink": fits_as(
        lambda model: module.dataclasses.replace(model, rows=0.95 * model.rows)
    ),
}
UNSEEN = {"noise of one size"}  # by the moments


@pytest.mark.thorough
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault, monkeypatch):
    jax.clear_caches()
    FAULTS[fault](monkeypatch)
    try:
        if fault in UNSEEN:
            records = run(
                KernelDensity(1, 3.0), NORMAL, cj.Replace(5), every=G, metrics=["samples"]
            )
            rows = records["samples"][-1][:, :, 0]
            with pytest.raises(AssertionError):
                assert_same_law(np.ptp(rows, axis=1), plain_ranges(np.random.default_rng(2)))
        else:
            assert largest("fixed", "replace") > 8
    finally:
        monkeypatch.undo()
        jax.clear_caches()


def plain_ranges(rng):
    data = rng.normal(0.5, np.sqrt(2.0), (CHAINS, 5))
    for _ in range(G):
        chosen = np.take_along_axis(data, rng.integers(0, 5, data.shape), axis=1)
        data = chosen + 3.0 * rng.normal(size=data.shape)
    return np.ptp(data, axis=1)

"""Bayesian learners and shrinkage: enumeration, stationary laws, scipy and scikit-learn."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn import covariance as sklearn_covariance

import collapse_jax as cj
from collapse_jax.families import discrete as discrete_module
from collapse_jax.families import normal_prior
from collapse_jax.families.normal_prior import NormalInverseWishart
from collapse_jax.families.shrinkage import ledoit_wolf
from collapse_jax.testing import assert_frequencies, assert_law, check_family
from collapse_jax.theory import bayesian

CONCENTRATION, LAW, ROWS = np.array([0.5, 1.0, 2.0]), cj.Categorical([0.7, 0.2, 0.1]), 4
SAMPLER = cj.Discrete(prior=CONCENTRATION, learner="posterior_sample")
LINE = NormalInverseWishart(1.0, 2.0, 4.0, 6)
PLANE = NormalInverseWishart([0.0, 1.0], 2.0, [[4.0, 1.0], [1.0, 3.0]], 9)
TRUTH = cj.Normal([3.0, 1.0], [[1.0, 0.3], [0.3, 2.0]])
GAUSSIANS = {
    "line": (cj.Gaussian(1, prior=LINE, learner="posterior_sample"), cj.Normal(3.0, 2.0)),
    "plane": (cj.Gaussian(2, prior=PLANE, learner="posterior_sample"), TRUTH),
    "mean": (cj.Gaussian(2, prior=PLANE), TRUTH),
}
STATES = [c for c in itertools.product(range(ROWS + 1), repeat=3) if sum(c) == ROWS]
COUNTS = cj.Metric(
    lambda key, family, params, corpus, source, generation0: corpus.counts,
    "counts",
    ("state",),
    reads=("corpus",),
)


def run(family, source, chains, generations, rows=ROWS, **options):
    chain = cj.Chain(family, source, cj.Replace(rows))
    options = {"every": max(generations, 1)} | options
    return cj.simulate(chain, key=0, num_chains=chains, num_generations=generations, **options)


def frequencies(counts):
    """Number of chains by their counts, in the order of STATES."""
    code = np.array(STATES) @ [1, 10, 100]
    found = np.asarray(counts, int) @ [1, 10, 100]
    return (found[:, None] == code).sum(axis=0)


def enumerated(generations, is_sample):
    """The law of the counts of D_g, from the matrix of all transitions."""
    if is_sample:
        step = [
            stats.dirichlet_multinomial(CONCENTRATION + state, ROWS).pmf(STATES) for state in STATES
        ]
    else:
        total = ROWS + CONCENTRATION.sum()
        laws = [(CONCENTRATION + state) / total for state in STATES]
        step = [stats.multinomial(ROWS, law / law.sum()).pmf(STATES) for law in laws]
    start = stats.multinomial(ROWS, LAW.probabilities).pmf(STATES)
    return start @ np.linalg.matrix_power(np.array(step), generations)


@pytest.mark.parametrize("learner", ["posterior_sample", "posterior_mean"])
def test_counts_have_the_enumerated_law(learner):
    family = cj.Discrete(prior=CONCENTRATION, learner=learner)
    records = run(family, LAW, 40_000, 3, metrics=[COUNTS], every=1)
    exact = enumerated(3, learner == "posterior_sample")
    assert_frequencies(frequencies(records["counts"][-1]), exact)
    assert cj.compare_with_theory(records).largest < 5


def test_the_enumerated_law_tends_to_the_prior_predictive():
    predictive = stats.dirichlet_multinomial(CONCENTRATION, ROWS).pmf(STATES)
    np.testing.assert_allclose(enumerated(80, True), predictive, atol=1e-12)
    assert np.abs(enumerated(80, False) - predictive).max() > 0.01  # means are another law


def chi_square(values, law, bins=50):
    """Probability of a larger chi-square, of values against a law with a distribution function."""
    observed = np.bincount((law.cdf(values) * bins).astype(int).clip(0, bins - 1), minlength=bins)
    return stats.chisquare(observed).pvalue


def stationary_chances(chains):
    records = run(SAMPLER, LAW, chains, 40, metrics=["probabilities", COUNTS])
    for state in range(3):
        law = stats.beta(CONCENTRATION[state], CONCENTRATION.sum() - CONCENTRATION[state])
        yield chi_square(records["probabilities"][-1][:, state], law)
    predictive = stats.dirichlet_multinomial(CONCENTRATION, ROWS).pmf(STATES)
    yield stats.chisquare(frequencies(records["counts"][-1]), predictive * chains).pvalue


@pytest.mark.thorough
def test_samples_of_a_million_chains_have_the_prior_as_their_law():
    assert min(stationary_chances(1_000_000)) > 1e-4


def normal_chances(name, chains):
    family, source = GAUSSIANS[name]
    prior, variable = family.prior, {"line": "log_std", "plane": "covariance"}[name]
    metrics = [] if name == "line" else ["covariance"]
    records = run(family, source, chains, 60, rows=3, metrics=metrics)
    found, mean = records[variable][-1].astype(float), records["mean"][-1].astype(float)
    variances = np.exp(2 * found)[:, None] if name == "line" else found[:, [0, 1], [0, 1]]
    for axis in range(prior.dim):
        dof, scale = prior.dof - prior.dim + 1, prior.scale[axis, axis]
        yield chi_square(scale / variances[:, axis], stats.chi2(dof))
        law = stats.t(dof, prior.mean[axis], np.sqrt(scale / dof / prior.kappa))
        yield chi_square(mean[:, axis], law)
    if prior.dim > 1:  # the determinants' ratio is a product of chi-square numbers
        ratio = np.linalg.det(prior.scale) / np.linalg.det(found)
        draws = [np.random.default_rng(i).chisquare(prior.dof - i, 200_000) for i in (0, 1)]
        yield stats.ks_2samp(ratio[:200_000], draws[0] * draws[1]).pvalue


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["line", "plane"])
def test_normal_samples_of_a_million_chains_have_the_prior_as_their_law(name):
    assert min(normal_chances(name, 1_000_000)) > 1e-4


@pytest.mark.parametrize(
    "name",
    [
        "line",
        pytest.param("plane", marks=pytest.mark.thorough),
        pytest.param("mean", marks=pytest.mark.thorough),
    ],
)
def test_normal_learners_have_their_expectations(name):
    records = run(*GAUSSIANS[name], 20_000, 4, rows=5, every=1)
    spread = "variance" if name == "line" else "trace_covariance"
    assert {"mean", spread} <= set(records.theory)
    assert cj.compare_with_theory(records).largest < 5


def posterior(rows, prior):
    """Textbook update of a normal-inverse-Wishart prior: mean, kappa, scale, dof."""
    number, gap = len(rows), rows.mean(axis=0) - prior.mean
    kappa = prior.kappa + number
    scatter = (rows - rows.mean(axis=0)).T @ (rows - rows.mean(axis=0))
    scale = prior.scale + scatter + prior.kappa * number / kappa * np.outer(gap, gap)
    return (
        (prior.kappa * prior.mean + number * rows.mean(axis=0)) / kappa,
        kappa,
        scale,
        (prior.dof + number),
    )


ROWS_OF_PLANE = np.random.default_rng(0).normal(size=(7, 2)) * [1.0, 3.0] + 5


def test_the_posterior_mean_is_that_of_a_textbook():
    corpus = cj.Rows.of_rows(jnp.asarray(ROWS_OF_PLANE, jnp.float32), 7)
    model = GAUSSIANS["mean"][0].fit(None, corpus, None, None).params
    mean, _, scale, dof = posterior(ROWS_OF_PLANE, PLANE)
    factor = model.factor * np.exp(model.log_scale)
    np.testing.assert_allclose(model.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(factor @ factor.T, scale / (dof - 3), rtol=1e-4)


@pytest.mark.thorough
def test_posterior_samples_of_given_rows_have_the_law_of_scipy():
    source = cj.Empirical(ROWS_OF_PLANE)
    records = run(GAUSSIANS["plane"][0], source, 100_000, 0, rows=7, metrics=["covariance"])
    mean, kappa, scale, dof = posterior(ROWS_OF_PLANE, PLANE)
    found = records["covariance"][0].astype(float)
    law = stats.invwishart(dof, scale)
    peer = law.rvs(100_000, random_state=1)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        assert stats.ks_2samp(found[:, i, j], peer[:, i, j]).pvalue > 1e-4
    roots = np.linalg.inv(np.linalg.cholesky(found))
    gaps = np.einsum("cij,cj->ci", roots, records["mean"][0] - mean) * np.sqrt(kappa)
    for axis in range(2):
        assert_law(gaps[:, axis], stats.norm.cdf)


@pytest.mark.thorough
def test_a_prior_far_from_zero():
    shift = 1e8
    far = cj.Gaussian(1, prior=NormalInverseWishart(1.0 + shift, 2.0, 4.0, 6))
    near = cj.Gaussian(1, prior=LINE)
    found = [
        run(family, cj.Normal(3.0 + at, 2.0), 8, 3)["log_std"]
        for family, at in ((near, 0.0), (far, shift))
    ]
    np.testing.assert_allclose(*found, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 3), (40, 5)])
def test_shrinkage_is_that_of_scikit_learn(shape):
    rows = np.random.default_rng(1).normal(size=shape) * np.arange(1, shape[1] + 1) + 2
    padded = np.concatenate([rows, np.full((3, shape[1]), 99.0)])
    model = ledoit_wolf(cj.Rows.of_rows(jnp.asarray(padded, jnp.float32), len(rows)))
    factor = np.asarray(model.factor * jnp.exp(model.log_scale), float)
    peer = sklearn_covariance.LedoitWolf().fit(rows)
    assert 0.01 < peer.shrinkage_ < 1
    np.testing.assert_allclose(factor @ factor.T, peer.covariance_, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(model.mean, peer.location_, rtol=1e-5)


@pytest.mark.thorough
def test_shrunk_chains_have_full_rank_where_others_have_not():
    truth = cj.Normal(np.zeros(6), np.diag([1.0, 1, 1, 1, 1, 4]))
    chains = [cj.Gaussian(6, estimator) for estimator in ("ledoit_wolf", "mle")]
    found = [run(family, truth, 50, 2, rows=5)["log_det_covariance"][-1] for family in chains]
    assert np.all(np.isfinite(found[0]))
    assert np.all(np.isneginf(found[1]))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("family", "source"),
    [
        (SAMPLER, LAW),
        GAUSSIANS["plane"],
        (cj.Gaussian(2, "ledoit_wolf"), TRUTH),
    ],
)
def test_rules_of_families(family, source):
    check_family(family, source, consistent=False)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "policy",
    [
        cj.Accumulate(6),
        cj.AccumulateSubsample(6),
        cj.Mixing(8, beta=0.25, gamma=0.25, original="data"),
        cj.Mixing(8, beta=0.25, gamma=0.25, previous="distribution"),
    ],
)
def test_every_policy_runs(policy):
    for family, source in ((SAMPLER, LAW), GAUSSIANS["plane"]):
        chain = cj.Chain(family, source, policy)
        records = cj.simulate(chain, key=0, num_chains=50, num_generations=3)
        assert set(np.unique(records["status"])) == {0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cj.Discrete(prior=0.0), "Discrete.prior=0"),
        (lambda: cj.Discrete(prior=1.0, smoothing=1.0), "a prior already smooths"),
        (lambda: cj.Discrete(learner="posterior_sample"), "needs a prior"),
        (lambda: cj.Discrete(prior=1.0, learner="mode"), "Discrete.learner='mode'"),
        (lambda: cj.Chain(cj.Discrete(prior=[1.0, 1.0]), LAW, cj.Replace(5)), "there are 3 states"),
        (lambda: cj.Gaussian(learner="posterior_sample"), "needs a prior"),
        (lambda: cj.Gaussian(prior=1.0), "Gaussian.prior=1"),
        (lambda: cj.Gaussian(1, prior=PLANE), "dim=2"),
        (lambda: cj.Gaussian(2, "ledoit_wolf", corpus="moments"), None),
        (lambda: NormalInverseWishart(0.0, 0.0, 1.0, 3), "NormalInverseWishart.kappa=0"),
        (lambda: NormalInverseWishart(0.0, 1.0, 0.0, 3), "smallest eigenvalue"),
        (lambda: NormalInverseWishart([0.0, 0.0], 1.0, np.eye(2), 1), "NormalInverseWishart.dof=1"),
        (lambda: bayesian.dirichlet_moments([0.5, 0.5], [1.0], [5]), "prior"),
    ],
)
def test_bad_settings_are_refused(make, message):
    if message is None:
        family, make = make(), lambda: cj.Chain(family, TRUTH, cj.Replace(5))
        message = "shrinkage reads rows"
    with pytest.raises(cj.ArgumentError, match=message):
        make()


# Planted faults


def patched(owner, name, change):
    def plant(patch):
        right = getattr(owner, name)
        patch.setattr(owner, name, lambda *given: change(right, *given))

    return plant


FAULTS = {
    "the prior twice": patched(
        discrete_module,
        "dirichlet",
        lambda right, keys, purpose, c: right(keys, purpose, c + CONCENTRATION.astype(c.dtype)),
    ),
    "no prior": patched(
        discrete_module,
        "dirichlet",
        lambda right, keys, purpose, c: right(
            keys, purpose, c - (CONCENTRATION - 1e-3).astype(c.dtype)
        ),
    ),
    "the mean for a sample": patched(
        discrete_module, "dirichlet", lambda right, keys, purpose, c: c / c.sum()
    ),
    "one degree of freedom more": patched(
        normal_prior,
        "log_chi_square",
        lambda right, score, dof, divisor: right(score, dof + 1, divisor),
    ),
    "one degree of freedom less": patched(
        normal_prior,
        "log_chi_square",
        lambda right, score, dof, divisor: right(score, dof - 1, divisor),
    ),
    "the mean of mu for a sample": patched(
        normal_prior, "_times_root", lambda right, *given: 0 * right(*given)
    ),
    "twice the spread of mu": patched(
        normal_prior, "_times_root", lambda right, *given: 2 * right(*given)
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault, monkeypatch):
    jax.clear_caches()
    FAULTS[fault](monkeypatch)
    try:
        is_discrete = "mu" not in fault and "degree" not in fault
        chances = stationary_chances(50_000) if is_discrete else normal_chances("line", 50_000)
        assert min(chances) < 1e-12
    finally:
        monkeypatch.undo()
        jax.clear_caches()

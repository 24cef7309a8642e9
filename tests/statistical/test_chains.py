"""Simulated chains against closed forms, and exact corpora against drawn rows.

Every assertion is a z-test or a KS test with false-fail rate 1e-9; there are fewer than
300 of them. With 40,000 chains a z-test catches a bias of 0.042 standard deviations.
"""

import jax
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.random import wishart
from collapse_jax.testing import assert_mean, assert_same_law
from collapse_jax.theory import ancestors, gaussian_accumulation
from collapse_jax.theory import discrete as discrete_theory
from collapse_jax.theory import gaussian as theory

CHAINS, G = 40_000, 12
COVARIANCES = {
    1: np.eye(1),
    3: np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]]),
    10: np.eye(10) + 0.3,
}


def more(*cases, mark=pytest.mark.slow):
    """Mark more cases of a kind, each of which takes long to compile."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=mark) for case in cases
    ]


def gaussian(dim, estimator, policy, corpus="auto", chains=CHAINS, key=0, generations=G):
    source = cj.Normal(np.zeros(dim), COVARIANCES[dim])
    chain = cj.Chain(cj.Gaussian(dim, estimator, corpus=corpus), source, policy)
    return cj.simulate(chain, key=key, num_chains=chains, num_generations=generations, every=4)


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_replace_in_one_dimension(estimator):
    records = gaussian(1, estimator, cj.Replace(20))
    sizes = np.full(G + 1, 20)
    log_variance = theory.expected_log_variance(sizes, estimator)
    spread = theory.variance_of_log_variance(sizes)
    errors = theory.mean_squared_error(sizes, estimator)
    stds = theory.expected_standard_deviation(sizes, estimator)
    distances = theory.expected_wasserstein2_squared(sizes, estimator)
    for place, g in enumerate(records["generation"]):
        values = 2 * records["log_std"][place]
        assert_mean(values, log_variance[g])
        assert_mean((values - log_variance[g]) ** 2, spread[g])
        assert_mean(records["mean"][place, :, 0] ** 2, errors[g])
        assert_mean(np.exp(records["log_std"][place]), stds[g])
        assert_mean(records["wasserstein2_squared"][place], distances[g])


@pytest.mark.parametrize(
    ("dim", "estimator"),
    [(3, "unbiased"), (10, "mle"), *more((3, "mle"), (10, "unbiased"))],
)
def test_replace_in_more_dimensions(dim, estimator):
    chains = CHAINS if dim == 3 else 8000
    records = gaussian(dim, estimator, cj.Replace(20), chains=chains)
    sizes = np.full(G + 1, 20)
    start = np.linalg.slogdet(COVARIANCES[dim])[1]
    expected = start + theory.expected_log_determinant(sizes, estimator, dim)
    spread = theory.variance_of_log_determinant(sizes, dim)
    shrink = theory.expected_variance(sizes, estimator)
    for place, g in enumerate(records["generation"]):
        values = records["log_det_covariance"][place].astype(np.float64)
        assert_mean(values, expected[g])
        assert_mean((values - expected[g]) ** 2, spread[g])
        assert_mean(records["trace_covariance"][place], shrink[g] * np.trace(COVARIANCES[dim]))
        for axis in range(dim):
            error = theory.mean_squared_error(sizes, estimator)[g]
            scale = COVARIANCES[dim][axis, axis]
            assert_mean(records["mean"][place, :, axis] ** 2, error * scale)


@pytest.mark.thorough
def test_a_schedule_of_sizes():
    sizes = np.array([5, 40, 8, 100, 300, 7, 12])
    records = gaussian(1, "unbiased", cj.Replace(sizes.tolist()), generations=6)
    expected = theory.expected_log_variance(sizes, "unbiased")
    for place, g in enumerate(records["generation"]):
        assert_mean(2 * records["log_std"][place], expected[g])


@pytest.mark.parametrize(
    ("dim", "estimator"), [(1, "mle"), (3, "unbiased"), *more((1, "unbiased"), (3, "mle"))]
)
def test_accumulate(dim, estimator):
    records = gaussian(dim, estimator, cj.Accumulate(10))
    sizes = np.full(G + 1, 10)
    expected = gaussian_accumulation.accumulate_expected_variance(sizes, estimator)
    for place, g in enumerate(records["generation"]):
        if dim == 1:
            variance = np.exp(2 * records["log_std"][place])
        else:
            variance = records["trace_covariance"][place] / np.trace(COVARIANCES[dim])
        assert_mean(variance, expected[g])
        error = gaussian_accumulation.accumulate_mean_squared_error(sizes, estimator)[g]
        for axis in range(dim):
            squares = records["mean"][place, :, axis] ** 2
            assert_mean(squares, error * COVARIANCES[dim][axis, axis])


SCHEDULE = cj.Replace([8, 5, 9, 6, 12])


@pytest.mark.parametrize(
    ("dim", "policy"),
    [
        *more((1, SCHEDULE), (3, cj.Replace(8)), (3, cj.Accumulate(8)), mark=pytest.mark.thorough),
        *more((1, cj.Replace(8)), (1, cj.Accumulate(8)), (3, SCHEDULE)),
    ],
)
def test_moments_and_rows_have_one_law(dim, policy):
    exact, drawn = (
        gaussian(dim, "unbiased", policy, corpus, chains=20_000, key=key, generations=4)
        for key, corpus in ((1, "moments"), (2, "samples"))
    )
    spread = "log_std" if dim == 1 else "log_det_covariance"
    for place in range(len(exact["generation"])):
        assert_same_law(exact[spread][place], drawn[spread][place])
        assert_same_law(exact["mean"][place, :, -1], drawn["mean"][place, :, -1])
    # Over generations, too: the sum of two spreads sees their covariance.
    assert_same_law(exact[spread].sum(axis=0), drawn[spread].sum(axis=0))


@pytest.mark.thorough
def test_more_dimensions_than_rows():
    source = cj.Normal(np.zeros(10), np.eye(10))
    chain = cj.Chain(cj.Gaussian(10), source, cj.Replace(4))
    records = cj.simulate(chain, key=0, num_chains=5000, num_generations=2)
    assert np.all(records["log_det_covariance"] == -np.inf)
    assert np.all(records["status"] == 0)
    for place in range(3):
        assert_mean(records["trace_covariance"][place], 10.0)


MIXTURE = cj.NormalMixture([0.3, 0.7], [-1.0, 2.0], [0.5, 1.5])
DATA = np.random.default_rng(0).gamma(2.0, size=60)
SOURCES = {
    "mixture": (MIXTURE, 1.1, 0.3 * 0.5 + 0.7 * 1.5 + 0.21 * 9),
    "subset": (cj.Empirical(DATA), DATA.mean(), None),
    "more": (cj.Empirical(DATA[:20]), DATA[:20].mean(), DATA[:20].var()),
    "sampler": (
        cj.Sampler(lambda key, n: jax.random.exponential(key, (n, 1)), 1), 1.0, 1.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["subset", "more", "sampler", *more("mixture", mark=pytest.mark.thorough)]
)
def test_sources_have_their_moments(name):
    source, mean, variance = SOURCES[name]
    chain = cj.Chain(cj.Gaussian(1), source, cj.Replace(30))
    records = cj.simulate(chain, key=5, num_chains=20_000, num_generations=0)
    assert_mean(records["mean"][0, :, 0], mean)
    if variance is None:  # without replacement: the finite population's own variance
        variance = DATA.var(ddof=1)
    assert_mean(np.exp(2 * records["log_std"][0]), variance)


@pytest.mark.thorough
def test_mixture_moments_and_rows_have_one_law():
    both = []
    for key, corpus in ((1, "moments"), (2, "samples")):
        chain = cj.Chain(cj.Gaussian(1, corpus=corpus), MIXTURE, cj.Replace(6))
        both.append(cj.simulate(chain, key=key, num_chains=20_000, num_generations=0))
    assert_same_law(both[0]["log_std"][0], both[1]["log_std"][0])
    assert_same_law(both[0]["mean"][0, :, 0], both[1]["mean"][0, :, 0])


def test_data_of_its_own_size_are_the_data():
    chain = cj.Chain(cj.Gaussian(1, "mle"), cj.Empirical(DATA), cj.Replace())
    records = cj.simulate(chain, key=0, num_chains=3, num_generations=0)
    np.testing.assert_allclose(records["mean"][0, :, 0], DATA.mean(), rtol=1e-6)
    np.testing.assert_allclose(np.exp(records["log_std"][0]), DATA.std(), rtol=1e-6)


def test_wasserstein_distance_of_an_empirical_truth():
    chain = cj.Chain(cj.Gaussian(1, "mle"), cj.Empirical(DATA), cj.Replace())
    records = cj.simulate(chain, key=0, num_chains=1, num_generations=0)
    from scipy import special

    fine = (np.arange(600_000) + 0.5) / 600_000
    model = DATA.mean() + DATA.std() * special.ndtri(fine)
    expected = np.mean((np.repeat(np.sort(DATA), 10_000) - model) ** 2)
    np.testing.assert_allclose(records["wasserstein2_squared"][0, 0], expected, rtol=1e-3)


LAW = np.array([0.5, 0.25, 0.15, 0.07, 0.03])


def discrete(corpus, policy, key=0, chains=20_000):
    chain = cj.Chain(cj.Discrete(corpus=corpus), cj.Categorical(LAW), policy)
    return cj.simulate(chain, key=key, num_chains=chains, num_generations=G, every=4)


@pytest.mark.parametrize("corpus", ["counts", *more("samples", mark=pytest.mark.thorough)])
def test_discrete_replace(corpus):
    size = 25
    sizes = np.full(G + 1, size)
    records = discrete(corpus, cj.Replace(size))
    heterozygosity = discrete_theory.expected_heterozygosity(LAW, sizes)
    # Model g holds the rows of D_g, which are g + 1 draws away from p_0.
    support = ancestors.expected_support_size(LAW, sizes)
    absorbed = ancestors.absorption_probability(LAW, sizes)
    for place, g in enumerate(records["generation"]):
        assert_mean(records["heterozygosity"][place], heterozygosity[g])
        assert_mean(records["support_size"][place], support[g])
        if absorbed[g] > 0.01:
            assert_mean(records["is_absorbed"][place], absorbed[g])


@pytest.mark.parametrize(
    "policy", [cj.Replace([9, 30, 12] + [20] * (G - 2)), *more(cj.Accumulate(12))]
)
def test_counts_and_labels_have_one_law(policy):
    counts, labels = discrete("counts", policy, 1), discrete("samples", policy, 2)
    for place in range(len(counts["generation"])):
        for name in ("heterozygosity", "entropy", "tail_mass"):
            # Few values occur, and either program may round them its own way.
            assert_same_law(*(np.round(run[name][place], 5) for run in (counts, labels)))


def test_planted_faults_are_caught(monkeypatch):
    """The same assertions fail where a law is wrong: six faults, each caught."""
    records = gaussian(1, "unbiased", cj.Replace(20))
    last, sizes = 2 * records["log_std"][-1], np.full(G + 1, 20)
    faults = {
        "mle for unbiased": theory.expected_log_variance(sizes, "mle")[-1],
        "two rows too few": theory.expected_log_variance(sizes - 2, "unbiased")[-1],
        "one generation off": theory.expected_log_variance(sizes, "unbiased")[-2],
    }
    for name, expected in faults.items():
        with pytest.raises(AssertionError, match="standard errors"):
            assert_mean(last, expected)
        assert name
    # Mean and scatter made from one score: their product is no longer uncorrelated.
    step = np.diff(records["mean"][:2, :, 0], axis=0)[0]
    assert_mean(step * (last - last.mean()), 0.0)
    with pytest.raises(AssertionError):
        assert_mean(last * (last - last.mean()), 0.0)
    with pytest.raises(AssertionError):
        assert_same_law(last, last + 0.1)
    honest = wishart.log_chi_square
    monkeypatch.setattr(
        wishart, "log_chi_square", lambda s, k, d: honest(jax.numpy.minimum(s, 1.5), k, d)
    )
    jax.clear_caches()
    cut = gaussian(1, "unbiased", cj.Replace(20))
    monkeypatch.undo()
    jax.clear_caches()
    with pytest.raises(AssertionError):
        assert_mean(2 * cut["log_std"][-1], theory.expected_log_variance(sizes, "unbiased")[-1])

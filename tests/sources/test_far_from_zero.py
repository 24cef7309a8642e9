"""A law far from zero has the chains of the same law at zero, shifted."""

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config
from collapse_jax.core.policy import AbstractPolicy

FAR = 1.7e9  # seconds since 1970; at float32 such numbers are 128 apart
RUN = {"num_chains": 64, "num_generations": 5}


def gaussian_chain(mean, policy=None, **settings):
    source = cj.Normal(mean, 100.0**2)
    return cj.Chain(cj.Gaussian(1, **settings), source, policy or cj.Replace(50))


POLICIES = [
    cj.Replace(50),
    cj.Mixing(50, gamma=0.2),
    cj.Mixing(50, beta=0.3, gamma=0.1),
    cj.Mixing(50, beta=0.3, gamma=0.1, previous="distribution"),
    cj.Accumulate(50),
    cj.AccumulateSubsample(50),
    cj.Fresh(40, num_original=10),
]


@pytest.mark.parametrize(
    "policy",
    [pytest.param(one, marks=[pytest.mark.thorough] * (k > 1)) for k, one in enumerate(POLICIES)],
    ids=lambda one: type(one).__name__,
)
def test_every_policy_shifts_with_its_source(policy):
    near, far = (cj.simulate(gaussian_chain(mean, policy), key=0, **RUN) for mean in (0.0, FAR))
    assert far["mean"].dtype == np.float64
    np.testing.assert_allclose(far["mean"] - FAR, near["mean"], atol=1e-6)
    for name in ("log_std", "wasserstein2_squared", "status"):
        np.testing.assert_array_equal(far[name], near[name])


def test_statistics_over_chains_shift_with_the_source():
    edges = np.array([-20.0, 0.0, 20.0])
    near, far = (
        cj.simulate(
            gaussian_chain(mean),
            key=0,
            **RUN,
            reduce=cj.Reduce(histograms={"mean": mean + edges}),
        )
        for mean in (0.0, FAR)
    )
    for name in ("mean_mean", "mean_quantile"):
        np.testing.assert_allclose(far[name] - FAR, near[name], atol=1e-6)
    for name in ("mean_std", "mean_histogram", "log_std_quantile"):
        np.testing.assert_array_equal(far[name], near[name])
    assert far.dataset["mean_bin"].values[2] == FAR


def test_runs_on_disk_and_resumed_runs_shift_too(tmp_path):
    chain = gaussian_chain(FAR)
    whole = cj.simulate(chain, key=0, **RUN)
    stored = cj.simulate(chain, key=0, **RUN, store=tmp_path / "run")
    np.testing.assert_array_equal(stored["mean"], whole["mean"])
    np.testing.assert_array_equal(cj.Records.load(tmp_path / "run")["mean"], whole["mean"])
    begun = cj.simulate(chain, key=0, num_chains=64, num_generations=2)
    rest = cj.simulate(chain, key=0, **RUN, state=begun.state)
    np.testing.assert_array_equal(cj.Records.concatenate([begun, rest])["mean"], whole["mean"])


def test_a_table_of_timestamps_and_shares_keeps_both():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.normal(0, 100.0, 500), rng.normal(0, 1e-4, 500)], axis=1)
    near, far = (
        cj.simulate(
            cj.Chain(cj.Gaussian(2), cj.Empirical(rows + shift), cj.Replace(200)),
            key=0,
            **RUN,
            metrics=("wasserstein2_squared",),
        )
        for shift in (0.0, np.array([FAR, 14.62]))
    )
    gaps = far["mean"] - np.array([FAR, 14.62]) - near["mean"]
    assert np.max(np.abs(gaps) / [100.0, 1e-4]) < 1e-5
    for name in ("log_det_covariance", "wasserstein2_squared"):
        np.testing.assert_allclose(far[name], near[name], rtol=1e-4)


def mixture_chain(shift, init):
    means = np.array([[-200.0, 0.0], [200.0, 3e-9]])
    covariances = np.array([np.diag([100.0**2, 1e-18])] * 2)
    law = cj.NormalMixture([0.4, 0.6], means + shift, covariances)
    family = cj.GaussianMixture(2, dim=2, init=law if init == "law" else init)
    return cj.Chain(family, law, cj.Replace(100))


@pytest.mark.parametrize(
    "init",
    ["kmeans", *(pytest.param(one, marks=pytest.mark.thorough) for one in ("previous", "law"))],
)
def test_mixtures_shift_with_their_source(init):
    shift = np.array([FAR, 14.62])
    near, far = (
        cj.simulate(mixture_chain(one, init), key=0, num_chains=4, num_generations=3)
        for one in (np.zeros(2), shift)
    )
    assert far["means"].dtype == np.float64
    # 14.62 + 1e-9 rounds to a millionth of the spread, and EM stops at another iteration.
    np.testing.assert_allclose((far["means"] - shift)[..., 0], near["means"][..., 0], atol=0.5)
    np.testing.assert_allclose(far["log_det_covariances"], near["log_det_covariances"], atol=0.01)
    np.testing.assert_allclose(far["weights"], near["weights"], atol=0.01)
    np.testing.assert_array_equal(far["status"], near["status"])


def absolute_mean(key, family, params, corpus, source, generation0):
    first = generation0.params.mean + generation0.corpus.mean
    return jnp.stack([params.mean, corpus.mean, source.truth.mean, 0.5 * first])


def test_functions_of_users_get_absolute_numbers():
    records = cj.simulate(gaussian_chain(1e6), key=0, **RUN, metrics=[absolute_mean])
    found = records["absolute_mean"]
    np.testing.assert_allclose(found[..., 0, :], records["mean"], rtol=1e-7)
    np.testing.assert_allclose(found[..., 1, :], records["mean"], rtol=1e-7)
    np.testing.assert_array_equal(found[..., 2, :], 1e6)
    np.testing.assert_allclose(found[..., 3, :], np.stack([records["mean"][0]] * 6), rtol=1e-7)


def test_a_verifier_gets_absolute_rows():
    policy = cj.Replace(50, verifier=lambda rows: rows[:, 0] > 1e6)
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(1e6, 100.0**2), policy)
    records = cj.simulate(chain, key=0, num_chains=64, num_generations=1, metrics=("samples",))
    assert np.all(records["samples"][1] > 1e6)
    assert abs(np.mean(records["acceptance"][1]) - 0.5) < 0.05


@config
class Shrinking(cj.Replace):
    """A policy that reads values: it pulls the mean of its rows to zero."""

    @property
    def reads_values(self):
        return True

    def next(self, step):
        corpus, memory = super().next(step)
        return corpus.translated(-0.5 * corpus.mean), memory


def test_a_policy_that_reads_values_gets_absolute_ones():
    assert AbstractPolicy.reads_values.fget(cj.Replace(5)) is True  # what a policy is by default
    records = cj.simulate(gaussian_chain(1000.0, Shrinking(50)), key=0, **RUN)
    assert abs(np.mean(records["mean"][1]) - 500) < 20


@pytest.mark.parametrize(
    "number", [2, *(pytest.param(one, marks=pytest.mark.thorough) for one in (1, 3, 5))]
)
def test_the_metric_of_a_mixture_takes_a_truth_with_other_components(number):
    truth = cj.NormalMixture([0.2, 0.3, 0.5], [-3.0, 0.0, 3.0], [1.0, 1.0, 1.0])
    chain = cj.Chain(cj.GaussianMixture(number, dim=1), truth, cj.Replace(4000))
    records = cj.simulate(
        chain, key=0, num_chains=1, num_generations=0, metrics=("log_l2_squared_to_truth",)
    )
    found = np.exp(records["log_l2_squared_to_truth"][0, 0])
    np.testing.assert_allclose(found, quadrature(records, truth), rtol=2e-3, atol=1e-7)


def quadrature(records, truth):
    x = np.linspace(-15, 15, 20_001)
    step = x[1] - x[0]

    def density(weights, means, variances):
        gaps = x[:, None] - np.asarray(means, float).reshape(-1)
        variances = np.asarray(variances, float).reshape(-1)
        bells = np.exp(-0.5 * gaps**2 / variances) / np.sqrt(2 * np.pi * variances)
        return bells @ np.asarray(weights, float)

    model = density(*(records[name][0, 0] for name in ("weights", "means", "covariances")))
    return float(
        np.sum((model - density(truth.weights, truth.means, truth.covariances)) ** 2) * step
    )


@pytest.mark.parametrize("reduce", [None, cj.Reduce()], ids=["chains", "reduced"])
def test_comparisons_with_theory_are_as_sharp_as_at_zero(reduce):
    """A shift of the truth by a standard error or ten is found, where float32 is 128 apart."""
    chain = gaussian_chain(FAR)
    records = cj.simulate(chain, key=0, num_chains=2000, num_generations=3, reduce=reduce)
    comparison = cj.compare_with_theory(records)
    assert comparison.largest < comparison.threshold(1e-6)
    means = [row for row in comparison if row.quantity == "mean[0]"]
    error = (means[-1].high - means[-1].low) / 4
    assert 0.1 < error < 2
    records.theory["mean"][:] = FAR + 10 * error
    assert cj.compare_with_theory(records).largest > 8

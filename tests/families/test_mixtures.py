"""Gaussian mixtures: degenerate rows, removed components, floors, order, starts, metrics."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import collapse_jax as cj
from collapse_jax.core.samples import Rows
from collapse_jax.random.keys import Keys

PAIR = cj.NormalMixture([0.3, 0.7], [[-4.0, 0.0], [4.0, 1.0]], [np.eye(2), [[2, 0.5], [0.5, 1]]])
OPTIONAL = (
    "log_l2_squared_to_truth",
    "effective_components",
    "component_distances",
    "log_spreads",
)


def fit(family, rows, weights=None):
    """The variables and status of a fit to given rows."""
    rows = jnp.asarray(rows, jnp.float32)
    corpus = family.summarize(Rows.of_rows(rows, len(rows)))
    if weights is not None:
        corpus = dataclasses.replace(corpus, weights=jnp.asarray(weights, jnp.float32))
    values, status = _fit(family, corpus)
    return {name: np.asarray(value) for name, value in values.items()}, int(status)


@jax.jit
def _fit(family, corpus):
    model, status, _ = family.fit(Keys(jax.random.key(0), jnp.int32(0)), corpus, None, None)
    return family.measure(model, corpus, None, cj.InitialGeneration(model, None)), status


def assert_no_nan(values):
    for name, value in values.items():
        assert not np.any(np.isnan(value)), name


CLOUD = np.random.default_rng(0).normal(size=(40, 2))
DEGENERATE = {
    "equal rows": (np.full((40, 2), 7.25), 2),
    "rows on a line": (np.outer(np.arange(40), [1.0, 2.0]), 2),
    "two points": (np.repeat([[0.0, 0.0], [1.0, 5.0]], 20, axis=0), 2),
    "three points": (np.repeat([[0.0, 0.0], [1.0, 5.0], [4.0, 0.0]], [20, 10, 10], axis=0), 0),
    "one row far away": (np.vstack([CLOUD[:39], [[1e6, 1e6]]]), 0),
    "many equal rows and a cloud": (np.vstack([CLOUD[:10], np.ones((30, 2))]), 0),
    "a row that is infinite": (np.vstack([CLOUD[:39], [[np.inf, 0]]]), 1),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("covariance", ["full", pytest.param("diag", marks=pytest.mark.slow)])
def test_degenerate_rows_have_a_status_and_no_nan(name, covariance):
    rows, wanted = DEGENERATE[name]
    if name == "rows on a line" and covariance == "diag":
        wanted = 0
    if name == "two points" and covariance == "diag":
        wanted = 0
    values, status = fit(cj.GaussianMixture(3, 2, covariance), rows)
    assert status == wanted
    if status == 0:
        assert_no_nan(values)
        np.testing.assert_allclose(values["weights"].sum(), 1, rtol=1e-5)


THOROUGH = [pytest.param(start, marks=pytest.mark.thorough) for start in ("previous", PAIR)]
MORE = [pytest.param(start, marks=pytest.mark.slow) for start in ("kmeans++", "random_from_data")]


@pytest.mark.parametrize("start", ["kmeans", *MORE])
def test_fewer_rows_than_components(start):
    for size, wanted in [(1, 2), (2, 0), (3, 0)]:
        weights = np.arange(8) < size
        values, status = fit(cj.GaussianMixture(4, 1, init=start), CLOUD[:8, :1], weights)
        assert status == wanted
        assert_no_nan(values)
        assert np.sum(values["weights"] > 0) <= max(1, size // 2)


@pytest.mark.thorough
def test_a_component_of_one_row_is_removed_and_its_row_goes_to_the_other():
    rows = np.vstack([CLOUD, [[30.0, 30.0]]])
    values, status = fit(cj.GaussianMixture(2, 2), rows)
    assert status == 0
    np.testing.assert_allclose(sorted(values["weights"]), [0, 1], rtol=1e-6)
    np.testing.assert_allclose(
        values["means"][np.argmax(values["weights"])], rows.mean(0), rtol=1e-4
    )


@pytest.mark.thorough
def test_slots_of_weight_zero_and_multiplicities():
    weights = np.r_[np.arange(40) % 4, np.zeros(10)]
    rows = np.vstack([CLOUD, np.full((10, 2), 1e9)])
    rows[:20, 0] += 10
    start = cj.NormalMixture([0.5, 0.5], [[0.0, 0.0], [10.0, 0.0]], [np.eye(2)] * 2)
    family = cj.GaussianMixture(2, 2, init=start)
    found, _ = fit(family, rows, weights)
    wanted, _ = fit(family, np.repeat(rows, weights.astype(int), axis=0))
    for name in ("weights", "means", "covariances", "log_likelihood"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.thorough
def test_the_floor_acts_and_says_so():
    rows = np.vstack([CLOUD, 20 + 1e-3 * CLOUD])
    free, status = fit(cj.GaussianMixture(2, 2), rows)
    assert status == 0
    assert np.linalg.eigvalsh(free["covariances"]).min() < 1e-4
    floored, status = fit(cj.GaussianMixture(2, 2, floor=1e-3), rows)
    assert status == 3
    overall = np.cov(rows.T, bias=True)
    roots = np.linalg.inv(np.linalg.cholesky(overall))
    relative = roots @ floored["covariances"] @ roots.T
    np.testing.assert_allclose(np.linalg.eigvalsh(relative).min(), 1e-3, rtol=1e-3)
    assert fit(cj.GaussianMixture(2, 2, floor=1e-9), rows)[1] == 0


def run(family, source=PAIR, policy=None, chains=4, generations=5, **more):
    chain = cj.Chain(family, source, policy or cj.Replace(200))
    return cj.simulate(chain, key=1, num_chains=chains, num_generations=generations, **more)


@pytest.mark.thorough
def test_components_keep_their_place_if_matched_and_not_if_raw():
    for order in ("matched", "raw"):
        means = run(cj.GaussianMixture(2, 2, order=order), chains=8, generations=12)["means"]
        is_left = means[:, :, 0, 0] < 0
        assert np.all(is_left == is_left[0]) == (order == "matched")
        assert np.all(np.sort(means[..., 0], axis=-1)[..., 0] < -2)


@pytest.mark.parametrize("start", ["kmeans", *MORE, *THOROUGH])
def test_every_start_finds_two_clusters(start):
    records = run(cj.GaussianMixture(2, 2, init=start), generations=2)
    assert np.all(records["status"] == 0)
    lefts = np.sort(records["means"][..., 0], axis=-1)
    np.testing.assert_allclose(lefts, np.broadcast_to([-4.0, 4.0], lefts.shape), atol=0.6)


POLICIES = {
    "replace": cj.Replace(60),
    "accumulate": cj.Accumulate(30),
    "subsample": cj.AccumulateSubsample(60),
    "mixing": cj.Mixing(60, beta=0.3, gamma=0.3),
    "mixing laws": cj.Mixing(60, beta=0.3, gamma=0.3, previous="distribution"),
    "mixing data": cj.Mixing(60, gamma=0.5, original="data"),
    "fresh": cj.Fresh(50, 10),
    "verified": cj.Replace(60, verifier=lambda rows: rows[:, 1] < 3),
    "schedule": cj.Replace([60, 50, 40, 60]),
}


THOROUGH_POLICIES = ("accumulate",)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.thorough if name in THOROUGH_POLICIES else pytest.mark.slow
        )
        for name in POLICIES
    ],
)
def test_every_policy_and_a_chain_is_the_same_alone(name):
    records = run(cj.GaussianMixture(2, 2), policy=POLICIES[name], chains=3, generations=3)
    assert np.all(records["status"] == 0)
    assert np.all(np.isfinite(records["log_likelihood"]))
    alone = run(
        cj.GaussianMixture(2, 2), policy=POLICIES[name], chains=1, generations=3, first_chain=2
    )
    for variable in records.variables:
        np.testing.assert_array_equal(records[variable][:, 2:], alone[variable], variable)


@pytest.mark.thorough
def test_rows_of_a_file_are_modelled():
    data = PAIR_ROWS
    records = run(cj.GaussianMixture(2, 2), cj.Empirical(data), generations=1)
    lefts = np.sort(records["means"][..., 0], axis=-1)
    np.testing.assert_allclose(lefts, np.broadcast_to([-4.0, 4.0], lefts.shape), atol=0.6)


PAIR_ROWS = np.vstack(
    [
        np.random.default_rng(1).multivariate_normal(mean, covariance, size)
        for mean, covariance, size in zip(PAIR.means, PAIR.covariances, (300, 700), strict=True)
    ]
)


@pytest.mark.thorough
def test_a_mixture_collapses_far_below_the_least_float_and_stays_computable():
    records = run(cj.GaussianMixture(2, 1), cj.Normal(3.0, 1.0), cj.Replace(8), 8, 2000)
    log_dets = records["log_det_covariances"]
    assert np.median(log_dets[-1]) < -2 * 100 * np.log(10)
    assert np.all(records["status"] == 0)
    for name in ("log_det_covariances", "log_likelihood", "means"):
        assert np.all(np.isfinite(records[name])), name
    assert np.all(np.isfinite(records["log_l2_squared"][1:]))


@pytest.mark.thorough
def test_chains_are_equivariant_under_scale_and_translation():
    metrics = ("log_spreads", "component_distances")
    one, scale = run(cj.GaussianMixture(2, 2), metrics=metrics), 2.0**-40
    small = cj.NormalMixture(PAIR.weights, scale * PAIR.means, scale**2 * PAIR.covariances)
    other = run(cj.GaussianMixture(2, 2), small, metrics=metrics)
    np.testing.assert_array_equal(one["num_iterations"], other["num_iterations"])
    for name, shift in {
        "weights": 0,
        "component_distances": 0,
        "log_spreads": np.log(scale),
        "log_det_covariances": 4 * np.log(scale),
        "log_likelihood": -2 * np.log(scale),
    }.items():
        np.testing.assert_allclose(other[name], one[name] + shift, rtol=1e-4, atol=1e-4)


# Metrics, from what was recorded


@pytest.fixture(scope="module")
def recorded():
    return run(cj.GaussianMixture(2, 2), chains=2, generations=6, metrics=OPTIONAL)


def density(weights, means, covariances, points):
    return sum(
        weight * multivariate_normal(mean, covariance).pdf(points)
        for weight, mean, covariance in zip(weights, means, covariances, strict=True)
    )


def mixture_at(records, place):
    return [records[name][place] for name in ("weights", "means", "covariances")]


def test_distances_in_l2_are_integrals(recorded):
    axis, step = np.linspace(-16, 16, 641, retstep=True)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    truth = density(PAIR.weights, PAIR.means, PAIR.covariances, points)
    first = density(*mixture_at(recorded, (0, 0)), points)
    for generation in (1, 6):
        now = density(*mixture_at(recorded, (generation, 0)), points)
        for name, other in (("log_l2_squared", first), ("log_l2_squared_to_truth", truth)):
            wanted = np.log(np.sum((now - other) ** 2) * step**2)
            np.testing.assert_allclose(recorded[name][generation, 0], wanted, atol=2e-3)
    assert np.all(recorded["log_l2_squared"][0] == -np.inf)


def test_the_other_metrics_are_what_numpy_says(recorded):
    for place in itertools.product((0, 6), (0, 1)):
        weights, means, covariances = mixture_at(recorded, place)
        found = {name: recorded[name][place] for name in recorded.variables}
        entropy = -np.sum(weights * np.log(weights))
        np.testing.assert_allclose(found["effective_components"], np.exp(entropy), rtol=1e-5)
        spreads = np.log(np.trace(covariances, axis1=1, axis2=2) / 2) / 2
        np.testing.assert_allclose(found["log_spreads"], spreads, atol=1e-5)
        log_dets = np.linalg.slogdet(covariances)[1]
        np.testing.assert_allclose(found["log_det_covariances"], log_dets, atol=1e-4)
        gap = means[0] - means[1]
        wanted = np.sqrt(gap @ np.linalg.solve(covariances.mean(axis=0), gap))
        distances = [[0, wanted], [wanted, 0]]
        np.testing.assert_allclose(found["component_distances"], distances, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
def test_fresh_rows_of_the_source_are_as_likely_as_integrals_say():
    records = run(
        cj.GaussianMixture(2, 2),
        policy=cj.Replace(20_000),
        chains=2,
        generations=1,
        metrics=("original_log_likelihood",),
    )
    axis, step = np.linspace(-16, 16, 641, retstep=True)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    truth = density(PAIR.weights, PAIR.means, PAIR.covariances, points)
    for place in itertools.product((0, 1), (0, 1)):
        log_density = np.log(density(*mixture_at(records, place), points))
        mean = np.sum(truth * log_density) * step**2
        error = np.sqrt(np.sum(truth * (log_density - mean) ** 2) * step**2 / 20_000)
        assert abs(records["original_log_likelihood"][place] - mean) < 5 * error


def test_a_truth_without_a_density_is_refused():
    with pytest.raises(ValueError, match=r"Chain.source='?Empirical.*density; use a Normal"):
        run(
            cj.GaussianMixture(2, 2),
            cj.Empirical(CLOUD),
            metrics=("log_l2_squared_to_truth",),
        )

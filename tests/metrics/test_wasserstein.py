"""The Wasserstein distance is precise relative to itself, however close model and truth are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.metrics import gaussian
from collapse_jax.metrics.bures import bures_squared


def parameters(key, family, params, corpus, source, generation0):
    return jnp.concatenate([params.mean, params.log_scale, params.factor.ravel()])


PARAMETERS = cj.Metric(parameters)


def root_of(log_scale, factor):
    return factor * np.exp(log_scale)


def in_float64(shift, ours, theirs):
    """Return |shift|^2 + |ours Q - theirs|^2 for the best rotation, from NumPy's SVD."""
    left, _, right = np.linalg.svd(theirs.T @ ours)
    turned = ours @ (left @ right).T
    return np.sum(shift**2) + np.sum((turned - theirs) ** 2)


@pytest.mark.parametrize("size", [12, 1000, 10**7])
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_it_equals_a_recomputation_from_the_same_parameters(dim, size):
    rng = np.random.default_rng(dim)
    columns = 37.3 * rng.normal(size=(dim, 2 * dim))
    covariance = columns @ columns.T
    theirs = np.linalg.cholesky(covariance)
    law = cj.Normal(np.zeros(dim), covariance if dim > 1 else covariance[0, 0])
    chain = cj.Chain(cj.Gaussian(dim), law, cj.Replace(size))
    metrics = [PARAMETERS] if dim == 1 else [PARAMETERS, "wasserstein2_squared"]
    run = {"num_chains": 16, "num_generations": 20, "every": 20}
    records = cj.simulate(chain, key=0, **run, metrics=metrics)
    found = records["wasserstein2_squared"].astype(np.float64)
    values = records["parameters"].astype(np.float64)
    for index in np.ndindex(found.shape):
        mean, log_scale, factor = np.split(values[index], [dim, 2 * dim])
        ours = root_of(log_scale, factor.reshape(dim, dim))
        exact = in_float64(mean, ours, theirs)
        assert abs(found[index] / exact - 1) < 1e-6


@pytest.mark.parametrize("dim", [2, 3, 6])
@pytest.mark.parametrize(("spread", "tolerance"), [(1e-5, 1e-6), (0.1, 1e-6), (3.0, 1e-5)])
def test_the_bures_distance_is_that_of_any_pair_of_roots(dim, spread, tolerance):
    rng = np.random.default_rng(dim)
    theirs = np.tril(rng.normal(size=(200, dim, dim)))
    theirs[:, range(dim), range(dim)] = np.exp(rng.normal(size=(200, dim)))
    gap = spread * np.tril(rng.normal(size=(200, dim, dim)))
    gap[:, range(dim), range(dim)] = theirs[:, range(dim), range(dim)] * np.expm1(
        -spread * rng.random(size=(200, dim))
    )
    given = np.float32(theirs), np.float32(gap)
    found = np.asarray(jax.jit(jax.vmap(bures_squared))(*given))
    for k, value in enumerate(found):
        root, step = (one[k].astype(np.float64) for one in given)
        exact = in_float64(np.zeros(1), root + step, root)
        assert abs(value / exact - 1) < tolerance


@pytest.mark.parametrize("dim", [1, 2, 4])
@pytest.mark.parametrize("ours", [-np.inf, -40.0, 0.0, 40.0])
@pytest.mark.parametrize("theirs", [0.0, 1e-12, 1.0, 1e12])
def test_degenerate_and_distant_spreads(dim, ours, theirs):
    """Both covariances are multiples of the identity, so W2^2 = dim (sigma - sigma_0)^2."""
    covariance = np.eye(dim) * theirs
    law = cj.Normal(np.zeros(dim), covariance if dim > 1 else covariance[0, 0])
    model = jnp.zeros(dim), jnp.full(dim, ours), jnp.eye(dim)
    found = float(gaussian.wasserstein2_squared(*model, law.truth))
    exact = dim * (np.exp(ours) - np.sqrt(theirs)) ** 2
    assert found == pytest.approx(exact, rel=2e-6)


def test_a_truth_without_precise_scales_is_used_as_it_is():
    truth = cj.Truth(jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 1)), jnp.float32(1.0))
    assert float(
        gaussian.wasserstein2_squared(
            jnp.ones(1), jnp.log(jnp.array([3.0])), jnp.ones((1, 1)), truth
        )
    ) == pytest.approx(5.0)

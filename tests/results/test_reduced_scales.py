"""Statistics over chains are right at every scale that a float can hold."""

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.results.reduce import merge_blocks, reduce_blocks

CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))


def statistics_of(values, valid=None):
    """Return mean and std over one or two blocks."""
    valid = np.ones(len(values), bool) if valid is None else valid
    status = jnp.zeros(len(values), jnp.int8)
    found = reduce_blocks({"x": jnp.asarray(values), "status": status}, jnp.asarray(valid), ())
    return merge_blocks(found["x"], axis=0)


@pytest.mark.parametrize("centre", [0.0, 3.0, 1e4])
@pytest.mark.parametrize("scale", [1e-34, 1e-30, 1e-20, 1e-12, 1.0, 1e12, 1e20, 1e30])
def test_mean_and_std_are_those_of_float64(scale, centre):
    rng = np.random.default_rng(0)
    values = ((centre + rng.normal(size=512)) * scale).astype(np.float32)
    exact = values.astype(np.float64)
    for valid in (np.ones(512, bool), np.arange(512) < 300):
        found = statistics_of(values, valid)
        np.testing.assert_allclose(found.mean, exact[valid].mean(), atol=2e-7 * scale, rtol=1e-6)
        np.testing.assert_allclose(found.std, exact[valid].std(), rtol=1e-4)


def test_the_largest_floats_have_a_mean_and_a_std():
    values = np.random.default_rng(0).uniform(-3.4e38, 3.4e38, 256).astype(np.float32)
    found = statistics_of(values)
    np.testing.assert_allclose(found.mean, values.astype(np.float64).mean(), atol=1e32)
    np.testing.assert_allclose(found.std, values.astype(np.float64).std(), rtol=1e-5)


def test_axes_of_different_scales_keep_their_spreads():
    rng = np.random.default_rng(0)
    scales = np.array([1e-25, 1.0, 1e25])
    values = (rng.normal(size=(256, 3)) * scales).astype(np.float32)
    exact = values.astype(np.float64).std(axis=0)
    np.testing.assert_allclose(statistics_of(values).std, exact, rtol=1e-5)


def test_a_constant_has_no_spread_and_keeps_its_value():
    for constant in (0.0, 2e-38, 0.1, 1e38, -3.4e38):
        found = statistics_of(np.full(256, constant, np.float32))
        assert found.std == 0
        np.testing.assert_allclose(found.mean, np.float32(constant), rtol=1e-6)


def test_infinite_values_have_an_infinite_mean_and_no_std():
    for infinite in (-np.inf, np.inf):
        values = np.zeros(256, np.float32)
        for values[:] in (infinite, np.where(np.arange(256) < 9, infinite, 1e-30)):
            found = statistics_of(values)
            assert found.mean == infinite
            assert np.isnan(found.std)


@pytest.mark.parametrize("scale", [1e-22, 1e20])
def test_a_metric_of_the_users_keeps_its_spread(scale):
    def tiny(key, family, params, corpus, source, generation0):
        return scale * params.log_scale[0]

    run = {"key": 0, "num_chains": 600, "num_generations": 3, "metrics": [tiny]}
    whole = cj.simulate(CHAIN, **run)["tiny"].astype(np.float64)
    reduced = cj.simulate(CHAIN, **run, reduce=cj.Reduce())
    np.testing.assert_allclose(reduced["tiny_std"], whole.std(axis=1), rtol=1e-5)
    np.testing.assert_allclose(reduced["tiny_mean"], whole.mean(axis=1), atol=1e-6 * scale)

"""Batches of many tiles give the bits of one tile, and metrics change no other variable."""

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.engine.elementwise import is_elementwise
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_spec import make_run_spec

NORMAL = cj.Chain(cj.Gaussian(1), cj.Normal(0.5, 2.0), cj.Replace(20))
THREE = cj.Chain(cj.Gaussian(3), cj.Normal(np.zeros(3), np.diag([1.0, 2.0, 3.0])), cj.Replace(20))
STATES = cj.Chain(cj.Discrete(), cj.Categorical(np.arange(1, 31.0) / 465), cj.Replace(50))


def variance(key, family, params, corpus, source, generation0):
    return jnp.exp(2 * params.log_scale[0])


def total(key, family, params, corpus, source, generation0):
    return jnp.sum(jnp.exp(params.log_scale) * jnp.arange(1, 8.0)[:, None])


def test_the_program_decides_whether_a_metric_runs_in_any_width():
    assert _tile(NORMAL) is None
    assert _tile(NORMAL, [variance]) is None
    assert _tile(NORMAL, ["covariance"]) is None, "sums of one term are no sums"
    assert _tile(NORMAL, [total]) == 256
    assert _tile(THREE, [variance]) == 256


def _tile(chain, metrics=()):
    request = Request(chain=chain, key=0, num_chains=5, num_generations=1, metrics=metrics)
    return make_run_spec(request).program.tile


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: jnp.exp(x) * x[0], True),
        (lambda x: jnp.max(x), True),  # exact in any order
        (lambda x: jnp.where(x > 0, x, jnp.nan), True),
        (jnp.sum, False),
        (jnp.prod, False),
        (jnp.cumsum, False),
        (jnp.sort, False),
        (lambda x: x @ x, False),
        (lambda x: jnp.mean(x[:1]), True),
        (lambda x: jnp.linalg.norm(x), False),
    ],
)
def test_sums_along_an_axis_are_found(function, expected):
    assert is_elementwise(function, jnp.ones(3)) is expected


@pytest.mark.parametrize(
    ("chain", "metrics"),
    [(NORMAL, [variance]), (NORMAL, [total]), (THREE, [total]), (STATES, [])],
    ids=["single numbers", "a sum", "three dimensions", "states"],
)
def test_bits_do_not_depend_on_tiles(chain, metrics):
    settings = {"key": 3, "num_generations": 4, "metrics": metrics}
    few = cj.simulate(chain, num_chains=5, **settings).dataset
    plain = cj.simulate(chain, num_chains=5, key=3, num_generations=4).dataset
    for more in ({}, {"chain_batch": 300}, {"generation_chunk": 3}):
        many = cj.simulate(chain, num_chains=700, **settings, **more).dataset
        for name in few:
            np.testing.assert_array_equal(many[name][:, :5], few[name], err_msg=name)
    for name in plain:
        np.testing.assert_array_equal(plain[name], few[name], err_msg=name)
    late = cj.simulate(chain, num_chains=3, first_chain=600, **settings).dataset
    for name in late:
        np.testing.assert_array_equal(many[name][:, 600:603], late[name], err_msg=name)


@pytest.mark.parametrize("chain", [NORMAL, THREE], ids=["single numbers", "three dimensions"])
def test_statistics_of_tiles_are_those_of_their_chains(chain):
    reduce = cj.Reduce(histograms={"mean": [-1.0, 0.0, 1.0]})
    settings = {"key": 3, "num_chains": 700, "num_generations": 4, "metrics": [total]}
    if chain is THREE:
        settings["metrics"] = [variance]
    every = cj.simulate(chain, **settings)
    found = cj.simulate(chain, **settings, reduce=reduce)
    again = cj.simulate(chain, **settings, reduce=reduce, chain_batch=100)
    for name in set(every.dataset.data_vars) - {"status"}:
        values = every[name].astype(np.float64)
        np.testing.assert_allclose(found[f"{name}_mean"], values.mean(axis=1), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found[f"{name}_count"], np.full_like(values[:, 0], 700))
        edges = np.quantile(values, (0.05, 0.5, 0.95), axis=1)
        np.testing.assert_allclose(
            found[f"{name}_quantile"], np.moveaxis(edges, 0, 1), rtol=1e-6, atol=1e-6
        )
    counts = (every["mean"][:, :, None] >= np.array([-1.0, 0.0, 1.0])[:, None]).sum(axis=1)
    np.testing.assert_array_equal(found["mean_histogram"][:, 1], counts[:, 0] - counts[:, 1])
    for name in found.dataset.data_vars:
        np.testing.assert_allclose(again[name], found[name], rtol=1e-12, err_msg=name)

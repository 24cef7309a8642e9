"""Small matrices: products, factors, and the chains side by side."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.utils import log_cholesky
from collapse_jax.utils.vmap import chains_last


def outer(scale, factor):
    root = log_cholesky.scaled_factor(scale, factor)
    return np.asarray(root @ root.T)


@pytest.mark.parametrize("inner", [1, 3, 32, 33])
@pytest.mark.parametrize("chain", [(), (5,)])
def test_product_is_the_matrix_product_of_each_chain(inner, chain):
    rng = np.random.default_rng(0)
    left = rng.normal(size=(4, inner, *chain)).astype(np.float32)
    right = rng.normal(size=(inner, 2, *chain)).astype(np.float32)
    expected = np.einsum("ij...,jk...->ik...", left.astype(float), right.astype(float))
    np.testing.assert_allclose(log_cholesky.product(left, right), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (3, 7), (10, 21)])
def test_factor_gives_the_columns_product_back(shape):
    columns = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    scale, factor = log_cholesky.factorize(jnp.asarray(columns))
    np.testing.assert_allclose(outer(scale, factor), columns @ columns.T, atol=2e-5)
    rank = min(shape)
    assert np.isfinite(scale[:rank]).all()
    assert np.isneginf(scale[rank:]).all()
    np.testing.assert_array_equal(np.triu(factor), np.eye(len(columns)))


def test_sum_of_two_covariances_and_a_gap():
    rng = np.random.default_rng(2)
    covariances = [root @ root.T for root in rng.normal(size=(2, 3, 3))]
    gap = rng.normal(size=3)
    factors = [
        tuple(jnp.asarray(part, jnp.float32) for part in log_cholesky.factorize_on_host(covariance))
        for covariance in covariances
    ]
    total = log_cholesky.add_covariances(*factors, jnp.asarray(gap, jnp.float32))
    np.testing.assert_allclose(outer(*total), sum(covariances) + np.outer(gap, gap), rtol=2e-5)


@pytest.mark.parametrize("shift", [-2000.0, 2000.0])
def test_sum_of_covariances_beyond_the_range_of_floats(shift):
    scale, factor = jnp.array([shift, shift + 1]), jnp.array([[1.0, 0], [0.5, 1]])
    found, _ = log_cholesky.add_covariances((scale, factor), (scale, factor), jnp.zeros(2))
    np.testing.assert_allclose(found, scale + 0.5 * np.log(2), rtol=1e-6)


def test_host_factor_refuses_what_is_no_covariance():
    with pytest.raises(np.linalg.LinAlgError, match="negative"):
        log_cholesky.factorize_on_host(np.diag([1.0, -1.0]))
    with pytest.raises(np.linalg.LinAlgError, match="zero"):
        log_cholesky.factorize_on_host(np.array([[0.0, 1.0], [1.0, 1.0]]))


@pytest.mark.parametrize("in_axes", [(0, 0), (None, 0), (0, None), (2, 1)])
def test_chains_last_is_the_function_of_each_chain(in_axes):
    def function(matrix, rows):
        return {"product": log_cholesky.product(matrix, rows), "matrix": matrix + 1}

    rng = np.random.default_rng(3)
    shapes = ((3, 4), (4, 2))
    arrays = [
        rng.normal(size=shape if axis is None else np.insert(shape, axis, 6)).astype(np.float32)
        for shape, axis in zip(shapes, in_axes, strict=True)
    ]
    expected = jax.vmap(function, in_axes)(*arrays)
    found = jax.jit(jax.vmap(chains_last(function), in_axes))(*arrays)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), found, expected)
    single = [
        array if axis is None else array.take(4, axis)
        for array, axis in zip(arrays, in_axes, strict=True)
    ]
    alone = chains_last(function)(*single)
    np.testing.assert_allclose(alone["product"], expected["product"][4], atol=1e-5)


@pytest.mark.parametrize("left", [-np.inf, -5000.0, -3.0, 0.5, 40.0])
@pytest.mark.parametrize("right", [-np.inf, -5000.5, -4.0, 0.25, 41.0])
@pytest.mark.parametrize("gap", [0.0, 1e-37, -1e-9, 0.75, -1e12, 1e30])
def test_variances_of_any_size_are_added(left, right, gap):
    one = jnp.ones((1, 1))
    found, _ = log_cholesky.add_covariances(
        (jnp.array([left]), one), (jnp.array([right]), one), jnp.array([gap])
    )
    with np.errstate(divide="ignore"):
        parts = [left, right, np.log(np.abs(np.float64(np.float32(gap))))]
    exact = 0.5 * np.logaddexp.reduce(2 * np.array(parts))
    np.testing.assert_allclose(found, [exact], rtol=1e-6, atol=3e-7)

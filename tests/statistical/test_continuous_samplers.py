"""The continuous laws as explicit functions of their bits, against scipy."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from collapse_jax.core.corpus import draw_moments
from collapse_jax.random.chi_square import log_chi_square
from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.random.normal import normal, normal_from_bits
from collapse_jax.random.threefry import as_key
from collapse_jax.random.wishart import number_of_scores
from collapse_jax.testing import assert_mean
from collapse_jax.verify.samplers import chi_square_error

POINTS = sorted(
    {int(k) for k in np.geomspace(1, 10**7, 190)} | {2, 3, 4, 5, 62, 63, 64, 65, 99, 100}
)


def precision(x64):
    return jax.enable_x64(True) if x64 else contextlib.nullcontext()


def test_normal_quantiles_at_many_words():
    ends = np.array([0, 1, 2, 2**31 - 1, 2**31 - 2, 2**30, 2**31 - 1000], np.uint32)
    inner = np.random.default_rng(0).integers(0, 2**31, 200_000, dtype=np.uint32)
    magnitude = np.concatenate([ends, inner])
    tail = 0.5 - (magnitude.astype(np.float64) + 0.5) / 2**32
    expected = -special.ndtri(tail)
    found = np.asarray(normal_from_bits(jnp.asarray(magnitude)), np.float64)
    # In probability, which is what a law is made of: relative to the tail beyond. Past five
    # standard deviations, where 6e-7 of the law lies, Giles' polynomial is less exact.
    error = np.abs(special.ndtr(-found) / tail - 1)
    assert np.max(error[expected < 5]) < 1e-5
    assert np.max(error) < 0.02
    assert np.max(np.abs(found - expected)[expected < 5]) < 4e-6
    assert 6.3 < np.max(found) < 6.4
    mirrored = np.asarray(normal_from_bits(jnp.asarray(~magnitude)))
    np.testing.assert_array_equal(mirrored, -found.astype(np.float32))


def test_chi_square_law_at_200_points():
    worst = np.max([chi_square_error(dof) for dof in POINTS], axis=0)
    assert worst[0] <= 1e-5
    assert worst[1] <= 1e-6


def test_chi_square_law_with_x64():
    # Above 1e5 scipy's incomplete gamma function itself is off by more than 1e-9.
    points = [dof for dof in POINTS[::3] if dof <= 10**5]
    with precision(x64=True):
        worst = np.max([chi_square_error(dof) for dof in points], axis=0)
    assert worst[0] <= 1e-9
    assert worst[1] <= 1e-9


def test_a_shifted_chi_square_is_caught():
    variation, mean = chi_square_error(99, shift=1e-4)
    assert variation > 1e-5
    assert mean > 1e-6


@pytest.mark.parametrize("x64", [False, True])
def test_known_and_traced_degrees_agree(x64):
    with precision(x64):
        dtype = jnp.result_type(float)
        known = np.array([1, 2, 3, 7, 19, 63, 64, 500, 10**6])
        scores = jnp.linspace(-6, 6, 301, dtype=dtype)[:, None] + jnp.zeros(len(known), dtype)
        static = np.asarray(jax.jit(lambda z: log_chi_square(z, known))(scores))
        traced = np.asarray(jax.jit(log_chi_square)(scores, jnp.asarray(known, jnp.int32)))
        # In units of the standard deviation sqrt(2 / k); the median of chi2_1 is at score 0.
        gap = np.abs(static - traced) * np.sqrt(known / 2)
        assert np.nanmax(gap[np.isfinite(static)]) < (1e-11 if x64 else 6e-6)


def test_normals_are_independent_across_everything():
    def draws(purpose, chain, generation):
        key = chain_key(as_key(0), chain)
        return normal(Keys(key, generation), purpose, (4, 3))

    def batch(chains, generation, purpose):
        one = functools.partial(draws, purpose)
        return np.asarray(jax.jit(jax.vmap(one, (0, None)))(chains, jnp.int32(generation)))

    chains = jnp.arange(5000, dtype=jnp.uint32)
    first = batch(chains, 3, 1).reshape(5000, -1)
    others = {
        "generation": batch(chains, 4, 1),
        "purpose": batch(chains, 3, 2),
        "chain": batch(chains + 7000, 3, 1),
    }
    for values in others.values():
        for column in range(first.shape[1]):
            product = first[:, column] * values.reshape(5000, -1)[:, column]
            assert_mean(product, 0.0)
    for left in range(first.shape[1]):
        assert_mean(first[:, left] ** 2, 1.0)
        for right in range(left):
            assert_mean(first[:, left] * first[:, right], 0.0)


@pytest.mark.parametrize(("size", "dim"), [(7, 3), (3, 4), (2, 2)])
def test_wishart_moments(size, dim):
    """E S = (M-1)/M Sigma; Var S_ij = (M-1)/M^2 (Sigma_ij^2 + Sigma_ii Sigma_jj)."""
    cholesky = np.tril(np.random.default_rng(1).normal(size=(dim, dim))) + 2 * np.eye(dim)
    sigma = cholesky @ cholesky.T
    scale = np.log(np.diagonal(cholesky)).astype(np.float32)
    factor = (cholesky / np.diagonal(cholesky)).astype(np.float32)

    def one(chain):
        keys = Keys(chain_key(as_key(2), chain), jnp.int32(1))
        scores = normal(keys, 1, (number_of_scores(dim),))
        moments = draw_moments(
            scores, jnp.zeros(dim), jnp.asarray(scale), jnp.asarray(factor), size
        )
        root = moments.factor * jnp.exp(moments.log_scale)
        return root @ root.T, moments.mean

    found, means = jax.jit(jax.vmap(one))(jnp.arange(40_000, dtype=jnp.uint32))
    found, means = np.asarray(found, np.float64), np.asarray(means, np.float64)
    expected = (size - 1) / size * sigma
    spread = (size - 1) / size**2 * (sigma**2 + np.outer(np.diagonal(sigma), np.diagonal(sigma)))
    for i in range(dim):
        assert_mean(means[:, i] ** 2, sigma[i, i] / size)
        for j in range(i + 1):
            assert_mean(found[:, i, j], expected[i, j])
            assert_mean((found[:, i, j] - expected[i, j]) ** 2, spread[i, j])
            assert_mean(found[:, i, j] * means[:, i], 0.0)
    with pytest.raises(AssertionError):
        assert_mean(found[:, 0, 0], sigma[0, 0])

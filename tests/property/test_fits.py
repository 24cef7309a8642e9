"""Gaussian fits: equivariant under affine maps, blind to order, exact where rows are equal."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import collapse_jax as cj
from collapse_jax.core.corpus import draw_moments
from collapse_jax.random.wishart import number_of_scores
from collapse_jax.testing import strategies
from collapse_jax.testing.rules import keys_of

POWERS = st.integers(-20, 20)
FIT = jax.jit(lambda family, corpus: family.fit(None, corpus, None, None))
DRAW = jax.jit(lambda family, keys, params: family.draw(keys, params, 7, 7, None))
MOMENTS = jax.jit(draw_moments, static_argnums=4)


def fit(rows, estimator="unbiased"):
    family = cj.Gaussian(rows.shape[1], estimator, corpus="samples")
    return FIT(family, cj.Rows.of_rows(jnp.asarray(rows, jnp.float32), len(rows)))


def covariance(params):
    root = np.asarray(params.factor, float) * np.exp(np.asarray(params.log_scale, float))
    return root @ root.T


def largest(rows):
    return 1 + float(np.max(np.abs(rows)))


@given(strategies.tables())
def test_both_estimators_are_numpy_s(rows):
    for estimator, ddof in (("unbiased", 1), ("mle", 0)):
        params = fit(rows, estimator).params
        exact = np.cov(rows.T.astype(float), ddof=ddof).reshape(rows.shape[1], -1)
        np.testing.assert_allclose(covariance(params), exact, atol=3e-5 * largest(rows) ** 2)


@given(strategies.tables(), strategies.numbers())
def test_a_shift_moves_the_mean_only(rows, shift):
    one, other = fit(rows).params, fit(rows + np.float32(shift)).params
    np.testing.assert_allclose(other.mean, one.mean + shift, atol=2e-5 * largest(rows))
    np.testing.assert_allclose(
        covariance(other), covariance(one), atol=3e-5 * largest(rows) * (largest(rows) + abs(shift))
    )


@given(strategies.tables(((6, 2),)), strategies.tables(((2, 2),)))
def test_linear_maps_act_on_both_sides_of_the_covariance(rows, matrix):
    one, other = fit(rows).params, fit(rows @ matrix.T).params
    expected = matrix @ covariance(one) @ matrix.T
    size = largest(rows) * largest(matrix) * 2
    np.testing.assert_allclose(covariance(other), expected, atol=1e-4 * size**2)


@given(strategies.tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    one, other = fit(rows).params, fit(rows[order]).params
    np.testing.assert_allclose(other.mean, one.mean, atol=1e-5 * largest(rows))
    np.testing.assert_allclose(covariance(other), covariance(one), atol=3e-5 * largest(rows) ** 2)


@given(strategies.tables(((5, 1), (5, 2))))
def test_rows_taken_twice_leave_the_mle(rows):
    one, other = fit(rows, "mle").params, fit(np.concatenate([rows, rows]), "mle").params
    np.testing.assert_allclose(covariance(other), covariance(one), atol=3e-5 * largest(rows) ** 2)


@given(strategies.tables(((5, 1),)))
def test_estimators_differ_by_their_divisors(rows):
    unbiased, mle = (fit(rows, name).params.log_scale for name in ("unbiased", "mle"))
    if np.isfinite(mle[0]):
        np.testing.assert_allclose(unbiased - mle, 0.5 * np.log(5 / 4), rtol=1e-5)
    else:
        assert np.isneginf(unbiased[0])


@given(strategies.tables(((5, 1),)))
def test_only_equal_rows_are_degenerate(rows):
    status = int(fit(rows).status)
    assert status == (2 if np.ptp(rows) == 0 else 0)


@given(strategies.tables(), st.sampled_from((np.nan, np.inf, -np.inf)), st.integers(0, 4))
def test_a_row_that_is_not_finite_is_reported(rows, value, place):
    rows = rows.copy()
    rows[place, 0] = value
    assert int(fit(rows).status) == 1


@given(strategies.tables(((5, 1), (6, 2))), strategies.numbers())
def test_one_more_direction_of_equal_values_leaves_the_others(rows, value):
    wide = np.concatenate([rows, np.full((len(rows), 1), value, np.float32)], axis=1)
    one, other = fit(rows).params, fit(wide).params
    dim = rows.shape[1]
    np.testing.assert_allclose(
        covariance(other)[:dim, :dim], covariance(one), atol=3e-5 * largest(rows) ** 2
    )
    np.testing.assert_allclose(covariance(other)[dim], 0, atol=3e-5 * (largest(rows) + abs(value)))


def scores_of(seed, dim):
    values = np.random.default_rng(seed).normal(size=number_of_scores(dim))
    return jnp.asarray(values, jnp.float32)


@given(strategies.seeds(), strategies.numbers(), POWERS, st.sampled_from((2, 50)))
def test_exact_moments_move_with_their_law(seed, shift, power, size):
    scores, log_scale = scores_of(seed, 1), jnp.asarray([power * np.log(2.0)], jnp.float32)
    unit = MOMENTS(scores, jnp.zeros(1), jnp.zeros(1), jnp.ones((1, 1)), size)
    moved = MOMENTS(scores, jnp.full(1, shift), log_scale, jnp.ones((1, 1)), size)
    scale = 2.0**power
    np.testing.assert_allclose(
        moved.mean, shift + scale * unit.mean, atol=1e-5 * (abs(shift) + scale)
    )
    np.testing.assert_allclose(moved.log_scale - log_scale, unit.log_scale, atol=1e-4)


@given(strategies.seeds(), st.sampled_from((2, 3, 9)))
def test_the_scatter_of_few_rows_has_their_rank(seed, size):
    dim = 4
    drawn = MOMENTS(scores_of(seed, dim), jnp.zeros(dim), jnp.zeros(dim), jnp.eye(dim), size)
    assert int(np.sum(np.isfinite(drawn.log_scale))) == min(size - 1, dim)
    assert int(drawn.size) == size


@given(strategies.seeds(), st.sampled_from((0.25, 1.0, 4.0)))
def test_sampling_bias_scales_the_covariance_of_a_draw(seed, bias):
    keys = keys_of(seed, 0, 1)
    plain = cj.Gaussian(corpus="moments")
    biased = cj.Gaussian(sampling_bias=bias, corpus="moments")
    params = fit(np.array([[0.0], [1.0], [4.0]])).params
    one, other = (DRAW(f, keys, params) for f in (plain, biased))
    np.testing.assert_allclose(other.log_scale - one.log_scale, 0.5 * np.log(bias), atol=1e-5)


@given(strategies.seeds(), strategies.numbers())
def test_a_model_without_spread_draws_its_mean(seed, mean):
    params = fit(np.full((3, 1), mean)).params
    for corpus in ("moments", "samples"):
        family = cj.Gaussian(corpus=corpus)
        refit = FIT(family, DRAW(family, keys_of(seed, 0, 1), params))
        assert float(refit.params.mean[0]) == mean
        assert int(refit.status) == 2

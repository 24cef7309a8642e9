"""Properties of corpora and of factored covariances, for drawn data of a few shapes."""

import dataclasses

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies
from hypothesis.extra import numpy as arrays

import collapse_jax as cj
from collapse_jax import linear
from collapse_jax.sources.empirical import moments_of

SETTINGS = hypothesis.settings(deadline=None, derandomize=True, max_examples=40)
VALUES = strategies.floats(-8, 8, width=32).map(lambda x: round(x * 64) / 64)
SHAPES = strategies.sampled_from([(5, 1), (6, 3)])


def tables(number):
    return SHAPES.flatmap(
        lambda shape: strategies.tuples(
            *[arrays.arrays(np.float32, shape, elements=VALUES) for _ in range(number)]
        )
    )


def samples(rows, weights=None):
    dim = rows.shape[1]
    return cj.Samples(jnp.asarray(rows), weights, jnp.zeros(dim), jnp.zeros(()))


summarize = jax.jit(moments_of)
merge = jax.jit(lambda one, other: one.merge(other, jnp.int32(0)))


def covariance(moments):
    root = np.asarray(moments.factor, np.float64) * np.exp(
        np.asarray(moments.log_scale, np.float64)
    )
    return root @ root.T


def assert_moments(moments, rows, tolerance=2e-5):
    assert int(moments.size) == len(rows)
    scale = 1 + np.max(np.abs(rows))
    np.testing.assert_allclose(moments.mean, rows.mean(0), atol=tolerance * scale)
    expected = np.cov(rows.T, ddof=0).reshape(rows.shape[1], -1)
    np.testing.assert_allclose(covariance(moments), expected, atol=tolerance * scale**2)


@SETTINGS
@hypothesis.given(tables(1))
def test_moments_are_numpy_s(data):
    assert_moments(summarize(samples(data[0])), data[0])


@SETTINGS
@hypothesis.given(tables(3))
def test_merging_pools_the_rows_in_any_order(data):
    first, second, third = (summarize(samples(rows)) for rows in data)
    pooled = np.concatenate(data)
    assert_moments(merge(merge(first, second), third), pooled)
    assert_moments(merge(first, merge(second, third)), pooled)
    assert_moments(merge(merge(third, first), second), pooled)


@SETTINGS
@hypothesis.given(tables(1), strategies.integers(0, 2**31 - 1))
def test_a_slot_of_weight_zero_never_matters(data, seed):
    rows = data[0]
    garbage = np.random.default_rng(seed).normal(size=(2, rows.shape[1])).astype(np.float32)
    padded = np.concatenate([rows, 100 * garbage])
    weights = jnp.asarray([1.0] * len(rows) + [0.0, 0.0])
    assert_moments(summarize(samples(padded, weights)), rows)


@SETTINGS
@hypothesis.given(tables(2))
def test_samples_merge_into_free_slots(data):
    room = samples(data[0]).with_capacity(2 * len(data[0]))
    both = room.merge(samples(data[1]), jnp.int32(len(data[0])))
    assert int(both.size) == 2 * len(data[0])
    np.testing.assert_array_equal(both.rows, np.concatenate(data))


@SETTINGS
@hypothesis.given(tables(1), VALUES)
def test_a_frame_is_only_a_way_of_writing(data, shift):
    plain = samples(data[0])
    moved = plain.in_frame(jnp.full(data[0].shape[1], shift), jnp.float32(1.5))
    np.testing.assert_allclose(moved.absolute_rows, data[0], atol=1e-5)
    assert_moments(summarize(moved), data[0], 1e-4)


@SETTINGS
@hypothesis.given(tables(1), strategies.integers(-60, 60))
def test_fits_scale_exactly_with_powers_of_two(data, power):
    family = cj.Gaussian(data[0].shape[1], corpus="samples")
    plain = samples(data[0])
    scaled = dataclasses.replace(plain, rows=plain.rows * jnp.float32(2.0**power))
    one, other = (family.fit(None, corpus, None, None).params for corpus in (plain, scaled))
    np.testing.assert_array_equal(other.factor, one.factor)
    np.testing.assert_array_equal(other.mean, one.mean * np.float32(2.0**power))


@SETTINGS
@hypothesis.given(strategies.sampled_from([(3, 2), (4, 4), (4, 9)]).flatmap(
    lambda shape: arrays.arrays(np.float32, shape, elements=VALUES)
))  # fmt: skip
def test_a_factor_reproduces_its_matrix_whatever_the_rank(columns):
    log_scale, factor = linear.factorize(jnp.asarray(columns))
    root = np.asarray(factor, np.float64) * np.exp(np.asarray(log_scale, np.float64))
    np.testing.assert_allclose(root @ root.T, columns @ columns.T, atol=3e-4)
    assert np.all(np.diagonal(factor) == 1)
    assert np.all(np.triu(factor, 1) == 0)


@SETTINGS
@hypothesis.given(arrays.arrays(np.int32, (2, 7), elements=strategies.integers(0, 1000)))
def test_counts_add(tables):
    one, other = (cj.Counts(jnp.asarray(row)) for row in tables)
    both = one.merge(other, jnp.int32(0))
    np.testing.assert_array_equal(both.counts, tables.sum(0))
    assert int(both.size) == tables.sum()

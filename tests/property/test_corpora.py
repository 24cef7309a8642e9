"""Properties of corpora and of factored covariances, for drawn data of a few shapes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import collapse_jax as cj
from collapse_jax.core.corpus import join
from collapse_jax.core.samples import moments_of, prefix_weights
from collapse_jax.testing import strategies
from collapse_jax.testing.rules import keys_of
from collapse_jax.utils import log_cholesky

VALUES = strategies.numbers()


def tables(number):
    return st.sampled_from(strategies.SHAPES).flatmap(
        lambda shape: st.tuples(*[strategies.tables((shape,))] * number)
    )


def samples(rows, weights=None):
    dim = rows.shape[1]
    return cj.Rows(jnp.asarray(rows), weights, jnp.zeros(dim), jnp.zeros(()))


summarize = jax.jit(moments_of)
merge = jax.jit(lambda one, other: one.merge(other, jnp.int32(0)))
fit = jax.jit(lambda family, corpus: family.fit(None, corpus, None, None))
factorize = jax.jit(log_cholesky.factorize)


subset_of = jax.jit(
    lambda corpus, keys, size, total, capacity: corpus.subsample(keys, 1, size, capacity, total),
    static_argnums=4,
)


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


@given(tables(1))
def test_moments_are_numpy_s(data):
    assert_moments(summarize(samples(data[0])), data[0])


@given(tables(3))
def test_merging_pools_the_rows_in_any_order(data):
    first, second, third = (summarize(samples(rows)) for rows in data)
    pooled = np.concatenate(data)
    assert_moments(merge(merge(first, second), third), pooled)
    assert_moments(merge(first, merge(second, third)), pooled)
    assert_moments(merge(merge(third, first), second), pooled)


@given(tables(1), st.integers(0, 2**31 - 1))
def test_a_slot_of_weight_zero_never_matters(data, seed):
    rows = data[0]
    garbage = np.random.default_rng(seed).normal(size=(2, rows.shape[1])).astype(np.float32)
    padded = np.concatenate([rows, 100 * garbage])
    weights = jnp.asarray([1.0] * len(rows) + [0.0, 0.0])
    assert_moments(summarize(samples(padded, weights)), rows)


@given(tables(2))
def test_samples_merge_into_free_slots(data):
    room = samples(data[0]).with_capacity(2 * len(data[0]))
    both = room.merge(samples(data[1]), jnp.int32(len(data[0])))
    assert int(both.size) == 2 * len(data[0])
    np.testing.assert_array_equal(both.rows, np.concatenate(data))


@given(tables(1), VALUES)
def test_a_frame_is_only_a_way_of_writing(data, shift):
    plain = samples(data[0])
    moved = plain.in_frame(jnp.full(data[0].shape[1], shift), jnp.float32(1.5))
    np.testing.assert_allclose(moved.absolute_rows, data[0], atol=1e-5)
    assert_moments(summarize(moved), data[0], 1e-4)


@given(tables(1), st.integers(-60, 60))
def test_fits_scale_exactly_with_powers_of_two(data, power):
    family = cj.Gaussian(data[0].shape[1], corpus="samples")
    plain = samples(data[0])
    scaled = dataclasses.replace(plain, rows=plain.rows * jnp.float32(2.0**power))
    one, other = (fit(family, corpus).params for corpus in (plain, scaled))
    np.testing.assert_array_equal(other.factor, one.factor)
    np.testing.assert_array_equal(other.mean, one.mean * np.float32(2.0**power))


@given(st.sampled_from([(3, 2), (4, 4), (4, 9)]).flatmap(
    lambda shape: arrays.arrays(np.float32, shape, elements=VALUES)
))  # fmt: skip
def test_a_factor_reproduces_its_matrix_whatever_the_rank(columns):
    log_scale, factor = factorize(jnp.asarray(columns))
    root = np.asarray(factor, np.float64) * np.exp(np.asarray(log_scale, np.float64))
    np.testing.assert_allclose(root @ root.T, columns @ columns.T, atol=3e-4)
    assert np.all(np.diagonal(factor) == 1)
    assert np.all(np.triu(factor, 1) == 0)


@given(arrays.arrays(np.int32, (2, 7), elements=st.integers(0, 1000)))
def test_counts_add(tables):
    one, other = (cj.Counts(jnp.asarray(row)) for row in tables)
    both = one.merge(other, jnp.int32(0))
    np.testing.assert_array_equal(both.counts, tables.sum(0))
    assert int(both.size) == tables.sum()


@given(st.tuples(*[strategies.counts(3)] * 3))
def test_merging_counts_is_associative_and_commutative(corpora):
    one, two, three = corpora
    start = jnp.int32(0)
    left = one.merge(two, start).merge(three, start)
    right = three.merge(two.merge(one, start), start)
    np.testing.assert_array_equal(left.counts, right.counts)


@given(strategies.moments(), strategies.moments())
def test_merging_moments_is_commutative(one, other):
    left, right = merge(one, other), merge(other, one)
    np.testing.assert_allclose(left.mean, right.mean, atol=1e-5)
    np.testing.assert_allclose(covariance(left), covariance(right), atol=1e-3)
    assert int(left.size) == int(one.size) + int(other.size)


@given(strategies.moments(2))
def test_moments_without_rows_add_nothing(moments):
    empty = dataclasses.replace(
        moments, num_rows=jnp.int32(0), mean=moments.mean + 5, log_scale=moments.log_scale + 2
    )
    for merged in (merge(moments, empty), merge(empty, moments)):
        np.testing.assert_allclose(merged.mean, moments.mean, atol=1e-5)
        np.testing.assert_allclose(covariance(merged), covariance(moments), atol=1e-3)
        assert int(merged.size) == int(moments.size)


@pytest.mark.thorough
@given(strategies.counts(), strategies.seeds(), st.integers(0, 16))
def test_a_subset_of_counts_is_within_them(corpus, seed, sixteenths):
    total = int(corpus.size)
    size = total * sixteenths // 16
    subset = subset_of(corpus, keys_of(seed, 0), size, total, 1)
    assert int(subset.size) == size
    assert np.all((subset.counts >= 0) & (subset.counts <= corpus.counts))


@given(strategies.counts(), strategies.seeds())
def test_all_counts_are_their_only_full_subset(corpus, seed):
    total = int(corpus.size)
    subset = subset_of(corpus, keys_of(seed, 0), total, total, 1)
    np.testing.assert_array_equal(subset.counts, corpus.counts)


ROW_LABELS = np.arange(7, dtype=np.float32)[:, None]


@given(strategies.seeds(), st.sampled_from((0, 1, 3, 4, 7)))
def test_a_subset_of_rows_has_each_at_most_once(seed, size):
    subset = subset_of(samples(ROW_LABELS), keys_of(seed, 0), jnp.int32(size), 7, 7)
    chosen = np.asarray(subset.rows)[np.asarray(subset.full_weights()) > 0, 0]
    assert len(chosen) == size == len(set(chosen.tolist()))
    assert set(chosen.tolist()) <= set(range(7))


@given(strategies.seeds(), st.sampled_from((2, 5, 10)))
def test_a_subset_of_a_merge_has_rows_of_either(seed, size):
    both = samples(ROW_LABELS).with_capacity(14).merge(samples(ROW_LABELS + 100), jnp.int32(7))
    subset = subset_of(both, keys_of(seed, 0), jnp.int32(size), 14, 14)
    chosen = np.asarray(subset.rows)[np.asarray(subset.full_weights()) > 0, 0]
    assert int(subset.size) == size
    assert set(chosen.tolist()) <= {*range(7), *range(100, 107)}


@given(tables(1), st.randoms(use_true_random=False))
def test_the_order_of_slots_does_not_matter(data, random):
    order = list(range(len(data[0])))
    random.shuffle(order)
    weights = np.arange(len(order)) % 3 > 0
    one = summarize(samples(data[0], jnp.asarray(weights, float)))
    other = summarize(samples(data[0][order], jnp.asarray(weights[order], float)))
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-4)
    np.testing.assert_allclose(covariance(one), covariance(other), atol=4e-3)


@given(tables(1), st.sampled_from((0, 2, 5)))
def test_more_room_leaves_the_rows(data, extra):
    room = samples(data[0]).with_capacity(len(data[0]) + extra)
    assert int(room.size) == len(data[0])
    np.testing.assert_array_equal(room.rows[: len(data[0])], data[0])
    assert_moments(summarize(room), data[0])


@given(tables(2))
def test_joined_parts_follow_each_other(data):
    rows = len(data[0])
    for sizes in ((rows, rows), (rows, 2), (1, rows)):
        parts = [
            samples(table, prefix_weights(n, rows)) for table, n in zip(data, sizes, strict=True)
        ]
        both = join(parts, [jnp.int32(n) for n in sizes], 2 * rows, False)
        expected = np.concatenate([table[:n] for table, n in zip(data, sizes, strict=True)])
        assert int(both.size) == sum(sizes)
        np.testing.assert_array_equal(both.rows[: sum(sizes)], expected)


@given(tables(1), VALUES, st.integers(-6, 6))
def test_a_frame_and_back_is_the_same(data, shift, power):
    plain, dim = samples(data[0]), data[0].shape[1]
    there = plain.in_frame(jnp.full(dim, shift), jnp.float32(power))
    back = there.in_frame(plain.location, plain.log_scale)
    np.testing.assert_allclose(back.rows, data[0], atol=1e-4)


@given(tables(1))
def test_equal_rows_have_no_scale(data):
    equal = np.broadcast_to(data[0][:1], data[0].shape)
    moments = summarize(samples(equal))
    assert np.all(np.isneginf(moments.log_scale))
    np.testing.assert_array_equal(moments.mean, data[0][0])


@given(strategies.corpora())
def test_a_corpus_without_more_rows_stays(corpus):
    assert int(corpus.with_capacity(12).size) == int(corpus.size) > 0

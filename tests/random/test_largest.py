"""The largest of many numbers against a sort, and Gumbel numbers against their law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from collapse_jax.random.gumbel import gumbel_from_block
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.largest import exact_sum, largest, slots_of, sortable
from collapse_jax.testing import assert_law


def with_words(values, size, words):
    return largest(values, size, lambda _: words)


_chosen = jax.jit(with_words)
N = 12
NUMBERS = st.sampled_from([-np.inf, -3e38, -1.5, -1e-45, -0.0, 0.0, 1e-45, 1.0, 1.5, 3e38, np.inf])
WORDS = st.lists(st.sampled_from([0, 1, 7, 2**31, 2**32 - 1]), min_size=N, max_size=N)


def by_sorting(values, size, ties):
    """The chosen ones by a stable sort: largest value, largest word, smallest index."""
    order = sorted(range(len(values)), key=lambda i: (-values[i], -int(ties[i]), i))
    return [index in order[:size] for index in range(len(values))]


@given(st.lists(NUMBERS, min_size=N, max_size=N), WORDS, st.integers(0, N))
def test_real_numbers_as_by_sorting(values, words, size):
    values, ties = np.array(values, np.float32), np.array(words, np.uint32)
    assert _chosen(values, size, ties).tolist() == by_sorting(values.tolist(), size, ties)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=N, max_size=N), WORDS)
def test_integers_as_by_sorting(values, words):
    values, ties = np.array(values, np.int32), np.array(words, np.uint32)
    assert _chosen(values, 5, ties).tolist() == by_sorting(values.tolist(), 5, ties)


def test_many_chains_and_truth_values():
    values = np.random.default_rng(0).random((50, 300)) < 0.3
    words = np.random.default_rng(1).integers(0, 2**32, (50, 300), dtype=np.uint32)
    sizes = np.arange(50) * 6
    found = np.asarray(jax.jit(jax.vmap(with_words))(values, sizes, words))
    assert found.sum(axis=1).tolist() == sizes.tolist()
    expected = [by_sorting(*row) for row in zip(values.astype(int), sizes, words, strict=True)]
    assert found.tolist() == expected


def test_indices_of_the_chosen():
    mask = np.random.default_rng(0).random(1000) < 0.2
    slots = np.asarray(slots_of(jnp.asarray(mask), 400))
    where = np.flatnonzero(mask)
    assert slots[: len(where)].tolist() == where.tolist()
    assert np.all((slots >= 0) & (slots < 1000))
    assert slots_of(jnp.zeros(3, bool), 2).tolist() == [2, 2]


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.int8, jnp.uint32, jnp.bool_])
def test_other_types_are_ordered(dtype):
    values = jnp.asarray([0, 1, 3, 100]).astype(dtype)
    assert np.all(np.diff(np.asarray(sortable(values)).astype(np.int64)) >= 0)


def test_a_sum_and_its_error_are_exact():
    one = np.float32([1e8, -1e8, 1e-3, np.inf, -np.inf, 3e38])
    other = np.float32([0.123, 3.3, 1e5, 1.0, 2.0, 3e38])
    total, error = jax.jit(exact_sum)(one, other)
    finite = np.isfinite(total)
    exact = one.astype(np.float64) + other.astype(np.float64)
    both = np.asarray(total, np.float64) + np.asarray(error, np.float64)
    assert np.all((both == exact)[finite])
    assert np.all(np.asarray(error)[~finite] == 0)


def test_gumbel_numbers_have_their_law():
    keys = Keys(jax.random.key(0), jnp.int32(3))
    draws = jax.jit(lambda: gumbel_from_block(*keys.bits(Purpose.SELECT, (400_000,))))()
    assert_law(np.asarray(draws), stats.gumbel_r.cdf)
    assert not np.allclose(draws[:1000], draws[1000:2000])


def test_gumbel_numbers_are_precise_in_both_tails():
    ends = np.uint32([0, 2**31 - 1, 2**31, 2**32 - 1])
    found = np.asarray(gumbel_from_block(ends, np.uint32([0, 2**32 - 1, 0, 2**32 - 1])))
    tiny = 0.5 * 2.0**-64
    expected = [-np.log(tiny), -np.log(np.log(2)), -np.log(-np.log(tiny)), -np.log(np.log(2))]
    np.testing.assert_allclose(found, expected, rtol=1e-5)

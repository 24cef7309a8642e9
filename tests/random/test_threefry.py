"""The unrolled generator gives the bits of jax's own threefry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.random.threefry import _row_major, as_key

SHAPES = [(), (1,), (7,), (3, 5), (0,), (2, 0, 3), (64, 33)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.uint16, jnp.uint32])
def test_bits_equal_jax(shape, dtype):
    key = jax.random.key(20)
    np.testing.assert_array_equal(
        jax.random.bits(key, shape, dtype), jax.random.bits(as_key(key), shape, dtype)
    )


def test_bits_equal_jax_64():
    with jax.enable_x64(True):
        key = jax.random.key(2**41 + 3)
        ours = jax.random.bits(as_key(2**41 + 3), (11, 4), jnp.uint64)
        np.testing.assert_array_equal(jax.random.bits(key, (11, 4), jnp.uint64), ours)


@pytest.mark.parametrize("shape", [(), (4,), (3, 2)])
def test_split_and_fold_in_equal_jax(shape):
    key = jax.random.key(3)
    data = jax.random.key_data
    ours = as_key(key)
    np.testing.assert_array_equal(
        data(jax.random.split(key, shape)), data(jax.random.split(ours, shape))
    )
    for number in (0, 1, 2**31, 2**32 - 1):
        number = np.uint32(number)
        np.testing.assert_array_equal(
            data(jax.random.fold_in(key, number)), data(jax.random.fold_in(ours, number))
        )


def test_every_jax_sampler_takes_the_key():
    key, ours = jax.random.key(5), as_key(5)
    for sampler in (jax.random.normal, jax.random.uniform, jax.random.exponential):
        np.testing.assert_array_equal(sampler(key, (9,)), sampler(ours, (9,)))
    np.testing.assert_array_equal(jax.random.permutation(key, 9), jax.random.permutation(ours, 9))
    batch = jax.vmap(lambda k: jax.random.gamma(k, 2.5))
    np.testing.assert_array_equal(batch(jax.random.split(key, 4)), batch(jax.random.split(ours, 4)))


def test_counters_beyond_32_bits():
    shape = (3, 70000, 70001)
    rows = np.random.default_rng(0).integers(0, shape, (200, 3))
    high, low = _row_major([jnp.asarray(column, jnp.uint32) for column in rows.T], shape)
    expected = [int(np.ravel_multi_index(row, shape)) for row in rows]
    assert max(expected) > 2**32
    assert [(int(h) << 32) | int(w) for h, w in zip(high, low, strict=True)] == expected


@pytest.mark.parametrize(
    "key",
    [1.5, True, -1, 2**64, "0", None, np.zeros(2, np.uint32), jax.random.split(jax.random.key(0))],
)
def test_bad_keys_are_refused(key):
    with pytest.raises(ValueError, match=r"^key.*pass an int such as key=0"):
        as_key(key)


def test_foreign_generator_is_named():
    with pytest.raises(ValueError, match="rbg"):
        as_key(jax.random.key(0, impl="rbg"))


def test_no_two_purposes_share_a_stream():
    assert len({int(purpose) for purpose in cj.Purpose}) == len(cj.Purpose)
    assert all(0 <= purpose < 64 for purpose in cj.Purpose)
    assert cj.Purpose(63).name == "COMPONENT_COUNTS"  # of normal mixtures

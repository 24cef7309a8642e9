"""Random subsets: all equally likely, distinct, and of any size."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from collapse_jax.random.keys import Keys, Purpose, chain_key
from collapse_jax.random.subset import random_subset
from collapse_jax.random.threefry import as_key

FALSE_FAIL = 1e-9
DRAWS = 200_000


def subsets(total, size, capacity, draws=DRAWS):
    """[draw, capacity], with total and size traced as in a chain."""

    @jax.jit
    def draw(total, size):
        keys = jax.vmap(lambda c: chain_key(as_key(3), c))(jnp.arange(draws, dtype=jnp.uint32))
        return jax.vmap(
            lambda key: random_subset(Keys(key, jnp.int32(0)), Purpose.REUSE, total, size, capacity)
        )(keys)

    return np.asarray(draw(jnp.int32(total), jnp.int32(size)))


@pytest.mark.parametrize(
    ("total", "size", "capacity"),
    [(7, 2, 6), (7, 3, 6), (7, 4, 6), (7, 6, 6), (6, 3, 6), (4, 2, 2), (6, 3, 3), (7, 3, 3)],
)
def test_every_subset_is_equally_likely(total, size, capacity):
    """With few cells for the slots, candidates are often refused and rounds often repeated."""
    chosen = subsets(total, size, capacity)[:, :size]
    code = np.sum(1 << chosen, axis=1)
    expected = [sum(1 << k for k in one) for one in itertools.combinations(range(total), size)]
    values, counts = np.unique(code, return_counts=True)
    assert sorted(expected) == values.tolist()
    assert stats.chisquare(counts).pvalue > FALSE_FAIL


@pytest.mark.parametrize("total", [1, 2, 5])
def test_no_slot_and_all_slots(total):
    everything = subsets(total, total, 5, 1000)
    assert np.all(everything[:, :total] == np.arange(total))
    nothing = subsets(total, 0, 5, 1000)
    assert np.all((nothing >= 0) & (nothing < total))


@pytest.mark.parametrize(("total", "size"), [(2**31 - 2, 300), (601, 300), (599, 300), (301, 300)])
def test_slots_differ(total, size):
    chosen = subsets(total, size, 320, 2000)
    assert np.all(np.diff(np.sort(chosen[:, :size], axis=1).astype(np.int64), axis=1) > 0)
    assert np.all((chosen >= 0) & (chosen < total))
    places = chosen[:, :size].astype(np.float64)
    variance = (total**2 - 1) / 12 * (total - size) / (total - 1) / size
    gap = (places.mean(axis=1) - (total - 1) / 2) / np.sqrt(variance)
    assert abs(gap.mean()) < 6.2 / np.sqrt(len(gap))
    assert abs(gap.std() - 1) < 6.2 / np.sqrt(2 * len(gap))

"""Quantiles are those of sorted numbers, whatever their number, kind, order and ties."""

import numpy as np
import pytest

from collapse_jax.results.quantiles import quantiles

LEVELS = (0.0, 0.05, 0.5, 0.95, 1.0, 0.123456)


def exact(row, level):
    ordered = np.sort(row[~np.isnan(row)])
    if len(ordered) == 0:
        return np.nan
    position = level * (len(ordered) - 1)
    low, high = ordered[int(np.floor(position))], ordered[int(np.ceil(position))]
    if low == high or np.isinf(low):
        return low
    return high if np.isinf(high) else low + position % 1 * (high - low)


def with_infinities(rng, shape):
    values = rng.normal(size=shape)
    values[rng.random(shape) < 0.3] = np.inf
    values[rng.random(shape) < 0.1] = -np.inf
    return values


def with_nan(rng, shape):
    values = rng.normal(size=shape)
    values[rng.random(shape) < 0.3] = np.nan
    values[0] = np.nan
    return values


KINDS = {
    "floats": lambda rng, shape: rng.normal(size=shape).astype(np.float32),
    "doubles": lambda rng, shape: rng.normal(size=shape),
    "few integers": lambda rng, shape: rng.integers(0, 5, shape).astype(np.int32),
    "rising": lambda rng, shape: np.sort(rng.normal(size=shape), axis=-1),
    "booleans": lambda rng, shape: rng.random(shape) < 0.3,
    "infinite": with_infinities,
    "missing": with_nan,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 2, 5, 511, 513, 1537, 2048, 2049, 10_001, 16_384])
def test_quantiles_are_those_of_sorted_numbers(number, kind):
    values = KINDS[kind](np.random.default_rng(number), (5, number))
    found = quantiles(values, LEVELS, axis=1)
    wanted = [[exact(row.astype(np.float64), level) for row in values] for level in LEVELS]
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


def test_other_axes_keep_their_places():
    values = np.random.default_rng(0).normal(size=(3, 4000, 2))
    found = quantiles(values, (0.25, 0.5), axis=1)
    np.testing.assert_allclose(found, np.quantile(values, (0.25, 0.5), axis=1), rtol=1e-13)

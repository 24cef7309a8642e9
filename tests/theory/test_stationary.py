"""Stationary moments are those that the recursion reaches."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.theory.gaussian_accumulation import fresh_share_moments, stationary_fresh_moments


@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("allocation", ["fixed", "multinomial"])
@pytest.mark.parametrize(("size", "share", "bias"), [(2, 0.5, 1.0), (50, 0.1, 0.8), (1000, 1.0, 1)])
def test_the_fixed_point_is_reached(estimator, allocation, size, share, bias):
    arguments = (share, estimator, allocation, bias)
    found = fresh_share_moments([size] * 2000, *arguments)
    expected = stationary_fresh_moments(size, *arguments)
    assert found.variance[-1] == pytest.approx(expected.variance, rel=1e-9)
    assert found.squared_error[-1] == pytest.approx(expected.squared_error, rel=1e-9)


def test_variances_that_grow_for_ever_are_infinite():
    assert np.all(np.isinf(stationary_fresh_moments(100, 0.01, "unbiased", "fixed", 1.5)))


@pytest.mark.parametrize(
    "arguments",
    [
        (1, 0.1, "mle"),
        (100, 0.0, "mle"),
        (100, 1.1, "mle"),
        (100, 0.1, "ml"),
        (100, 0.1, "mle", "x"),
    ],
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(cj.ArgumentError):
        stationary_fresh_moments(*arguments)

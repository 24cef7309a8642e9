"""Long chains stay finite and right: minutes, so run by `make verify`, not by `make test`."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.theory import gaussian as theory

pytestmark = pytest.mark.slow


def test_ten_thousand_chains_of_a_hundred_thousand_generations():
    generations, size = 100_000, 10
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(size))
    records = cj.simulate(
        chain, key=0, num_chains=10_000, num_generations=generations, every=generations
    )
    sizes = np.full(generations + 1, size)
    expected = theory.expected_log_variance(sizes, "unbiased")[-1]
    found = 2 * records["log_std"][-1].astype(np.float64)
    assert np.all(records["status"] == 0)
    assert np.all(np.isfinite(found))
    assert np.all(np.isfinite(records["mean"]))
    assert abs(found.mean() / expected - 1) < 1e-3
    spread = theory.variance_of_log_variance(sizes)[-1]
    assert abs(found.mean() - expected) < 6 * np.sqrt(spread / len(found))

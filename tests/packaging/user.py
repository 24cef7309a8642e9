"""Use the installed package as a typed program does; pyright reads the file, then it runs."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray
from jaxtyping import Array

import collapse_jax as cj
from collapse_jax.experiments import EXPERIMENTS, AbstractExperiment
from collapse_jax.testing import assert_mean, check_source
from collapse_jax.theory import gaussian


def small_rows(rows: Array) -> Array:
    """Accept rows near the origin."""
    return abs(rows[:, 0]) < 3


def heavy_tails(key: Any, num_rows: int) -> Array:
    """Draw rows of Student's t."""
    return jax.random.t(key, 4.0, (num_rows, 1))


def chains() -> dict[str, cj.Chain]:
    """Make one chain for each kind of policy, on sources of several kinds."""
    gaussian_family = cj.Gaussian(dim=1, estimator="mle")
    normal = cj.Normal(mean=0.0, covariance=1.0)
    words = cj.Empirical.words("a rose is a rose is a rose")
    policies: dict[str, cj.AbstractPolicy] = {
        "replace": cj.Replace(num_samples=100, verifier=small_rows),
        "mixing": cj.Mixing(100, beta=0.1, gamma=[0.1, 0.2], previous="distribution"),
        "accumulate": cj.Accumulate([100, 50, 50]),
        "subsample": cj.AccumulateSubsample(100),
        "fresh": cj.Fresh(90, num_original=10),
    }
    made = {name: cj.Chain(gaussian_family, normal, policy) for name, policy in policies.items()}
    made["words"] = cj.Chain(cj.Discrete(smoothing=1.0), words, cj.Replace())
    heavy = cj.Sampler(heavy_tails, dim=1)
    made["heavy"] = cj.Chain(cj.Gaussian(dim=1), heavy, cj.Replace(100))
    return made


def spread(records: cj.Records) -> np.ndarray:
    """Return the mean of ln sigma by generation."""
    return np.mean(records["log_std"], axis=1)


def main(folder: Path) -> None:
    """Simulate, save, load, and compare with theory."""
    chain = chains()["fresh"]
    records: cj.Records = cj.simulate(chain, key=0, num_chains=64, num_generations=2)
    path: Path = records.save(folder / "run")
    again = cj.Records.load(path)
    assert np.array_equal(spread(again), spread(records))
    theory: xarray.Dataset = again.theory
    exact: np.ndarray = theory["variance"].values
    assert exact.shape == (3,)
    comparison: cj.TheoryComparison = cj.compare_with_theory(records)
    largest: float = comparison.largest
    assert largest < 6
    rates: np.ndarray = gaussian.expected_log_variance([100, 100], "unbiased")
    assert rates[1] < rates[0] < 0
    rules: list[str] = check_source(cj.Normal(0.0, 1.0), num_rows=20)
    assert "randomness" in rules
    detected: float = assert_mean(np.random.default_rng(0).normal(size=10_000), 0.0)
    assert detected < 0.1
    experiment: AbstractExperiment = EXPERIMENTS["gaussian"].at_scale("smoke")
    assert experiment.topic == "gaussian"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        main(Path(name))

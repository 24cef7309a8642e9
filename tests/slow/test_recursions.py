"""Recursions of policies with original rows at a million chains, within 4 standard errors.

Five settings of each, at five generations. Seeds are fixed: a correct library passes all of them.
"""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.experiments.moment_metrics import SQUARED_ERROR, VARIANCE
from collapse_jax.theory import gaussian_accumulation, pools

pytestmark = pytest.mark.slow
CHAINS, G, EVERY = 1_000_000, 20, 5  # models 0, 5, 10, 15 and 20
RECORDED = np.arange(0, G + 1, EVERY)
ODD = [9, 3, 7, 1, 4, 6] * 3 + [2, 8, 5]


def largest(records, exact):
    """Return the largest distance from exact moments in standard errors."""
    names = {"squared_error": exact.squared_error, "fitted_variance": exact.variance}
    distances = []
    for name, curve in names.items():
        found = records[f"{name}_mean"] - curve[RECORDED]
        distances.append(found / (records[f"{name}_std"] / np.sqrt(CHAINS)))
    return np.max(np.abs(distances))


def run(policy, estimator="mle", bias=1.0):
    family = cj.Gaussian(1, estimator, sampling_bias=bias)
    return cj.simulate(
        cj.Chain(family, cj.Normal(0.0, 1.0), policy),
        key=3,
        num_chains=CHAINS,
        num_generations=G,
        every=EVERY,
        metrics=(SQUARED_ERROR, VARIANCE),
        reduce=cj.Reduce(quantiles=()),
    )


@pytest.mark.parametrize(
    ("made", "original", "estimator", "bias"),
    [
        (15, 5, "mle", 1.0),
        (2, 18, "mle", 1.0),
        (1, 1, "mle", 1.0),
        (90, 10, "unbiased", 1.0),
        (ODD, ODD[::-1], "unbiased", 0.9),
    ],
)
def test_pools(made, original, estimator, bias):
    records = run(cj.Accumulate(made, original), estimator, bias)
    sizes = np.broadcast_to(made, G + 1)
    exact = pools.pooled_moments(sizes, original, estimator, bias)
    assert largest(records, exact) < 4


@pytest.mark.parametrize(
    ("made", "original", "weight", "estimator", "bias"),
    [
        (15, 5, 0.6, "mle", 1.0),
        (5, 15, 0.2, "mle", 1.0),
        (2, 2, 0.618, "mle", 1.0),
        (90, 10, 0.3, "unbiased", 1.0),
        (ODD, ODD[::-1], 0.5, "unbiased", 0.9),
    ],
)
def test_weights(made, original, weight, estimator, bias):
    records = run(cj.Fresh(made, original, weight=weight), estimator, bias)
    sizes = np.broadcast_to(made, G + 1)
    exact = gaussian_accumulation.weighted_fresh_moments(sizes, original, weight, estimator, bias)
    assert largest(records, exact) < 4


@pytest.mark.parametrize(
    ("size", "gamma", "true_pass", "false_pass"),
    [
        (20, 0.1, 0.9, 0.1),
        (20, 0.01, 1.0, 0.05),
        (4, 0.5, 0.3, 0.9),
        (100, 0.001, 0.5, 0.01),
        (50, 0.2, 0.7, 0.7),
    ],
)
def test_detectors(size, gamma, true_pass, false_pass):
    detector = cj.Detector(true_pass, false_pass)
    records = run(cj.Mixing(size, gamma=gamma, detector=detector))
    share = cj.theory.effective_share(gamma, true_pass, false_pass)
    sizes = np.full(G + 1, size)
    assert largest(records, gaussian_accumulation.fresh_share_moments(sizes, share, "mle")) < 4


@pytest.mark.parametrize(
    ("made", "original"), [(15, 5), (5, 15), (1, 1), (40, 2), (ODD, ODD[::-1])]
)
def test_frequencies_of_pools(made, original):
    law = np.array([0.6, 0.3, 0.1])
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Accumulate(made, original))
    records = cj.simulate(
        chain,
        key=4,
        num_chains=CHAINS,
        num_generations=G,
        every=EVERY,
        reduce=cj.Reduce(quantiles=()),
    )
    error = pools.pooled_error(np.broadcast_to(made, G + 1), original)[RECORDED]
    exact = np.sum(law * (1 - law)) * (1 - error)
    errors = records["heterozygosity_std"] / np.sqrt(CHAINS)
    assert np.max(np.abs(records["heterozygosity_mean"] - exact) / errors) < 4

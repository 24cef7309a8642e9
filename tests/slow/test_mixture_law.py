"""The law of a refitted mixture, against 2,000 chains of scikit-learn.

Overlapping clusters and a small corpus: estimates are biased, and the bias of every
generation adds to the last. Both programs start each fit from k-means and run EM to a
tolerance at which its remaining error is far below what is compared.
"""

import warnings

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

import collapse_jax as cj
from collapse_jax.testing import assert_same_law

REPETITIONS = 2000
SIZE, TOLERANCE = 200, 1e-6
SOURCE = cj.NormalMixture(
    [0.35, 0.65], [[-1.6, 0.0], [1.6, 0.5]], [np.eye(2), [[1.5, 0.4], [0.4, 0.7]]]
)
FALSE_FAIL = 1e-6 / 20  # of each of the twenty claims
NAMES = ("weight", "mean x", "mean y", "variance x", "covariance", "variance y", "other mean x")


def features(weights, means, covariances):
    """Of the component that is left of the other: [chain, quantity]."""
    left = np.argmin(means[..., 0], axis=-1)
    chains = np.arange(len(left))
    mean, covariance = means[chains, left], covariances[chains, left]
    return np.stack(
        [
            weights[chains, left],
            *mean.T,
            covariance[:, 0, 0],
            covariance[:, 0, 1],
            covariance[:, 1, 1],
            means[chains, 1 - left, 0],
        ],
        axis=-1,
    ).astype(float)


def scikit_learn():
    """Features of models 0 and 1 of every repetition."""
    rng = np.random.RandomState(0)
    found = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(REPETITIONS):
            component = rng.choice(2, SIZE, p=SOURCE.weights)
            rows = np.empty((SIZE, 2))
            for k in (0, 1):
                count = np.sum(component == k)
                law = SOURCE.means[k], SOURCE.covariances[k]
                rows[component == k] = rng.multivariate_normal(*law, size=count)
            for _ in (0, 1):
                model = GaussianMixture(
                    2, tol=TOLERANCE, max_iter=2000, reg_covar=0, random_state=rng
                ).fit(rows)
                found.append((model.weights_, model.means_, model.covariances_))
                rows = model.sample(SIZE)[0]
    parts = [np.stack(part) for part in zip(*found, strict=True)]
    return [features(*(part[g::2] for part in parts)) for g in (0, 1)]


def ours(family):
    records = cj.simulate(
        cj.Chain(family, SOURCE, cj.Replace(SIZE)),
        key=0,
        num_chains=10 * REPETITIONS,
        num_generations=1,
    )
    assert np.all(records["status"] == 0)
    return [
        features(records["weights"][g], records["means"][g], records["covariances"][g])
        for g in (0, 1)
    ]


@pytest.fixture(scope="module")
def peer():
    return scikit_learn()


def largest_bias_gap(found, peer):
    """Largest difference of two means, in standard errors."""
    gap = found.mean(axis=0) - peer.mean(axis=0)
    error = np.sqrt(found.var(axis=0) / len(found) + peer.var(axis=0) / len(peer))
    return np.max(np.abs(gap / error))


@pytest.mark.slow
def test_one_generation_has_the_bias_and_the_law_of_scikit_learn(peer):
    limit = norm.isf(FALSE_FAIL / (2 * len(NAMES)))
    found = ours(cj.GaussianMixture(2, 2, tolerance=TOLERANCE))
    for g in (0, 1):
        assert largest_bias_gap(found[g], peer[g]) < limit
        for place in range(len(NAMES)):
            assert_same_law(found[g][:, place], peer[g][:, place], false_fail=FALSE_FAIL)
    change = [one.mean(axis=0) for one in found]
    assert np.max(np.abs(change[1] - change[0])) > 0.01, "a bias large enough to be compared"


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        cj.GaussianMixture(2, 2, tolerance=1e-2),
        cj.GaussianMixture(2, 2, "diag", tolerance=TOLERANCE),
    ],
    ids=["stops early", "diagonal"],
)
def test_other_fits_are_told_apart(wrong, peer):
    found = ours(wrong)
    limit = norm.isf(FALSE_FAIL / (2 * len(NAMES)))
    assert max(largest_bias_gap(found[g], peer[g]) for g in (0, 1)) > limit

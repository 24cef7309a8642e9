"""Detectors of synthetic rows: against a program that filters row by row, and closed forms.

False-fail rate of an assertion 1e-9, as in test_chains.py.
"""

import functools

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config
from collapse_jax.testing import assert_same_law
from collapse_jax.theory import gaussian_accumulation

CHAINS, M, G = 20_000, 10, 4
GAMMA, TRUE, FALSE = 0.2, 0.8, 0.3
LAW = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
thorough, slow = pytest.mark.thorough, pytest.mark.slow


def passed_origins(rng):
    """Tell for each row that passes whether it is original, [chain, row]."""
    rows = rng.random((CHAINS, 30 * M)) < GAMMA
    passes = rng.random(rows.shape) < np.where(rows, TRUE, FALSE)
    order = np.argsort(~passes, axis=1, kind="stable")[:, :M]
    assert np.all(np.sum(passes, axis=1) >= M)
    return np.take_along_axis(rows, order, axis=1)


@functools.cache
def normal_twin():
    rng = np.random.default_rng(7)
    rows, found = rng.standard_normal((CHAINS, M)), []
    for g in range(G + 1):
        mean, std = rows.mean(axis=1, keepdims=True), rows.std(axis=1, keepdims=True)
        found.append((np.log(std[:, 0]), mean[:, 0]))
        if g < G:
            scores = rng.standard_normal((CHAINS, M))
            rows = np.where(passed_origins(rng), scores, mean + std * scores)
    return [np.stack(values) for values in zip(*found, strict=True)]


@functools.cache
def label_twin():
    rng = np.random.default_rng(8)
    rows, found = rng.choice(5, (CHAINS, M), p=LAW), []
    for g in range(G + 1):
        counts = np.stack([np.sum(rows == state, axis=1) for state in range(5)], axis=1)
        found.append((np.round(1 - np.sum((counts / M) ** 2, axis=1), 5), counts[:, 0] / M))
        if g < G:
            new = np.take_along_axis(rows, rng.integers(0, M, rows.shape), axis=1)
            fresh = rng.choice(5, rows.shape, p=LAW)
            rows = np.where(passed_origins(rng), fresh, new)
    return [np.stack(values) for values in zip(*found, strict=True)]


def policy_of(detector=None, **more):
    return cj.Mixing(M, gamma=GAMMA, detector=detector or cj.Detector(TRUE, FALSE), **more)


def spread_and_mean(policy, corpus="moments"):
    chain = cj.Chain(cj.Gaussian(1, "mle", corpus=corpus), cj.Normal(0.0, 1.0), policy)
    records = cj.simulate(chain, key=1, num_chains=CHAINS, num_generations=G)
    return records["log_std"].astype(np.float64), records["mean"][:, :, 0].astype(np.float64)


def diversity_and_share(policy, corpus):
    chain = cj.Chain(cj.Discrete(corpus=corpus), cj.Categorical(LAW), policy)
    metrics = ("probabilities",)
    records = cj.simulate(chain, key=1, num_chains=CHAINS, num_generations=G, metrics=metrics)
    share = np.round(records["probabilities"][:, :, 0].astype(np.float64), 5)
    return np.round(records["heterozygosity"].astype(np.float64), 5), share


def assert_one_law(one, other):
    for first, second in zip(one, other, strict=True):
        for g in range(1, G + 1):
            assert_same_law(first[g], second[g])


@pytest.mark.parametrize("corpus", ["moments", pytest.param("samples", marks=thorough)])
def test_normal_chains_as_in_a_program_that_filters_rows(corpus):
    assert_one_law(spread_and_mean(policy_of(), corpus), normal_twin())


@pytest.mark.parametrize(
    "corpus", [pytest.param("counts", marks=thorough), pytest.param("samples", marks=slow)]
)
def test_frequencies_as_in_a_program_that_filters_rows(corpus):
    assert_one_law(diversity_and_share(policy_of(), corpus), label_twin())


@config
class ExchangesProbabilities(cj.Detector):
    def effective_share(self, gamma):
        return gamma * self.false_pass / (gamma * self.false_pass + (1 - gamma) * self.true_pass)


@config
class PassesSyntheticRows(cj.Detector):
    def effective_share(self, gamma):
        return gamma * self.true_pass / (gamma * self.true_pass + (1 - gamma))


@config
class IsNotNormalised(cj.Detector):
    def effective_share(self, gamma):
        return gamma * self.true_pass


@config
class IsIgnored(cj.Detector):
    def effective_share(self, gamma):
        return gamma


@config
class MultipliesOdds(cj.Detector):
    def effective_share(self, gamma):
        return gamma * self.true_pass / self.false_pass


FAULTS = (
    ExchangesProbabilities,
    PassesSyntheticRows,
    IsNotNormalised,
    IsIgnored,
    MultipliesOdds,
)


@thorough
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_faults_of_detectors_are_caught(fault):
    found = spread_and_mean(policy_of(fault(TRUE, FALSE)))
    with pytest.raises(AssertionError, match="distribution functions"):
        assert_one_law(found, normal_twin())


def test_shares_behind_a_detector_are_those_of_theory():
    gammas = np.linspace(0, 1, 5)
    for detector in (cj.Detector(0.9, 0.1), cj.Detector(0.3, 1.0), cj.Detector(1.0, 1.0)):
        exact = cj.theory.effective_share(gammas, detector.true_pass, detector.false_pass)
        assert np.allclose(detector.effective_share(gammas), exact)
        policy = cj.Mixing(M, gamma=gammas, detector=detector)
        assert np.allclose(policy.fresh_share(5).shares, exact)
        for g in range(1, 6):
            assert np.allclose(policy.shares(np.int32(g)), (1 - exact[g - 1], 0, exact[g - 1]))


def test_curves_are_those_of_the_effective_share():
    chain = cj.Chain(cj.Gaussian(1, "mle"), cj.Normal(0.0, 1.0), policy_of())
    records = cj.simulate(chain, key=0, num_chains=2, num_generations=G)
    share = cj.theory.effective_share(GAMMA, TRUE, FALSE)
    exact = gaussian_accumulation.fresh_share_moments([M] * (G + 1), share, "mle")
    assert np.allclose(records.theory["variance"], exact.variance)


@pytest.mark.parametrize("size", [M, pytest.param([M, 12, 8, 9, 10], marks=thorough)])
def test_a_detector_is_a_share(size):
    """Chains with a detector have the bits of chains with the effective share."""
    share = float(cj.theory.effective_share(0.25, 0.75, 0.25))  # one half, in float32 too
    runs = []
    for policy in (
        cj.Mixing(size, gamma=0.25, detector=cj.Detector(0.75, 0.25)),
        cj.Mixing(size, gamma=share),
    ):
        chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), policy)
        runs.append(cj.simulate(chain, key=0, num_chains=50, num_generations=G))
    assert np.array_equal(runs[0]["mean"], runs[1]["mean"])


@thorough
def test_rows_of_the_first_corpus_pass_the_detector():
    policy = policy_of(original="data")
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), policy)
    records = cj.simulate(chain, key=0, num_chains=2000, num_generations=1, metrics=["samples"])
    rows = records["samples"][..., 0]
    gaps = np.min(np.abs(rows[0][:, :, None] - rows[1][:, None, :]), axis=1)
    kept = np.sum(gaps < 1e-5, axis=1)  # rows are rounded in their frame
    share = float(cj.theory.effective_share(GAMMA, TRUE, FALSE))
    assert abs(kept.mean() - M * share) < 5 * np.sqrt(M * share / 2000)


def test_how_good_a_detector_must_be():
    gammas, target = np.array([0.01, 0.1, 0.6, 1.0]), 0.5
    worst = cj.theory.detection.largest_false_pass(gammas, 0.9, target)
    shares = cj.theory.effective_share(gammas, 0.9, worst)
    assert np.allclose(shares[:2], target)
    assert worst[2:].tolist() == [1.0, 1.0]
    assert cj.theory.detection.largest_false_pass(0.5, 0.9, 1.0) == 0

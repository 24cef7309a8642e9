"""Pools with new original rows: against programs that keep every row, and against closed forms.

Faults are planted in subclasses of the policies, and each is told apart from the right policy.
False-fail rate of an assertion 1e-9, as in test_chains.py.
"""

import functools

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config
from collapse_jax.policies.original_rows import added, pool_size, with_new_rows
from collapse_jax.random.keys import Purpose
from collapse_jax.testing import assert_mean, assert_same_law
from collapse_jax.theory import pools

CHAINS, G = 20_000, 4
MADE, ORIGINAL = [6, 4, 7, 3, 5], [3, 5, 0, 4, 2]
LAW = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
thorough, slow = pytest.mark.thorough, pytest.mark.slow


def assert_one_law(one, other):
    """One law of each variable in each generation, and of its sum over generations."""
    for first, second in zip(one, other, strict=True):
        for g in range(1, G + 1):
            assert_same_law(first[g], second[g])
        assert_same_law(np.round(first.sum(axis=0), 4), np.round(second.sum(axis=0), 4))


# Programs that keep every row, in NumPy.


def subset_of(rng, rows, size):
    """A random subset of the rows of every chain, without replacement."""
    order = np.argsort(rng.random(rows.shape), axis=1)[:, :size]
    return np.take_along_axis(rows, order, axis=1)


def rows_of_pool(rng, source, fit, draw, *, is_subset):
    """Models of generations 0 .. G fitted to the pool, or to a subset of it, [chain, row] each."""
    pool = source(rng, MADE[0] + ORIGINAL[0])
    models = [fit(pool)]
    for made, original in zip(MADE[1:], ORIGINAL[1:], strict=True):
        pool = np.concatenate([pool, draw(rng, models[-1], made), source(rng, original)], axis=1)
        models.append(fit(subset_of(rng, pool, made + original) if is_subset else pool))
    return models


@functools.cache
def normal_twin(is_subset):
    def source(rng, size):
        return rng.standard_normal((CHAINS, size))

    def fit(rows):
        return rows.mean(axis=1, keepdims=True), rows.std(axis=1, keepdims=True)

    def draw(rng, model, size):
        return model[0] + model[1] * source(rng, size)

    rng = np.random.default_rng(3)
    models = rows_of_pool(rng, source, fit, draw, is_subset=is_subset)
    stds = np.stack([np.log(std[:, 0]) for _, std in models])
    return stds, np.stack([mean[:, 0] for mean, _ in models])


@functools.cache
def label_twin(is_subset):
    def source(rng, size):
        return rng.choice(len(LAW), (CHAINS, size), p=LAW)

    def draw(rng, law, size):
        below = rng.random((CHAINS, size, 1)) > np.cumsum(law, axis=1)[:, None, :-1]
        return below.sum(axis=2)

    def fit(rows):
        return np.stack([np.mean(rows == state, axis=1) for state in range(len(LAW))], axis=1)

    rng = np.random.default_rng(4)
    laws = np.stack(rows_of_pool(rng, source, fit, draw, is_subset=is_subset))
    return np.round(1 - np.sum(laws**2, axis=2), 5), np.round(laws[:, :, 0], 5)


def gaussian(policy, corpus, estimator="mle", **options):
    family = cj.Gaussian(1, estimator, corpus=corpus, **options)
    chain = cj.Chain(family, cj.Normal(0.0, 1.0), policy)
    return cj.simulate(chain, key=1, num_chains=CHAINS, num_generations=G)


def discrete(policy, corpus, chains=CHAINS, metrics=()):
    chain = cj.Chain(cj.Discrete(corpus=corpus), cj.Categorical(LAW), policy)
    return cj.simulate(chain, key=1, num_chains=chains, num_generations=G, metrics=metrics)


def spread_and_mean(policy, corpus):
    records = gaussian(policy, corpus)
    return records["log_std"].astype(np.float64), records["mean"][:, :, 0].astype(np.float64)


def diversity_and_share(policy, corpus):
    records = discrete(policy, corpus, metrics=("probabilities",))
    share = records["probabilities"][:, :, 0].astype(np.float64)
    return np.round(records["heterozygosity"].astype(np.float64), 5), np.round(share, 5)


POOL, SUBSET = cj.Accumulate(MADE, ORIGINAL), cj.AccumulateSubsample(MADE, ORIGINAL)


@pytest.mark.parametrize(
    ("policy", "corpus"),
    [
        (POOL, "moments"),
        pytest.param(POOL, "samples", marks=thorough),
        pytest.param(SUBSET, "samples", marks=thorough),
    ],
)
def test_normal_chains_as_in_a_program_that_keeps_rows(policy, corpus):
    assert_one_law(spread_and_mean(policy, corpus), normal_twin(policy is SUBSET))


@pytest.mark.parametrize(
    ("policy", "corpus"),
    [
        pytest.param(POOL, "counts", marks=thorough),
        pytest.param(POOL, "samples", marks=slow),
        (SUBSET, "counts"),
        pytest.param(SUBSET, "samples", marks=thorough),
    ],
)
def test_frequencies_as_in_a_program_that_keeps_rows(policy, corpus):
    assert_one_law(diversity_and_share(policy, corpus), label_twin(policy is SUBSET))


# Planted faults


@config
class CountsOriginalRowsTwice(cj.Accumulate):
    def next(self, step):
        pool, memory = super().next(step)
        size = pool_size(self, step.generation + 1)
        more = step.original(self.num_original[1], self.num_original[1])
        return pool.merge(more, size), memory


@config
class MovesTheModel(cj.Accumulate):
    def next(self, step):
        size = pool_size(self, step.generation)
        original = step.original(added(self.num_samples, self.num_original)[1], 9)
        return step.corpus.of_size(size).merge(original, size), step.memory


@config
class AddsNoOriginalRow(cj.Accumulate):
    def next(self, step):
        size = pool_size(self, step.generation)
        made = step.model(9, 9)
        return step.corpus.of_size(size).merge(made, size), step.memory


@config
class ExchangesThem(cj.Accumulate):
    def next(self, step):
        size = pool_size(self, step.generation)
        pool = step.corpus.of_size(size).merge(step.model(5, 5), size)
        return pool.merge(step.original(4, 4), size + 5), step.memory


@config
class WeighsThePoolByAnotherSize(cj.Accumulate):
    def next(self, step):
        size = pool_size(self, step.generation - 1)
        return with_new_rows(self, step, step.corpus, size), step.memory


FAULTS = (
    CountsOriginalRowsTwice,
    MovesTheModel,
    AddsNoOriginalRow,
    ExchangesThem,
    WeighsThePoolByAnotherSize,
)


@thorough
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_faults_of_pools_are_caught(fault):
    """One generation is enough, in which 4 rows are the model's and 5 original."""
    family = cj.Gaussian(1, "mle", corpus="moments")
    chain = cj.Chain(family, cj.Normal(0.0, 1.0), fault(MADE, ORIGINAL))
    records = cj.simulate(chain, key=1, num_chains=4 * CHAINS, num_generations=G)
    found = (records["mean"][1:, :, 0].astype(np.float64) ** 2).mean(axis=1)
    exact = pools.pooled_error(MADE, ORIGINAL)[1:]
    errors = np.sqrt(2 / (4 * CHAINS)) * exact
    assert np.max(np.abs(found - exact) / errors) > 7


@config
class ChoosesAmongOldRows(cj.AccumulateSubsample):
    def next(self, step):
        size, capacity = self.size(step.generation), self.largest_size
        before = pool_size(self, step.generation)
        pool = with_new_rows(self, step, step.memory, before)
        chosen = step.memory.subsample(step.keys, Purpose.REUSE, size, capacity, before)
        return chosen.with_capacity(capacity), pool


@config
class ForgetsOriginalRows(cj.AccumulateSubsample):
    def next(self, step):
        corpus, pool = super().next(step)
        del pool
        before = pool_size(self, step.generation)
        return corpus, step.memory.merge(step.model(9, 9), before)


@config
class TakesTheNewestRows(cj.AccumulateSubsample):
    def next(self, step):
        size = self.size(step.generation)
        start = pool_size(self, step.generation)
        pool = with_new_rows(self, step, step.memory, start)
        newest = type(pool)(pool.counts - step.memory.counts)
        del size
        return newest, pool


@thorough
@pytest.mark.parametrize(
    "fault",
    [ChoosesAmongOldRows, ForgetsOriginalRows, TakesTheNewestRows],
    ids=lambda fault: fault.__name__,
)
def test_faults_of_subsets_are_caught(fault):
    found = diversity_and_share(fault(MADE, ORIGINAL), "counts")
    with pytest.raises(AssertionError, match="distribution functions"):
        assert_one_law(found, label_twin(True))


# Closed forms


@thorough
@pytest.mark.parametrize("estimator", ["mle", "unbiased"])
@pytest.mark.parametrize("bias", [1.0, 0.8])
def test_errors_of_pools_are_exact(estimator, bias):
    records = gaussian(POOL, "moments", estimator=estimator, sampling_bias=bias)
    exact = pools.pooled_moments(MADE, ORIGINAL, estimator, bias)
    for g in range(G + 1):
        assert_mean(records["mean"][g, :, 0].astype(np.float64) ** 2, exact.squared_error[g])
        assert_mean(np.exp(2 * records["log_std"][g].astype(np.float64)), exact.variance[g])
    assert np.allclose(records.theory["variance"], exact.variance)


@slow
def test_diversity_of_pools_is_exact():
    records = discrete(POOL, "counts")
    exact = np.sum(LAW * (1 - LAW)) * (1 - pools.pooled_error(MADE, ORIGINAL))
    for g in range(G + 1):
        assert_mean(records["heterozygosity"][g].astype(np.float64), exact[g])
    assert np.allclose(records.theory["heterozygosity"], exact)


def test_the_recursion_has_published_limits():
    """Slopes between generations 2e3 and 2e5, and the pool without original rows."""
    slopes = []
    for original in (2, 5, 10, 15, 18):
        error = pools.pooled_error(np.full(200_001, 20 - original), original)
        slopes.append(np.log(error[2000] / error[200_000]) / (2 * np.log(100)))
    assert np.round(slopes, 3).tolist() == [0.100, 0.248, 0.453, 0.499, 0.500]
    assert pools.pooled_error([15] * 21, 5)[[0, 1, 5, 20]].round(4).tolist() == [
        0.05, 0.0503, 0.0403, 0.0258
    ]  # fmt: skip


def test_without_the_model_a_pool_is_a_sample():
    error = pools.pooled_error([1] * 2000, 10**6)
    assert np.allclose(error * np.cumsum(np.full(2000, 10**6 + 1)), 1, rtol=1e-5)
    for estimator in ("mle", "unbiased"):
        moments = pools.pooled_moments([4] * 9, [6, 0, 3, 1, 2, 9, 0, 0, 5], estimator)
        same = pools.pooled_error([4] * 9, [6, 0, 3, 1, 2, 9, 0, 0, 5])
        assert np.allclose(moments.squared_error, same) == (estimator == "mle")


@thorough
@pytest.mark.parametrize("corpus", ["counts", "samples"])
def test_no_original_rows_change_nothing(corpus):
    """A schedule of zeros has the bits of the policy without original rows."""
    runs = [
        discrete(policy, corpus, chains=50)
        for policy in (cj.Accumulate(7), cj.Accumulate(7, [0] * (G + 1)))
    ]
    assert np.array_equal(*(run["heterozygosity"] for run in runs))


@thorough
def test_original_rows_of_finite_data_are_subsets():
    """All 10 rows in every generation: a pool of mostly original rows has their mean exactly."""
    data = np.arange(10.0)
    chain = cj.Chain(cj.Gaussian(1), cj.Empirical(data), cj.Accumulate([9, 1, 1], [1, 10, 10]))
    records = cj.simulate(chain, key=0, num_chains=4000, num_generations=2)
    assert np.allclose(records["mean"][0], 4.5)
    # The pool is 20 original rows and one of N(4.5, s^2): its mean moves by a normal number.
    moved = (records["mean"][1, :, 0].astype(np.float64) - 4.5) * 21 / np.std(data, ddof=1)
    assert_same_law(moved, np.random.default_rng(0).standard_normal(200_000))

"""`compare_with_theory` as a test of any chain: random configurations, and planted faults.

`largest` exceeds `threshold(false_alarm)` in a correct library with probability `false_alarm`,
whatever the family, policy, sizes and number of chains. The seeds are fixed, so that a test
that passes once always does.
"""

import numpy as np
import pytest

import collapse_jax as cj

FALSE_ALARM = 1e-4  # for all configurations of a test together
SIZES = (2, 3, 4, 6, 10, 30, 100, 1000, 10**5, 10**6)
ENOUGH = 64  # chains: fewer than some 35 could never differ from theory, and are not tested
CHAINS = (1, 2, 3, 17, 64, 300, 1000, 4096)
LAW = np.array([0.4, 0.3, 0.2, 0.0999, 1e-4])


def policy(rng, size):
    kind = rng.integers(5)
    if kind == 0:
        return cj.Accumulate(size)
    if kind == 1:
        return cj.Fresh(size, int(rng.integers(1, size + 1)))
    if kind == 2:
        allocation = str(rng.choice(["fixed", "multinomial"]))
        return cj.Mixing(size, gamma=float(rng.choice([0.0, 0.13, 0.5])), allocation=allocation)
    return cj.Replace(size)


def gaussian(rng, size):
    dim, estimator = int(rng.choice([1, 1, 3])), str(rng.choice(["mle", "unbiased"]))
    source = cj.Normal(float(rng.choice([0.0, 3.0])), 4.0)
    if dim == 3:
        source = cj.Normal([0.0, 1.0, -2.0], np.diag([1.0, 0.01, 9.0]) + 0.05)
    return cj.Chain(cj.Gaussian(dim, estimator), source, policy(rng, size))


def discrete(rng, size):
    data = np.repeat(np.arange(5), [1, 2, 4, 8, 16])
    if rng.integers(4) == 0:
        return cj.Chain(cj.Discrete(), cj.Empirical(data), cj.Replace(max(size, 31)))
    law = [LAW, np.full(40, 1 / 40), np.array([1.0])][rng.choice([0, 1, 2], p=[0.6, 0.35, 0.05])]
    return cj.Chain(cj.Discrete(), cj.Categorical(law), policy(rng, size))


def configuration(seed):
    """Return a chain, and arguments of `simulate`."""
    rng = np.random.default_rng(seed)
    chain = (gaussian, discrete)[rng.integers(2)](rng, int(rng.choice(SIZES)))
    last = int(rng.choice([0, 2, 20, 60]))
    if isinstance(chain.policy, cj.Accumulate) and chain.policy.num_samples > 10**5:
        last = min(last, 20)  # a pool has at most 2^31 rows
    reduce = cj.Reduce() if rng.integers(2) else None
    return chain, {
        "key": seed,
        "num_chains": int(rng.choice(CHAINS)),
        "num_generations": last,
        "every": max(1, last // 4),
        "reduce": reduce,
    }


def comparisons(seeds):
    return [(seed, _comparison(seed)) for seed in seeds]


def _comparison(seed):
    chain, arguments = configuration(seed)
    return cj.compare_with_theory(cj.simulate(chain, **arguments))


def check(seeds):
    """Return how many rows were tested, and how many there are, where chains are enough."""
    found = comparisons(seeds)
    for seed, comparison in found:
        limit = comparison.threshold(FALSE_ALARM / len(seeds))
        assert not comparison.largest > limit, f"seed {seed}: {configuration(seed)}\n{comparison}"
        for row in comparison:
            assert bool(row.note) == bool(np.isnan(row.standardized))
            assert row.note or row.low <= row.simulated <= row.high
    enough = [one for seed, one in found if configuration(seed)[1]["num_chains"] >= ENOUGH]
    return sum(len(one.tested) for one in enough), sum(len(one) for one in enough)


def test_a_few_configurations():
    tested, all_rows = check(range(8, 12))
    assert tested > all_rows / 2


@pytest.mark.thorough
@pytest.mark.parametrize("begin", range(0, 60, 10))
def test_sixty_configurations(begin):
    tested, all_rows = check(range(begin, begin + 10))
    assert tested > all_rows / 2


@pytest.mark.parametrize("reduce", [None, cj.Reduce(quantiles=())])
def test_infinite_values(reduce):
    # Two rows in three dimensions have a singular covariance.
    chain = cj.Chain(cj.Gaussian(3), cj.Normal(np.zeros(3), np.eye(3)), cj.Replace(2))
    records = cj.simulate(chain, key=0, num_chains=300, num_generations=3, reduce=reduce)
    found = cj.compare_with_theory(records)
    rows = [row for row in found if row.quantity == "log_det_covariance"]
    assert [row.simulated for row in rows] == [row.exact for row in rows] == [-np.inf] * 4
    assert [row.standardized for row in rows] == [0.0] * 4
    assert found.largest < found.threshold(FALSE_ALARM)


def test_frozen_chains_are_left_out_and_counted():
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Replace(10))
    records = cj.simulate(chain, key=0, num_chains=300, num_generations=3)
    dataset = records.dataset.copy(deep=True)
    dataset["status"].values[2:, :7] = int(cj.Status.DEGENERATE)
    dataset["support_size"].values[2:, :7] = 99  # integers cannot be NaN
    frozen = cj.Records(dataset, records.config, {}, None, records.theory)
    rows = cj.compare_with_theory(frozen)
    assert {row.num_chains for row in rows if row.generation < 2} == {300}
    later = [row for row in rows if row.generation >= 2]
    assert {row.num_chains for row in later} == {293}
    assert {row.note for row in later} == {"7 of 300 chains are frozen"}
    assert all(row.simulated < 6 for row in rows)
    assert "not tested  (7 of 300 chains are frozen)" in str(rows)
    assert rows.largest == rows.tested.largest > 0


def test_one_chain_is_not_tested():
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Replace(10))
    rows = cj.compare_with_theory(cj.simulate(chain, key=0, num_chains=1, num_generations=3))
    assert {row.note for row in rows} == {"a single chain"}
    assert rows.tested == ()
    assert np.isnan(rows.largest)
    with pytest.raises(cj.ArgumentError, match=r"false_alarm=2\.0 is not allowed"):
        rows.threshold(2)


FAULTS = {
    "more rows": (
        cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(20)),
        cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(22)),
    ),
    "another estimator": (
        cj.Chain(cj.Gaussian(1, "mle"), cj.Normal(0.0, 1.0), cj.Replace(20)),
        cj.Chain(cj.Gaussian(1, "unbiased"), cj.Normal(0.0, 1.0), cj.Replace(20)),
    ),
    "more rows of states": (
        cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Replace(50)),
        cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Replace(55)),
    ),
    "another share": (
        cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(50, gamma=0.2)),
        cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(50, gamma=0.25)),
    ),
}


@pytest.mark.parametrize("is_reduced", [False, True])
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.thorough] * (name != "more rows")) for name in FAULTS],
)
def test_planted_faults_are_found(name, is_reduced):
    simulated, theory = FAULTS[name]
    arguments = {"key": 1, "num_chains": 4096, "num_generations": 30}
    records = cj.simulate(simulated, reduce=cj.Reduce() if is_reduced else None, **arguments)
    other = cj.simulate(theory, **arguments | {"num_chains": 1}).theory
    wrong = cj.Records(records.dataset, records.config, {}, None, other)
    right, wrong = cj.compare_with_theory(records), cj.compare_with_theory(wrong)
    assert right.largest < right.threshold(FALSE_ALARM)
    assert wrong.largest > wrong.threshold(FALSE_ALARM)

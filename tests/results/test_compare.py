"""`records.theory` and `compare_with_theory`."""

import numpy as np
import pytest

import collapse_jax as cj

DATA = np.repeat(np.arange(8), np.arange(1, 9))
NORMAL, LAW = cj.Normal(1.0, 4.0), cj.Categorical(np.full(30, 1 / 30))
CHAINS = {
    "replace": cj.Chain(cj.Gaussian(1, "mle", sampling_bias=0.9), NORMAL, cj.Replace(20)),
    "three dimensions": cj.Chain(
        cj.Gaussian(3),
        cj.Normal([1.0, 2.0, 3.0], np.eye(3) + 0.3),
        cj.Replace([20, 30, 20, 30, 20, 30, 9]),
    ),
    "accumulate": cj.Chain(cj.Gaussian(1), NORMAL, cj.Accumulate(20)),
    "fresh": cj.Chain(cj.Gaussian(1), NORMAL, cj.Fresh(20, 5)),
    "mixing": cj.Chain(cj.Gaussian(1), NORMAL, cj.Mixing(20, gamma=0.13, allocation="fixed")),
    "states": cj.Chain(cj.Discrete(), LAW, cj.Replace(40)),
    "data": cj.Chain(cj.Discrete(), cj.Empirical(DATA), cj.Mixing(36, gamma=0.2)),
    "data accumulate": cj.Chain(cj.Discrete(), cj.Empirical(DATA), cj.Accumulate(36)),
    "states fresh": cj.Chain(cj.Discrete(), LAW, cj.Fresh(40, 7)),
}
UNKNOWN = {
    "reused": cj.Chain(cj.Gaussian(1), NORMAL, cj.Mixing(20, beta=0.2)),
    "kept": cj.Chain(cj.Gaussian(1), NORMAL, cj.Mixing(20, gamma=0.2, original="data")),
    "verified": cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace(20, verifier=lambda x: x[:, 0] < 9)),
    "smoothed": cj.Chain(cj.Discrete(smoothing=1.0), LAW, cj.Replace(20)),
    "tempered": cj.Chain(cj.Discrete(temperature=0.9), LAW, cj.Replace(20)),
    "subset": cj.Chain(cj.Discrete(), cj.Empirical(DATA), cj.Replace(20)),
    "not normal": cj.Chain(
        cj.Gaussian(1), cj.NormalMixture([0.5, 0.5], [0.0, 1.0], [1.0, 1.0]), cj.Replace(20)
    ),
}


def run(chain, **arguments):
    given = {"key": 3, "num_chains": 4000, "num_generations": 6} | arguments
    return cj.simulate(chain, **given)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] * (name == "states fresh"))
        for name in CHAINS
    ],
)
def test_simulation_and_theory_agree(name):
    records = run(CHAINS[name])
    table = cj.compare_with_theory(records)
    # One seed for every machine; 6 standard errors are far in the tail of some 50 rows.
    assert table.largest < 6
    assert {row.generation for row in table} == {0, 1, 2, 4, 5, 6}
    assert all(row.low <= row.simulated <= row.high for row in table)
    for curve in records.theory.values():
        assert curve.dims[0] == "generation"
        assert len(curve.values) == 7
    assert len(str(table).splitlines()) == len(table) + 1


def test_a_wrong_chain_is_seen():
    right, wrong = run(CHAINS["replace"]), cj.Gaussian(1, "unbiased", sampling_bias=0.9)
    records = run(cj.Chain(wrong, NORMAL, cj.Replace(20)))
    swapped = cj.Records(records.dataset, records.config, {}, None, right.theory)
    assert cj.compare_with_theory(swapped).largest > 20


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] * (name not in ("reused", "verified")))
        for name in UNKNOWN
    ],
)
def test_nothing_is_claimed_of_other_chains(name):
    records = run(UNKNOWN[name], num_chains=4, num_generations=1)
    assert records.theory.data_vars.keys() == set()
    with pytest.raises(ValueError, match="no recorded variable has a known expectation"):
        cj.compare_with_theory(records)


def test_reduced_saved_joined_and_swept(tmp_path):
    chain = CHAINS["replace"]
    reduced = cj.compare_with_theory(run(chain, reduce=cj.Reduce()), [0, 3])
    assert {row.quantity for row in reduced} >= {"log_std", "mean[0]", "wasserstein2_squared"}
    assert reduced.largest < 6
    first, second = run(chain), run(chain, first_chain=4000)
    path = first.save(tmp_path / "run")
    again = cj.compare_with_theory(cj.Records.load(path))
    assert again == cj.compare_with_theory(first)
    joined = cj.compare_with_theory(cj.Records.concatenate([first, second]))
    assert joined.largest < 6
    later = run(chain, num_generations=9, state=first.state)
    whole = cj.Records.concatenate([first, later])
    assert [len(curve.values) for curve in whole.theory.values()] == [10] * len(whole.theory)
    assert cj.compare_with_theory(whole).largest < 6
    grid = cj.sweep(
        chain, {"policy.num_samples": [5, 20]}, key=0, num_chains=4000, num_generations=3
    )
    assert grid.theory["log_std"].dims == ("generation", "num_samples")
    assert cj.compare_with_theory(grid).largest < 6


def test_generations_must_be_recorded():
    records = run(CHAINS["fresh"], num_chains=4, every=3)
    with pytest.raises(ValueError, match="generation 2 is not recorded"):
        cj.compare_with_theory(records, [0, 2])


@pytest.mark.parametrize("reduce", [None, cj.Reduce()])
def test_a_comparison_that_cannot_fail_is_not_made(reduce):
    records = run(CHAINS["replace"], num_chains=10, num_generations=1, reduce=reduce)
    table = cj.compare_with_theory(records)
    needed = int(2 * np.log(2 * len(table) / 1e-6)) + 1
    notes = {row.note for row in table if row.quantity in ("log_std", "mean[0]")}
    assert notes == {f"too few chains: 10, needs {needed}"}
    assert table.tested == ()
    assert not table.largest < table.threshold()
    assert f"not tested  (too few chains: 10, needs {needed})" in str(table)


def test_as_many_chains_as_are_needed_find_a_wrong_mean():
    records = run(CHAINS["replace"], num_chains=4, num_generations=1)
    needed = int(cj.compare_with_theory(records)[0].note.split()[-1])
    records = run(CHAINS["replace"], num_chains=needed, num_generations=1)
    records.theory["mean"][:] += 1000
    table = cj.compare_with_theory(records)
    assert table.largest > table.threshold(1e-6)
    with pytest.raises(cj.ArgumentError, match=r"false_alarm=1e-12.*simulate \d+ chains"):
        table.threshold(1e-12)


FAR = 1.7e9


def test_the_table_tells_means_far_from_zero_apart():
    records = run(cj.Chain(cj.Gaussian(1), cj.Normal(FAR, 1.0), cj.Replace(20)), num_chains=300)
    rows = [row for row in cj.compare_with_theory(records) if row.quantity == "mean[0]"]
    for row in rows:
        simulated, interval, exact = row.words()
        low, high = map(float, interval.split(" .. "))
        assert abs(float(simulated) - row.simulated) < (row.high - row.low) / 100
        assert low < float(simulated) < high
        assert (float(exact), exact) == (FAR, "1700000000")
    assert rows[0]._replace(simulated=0.0, low=0.0, high=0.5).words()[0] == "0"


@pytest.mark.parametrize("reduce", [None, cj.Reduce()])
@pytest.mark.parametrize("location", [1e16, 1e17])
def test_numbers_that_float64_rounds_are_no_difference(location, reduce):
    """Neighbouring numbers are 2 and 16 apart, and the chains' means vary by 0.7."""
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(location, 1.0), cj.Replace(2))
    table = cj.compare_with_theory(run(chain, num_generations=1, reduce=reduce))
    means = [row for row in table.tested if row.quantity.startswith("mean")]
    assert {row.quantity for row in means} >= {"mean[0]"}
    assert max(abs(row.standardized) for row in means) < 2


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_variances_that_overflow_are_no_difference():
    chain = cj.Chain(cj.Gaussian(1, sampling_bias=1e6), NORMAL, cj.Replace(100))
    records = run(chain, num_chains=64, num_generations=60)
    variance = records.theory["variance"].values
    assert np.all(np.diff(variance[:50]) > 0)
    assert variance[-1] == np.inf
    table = cj.compare_with_theory(records, [0, 5, 60])
    assert table.largest < table.threshold()

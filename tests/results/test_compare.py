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

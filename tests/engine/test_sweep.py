"""A grid of runs is those runs, with the grid's axes as dimensions."""

import jax
import numpy as np
import pytest

import collapse_jax as cj

CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(20))
RUN = {"key": 3, "num_chains": 70, "num_generations": 4, "every": 2}


@pytest.mark.thorough
def test_every_point_is_a_run_of_its_own():
    axes = {"policy.num_samples": [10, 20], "policy.gamma": [0.0, 0.3, 1.0]}
    records = cj.sweep(CHAIN, axes, **RUN)
    assert records.variables["log_std"].dims == ("generation", "chain", "num_samples", "gamma")
    assert records["mean"].shape == (3, 70, 1, 2, 3)
    assert records["num_samples"].tolist() == [10, 20]
    for k, size in enumerate((10, 20)):
        for j, gamma in enumerate((0.0, 0.3, 1.0)):
            chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(size, gamma=gamma))
            alone = cj.simulate(chain, **RUN)
            for name in alone.variables:
                np.testing.assert_array_equal(records[name][..., k, j], alone[name])
            np.testing.assert_array_equal(records["first_event"][:, k, j], alone["first_event"])
    assert records.dataset.sel(num_samples=20, gamma=0.3).log_std.shape == (3, 70)


@pytest.mark.thorough
def test_numbers_share_a_compilation():
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    )
    axes = {
        "policy.num_samples": [11, 12],
        "policy.gamma": np.linspace(0, 1, 5),
        "family.sampling_bias": [0.9, 1.0],
    }
    cj.sweep(CHAIN, axes, reduce=cj.Reduce(), **RUN)
    assert len(compiled) == 2


@pytest.mark.thorough
def test_a_failed_point_does_not_stop_the_others_and_runs_again_alone():
    axes = {"policy.beta": [0.0, 0.5], "policy.gamma": [0.1, 0.6]}
    with pytest.warns(RuntimeWarning, match=r"1 point .* policy.beta=0.5, policy.gamma=0.6"):
        records = cj.sweep(CHAIN, axes, **RUN)
    (failure,) = records.config["failures"]
    assert failure["point"] == [1, 1]
    assert "beta + gamma" in failure["error"]
    assert np.all(np.isnan(records["log_std"][..., 1, 1]))
    assert np.all(records["status"][..., 1, 1] == -1)
    assert np.all(np.isfinite(records["log_std"][..., 1, 0]))
    with pytest.warns(RuntimeWarning, match="1 point"):  # it fails again
        again = cj.sweep(CHAIN, axes, earlier=records, **RUN)
    np.testing.assert_array_equal(again["log_std"], records["log_std"])


def test_a_point_that_failed_for_want_of_memory_is_filled_in(monkeypatch):
    from collapse_jax.utils import memory

    axes = {"family.sampling_bias": [0.8, 1.0]}
    whole = cj.sweep(CHAIN, axes, **RUN)
    calls = []

    def refuse_second(needs):
        calls.append(needs)
        if len(calls) == 3:  # the first point, the grid, the second point
            raise ValueError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(memory, "check", refuse_second)
        with pytest.warns(RuntimeWarning, match="no room"):
            part = cj.sweep(CHAIN, axes, **RUN)
    assert np.all(np.isnan(part["log_std"][..., 1]))
    filled = cj.sweep(CHAIN, axes, earlier=part, **RUN)
    assert filled.config["failures"] == []
    for name in whole.variables:
        np.testing.assert_array_equal(filled[name], whole[name])


@pytest.mark.thorough
def test_policies_and_schedules_are_axes_too():
    policies = [cj.Replace(10), cj.AccumulateSubsample(10), cj.Fresh(5, 5)]
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), policies[0])
    records = cj.sweep(chain, {"policy": policies}, **RUN)
    assert records["log_std"].shape == (3, 70, 3)
    assert np.all(np.isfinite(records["log_std"]))
    assert "AccumulateSubsample" in records["policy"][1]
    sizes = [[10, 20, 30, 40, 50], 10]
    records = cj.sweep(chain, {"policy.num_samples": sizes}, **RUN)
    assert records["log_std"].shape == (3, 70, 2)


BAD = {
    "no axis": (lambda: cj.sweep(CHAIN, {}, **RUN), "axes="),
    "no values": (lambda: cj.sweep(CHAIN, {"policy.gamma": []}, **RUN), "axes.*gamma"),
    "a number for values": (lambda: cj.sweep(CHAIN, {"policy.gamma": 0.1}, **RUN), "axes.*gamma"),
    "text for values": (lambda: cj.sweep(CHAIN, {"policy.gamma": "0.1"}, **RUN), "axes.*gamma"),
    "no such setting": (lambda: cj.sweep(CHAIN, {"policy.delta": [1]}, **RUN), "policy.delta"),
    "no such part": (lambda: cj.sweep(CHAIN, {"polity.gamma": [1]}, **RUN), "polity"),
    "state": (lambda: cj.sweep(CHAIN, {"policy.gamma": [0]}, state=3, **RUN), "state="),
    "chain": (lambda: cj.sweep(3, {"policy.gamma": [0]}, **RUN), "chain=3"),
    "all fail": (lambda: cj.sweep(CHAIN, {"policy.gamma": [2.0, 3.0]}, **RUN), "every point"),
    "another grid": (
        lambda: cj.sweep(
            CHAIN, {"policy.gamma": [0.5]}, earlier=cj.sweep(CHAIN, {"policy.gamma": [0]}, **RUN),
            **RUN,
        ),
        "axes=",
    ),
    "nothing to run again": (
        lambda: cj.sweep(
            CHAIN, {"policy.gamma": [0]}, earlier=cj.sweep(CHAIN, {"policy.gamma": [0]}, **RUN),
            **RUN,
        ),
        "earlier=",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_grids_get_one_clear_line(name):
    call, expected = BAD[name]
    with pytest.raises(ValueError, match=expected) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.thorough
def test_points_of_another_shape_fail_with_the_reason():
    chain = cj.Chain(cj.Discrete(), cj.Categorical([0.5, 0.5]), cj.Replace(10))
    axes = {"source": [cj.Categorical([0.5, 0.5]), cj.Categorical([0.2, 0.3, 0.5])]}
    with pytest.warns(RuntimeWarning, match="at other points it has shape"):
        cj.sweep(chain, axes, metrics=["probabilities"], **RUN)


def test_points_of_another_chain_or_key_are_not_joined():
    axes = {"policy.num_samples": [None, 10]}
    with pytest.warns(RuntimeWarning, match="1 point of the grid failed"):
        records = cj.sweep(CHAIN, axes, key=0, num_chains=3, num_generations=1)
    other = cj.Chain(cj.Gaussian(1), cj.Normal(5.0, 1.0), cj.Mixing(100))
    with pytest.raises(cj.ArgumentError, match="earlier=records of another chain"):
        cj.sweep(other, axes, earlier=records, key=0, num_chains=3, num_generations=1)
    with pytest.raises(cj.ArgumentError, match="earlier=records of another key"):
        cj.sweep(CHAIN, axes, earlier=records, key=9, num_chains=3, num_generations=1)
    with pytest.raises(cj.ArgumentError, match="earlier='x'"):
        cj.sweep(CHAIN, axes, earlier="x", key=9, num_chains=3, num_generations=1)

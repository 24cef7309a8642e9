"""Chain c is the same to the bit whatever the run around it looks like."""

import jax
import numpy as np
import pytest

import collapse_jax as cj

LETTERS = np.array([0.4, 0.3, 0.15, 0.1, 0.04, 0.01])
COVARIANCE = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]])
MIXTURE = cj.NormalMixture([0.3, 0.7], [-1.0, 2.0], [0.5, 1.5])

CHAINS = {
    "gaussian": cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(20)),
    "gaussian, mixture": cj.Chain(cj.Gaussian(1, "mle"), MIXTURE, cj.Replace(20)),
    "gaussian, schedule": cj.Chain(
        cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(range(10, 10 + 15))
    ),
    "gaussian, accumulate": cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Accumulate(20)),
    "gaussian, rows": cj.Chain(
        cj.Gaussian(1, corpus="samples"), cj.Normal(3.0, 4.0), cj.Replace(20)
    ),
    "gaussian, 3-D": cj.Chain(cj.Gaussian(3), cj.Normal(np.zeros(3), COVARIANCE), cj.Replace(20)),
    "gaussian, 3-D, accumulate": cj.Chain(
        cj.Gaussian(3), cj.Normal(np.zeros(3), COVARIANCE), cj.Accumulate(20)
    ),
    "gaussian, mixing": cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(20, gamma=0.1)),
    "gaussian, earlier laws": cj.Chain(
        cj.Gaussian(1),
        cj.Normal(0.0, 1.0),
        cj.Mixing(20, beta=0.3, gamma=0.1, previous="distribution"),
    ),
    "gaussian, subsample": cj.Chain(
        cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.AccumulateSubsample(20)
    ),
    "discrete, previous rows": cj.Chain(
        cj.Discrete(), cj.Categorical(LETTERS), cj.Mixing(30, beta=0.3, gamma=0.1)
    ),
    "discrete, labels": cj.Chain(cj.Discrete(), cj.Categorical(LETTERS), cj.Replace(30)),
    "discrete, counts": cj.Chain(
        cj.Discrete(corpus="counts"), cj.Categorical(LETTERS), cj.Replace(300)
    ),
    "discrete, accumulate": cj.Chain(cj.Discrete(), cj.Categorical(LETTERS), cj.Accumulate(30)),
    "discrete, tempered": cj.Chain(
        cj.Discrete(temperature=0.9, top_p=0.99, smoothing=0.5),
        cj.Categorical(LETTERS),
        cj.Replace(300),
    ),
}
NUM_CHAINS, NUM_GENERATIONS = 1000, 14  # at most 15 records, one program for all


def run(name, **changes):
    arguments = {"key": 7, "num_chains": NUM_CHAINS, "num_generations": NUM_GENERATIONS, "every": 5}
    return cj.simulate(CHAINS[name], **(arguments | changes))


def assert_same(records, reference, chains=slice(None), generations=slice(None)):
    assert records.variables.keys() == reference.variables.keys()
    for name, variable in records.variables.items():
        expected = reference.variables[name].values[generations, chains]
        np.testing.assert_array_equal(variable.values, expected, err_msg=name)
    np.testing.assert_array_equal(
        records.coordinates["chain"].values, reference.coordinates["chain"].values[chains]
    )


@pytest.fixture(scope="module")
def reference(request):
    return request.param, run(request.param)


def every_chain(*quick):
    """Run a test on every chain; those that are not quick take long to compile."""
    names = [
        pytest.param(name, marks=[pytest.mark.thorough] * (name not in quick)) for name in CHAINS
    ]
    return pytest.mark.parametrize("reference", names, indirect=True)


VARIED = ("gaussian", "gaussian, 3-D", "gaussian, subsample", "discrete, labels")
QUICK = (*VARIED, "gaussian, mixing")


@every_chain(*VARIED)
def test_number_of_chains_does_not_matter(reference):
    name, whole = reference
    for num_chains in (1, 7):
        assert_same(run(name, num_chains=num_chains), whole, slice(num_chains))


@pytest.mark.parametrize("changes", [{"chain_batch": 64}, {"num_chains": 3, "chain_batch": 1}])
@every_chain(*QUICK)
def test_batches_do_not_matter(reference, changes):
    name, whole = reference
    assert_same(run(name, **changes), whole, slice(changes.get("num_chains", NUM_CHAINS)))


@pytest.mark.parametrize("chunk", [1, 3, 10])
@every_chain(*QUICK)
def test_chunks_do_not_matter(reference, chunk):
    name, whole = reference
    assert_same(run(name, generation_chunk=chunk), whole)


@every_chain(*QUICK)
def test_first_chain_shifts_ids(reference):
    name, whole = reference
    assert_same(run(name, first_chain=990, num_chains=10), whole, slice(990, 1000))


# A program is compiled for every device, so not every chain is tried on eight.
DEVICES = {
    "gaussian": (1, 2, 8),
    "gaussian, 3-D": (2,),
    "discrete, labels": (2,),
}


@every_chain("gaussian, 3-D", "gaussian, mixing", "gaussian, subsample")
def test_devices_do_not_matter(reference):
    name, whole = reference
    for devices in DEVICES.get(name, ()):
        assert_same(run(name, devices=devices, chain_batch=125), whole)


@every_chain(*QUICK)
def test_a_run_continued_from_its_state_is_the_same(reference):
    name, whole = reference
    if "schedule" in name:
        pytest.skip("a schedule is for one length of run")
    half = run(name, num_generations=10)
    rest = run(name, state=half.state)
    assert rest.coordinates["generation"].values.tolist() == [14]
    assert_same(half, whole, generations=slice(0, 3))
    assert_same(rest, whole, generations=slice(3, None))
    np.testing.assert_array_equal(
        rest.coordinates["first_event"].values, whole.coordinates["first_event"].values
    )


CONSTANT = {
    "replace": (cj.Replace(20), cj.Replace([20] * 6)),
    "mixing": (
        cj.Mixing(20, beta=0.2, gamma=0.3),
        cj.Mixing([20] * 6, alpha=[0.5] * 5, beta=[0.2] * 5, gamma=[0.3] * 5),
    ),
    "mixing, fixed": (
        cj.Mixing(20, gamma=0.3, allocation="fixed"),
        cj.Mixing([20] * 6, gamma=[0.3] * 5, allocation="fixed"),
    ),
    "accumulate": (cj.Accumulate(20), cj.Accumulate([20] * 6)),
    "subsample": (cj.AccumulateSubsample(20), cj.AccumulateSubsample([20] * 6)),
    "fresh": (cj.Fresh(15, 5), cj.Fresh([15] * 6, [5] * 6)),
}


ALWAYS = ("replace", "mixing", "accumulate")
MARKS = {"mixing": pytest.mark.thorough}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name not in ALWAYS else MARKS.get(name, ()))
        for name in CONSTANT
    ],
)
def test_a_constant_schedule_is_a_number(name):
    arguments = {"key": 0, "num_chains": 9, "num_generations": 5}
    number, schedule = (
        cj.simulate(cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), policy), **arguments)
        for policy in CONSTANT[name]
    )
    assert_same(number, schedule)


@every_chain(*QUICK)
def test_recording_does_not_matter(reference):
    name, whole = reference
    every_one = run(name, every=1)
    assert_same(whole, every_one, generations=[0, 5, 10, 14])


@pytest.mark.parametrize(
    "name", ["gaussian, 3-D", pytest.param("discrete, labels", marks=pytest.mark.thorough)]
)
def test_a_program_for_more_records_makes_the_same(name):
    many, few = (run(name, num_generations=30, every=every) for every in (1, 10))
    assert_same(few, many, generations=[0, 10, 20, 30])


def test_a_second_equal_call_compiles_nothing():
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(21))
    again = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(21))
    arguments = {"num_chains": 300, "num_generations": 12}
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    )
    for reduce in (None, cj.Reduce()):
        cj.simulate(chain, key=0, reduce=reduce, **arguments)
        assert compiled, "the counter counts"
        compiled.clear()
        cj.simulate(again, key=0, reduce=reduce, **arguments)
        cj.simulate(again, key=1, reduce=reduce, **arguments)
        assert compiled == []

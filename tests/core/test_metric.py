"""Metrics: what they read, what a chain holds for them, and names that are refused."""

import functools

import jax
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config
from collapse_jax.theory import ancestors, gaussian_accumulation

CHAIN = cj.Chain(cj.Gaussian(1, corpus="samples"), cj.Normal(0.0, 1.0), cj.Replace(10))


def run(metrics, chain=CHAIN, **changes):
    arguments = {"key": 0, "num_chains": 4, "num_generations": 2} | changes
    return cj.simulate(chain, metrics=metrics, **arguments)


@pytest.mark.parametrize(
    "reads",
    [(), ("params",), ("key", "corpus"), ("family", "source", "generation0"), ("first",)],
)
def test_a_metric_gets_what_it_reads_and_none_otherwise(reads):
    seen = []

    def function(*given):
        seen.append([one is not None for one in given])
        return np.float32(1)

    run([cj.Metric(function, name="one", reads=reads)])
    names = ("key", "family", "params", "corpus", "source", "generation0")
    wanted = {"generation0" if name == "first" else name for name in reads}
    assert seen
    assert all(given == [name in wanted for name in names] for given in seen)


def test_a_state_holds_only_what_is_read():
    mean = cj.Metric(lambda *given: given[2].mean[0], name="other")
    rows = cj.Metric(lambda *given: given[3].rows[0, 0], name="row", reads=("corpus",))
    assert CHAIN.retained([mean]) == cj.Needs()
    assert CHAIN.retained([rows]) == cj.Needs(corpus=True)
    both = CHAIN.retained([cj.Metric.of(LAMBDAS[0])])
    assert both == cj.Needs(corpus=True, generation0=True, generation0_corpus=True)


@pytest.mark.parametrize("names", [[], ["covariance"]])
def test_metrics_are_any_sequence(names):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
    for given in (names, tuple(names), np.array(names, object)):
        run = cj.simulate(chain, key=0, num_chains=2, num_generations=1, metrics=given)
        assert ("covariance" in run.variables) == bool(names)


def test_dims_unit_and_long_name_are_recorded():
    def pair(key, family, params, *others):
        return params.mean * np.ones(2, np.float32)

    metric = cj.Metric(pair, dims=("side",), unit="data units", long_name="the mean, twice")
    one = run([metric]).dataset["pair"]
    assert one.dims == ("generation", "chain", "side")
    assert one.attrs == {"units": "data units", "long_name": "the mean, twice"}
    plain = run([pair]).dataset["pair"]
    assert plain.dims == ("generation", "chain", "pair_axis_0")


LAMBDAS = [lambda *given: given[2].mean[0], lambda *given: given[2].log_scale[0]]
REFUSED = {
    "two lambdas": (LAMBDAS, "another metric has this name"),
    "a default variable": ([cj.Metric(LAMBDAS[0], name="mean")], "Gaussian records a variable"),
    "the status": ([cj.Metric(LAMBDAS[0], name="status")], "a variable of every run has"),
    "a coordinate": ([cj.Metric(LAMBDAS[0], name="chain")], "a variable of every run has"),
    "no name": ([functools.partial(LAMBDAS[0])], "it has no __name__"),
    "an optional one twice": (["covariance", "covariance"], "another metric has this name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_names_that_collide_are_refused_before_anything_compiles(case):
    metrics, reason = REFUSED[case]
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    with pytest.raises(cj.ArgumentError, match=reason) as caught:
        run(metrics)
    assert "Metric(function, name=...)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not compiled


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: cj.Metric(3), "Metric.function=3 is not allowed: it must be callable"),
        (lambda: cj.Metric(functools.partial(max)), "Metric.name=None"),
        (
            lambda: run([lambda params: params.mean]),
            r"Metric.function=<lambda>\(params\) is not allowed: it gets 6 positional arguments; ",
        ),
        (lambda: cj.Metric(lambda *given, unit: given[2], "a"), r"=a\(given, unit\) is not"),
        (lambda: cj.Metric(max, reads=("rows",)), "Metric.reads='rows' is not allowed"),
        (lambda: cj.Metric(max, reads="params"), "it must be a tuple of names"),
        (lambda: cj.Metric(max, dims=3), "Metric.dims=3"),
        (lambda: cj.Metric(max, reads=None), "Metric.reads=None"),
        (lambda: cj.Metric(max, unit=1), "Metric.unit=1"),
    ],
)
def test_bad_settings_are_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


NAMES = {
    "../evil": "begin with a dot",
    "KL/model": "no slash",
    "a\\b": "no slash",
    "two\nlines": "no control character",
    ".": "begin with a dot",
    "..": "begin with a dot",
    "zarr.json": "every run has a file of this name",
    "x" * 300: "at most 100 characters",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_cannot_be_files_are_refused_with_the_rule_that_they_break(name):
    with pytest.raises(cj.ArgumentError, match=rf"Metric\.name=.*{NAMES[name]}"):
        cj.Metric(LAMBDAS[0], name=name)


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (cj.Metric(lambda *_: np.ones(2), name="q", dims=("dim",)), "has length 1, not 2"),
        (cj.Metric(lambda *_: np.ones(4), name="q", dims=("chain",)), "'chain' is another axis"),
        (cj.Metric(lambda *_: np.ones(2), name="q", dims=("mean",)), "'mean' is another axis"),
        (cj.Metric(lambda *_: np.float32(1), name="dim"), "an axis has this name"),
        (cj.Metric(lambda *_: np.complex64(1j), name="q"), "real numbers or truth values"),
        (cj.Metric(lambda *_: np.ones(0), name="q"), "at least one"),
        (cj.Metric(lambda *_: None, name="q"), "result of the metric 'q'=None is not allowed"),
        (cj.Metric(lambda *given: given[3].rows, name="q"), "add what it uses of key, family, cor"),
    ],
)
def test_values_that_cannot_be_recorded_are_refused(metric, reason):
    with pytest.raises(cj.ArgumentError, match=reason):
        run([metric])


def test_dims_that_do_not_fit_are_refused():
    metric = cj.Metric(LAMBDAS[0], name="scalar", dims=("dim",))
    with pytest.raises(ValueError, match="returns an array of 0 axes"):
        run([metric])


def test_acceptance_and_facts_of_a_fit_are_recorded():
    policy = cj.Replace(20, verifier=lambda rows: rows[:, 0] < 0)
    records = run([], cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), policy))
    assert np.all(np.isnan(records["acceptance"][0]))
    assert np.all((records["acceptance"][1:] > 0) & (records["acceptance"][1:] <= 1))
    assert records.dataset["acceptance"].attrs["units"] == "1"


@config
class OriginalOnly(cj.Replace):
    """A policy that never draws from the model."""

    def next(self, step):
        return step.original(self.size(step.generation), self.largest_size), step.memory


@config
class Forgetful(cj.Replace):
    """A policy that returns no memory."""

    def next(self, step):
        return step.model(self.size(step.generation), self.largest_size)


def test_a_policy_that_returns_no_memory_is_told_what_to_return():
    with pytest.raises(cj.ArgumentError, match=r"result of Forgetful\.next=Moments .* a pair"):
        run([], cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), Forgetful(20)))


def test_a_policy_may_leave_the_model_and_its_verifier_alone():
    policy = OriginalOnly(20, verifier=lambda rows: rows[:, 0] < 0)
    records = run([], cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), policy))
    assert np.all(np.isnan(records["acceptance"]))
    assert np.all(records["status"] == 0)


def changing(values):
    """Return a metric that gives the next value in each call, and the last one from then on."""
    left = list(values)
    return cj.Metric(lambda *given: left.pop(0) if left[1:] else left[0], name="odd")


CHANGES = {
    "another shape": ([np.ones(2, np.float32), np.float32(1)], r"float32\[\] .* float32\[2\]"),
    "another dtype": ([np.float32(0.5), np.int32(1)], r"int32\[\] .* float32\[\]"),
}


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("without_jit", [False, True])
def test_a_value_of_another_shape_or_dtype_is_refused(case, without_jit):
    """Without jit another shape would be broadcast, and a float cut to an integer."""
    values, reason = CHANGES[case]
    expected = rf"value of the variable 'odd'={reason} in an earlier call; return one shape"
    with (
        jax.disable_jit(without_jit),
        pytest.raises(cj.ArgumentError, match=expected.replace(" .* ", " is not .*: it was ")),
    ):
        run([changing(values)])


@pytest.mark.parametrize("value", ["high", np.array(["high"]), {"a": 1.0}, [1.0, [2.0]], b"high"])
def test_a_value_that_is_no_array_is_refused(value):
    metric = cj.Metric(lambda *_: value, name="q")
    with pytest.raises(cj.ArgumentError, match=r"result of the metric 'q'=.* it must be a number"):
        run([metric])


def test_an_error_in_a_metric_names_it():
    def slope(key, family, params, corpus, source, generation0):
        return params.slope

    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
    with pytest.raises(AttributeError) as error:
        cj.simulate(chain, key=0, num_chains=2, num_generations=1, metrics=[slope])
    assert "in the metric 'slope'" in error.value.__notes__[0]


BEYOND = {
    "an int": (2**40, "q'=1099511627776 is not allowed: it exceeds the range of int32; set JAX_"),
    "an int of NumPy": (np.int64(-(2**40)), "q'=-1099511627776 .* the range of int32; set JAX_"),
    "an int beyond 64 bits": (2**70, "exceeds the range of int32; rescale the value"),
    "a float": (1e300, r"q'=1e\+300 is not allowed: it exceeds the range of float32; set JAX_"),
    "a float of NumPy": (np.float64(1e300), "range of float32; set JAX_ENABLE_X64=1, or rescale"),
    "a list": ([1.0, -1e300], r"q'=-1e\+300 is not allowed"),
    "a key": (jax.random.key(0), "q'=array of type key<fry> is not allowed: it must be a number"),
}


@pytest.mark.parametrize("case", BEYOND)
def test_a_number_that_its_type_cannot_hold_is_refused(case):
    """Otherwise jax would record infinity, or cut an integer, without a word."""
    value, reason = BEYOND[case]
    with pytest.raises(cj.ArgumentError, match=reason):
        run([cj.Metric(lambda *_: value, name="q")])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38, -(2**31), True, np.uint32(7)])
def test_numbers_within_the_range_are_recorded(value):
    found = run([cj.Metric(lambda *_: value, name="q")])["q"]
    np.testing.assert_array_equal(found, np.full(found.shape, value, found.dtype))


@pytest.mark.parametrize("value", [1e-50, np.float64(-1e-50), [1.0, 1e-50], np.array([0, 1e-50])])
def test_a_known_number_that_is_recorded_as_zero_is_worth_a_warning(value):
    metric = cj.Metric(lambda *_: value, name="q")
    with pytest.warns(RuntimeWarning, match=r"^result of the metric 'q' has .* its logarithm, or"):
        found = run([metric])["q"]
    assert found.ravel()[-1] == 0


def test_the_logarithm_of_what_shrinks_is_recorded_where_float32_ends():
    """The remedy that `Metric` describes: float32 has no numbers below 1e-45."""

    def std(key, family, params, *others):
        return jax.numpy.exp(params.log_scale[0])

    logarithm = cj.Metric(lambda *given: given[2].log_scale[0], name="ln")
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(2))
    found = run([cj.Metric(std), logarithm], chain, num_generations=500, every=500)
    assert np.all(found["std"][-1] == 0)
    assert np.all(found["ln"][-1] < np.log(1e-45))
    assert np.all(np.isfinite(found["ln"][-1]))


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-40, np.float32(1e-45), [0.0, 1.0]])
def test_numbers_that_are_recorded_as_they_are_have_no_warning(value):
    found = run([cj.Metric(lambda *_: value, name="q")])["q"]
    np.testing.assert_array_equal(found[0, 0], np.float32(value))


def test_curves_are_compared_by_value():
    curve = cj.Curve(np.array([[0.0, np.nan]]), dims=("dim",))
    assert curve == curve._replace(values=curve.values.copy())
    assert not curve != cj.Curve(curve.values.copy(), ("dim",))  # noqa: SIM202
    for other in (
        curve._replace(values=curve.values + 1),
        curve._replace(values=curve.values[0]),
        curve._replace(dims=()),
        curve._replace(bounds=(0.0, 1.0)),
        tuple(curve),
        None,
    ):
        assert curve != other
    assert curve in [None, curve._replace(dims=()), cj.Curve(curve.values.copy(), ("dim",))]


def test_laws_and_moments_are_compared_by_value():
    law = ancestors.ancestor_law(2, 3)
    assert law == ancestors.ancestor_law(2, 3)
    assert law != ancestors.ancestor_law(2, 4)
    moments = gaussian_accumulation.fresh_share_moments([3, 3], 0.1, "mle")
    assert moments == gaussian_accumulation.fresh_share_moments([3, 3], 0.1, "mle")
    assert moments != gaussian_accumulation.fresh_share_moments([3, 3], 0.2, "mle")


@pytest.mark.parametrize(
    "one",
    [
        cj.Mixing(10, gamma=0.1),
        cj.Mixing(np.int64(10), alpha=np.float64(0.9), beta=np.float32(0.0), gamma=[0.1]),
        cj.GaussianMixture(np.int64(2), np.int64(1), tolerance=np.float64(1e-3)),
        cj.Gaussian(np.int64(1), sampling_bias=np.float64(1.5)),
    ],
    ids=["mixing", "numbers of NumPy in mixing", "mixture", "gaussian"],
)
def test_numbers_are_shown_as_those_of_python(one):
    assert "np." not in repr(one)


def test_a_setting_equals_itself_with_numbers_of_numpy():
    assert cj.Mixing(10, gamma=0.1) == cj.Mixing(np.int64(10), gamma=np.float64(0.1))
    assert cj.GaussianMixture(np.int64(2), 1) == cj.GaussianMixture(2, 1)

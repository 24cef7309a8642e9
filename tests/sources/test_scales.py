"""Axes of very different scales keep their variance, and laws of one state are exactly one."""

import jax
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.testing import assert_mean
from collapse_jax.utils import log_cholesky

SCALES = [1.0, 1e-5, 1e-12, 1e5]
CORRELATION = np.array([[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]])


def covariance_of(scales):
    return CORRELATION * np.outer(scales, scales)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("scales", [(1.0, 3e-6, 1e5), (1e-20, 1.0, 1e20), (1e9, 1e-9, 1.0)])
def test_a_factor_is_right_in_every_axis_whatever_their_units(scales, order):
    covariance = covariance_of(np.array(scales))[np.ix_(order, order)]
    log_scale, factor = log_cholesky.factorize_on_host(covariance)
    found = (factor * np.exp(log_scale)) @ (factor * np.exp(log_scale)).T
    spreads = np.sqrt(np.diagonal(covariance))
    np.testing.assert_allclose(
        found / np.outer(spreads, spreads), covariance / np.outer(spreads, spreads), rtol=1e-12
    )


def test_singular_and_indefinite_matrices_are_still_told_apart():
    singular = np.array([[1.0, 1e-6], [1e-6, 1e-12]])
    assert log_cholesky.factorize_on_host(singular)[0][1] == -np.inf
    with pytest.raises(np.linalg.LinAlgError):
        log_cholesky.factorize_on_host(np.array([[1.0, 2e-6], [2e-6, 1e-12]]))
    with pytest.raises(ValueError, match="smallest eigenvalue"):
        cj.Normal([0.0, 0.0], np.array([[1.0, 2e-6], [2e-6, 1e-12]]))
    with pytest.raises(ValueError, match=r"it must equal \[1, 0\]|it must equal \[0, 1\]"):
        cj.Normal([0.0, 0.0], np.array([[1.0, 1e-7], [2e-7, 1e-12]]))


@pytest.mark.parametrize("small", [1e-11, 1e-20])
def test_a_narrow_axis_keeps_its_variance(small):
    source = cj.Normal([0.0, 0.0], np.diag([1.0, small]))
    chain = cj.Chain(cj.Gaussian(2), source, cj.Replace(100))
    records = cj.simulate(chain, key=0, num_chains=2000, num_generations=3)
    exact = records.theory["log_det_covariance"].values[-1]
    assert_mean(records["log_det_covariance"][-1], exact)
    assert np.all(records["status"] == 0)


@pytest.mark.parametrize("columns", [[0, 1], [1, 0]])
def test_columns_of_a_table_keep_their_variances_in_any_order(columns):
    """Income and a share, as a table has them."""
    rng = np.random.default_rng(0)
    table = np.stack([rng.normal(5e4, 2e4, 300), 0.07 * rng.uniform(size=300)], axis=1)
    source = cj.Empirical(table[:, columns])
    chain = cj.Chain(cj.Gaussian(2, "mle"), source, cj.Replace(300))
    run = {"num_chains": 2, "num_generations": 0, "metrics": ("covariance",)}
    found = cj.simulate(chain, key=0, **run)["covariance"][0, 0]
    expected = np.cov(table[:, columns].T, bias=True)
    np.testing.assert_allclose(np.diagonal(found), np.diagonal(expected), rtol=1e-5)


@pytest.mark.parametrize(
    "size",
    [2, 41, *(pytest.param(one, marks=pytest.mark.thorough) for one in (24, 47, 55, 61, 82, 1000))],
)
def test_the_law_of_one_state_is_exactly_one(size):
    """With a certain first state the chain is absorbed from the start."""
    chain = cj.Chain(cj.Discrete(), cj.Categorical([1.0, 0.0, 0.0]), cj.Replace(size))
    run = {"num_chains": 2, "num_generations": 2, "metrics": ("probabilities",)}
    records = cj.simulate(chain, key=0, **run)
    assert np.all(records["probabilities"][..., 0] == 1)
    assert np.all(records["heterozygosity"] == 0)
    assert np.all(records["is_absorbed"])


def test_rows_beyond_float32_are_refused():
    assert cj.Empirical([1e37, -1e37, 0.0]).num_rows == 3
    with pytest.raises(cj.ArgumentError, match=r"2e\+37 is not allowed.*divide the rows"):
        cj.Empirical([1.0, -2e37, 0.5])


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-200, 1e-160])
def test_rows_whose_squares_vanish_are_refused(scale):
    """Their variance would be zero, and all chains of one state."""
    rows = np.array([1.0, 2.0, 4.0])
    with pytest.raises(cj.ArgumentError, match=r"rows that differ by .*1e-150.*power of ten"):
        cj.Empirical(rows * scale)
    with pytest.raises(cj.ArgumentError, match=r"rows that differ by"):
        cj.Empirical(np.stack([rows, rows * scale], axis=1))
    assert np.isfinite(cj.Empirical(rows * 1e-140).truth.log_scale[0])
    assert cj.Empirical([scale, scale]).truth.log_scale[0] == -np.inf  # a constant is allowed


def test_axes_of_units_too_far_apart_are_refused():
    with pytest.raises(cj.ArgumentError, match=r"1e-20 and 1e\+20.*factor of 1e\+30.*other units"):
        cj.Normal([0.0, 0.0], np.diag([1e-40, 1e40]))
    rows = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(cj.ArgumentError, match=r"factor of 1e\+15.*other units"):
        cj.Empirical(rows * [1.0, 1e18])
    assert cj.Empirical(rows * [1.0, 1e14]).row_dim == 2


SMALL, LARGE = 2.0**-43, 2.0**43  # about 1e-13 and 1e13: squares of squares leave float32
ROWS = np.random.default_rng(2).normal(size=(60, 3))


def scaled_chains(unit, policy):
    """A chain of each family and source, of rows in a unit."""
    yield cj.Chain(cj.Gaussian(1), cj.Normal(0.0, unit**2), policy)
    yield cj.Chain(cj.Gaussian(3), cj.Empirical(unit * ROWS), policy)
    yield cj.Chain(cj.GaussianMixture(2, dim=1), cj.Empirical(unit * ROWS[:, 0]), policy)


POLICIES = [
    cj.Replace(60),
    cj.AccumulateSubsample(60),
    cj.Accumulate(60),
    cj.Fresh(40, num_original=20),
    cj.Mixing(60, beta=0.2, gamma=0.2),
    cj.Replace(60, verifier=lambda rows: rows[:, 0] > -np.inf),
]


def in_unit(records, unit):
    """Return the values of variables in units of the data, and of those in squared units."""
    for name, variable in records.variables.items():
        if variable.attrs["units"].startswith("data units"):
            power = 2 if variable.attrs["units"].endswith("squared") else 1
            yield name, variable.values / unit**power


CASES = [  # a chain, a policy, and whether statistics over chains are recorded
    pytest.param(which, number, reduce, marks=[pytest.mark.thorough] * (which > 0 or number > 0))
    for which, reduce in ((0, None), (0, cj.Reduce()), (1, cj.Reduce()), (2, cj.Reduce()))
    for number in range(len(POLICIES))
]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("which", "number", "reduce"), CASES)
def test_records_of_tiny_and_huge_data_are_those_of_ordinary_data(which, number, reduce):
    policy = POLICIES[number]
    run = {"key": 0, "num_chains": 6, "num_generations": 2, "reduce": reduce}
    expected, *found = (
        dict(in_unit(cj.simulate(list(scaled_chains(unit, policy))[which], **run), unit))
        for unit in (1.0, SMALL, LARGE)
    )
    for one in found:
        assert one.keys() == expected.keys() != set()
        for name, values in expected.items():
            size = np.max(np.abs(values[np.isfinite(values)]))
            # EM stops at the same tolerance, but rounds a little differently.
            np.testing.assert_allclose(
                one[name], values, atol=(0.05 if which == 2 else 1e-3) * size
            )


@pytest.mark.parametrize("unit", [1e-30, 1e-20, 1e20, 1e30])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_scale_that_cannot_be_recorded_is_refused_before_the_run(unit, which):
    chain = list(scaled_chains(unit, cj.Replace(60)))[which]
    verb = "divide" if unit > 1 else "multiply"
    factor = f"{max(unit, 1 / unit):.0e}".replace("+", "")
    with pytest.raises(cj.ArgumentError, match=rf"^Chain.source=.* {verb} the data by {factor},"):
        cj.simulate(chain, key=0, num_chains=2, num_generations=1)
    if which or unit not in (1e-30, 1e20):
        return  # each compiles a program
    with jax.enable_x64(True):
        records = cj.simulate(chain, key=0, num_chains=2, num_generations=1)
    for name, values in in_unit(records, unit):
        assert np.all(np.isfinite(values)), name
        assert 1e-6 < np.max(np.abs(values)) < 10


REFUSED = {0.99e-14: "9.9e-15", 1.01e16: "1.01e+16", 1e20: "1e+20"}


def test_the_ends_of_the_scales_that_are_recorded_are_those_of_the_message():
    run = {"key": 0, "num_chains": 2, "num_generations": 1}
    for spread in (1e-14, 1e16):
        chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, spread**2), cj.Replace(60))
        squares = cj.simulate(chain, **run)["wasserstein2_squared"] / spread**2
        assert np.all((squares > 1e-6) & (squares < 10))
    for spread, shown in REFUSED.items():
        chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, spread**2), cj.Replace(60))
        with pytest.raises(cj.ArgumentError) as refusal:
            cj.simulate(chain, **run)
        assert f"standard deviation {shown} is not allowed" in str(refusal.value)
        assert "for standard deviations in [1e-14, 1e+16]" in str(refusal.value)


def test_one_axis_that_cannot_be_recorded_is_named():
    source = cj.Normal([0.0, 0.0], np.diag([1.0, 1e-58]))
    with pytest.raises(cj.ArgumentError, match=r"mean is recorded.* multiply this axis by 1e29,"):
        cj.simulate(
            cj.Chain(cj.Gaussian(2), source, cj.Replace(9)), key=0, num_chains=2, num_generations=1
        )


def test_labels_have_no_scale():
    chain = cj.Chain(cj.Discrete(), cj.Empirical([0, 1, 1]), cj.Replace(5))
    assert cj.simulate(chain, key=0, num_chains=2, num_generations=1)["status"].max() == 0

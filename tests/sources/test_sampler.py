"""A `Sampler` may have any units, and rows of ordinary ones are the function's own."""

import jax
import numpy as np
import pytest

import collapse_jax as cj


def sampler(scale, dim=1, location=0.0):
    def function(key, number):
        return location + scale * jax.random.normal(key, (number, dim))

    return cj.Sampler(function, dim)


def run(family, scale, policy=None, **more):
    chain = cj.Chain(family, sampler(scale, family.dim, **more), policy or cj.Replace(40))
    return cj.simulate(chain, key=0, num_chains=2, num_generations=3)


EXTREME = [pytest.param(scale, marks=pytest.mark.thorough) for scale in (1e-30, 1e30)]


@pytest.mark.parametrize("scale", [1e-20, 1e20, *EXTREME])
def test_a_gaussian_is_the_same_in_any_units(scale):
    expected, found = run(cj.Gaussian(1), 1.0), run(cj.Gaussian(1), scale)
    assert np.all(found["status"] == 0)
    np.testing.assert_allclose(
        found["log_std"], expected["log_std"] + np.log(scale), atol=3e-5 * abs(np.log(scale))
    )
    np.testing.assert_allclose(found["mean"] / scale, expected["mean"], rtol=1e-3)


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(cj.Accumulate(40), marks=pytest.mark.thorough),
        pytest.param(cj.Mixing(40, gamma=0.25), marks=pytest.mark.thorough),
        pytest.param(cj.Fresh(20, num_original=20), marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_policies_join_rows_of_any_units(policy, scale):
    family = cj.Gaussian(2, corpus="samples")
    expected, found = run(family, 1.0, policy), run(family, scale, policy)
    assert np.all(found["status"] == 0)
    shift = 2 * family.dim * np.log(scale)
    name = "log_det_covariance"
    np.testing.assert_allclose(found[name], expected[name] + shift, atol=1e-2)


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_a_mixture_is_nearly_the_same_in_any_units(scale):
    family = cj.GaussianMixture(2, 2)
    expected, found = run(family, 1.0), run(family, scale)
    assert np.all(found["status"] == 0)
    np.testing.assert_allclose(
        found["means"][0] / scale, expected["means"][0], rtol=0.02, atol=0.02
    )


def rows_of(source, size=7, capacity=9):
    return jax.jit(lambda key: source.draw(cj.Keys(key, 0), size, capacity))(jax.random.key(1))


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_rows_of_ordinary_units_are_in_absolute_coordinates(scale):
    drawn = rows_of(sampler(scale))
    assert float(drawn.log_scale) == 0
    given = np.asarray(drawn.absolute_rows)
    np.testing.assert_array_equal(given, drawn.rows)


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**-27, 2.0**27, 2.0**100])
def test_other_rows_are_of_order_one_and_have_no_error(scale):
    drawn, plain = rows_of(sampler(scale)), rows_of(sampler(1.0))
    used = np.abs(np.asarray(drawn.rows)[:7])
    assert 0.5 <= used.max() < 1
    unit = np.exp2(np.round(float(drawn.log_scale) / np.log(2)))
    exact = np.float32(scale) * np.asarray(plain.rows)[:7]
    np.testing.assert_array_equal((np.asarray(drawn.rows)[:7] * unit).astype(np.float32), exact)


@pytest.mark.parametrize(("scale", "status"), [(0.0, 2), (np.inf, 1)])
def test_rows_that_are_no_numbers_end_a_chain(scale, status):
    assert np.all(run(cj.Gaussian(1), scale)["status"] == status)

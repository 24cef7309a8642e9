"""Expectation-maximisation: the likelihood never falls, weights are multiplicities, no NaN."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import collapse_jax as cj
from collapse_jax.families.gaussian_mixture import em
from collapse_jax.families.gaussian_mixture.em import EMState, Points, Settings
from collapse_jax.families.gaussian_mixture.frame import standardize
from collapse_jax.random.keys import Keys
from collapse_jax.testing import strategies

ROWS, DIM, K = 12, 2, 3
TABLES = strategies.tables(((ROWS, DIM),))
PLACES = st.lists(st.integers(0, ROWS - 1), min_size=K, max_size=K)
ENDLESS = Settings(is_diagonal=False, tolerance=1e-30, max_iterations=1, floor=0.0)


@jax.jit
def trajectory(rows, places):
    """Every model of 15 iterations, and its log-likelihood."""
    standard, _ = standardize(Points(rows.T, None), is_diagonal=False)
    start = em.identity_components(K, DIM, rows.dtype)._replace(means=standard.values.T[places])
    begin = EMState(start, jnp.int32(0), jnp.zeros(()), jnp.zeros(()), jnp.bool_(False))

    def step(now, _):
        after = em.iterate(standard, now, ENDLESS)
        return after, (now.components, after.log_likelihood)

    return jax.lax.scan(step, begin, length=15)[1]


@given(TABLES, PLACES)
def test_the_likelihood_rises_until_a_component_is_removed(rows, places):
    components, log_likelihood = jax.tree.map(np.asarray, trajectory(rows, jnp.asarray(places)))
    assert np.all(np.isfinite(log_likelihood))
    for leaf in components:
        assert np.all(np.isfinite(leaf))
    np.testing.assert_allclose(components.weights.sum(axis=1), 1, rtol=1e-5)
    number = np.sum(components.weights > 0, axis=1)
    assert np.all(np.diff(number) <= 0), "a removed component does not come back"
    same = np.diff(number) == 0
    rise = np.diff(log_likelihood)
    # A narrow component is computed to the rounding of its rows, relative to its width.
    scales = np.diagonal(components.factors, axis1=-2, axis2=-1).min(axis=(1, 2))[:-1]
    assert np.all(rise[same] >= -1e-5 / scales[same] - 1e-5)


LEFT = np.array([[-3.1, 0.2], [-2.2, -1.3], [-1.9, 1.1], [-0.8, 0.1]])
RIGHT = np.array([[1.2, -0.4], [2.1, 1.7], [2.9, -1.2], [3.3, 0.6]])
CLOUD, DISTINCT = np.vstack([LEFT, RIGHT]), len(LEFT) + len(RIGHT)
START = cj.NormalMixture([0.5, 0.5], [[-2.0, 0.0], [2.0, 0.0]], [4 * np.eye(DIM)] * 2)
MULTIPLICITIES = st.lists(st.integers(0, 2), min_size=DISTINCT, max_size=DISTINCT)


@jax.jit
def refit(corpus):
    family = cj.GaussianMixture(2, DIM, init=START, max_iterations=3)
    keys = Keys(jax.random.key(0), jnp.int32(0))
    model, status, _ = family.fit(keys, family.summarize(corpus), None, None)
    return model.components, model.frame, model.log_likelihood, status


def absolute(found):
    components, frame, log_likelihood, status = jax.tree.map(np.asarray, found)
    means = frame.location + components.means @ (np.exp(frame.log_scale) * frame.factor).T
    return np.concatenate([components.weights, means.ravel(), [log_likelihood], [status]])


@given(MULTIPLICITIES)
def test_a_weight_is_a_multiplicity(weights):
    for half in (weights[: len(LEFT)], weights[len(LEFT) :]):
        assume(np.count_nonzero(half) > DIM)  # else a component may be singular
    repeated = np.zeros((2 * DISTINCT, DIM))
    repeated[: sum(weights)] = np.repeat(CLOUD, weights, axis=0)
    listed = cj.Rows.of_rows(jnp.asarray(repeated), jnp.int32(sum(weights)))
    counted = dataclasses.replace(
        cj.Rows.of_rows(jnp.asarray(CLOUD), DISTINCT), weights=jnp.asarray(weights, float)
    )
    one, other = absolute(refit(listed)), absolute(refit(counted))
    assert one[-1] == 0
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)

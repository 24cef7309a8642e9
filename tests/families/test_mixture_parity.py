"""Expectation-maximisation, iteration by iteration, beside scikit-learn's in float64."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import collapse_jax as cj
from collapse_jax.families.gaussian_mixture import em
from collapse_jax.families.gaussian_mixture.em import Components, Points, Settings
from collapse_jax.families.gaussian_mixture.frame import Frame, standardize

NUM_ROWS = 600
ITERATIONS = 12
TOLERANCE = 1e-5
SHAPES = [(1, 1), (1, 10), (2, 1), (2, 2), (2, 3), (3, 2), (4, 5), (5, 1), (8, 2), (8, 10)]
KINDS = ["far apart", "overlapping", "anisotropic", "unequal", "off the origin"]


def data_set(kind, num_components, dim):
    """Rows, and weights, means and covariances to start from."""
    rng = np.random.default_rng([KINDS.index(kind), num_components, dim])
    spread = {"far apart": 30.0, "overlapping": 1.0}.get(kind, 4.0)
    means = spread * rng.normal(size=(num_components, dim))
    weights = rng.dirichlet(np.full(num_components, 5.0))
    if kind == "unequal":
        weights = 0.5 ** np.arange(num_components) + 0.1
        weights = weights / weights.sum()
    roots = np.broadcast_to(np.eye(dim), (num_components, dim, dim))
    if kind == "anisotropic":
        scales = 10.0 ** rng.uniform(-1.5, 1.5, size=(num_components, 1, dim))
        roots = np.linalg.qr(rng.normal(size=(num_components, dim, dim)))[0] * scales
    offset = 1000.0 if kind == "off the origin" else 0.0
    component = rng.choice(num_components, NUM_ROWS, p=weights)
    scores = rng.normal(size=(NUM_ROWS, dim))
    rows = offset + means[component] + np.einsum("rij,rj->ri", roots[component], scores)
    begin = offset + means + 0.3 * np.einsum("kij,kj->ki", roots, rng.normal(size=means.shape))
    covariances = 1.5 * np.einsum("kij,klj->kil", roots, roots)
    return rows, np.full(num_components, 1 / num_components), begin, covariances


def peer(kind, covariance, num_components, dim, **settings):
    """scikit-learn's mixture with this start, and the rows."""
    rows, weights, means, covariances = data_set(kind, num_components, dim)
    precisions = np.linalg.inv(covariances)
    if covariance == "diag":
        precisions = 1 / np.diagonal(covariances, axis1=1, axis2=2)
    model = GaussianMixture(
        num_components,
        covariance_type=covariance,
        weights_init=weights,
        means_init=means,
        precisions_init=precisions,
        reg_covar=0,
        random_state=0,
        **settings,
    )
    return model, rows


@functools.lru_cache(maxsize=1)
def fitter(is_diagonal):
    """Ours: every iteration, and the number of them until convergence."""
    endless = Settings(is_diagonal, 1e-300, ITERATIONS, 0.0)

    @jax.jit
    def run(rows, weights, means, factors):
        dim = rows.shape[1]
        standard, map_ = standardize(Points(rows.T, None), is_diagonal)
        frame = map_.frame(Frame(jnp.zeros(dim), jnp.zeros(()), jnp.eye(dim)))
        start = map_.components(Components(weights, means, factors))
        begin = em.EMState(
            start, jnp.int32(0), -jnp.inf * jnp.ones(()), jnp.ones(()), jnp.bool_(False)
        )

        def step(now, _):
            after = em.iterate(standard, now, endless)
            return after, (after.components, after.log_likelihood - frame.log_volume)

        _, steps = jax.lax.scan(step, begin, length=ITERATIONS)
        done = em.fit(
            standard,
            start,
            endless._replace(tolerance=TOLERANCE, max_iterations=2000),
            begin.floored,
        )
        return steps, frame, done.num_iterations

    return run


def ours(kind, covariance, num_components, dim):
    rows, weights, means, covariances = data_set(kind, num_components, dim)
    if covariance == "diag":
        covariances = covariances * np.eye(dim)
    factors = np.linalg.cholesky(covariances)
    values = fitter(covariance == "diag")(rows, weights, means, factors)
    (components, log_likelihoods), frame, num_iterations = jax.tree.map(np.asarray, values)
    back = np.exp(frame.log_scale) * frame.factor
    means = frame.location + components.means @ back.T
    roots = back @ components.factors
    covariances = roots @ np.swapaxes(roots, -1, -2)
    return log_likelihoods, components.weights, means, covariances, int(num_iterations)


def relative(found, wanted, scale):
    """Largest error, relative to the size of what is compared."""
    return np.max(np.abs(found - wanted) / scale)


def compare(kind, covariance, num_components, dim):
    log_likelihoods, weights, means, covariances, num_iterations = ours(
        kind, covariance, num_components, dim
    )
    model, rows = peer(kind, covariance, num_components, dim, max_iter=1, tol=0.0, warm_start=True)
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for step in range(ITERATIONS):
            model.fit(rows)
            wanted = model.covariances_
            if covariance == "diag":
                wanted = np.stack([np.diag(one) for one in wanted])
            size = np.abs(wanted).max(axis=(-2, -1))
            errors += [
                relative(log_likelihoods[step], model.lower_bound_, abs(model.lower_bound_)),
                relative(weights[step], model.weights_, model.weights_),
                relative(means[step], model.means_, np.abs(model.means_).max()),
                relative(covariances[step], wanted, size[:, None, None]),
            ]
        converged, _ = peer(kind, covariance, num_components, dim, max_iter=2000, tol=TOLERANCE)
        converged.fit(rows)
    return max(errors), num_iterations, converged.n_iter_


QUICK = ((1, 1), (2, 2), (3, 2))
CASES = [*((shape, "full") for shape in SHAPES), ((2, 2), "diag"), ((8, 10), "diag")]


@pytest.mark.parametrize(
    ("shape", "covariance"),
    [pytest.param(*case, marks=[pytest.mark.thorough] * (case[0] not in QUICK)) for case in CASES],
    ids=str,
)
def test_every_iteration_is_that_of_scikit_learn(shape, covariance):
    with jax.enable_x64(True):
        for kind in KINDS:
            error, num_iterations, wanted = compare(kind, covariance, *shape)
            assert error < 1e-8, kind
            assert num_iterations == wanted, kind


@pytest.mark.parametrize(
    "policy", [cj.Replace(300), pytest.param(cj.Accumulate(150), marks=pytest.mark.slow)], ids=str
)
def test_a_chain_records_what_scikit_learn_finds_in_its_rows(policy):
    start = cj.NormalMixture([0.4, 0.6], [[-2.0, 1.0], [2.0, 0.0]], [np.eye(2), 2 * np.eye(2)])
    family = cj.GaussianMixture(2, 2, init=start, order="raw")
    chain = cj.Chain(family, start, policy)
    run = {"num_chains": 2, "num_generations": 3, "metrics": ("samples",)}
    with jax.enable_x64(True):
        records = cj.simulate(chain, key=0, **run)
    precisions = np.linalg.inv(start.covariances)
    for place in np.ndindex(4, 2):
        rows = records["samples"][place]
        model = GaussianMixture(
            2,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=precisions,
            reg_covar=0,
            tol=1e-5,
            max_iter=2000,
        ).fit(rows[~np.isnan(rows[:, 0])])
        found = {name: variable.values[place] for name, variable in records.variables.items()}
        assert found["num_iterations"] == model.n_iter_
        np.testing.assert_allclose(found["log_likelihood"], model.lower_bound_, rtol=1e-10)
        np.testing.assert_allclose(found["weights"], model.weights_, rtol=1e-9)
        np.testing.assert_allclose(found["means"], model.means_, rtol=1e-8)
        np.testing.assert_allclose(found["covariances"], model.covariances_, rtol=1e-8)

"""Chains of series densities on the circle: against closed forms and a plain program.

Statistical assertions compare z with 5, planted faults must reach 8; seeds are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import collapse_jax as cj
from collapse_jax.families import series_density as module
from collapse_jax.families.series_density import SeriesDensity
from collapse_jax.random import circle
from collapse_jax.testing import assert_same_law, check_family, strategies
from collapse_jax.theory import series_density as theory

FAMILY, NORMAL = SeriesDensity(8, 0.5), cj.Normal(0.5, 2.0)
ODD = SeriesDensity(3, 1.0, 2.0)
MIXTURE = cj.NormalMixture([0.5, 0.5], [-1.0, 1.5], [2.0, 1.5])
POLICIES = {
    "replace": cj.Replace(200),
    "accumulate": cj.Accumulate([200, 200, 100, 50]),
    "fresh": cj.Fresh(150, 50),
    "mixing": cj.Mixing([200, 300, 200, 250], gamma=0.3),
}
CASES = [(FAMILY, NORMAL), (ODD, MIXTURE)]


def run(family, source, policy, chains=2000, generations=3, **options):
    chain = cj.Chain(family, source, policy)
    return cj.simulate(chain, key=0, num_chains=chains, num_generations=generations, **options)


def density(coefficients, angles):
    """The density at angles, from its definition."""
    k = np.arange(1, len(coefficients) // 2 + 2)
    waves = np.stack([np.cos(np.outer(angles, k)), np.sin(np.outer(angles, k))], axis=2)
    return 1 + np.sqrt(2) * waves.reshape(len(angles), -1)[:, : len(coefficients)] @ coefficients


def test_chains_have_their_expectations():
    records = run(FAMILY, NORMAL, POLICIES["replace"], generations=8)
    assert set(records.theory) >= {"coefficients", "energy"}
    assert cj.compare_with_theory(records).largest < 5


@pytest.mark.thorough
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("family", "source"), CASES)
def test_policies_have_their_expectations(family, source, policy):
    records = run(family, source, POLICIES[policy])
    assert set(records.theory) >= {"coefficients", "energy"}
    assert cj.compare_with_theory(records).largest < 5
    for name in ("coefficients_variance",):
        found = records["coefficients"].var(axis=1)
        np.testing.assert_allclose(found, records.theory[name], rtol=0.25)


@pytest.mark.thorough
def test_eight_coefficients_over_twenty_generations():
    family = SeriesDensity(8, 0.05)
    records = run(family, NORMAL, cj.Replace(4000), chains=1000, generations=20)
    found = records["coefficients"]
    weights = theory.term_weights(8, 0.05, 1.0)
    k = circle.frequencies(8)
    start = np.sqrt(2) * np.exp(-(k**2)) * np.where(np.arange(8) % 2, np.sin(k / 2), np.cos(k / 2))
    exact = weights ** np.arange(1, 22)[:, None] * start
    errors = np.abs(found.mean(axis=1) - exact) / found.std(axis=1) * np.sqrt(1000)
    assert errors.max() < 4
    np.testing.assert_allclose(records.theory["coefficients"], exact, atol=1e-12)


def simulated(size, weights, policy, generations, rng, chains=40_000):
    """Coefficients of chains on a law with two frequencies, by rejection in NumPy."""
    truth = np.array([0.3, 0.1, -0.1, 0.1])
    half, most = len(weights) // 2, 1 + np.sqrt(2) * np.abs(truth).sum()
    found, model = [], np.broadcast_to(truth, (chains, len(truth)))
    rows = None
    for generation in range(generations + 1):
        drawn = np.full((chains, size), np.nan)
        while np.any(missing := np.isnan(drawn)):
            which = np.nonzero(missing)[0]
            angle = rng.uniform(0, 2 * np.pi, len(which))
            law = 1 + np.sqrt(2) * sum(
                model[which, 2 * k] * np.cos((k + 1) * angle)
                + model[which, 2 * k + 1] * np.sin((k + 1) * angle)
                for k in range(half)
            )
            drawn[missing] = np.where(most * rng.uniform(size=len(which)) < law, angle, np.nan)
        pooled = policy == "accumulate" and generation
        rows = np.concatenate([rows, drawn], axis=1) if pooled else drawn
        waves = [f(k * rows).mean(axis=1) for k in range(1, half + 1) for f in (np.cos, np.sin)]
        model = np.sqrt(2) * np.stack(waves, axis=1) * weights
        found.append(model)
    return truth, np.array(found)


@pytest.mark.thorough
@pytest.mark.parametrize("policy", ["replace", "accumulate"])
def test_second_moments_are_those_of_a_plain_program(policy):
    weights = np.array([0.35, 0.35, 0.15, 0.15])
    truth, found = simulated(6, weights, policy, 2, np.random.default_rng(0))
    law = np.zeros(4, complex)
    law[:2] = (truth[::2] + 1j * truth[1::2]) / np.sqrt(2)
    exact = theory.expected_moments(law, weights, [6] * 3, is_pooled=policy == "accumulate")
    for values, expected in ((found, exact.coefficients), (found**2, None)):
        mean = exact.variance + exact.coefficients**2 if expected is None else expected
        errors = np.abs(values.mean(axis=1) - mean) / values.std(axis=1) * np.sqrt(len(found[0]))
        assert errors.max() < 5
    np.testing.assert_allclose((found**2).sum(axis=2).mean(axis=1), exact.energy, rtol=0.02)


def test_expectations_need_distance_from_zero():
    few = cj.Chain(FAMILY, NORMAL, cj.Replace(20))
    assert few.family.theory(few, few.policy.sizes(3)) == {}
    many = cj.Chain(FAMILY, NORMAL, cj.Replace(2000))
    assert set(many.family.theory(many, many.policy.sizes(3))) >= {"coefficients", "energy"}


def fitted(rows, family=FAMILY):
    corpus = cj.Rows.of_rows(jnp.asarray(rows, jnp.float32)[:, None], len(rows))
    return family.fit(None, corpus, None, None)


def test_a_fit_minimizes_the_regularised_risk():
    rows = np.random.default_rng(0).normal(size=50)
    found = fitted(rows).params.coefficients
    k = circle.frequencies(8)
    terms = np.sqrt(2) * np.where(
        np.arange(8) % 2, np.sin(np.outer(rows, k)), np.cos(np.outer(rows, k))
    )
    # The gradient of |f|^2 / 2 - mean f(x_i) + penalty |f|_H^2 / 2 in every c_j.
    gradient = found - terms.mean(axis=0) + 0.5 * found * k**2
    assert np.max(np.abs(gradient)) < 2e-6


@pytest.mark.parametrize("rows", [[1.0], [0.0, 0.1, 3.0], [2.5] * 4])
def test_negative_estimates_are_counted_and_lifted_to_zero(rows):
    fit = fitted(rows, SeriesDensity(8, 0.01))
    angles = np.linspace(0, 2 * np.pi, 20_001)
    raw = fitted(rows, SeriesDensity(8, 0.01)).params
    model = np.asarray(raw.coefficients, np.float64)
    assert fit.status == cj.Status.FLOORED
    assert density(model, angles).min() == pytest.approx(0, abs=2e-4)
    estimate = model * (1 + float(raw.negativity))
    assert density(estimate, angles).min() == pytest.approx(-float(raw.negativity), rel=1e-3)


def test_positive_estimates_are_left_as_they_are():
    fit = fitted(np.linspace(0, 6, 40))
    assert fit.status == cj.Status.OK
    assert fit.params.negativity == 0


def quantile_errors(coefficients, number=2000):
    """Distribution function at quantiles, minus what it should be."""
    uniform = (np.arange(number) + 0.5) / number
    given = jnp.asarray(coefficients)
    angles = np.asarray(jax.jit(circle.angle_quantile)(given, jnp.asarray(uniform, given.dtype)))
    angles, k = angles.astype(np.float64), circle.frequencies(len(coefficients))
    is_sine = np.arange(len(coefficients)) % 2
    phase = np.outer(angles, k)
    waves = np.where(is_sine, 1 - np.cos(phase), np.sin(phase)) / k
    found = (angles + np.sqrt(2) * waves @ coefficients) / (2 * np.pi)
    return np.abs(found - np.asarray(uniform, given.dtype))


@pytest.mark.parametrize(
    "terms",
    [8, pytest.param(1, marks=pytest.mark.thorough), pytest.param(64, marks=pytest.mark.thorough)],
)
def test_angles_have_their_distribution_function(terms):
    coefficients = np.random.default_rng(1).normal(size=terms) / circle.frequencies(terms)
    lowest = density(coefficients, np.linspace(0, 2 * np.pi, 100_001)).min()
    touching = (coefficients / (1 - lowest)).astype(np.float32)  # the hardest: a double zero
    assert quantile_errors(0.9 * touching).max() < 2e-6
    assert quantile_errors(touching).max() < 1e-5


@pytest.mark.thorough
def test_angles_in_float64():
    with jax.enable_x64(True):
        coefficients = np.array([0.2, -0.1, 0.15, 0.0, 0.05])
        assert quantile_errors(coefficients).max() < 1e-9


def test_functions_of_angles():
    angles = jnp.linspace(0, 2 * np.pi, 1001, dtype=jnp.float32)[:-1]
    cosine, sine = circle.cos_sin(angles)
    exact = np.asarray(angles, np.float64)
    assert np.abs(cosine - np.cos(exact)).max() < 1e-6
    assert np.abs(sine - np.sin(exact)).max() < 1e-6
    far = jnp.array([-1e-9, -1.0, 7.0, jnp.nan], jnp.float32)
    wrapped = np.asarray(circle.wrap(far))
    assert np.all((wrapped[:3] >= 0) & (wrapped[:3] < 2 * np.pi))
    assert np.isnan(wrapped[3])


@pytest.mark.thorough
@pytest.mark.parametrize(("family", "source"), CASES)
def test_rules_of_families(family, source):
    check_family(family, source, consistent=False)  # a penalty shrinks


@pytest.mark.thorough
@pytest.mark.parametrize(
    "policy",
    [
        cj.AccumulateSubsample(40),
        cj.Mixing(40, beta=0.25, gamma=0.25, original="data"),
        cj.Mixing(40, beta=0.25, gamma=0.25, previous="distribution"),
        cj.Replace([40, 50, 30], verifier=lambda rows: rows[:, 0] < 6),
    ],
)
def test_every_policy_runs(policy):
    records = run(ODD, MIXTURE, policy, chains=200, generations=2, metrics=["samples"])
    rows = records["samples"]
    assert set(np.unique(records["status"])) <= {0, 3}
    assert np.nanmin(rows) >= 0
    assert np.nanmax(rows) < 2 * np.pi


def test_rows_that_are_not_finite_end_a_chain():
    assert fitted([0.5, np.nan]).status == cj.Status.NON_FINITE


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SeriesDensity(0), "SeriesDensity.num_terms=0"),
        (lambda: SeriesDensity(65), "SeriesDensity.num_terms=65"),
        (lambda: SeriesDensity(4, -1.0), "SeriesDensity.penalty=-1"),
        (lambda: SeriesDensity(4, 1.0, 0.0), "SeriesDensity.smoothness=0"),
        (lambda: cj.Chain(FAMILY, cj.Categorical([1.0]), cj.Replace(5)), "are labels"),
        (lambda: cj.Chain(FAMILY, cj.Normal([0.0, 0.0], np.eye(2)), cj.Replace(5)), "length 2"),
        (lambda: theory.term_weights(0, 1.0, 1.0), "num_terms=0"),
        (lambda: theory.expected_moments([1.0], [0.5, 0.5], [5]), "characteristic"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(cj.ArgumentError, match=message):
        make()


@pytest.mark.thorough
@given(strategies.series_chains(), strategies.seeds())
def test_drawn_chains_run(chain, seed):
    records = cj.simulate(chain, key=seed, num_chains=5, num_generations=3)
    assert set(np.unique(records["status"])) <= {0, 2, 3}


# Planted faults


def uniform_as(change):
    def plant(patch):
        right = circle.angle_quantile
        patch.setattr(circle, "angle_quantile", lambda c, u: right(*change(c, u)))

    return plant


def terms_as(change):
    def plant(patch):
        right = module.basis
        patch.setattr(module, "basis", lambda angle, terms: change(right(angle, terms)))

    return plant


def weights_as(change):
    def plant(patch):
        right = module.term_weights
        patch.setattr(module, "term_weights", lambda *given: change(right(*given)))

    return plant


FAULTS = {
    "no penalty": weights_as(np.ones_like),
    "the penalty twice": weights_as(np.square),
    "eigenvalues in another order": weights_as(lambda w: w[::-1]),
    "uniform draws": uniform_as(lambda c, u: (0 * c, u)),
    "a mirrored law": uniform_as(lambda c, u: (c * jnp.array([1.0, -1.0] * 4), u)),
    "one angle for all rows": uniform_as(lambda c, u: (c, jnp.broadcast_to(u[0], u.shape))),
    "half of the angles": uniform_as(lambda c, u: (c, jnp.repeat(u[::2], 2))),
    "sines for cosines": terms_as(lambda terms: terms[1::2] + terms[::2]),
    "terms that are not normal": terms_as(lambda terms: [term / 2**0.5 for term in terms]),
}


@pytest.mark.thorough
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault, monkeypatch):
    jax.clear_caches()
    FAULTS[fault](monkeypatch)
    try:
        records = run(FAMILY, NORMAL, POLICIES["replace"], chains=20_000)
        assert cj.compare_with_theory(records).largest > 8
    finally:
        monkeypatch.undo()
        jax.clear_caches()


def plain_energy(rng):
    """The law of the energy after one generation of few rows, where estimates are negative."""
    energies = []
    for _ in range(2000):
        rows = rng.normal(0.5, np.sqrt(2.0), 5)
        for _ in range(2):
            k = np.arange(1, 3)
            waves = np.stack([np.cos(np.outer(rows, k)), np.sin(np.outer(rows, k))], axis=2)
            found = np.sqrt(2) * waves.reshape(5, -1).mean(axis=0)
            found = found * np.repeat(1 / (1 + 0.1 * k**2), 2)
            angles = np.linspace(0, 2 * np.pi, 400)
            found = found / max(1, 1 - density(found, angles).min())
            rows = np.empty(0)
            while len(rows) < 5:
                tried, height = rng.uniform(0, 2 * np.pi, 50), rng.uniform(0, 7, 50)
                rows = np.append(rows, tried[height < density(found, tried)])
            rows = rows[:5]
        energies.append(np.sum(found**2))
    return np.array(energies)


@pytest.mark.thorough
def test_a_plain_program_with_negative_estimates_has_the_same_law():
    records = run(SeriesDensity(4, 0.1), NORMAL, cj.Replace(5), chains=4000, generations=1)
    assert_same_law(records["energy"][-1], plain_energy(np.random.default_rng(0)))
    assert np.mean(records["status"] == 3) > 0.3

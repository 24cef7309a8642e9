"""Measures of laws on states, where rounding decides."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.metrics import discrete


@pytest.mark.parametrize(
    ("law", "mass"),
    [
        ([0.9, 0.1], 0.1),
        ([0.5, 0.2, 0.2, 0.1], 0.1),
        ([0.9, 0.04, 0.06], 0.1),
        ([0.9, 0.05, 0.05], 0.1),
        ([0.9] + [0.01] * 10, 0.1),
        ([0.9] + [0.001] * 100, 0.1),
        ([0.9] + [1e-5] * 10_000, 0.1),
        ([0.89, 0.11], 0.0),
        ([0.85, 0.0999, 0.0501], 0.0501),
    ],
)
def test_a_tail_of_exactly_a_tenth_is_the_same_for_models_and_theory(law, mass):
    truth = np.array(law) / np.sum(law)
    for given in (truth, truth.astype(np.float32), truth.astype(np.float32).astype(np.float64)):
        on_host = discrete.tail_on_host(given)
        np.testing.assert_array_equal(discrete.tail(given.astype(np.float32)), on_host)
        assert given @ on_host == pytest.approx(mass, abs=1e-5)


def test_theory_has_the_tail_of_the_simulation():
    chain = cj.Chain(cj.Discrete(), cj.Categorical([0.9, 0.1]), cj.Replace(5))
    records = cj.simulate(chain, key=1, num_chains=2000, num_generations=1)
    np.testing.assert_allclose(records.theory["tail_mass"], 0.1, rtol=1e-6)
    comparison = cj.compare_with_theory(records)
    assert comparison.largest < comparison.threshold(1e-6)


def test_a_divergence_is_never_negative():
    law = np.arange(1, 11) / 55
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(2**31 - 1))
    records = cj.simulate(chain, key=0, num_chains=64, num_generations=2)
    assert np.all(records["kl_divergence"] >= 0)
    assert np.all(records["kl_divergence"] < 3e-7)


def test_no_chain_is_absorbed_with_smoothing():
    chain = cj.Chain(cj.Discrete(smoothing=1.0), cj.Categorical([0.9, 0.1]), cj.Replace(3))
    records = cj.simulate(chain, key=0, num_chains=64, num_generations=2)
    assert np.any(records["support_size"] == 1)
    assert not np.any(records["is_absorbed"])
    assert np.all(records.dataset["first_event"] == -1)


@pytest.mark.parametrize("num_rows", [10, 10**6, 10**9])
@pytest.mark.parametrize("num_states", [2, 100])
def test_a_divergence_is_right_however_small(num_rows, num_states):
    rng = np.random.default_rng(num_states)
    truth = rng.dirichlet(np.ones(num_states)).astype(np.float32)
    exact = truth.astype(np.float64)
    model = (rng.multinomial(num_rows, exact / exact.sum()) / num_rows).astype(np.float32)
    gaps = model - exact
    terms = model.astype(np.longdouble) * np.log1p(np.maximum(gaps / exact, -1 + 1e-16)) - gaps
    # Of gaps near 1e-5 log1p keeps eleven digits, of their squares six.
    rtol = 1e-5 if num_rows == 10**9 else 1e-6
    np.testing.assert_allclose(discrete.kl_divergence(model, truth), float(terms.sum()), rtol=rtol)

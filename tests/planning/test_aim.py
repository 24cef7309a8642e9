"""Where a plan looks first: guesses are near the exact answer, and few levels are looked at."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.engine.sweep import with_settings
from collapse_jax.planning.aim import aim
from collapse_jax.planning.demand import make_demand
from collapse_jax.planning.expectation import exact_mean
from collapse_jax.planning.guess import guessed_margin
from collapse_jax.planning.knob import make_knob
from collapse_jax.planning.search import find
from collapse_jax.planning.trials import Trials, make_effort

LAW = np.arange(1, 201) ** -1.0 / np.sum(np.arange(1, 201) ** -1.0)


@pytest.mark.parametrize("gamma", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("sizes", [1000, (2000, 1000, 1000, 500, 500, 500)])
def test_the_guessed_number_of_surviving_states_is_near_that_of_the_dual(gamma, sizes):
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(sizes, gamma=gamma))
    options = {"throughout": False, "probability": None, "rare": 0.01}
    demand = make_demand(chain, "tail_survival", 0.0, None, 5, **options)
    assert guessed_margin(chain, demand) == pytest.approx(exact_mean(chain, demand, 5), rel=0.02)


def test_quantities_without_a_guess():
    chain = cj.Chain(cj.Discrete(smoothing=1.0), cj.Categorical(LAW), cj.Mixing(100))
    for throughout, quantity in [(True, "tail_survival"), (False, "entropy")]:
        options = {"throughout": throughout, "probability": 0.9, "rare": 0.01}
        demand = make_demand(chain, quantity, 0.5, None, 5, **options)
        assert guessed_margin(chain, demand) is None


def test_few_levels_are_looked_at(monkeypatch):
    """The share of chains that meet a demand rises from 0 to 1 within a few per cent."""
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(50_000))
    options = {"throughout": True, "probability": 0.95, "rare": 0.01}
    demand = make_demand(chain, "tail_survival", 0.5, None, 5, **options)
    trials = Trials(make_knob(chain, "policy.gamma", None, 5), demand, 0, make_effort(
        0.99, 0.1, None, chain, 5
    ))  # fmt: skip
    calls = []

    def values(at, first):
        calls.append(at.policy.gamma)
        noises = np.random.default_rng(first).normal(0, 1, 32)
        return np.log(at.policy.gamma + 1e-9) / 10 + 0.8 + 0.005 * noises

    monkeypatch.setattr(trials, "_simulated", values)
    truth = np.exp((0.5 + 1.645 * 0.005 - 0.8) * 10) * 50_000
    found = find(trials.verdict, 0, 50_000, aim(trials), trials.width)
    assert found.fails < truth < found.holds
    assert found.holds - found.fails <= 0.1 * found.holds
    assert len(trials.looks) < 12
    assert len(calls) * 32 < 1000


def test_shares_have_one_program_where_one_law_is_drawn_from():
    chain = cj.Chain(cj.Discrete(corpus="counts"), cj.Categorical(LAW), cj.Mixing(100))
    assert {
        with_settings(chain, {"policy.gamma": gamma}).policy.most_original
        for gamma in (0.0, 0.3, 1.0)
    } == {None}
    chain = cj.Chain(cj.Discrete(corpus="samples"), cj.Categorical(LAW), cj.Mixing(100, gamma=0.3))
    assert chain.policy.most_original is not None

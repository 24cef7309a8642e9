"""Every setting that can be asked for has the answer of theory, and every odd question a line."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.planning.demand import make_demand
from collapse_jax.planning.knob import make_knob
from collapse_jax.planning.trials import Trials, make_effort
from collapse_jax.theory import ancestors, gaussian_accumulation

NORMAL = cj.Normal(0.0, 1.0)
MLE = cj.Gaussian(1, "mle")
DETECTOR = cj.Detector(true_pass=0.9, false_pass=0.5)


def mixing(size=100, **settings):
    return cj.Chain(MLE, NORMAL, cj.Mixing(size, **settings))


def ask(chain, knob, **question):
    asked = {"quantity": "variance_ratio", "generations": 20, "probability": None, "key": 0}
    return cj.plan(chain, knob=knob, **(asked | question))


def share_needed(limit, size=100, generations=20):
    """Return the bracket of the share of rows drawn from p_0, in rows."""
    return ask(mixing(size), "policy.gamma", at_least=limit, generations=generations).bracket


@pytest.mark.parametrize(
    ("chain", "knob", "mean"),
    [
        (
            cj.Chain(MLE, NORMAL, cj.Fresh(100, 10)),
            "policy.num_original",
            lambda rows: gaussian_accumulation.fresh_share_moments(
                [100 + rows] * 21, rows / (100 + rows), "mle", "fixed"
            ).variance[-1],
        ),
        (
            mixing(100, gamma=0.02),
            "policy.num_samples",
            lambda rows: gaussian_accumulation.fresh_share_moments(
                [rows] * 21, 0.02, "mle", "multinomial"
            ).variance[-1],
        ),
    ],
)
def test_whole_numbers_of_rows(chain, knob, mean):
    fails, holds = ask(chain, knob, at_least=0.93).bracket
    assert holds == fails + 1
    assert mean(fails) < 0.93 <= mean(holds)


def test_originals_that_are_added_to_a_pool():
    chain = cj.Chain(MLE, NORMAL, cj.Accumulate(20, num_original=1))
    plan = ask(chain, "policy.num_original", at_least=0.96)
    fails, holds = plan.bracket
    assert holds == fails + 1
    assert plan.is_exact
    assert plan.original_rows.total == 20 + 21 * holds


def test_error_rates_of_a_detector():
    limit, chain = 0.9, mixing(100, gamma=0.02, detector=DETECTOR)
    low, high = share_needed(limit)
    fails, holds = ask(chain, "policy.detector.false_pass", at_least=limit).bracket
    assert fails > holds  # fewer false ones are better
    shares = [cj.Detector(0.9, one).effective_share(0.02) for one in (fails, holds)]
    assert low - 1e-3 <= shares[0] <= shares[1] <= high + 1e-3
    fails, holds = ask(
        mixing(100, gamma=0.02, detector=cj.Detector(0.5, 0.1)), "policy.detector.true_pass",
        at_least=limit,
    ).bracket  # fmt: skip
    assert fails < holds
    shares = [cj.Detector(one, 0.1).effective_share(0.02) for one in (fails, holds)]
    assert low - 1e-3 <= shares[0] <= shares[1] <= high + 1e-3


def test_bounds_say_which_end_is_better():
    knob = make_knob(mixing(), "policy.gamma", (0.5, 0.1), 5)
    assert [knob.value(level) for level in (knob.low, knob.high)] == [0.5, pytest.approx(0.1)]
    chain = cj.Chain(MLE, NORMAL, cj.Fresh(100, 10))
    knob = make_knob(chain, "policy.num_original", (50, 10), 5)
    assert [knob.value(level) for level in (knob.low, knob.low + 1, knob.high)] == [50, 49, 10]
    assert knob.at(knob.high).policy.num_original == 10
    plan = ask(mixing(), "policy.gamma", at_most=0.95, bounds=(1.0, 0.0))
    fails, holds = plan.bracket
    assert fails - holds == pytest.approx(0.01)
    assert plan.reason == ""
    assert plan.half.value == pytest.approx(holds / 2, abs=0.01)
    assert plan.double.value == pytest.approx(min(2 * holds, 1), abs=0.01)


def test_shares_may_lie_between_rows_where_the_origin_of_rows_is_drawn():
    whole = make_knob(mixing(100), "policy.gamma", (0.1, 1.0), 5)
    knob = whole.divided()
    assert [knob.low, knob.high, knob.parts] == [100, 1000, 10]
    assert knob.value(knob.low + 1) == pytest.approx(0.101)
    fixed = make_knob(mixing(100, allocation="fixed"), "policy.gamma", None, 5)
    rows = make_knob(mixing(100), "policy.num_samples", None, 5)
    assert (fixed.divided(), rows.divided()) == (fixed, rows)


@pytest.mark.parametrize(
    ("path", "bounds", "value", "width"),
    [
        ("policy.gamma", None, 0.55, 0.05),
        ("policy.gamma", None, 0.055, 0.01),  # a row
        ("policy.num_samples", None, 1100, 100),
        ("policy.num_samples", (5000, 10), 1000, 100),
        ("policy.detector.false_pass", None, 0.5, 0.05),
        ("policy.detector.false_pass", None, 0.01, 0.01),
    ],
)
def test_a_bracket_is_at_most_a_tenth_of_its_smaller_end_wide(path, bounds, value, width):
    chain = mixing(100, gamma=0.02, **({"detector": DETECTOR} if "detector" in path else {}))
    knob = make_knob(chain, path, bounds, 5).divided()
    options = {"throughout": False, "probability": 0.9, "rare": 0.01}
    demand = make_demand(chain, "variance", 0.9, None, 5, **options)
    trials = Trials(knob, demand, 0, make_effort(0.99, 0.1, None, chain, 5))
    level = min(range(knob.low, knob.high + 1), key=lambda one: abs(knob.value(one) - value))
    assert trials.width(level) / abs(knob.steps) == pytest.approx(width)


def kept(key, family, params, corpus, source, generation0):
    return jnp.mean(family.probabilities(params) > 0, dtype=float)


@pytest.mark.thorough
def test_strictness_of_a_selection():
    """The more candidates, the more of the likeliest states are taken, and the fewer survive."""
    law = np.full(10, 0.1)
    policy = cj.Replace(40, selection=cj.Top(41, score=lambda states: -states.astype(float)))
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), policy)
    plan = cj.plan(
        chain, quantity=cj.Metric(kept, reads=("family", "params")), at_least=0.5, generations=3,
        knob="policy.selection.num_candidates", bounds=(200, 40), probability=0.9, precision=0.2,
        max_chains=2048, key=0,
    )  # fmt: skip
    fails, holds = plan.bracket
    assert 40 <= holds < fails <= 200


LINES = {
    "no share is enough": (
        mixing(), "policy.gamma", {"at_least": 0.9999}, "raise policy.num_samples",
    ),
    "none is needed": (mixing(), "policy.gamma", {"at_least": 0.5}, "smallest value there is"),
    "no number is enough": (
        mixing(), "policy.num_samples", {"at_most": 0.0}, "demand less or pass fewer generations",
    ),
    "the knob does nothing": (
        cj.Chain(cj.Gaussian(1), NORMAL, cj.Mixing(100)), "policy.gamma", {"at_least": 1.5},
        "policy.gamma has no effect on variance_ratio",
    ),
    "more does harm": (mixing(), "policy.gamma", {"at_most": 0.97}, "more of it does harm"),
    "too many rows pass": (
        mixing(gamma=0.001, detector=DETECTOR), "policy.detector.false_pass",
        {"at_least": 0.9, "bounds": (1.0, 0.5)}, "its best value, 0.5, fails",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_odd_questions_are_answered_in_one_line(case):
    chain, knob, question, words = LINES[case]
    plan = ask(chain, knob, **question)
    assert words in str(plan)
    assert len(plan.answer.splitlines()) == 1
    assert plan.is_feasible == ("is enough," in plan.answer)


def test_rare_states_by_the_dual_for_each_generation_number():
    law = np.arange(1, 31) ** -1.0 / np.sum(np.arange(1, 31) ** -1.0)
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Mixing(100, gamma=0.2))
    question = {"quantity": "tail_survival", "rare": [29], "at_least": 0.3}
    plan = ask(chain, "policy.num_samples", **question, generations=3)
    fails, holds = plan.bracket
    weights = np.arange(30) == 29
    found = [
        ancestors.expected_present(law, [rows] * 4, weights, 0.2)[-1] for rows in (fails, holds)
    ]
    assert found[0] < 0.3 <= found[1]
    assert holds == fails + 1
    assert not math.isinf(plan.original_rows.total)

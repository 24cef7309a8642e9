"""A plan's file belongs to one question, and its command repeats it."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.planning.demand import make_demand
from collapse_jax.planning.knob import make_knob
from collapse_jax.planning.question import command_of, digest_of, question_of
from collapse_jax.planning.trials import make_effort

LAW = [0.4, 0.3, 0.15, 0.1, 0.05]
CHAIN = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(20))
QUESTION = {"at_least": 0.5, "generations": 2, "probability": None, "key": 3}
NORMAL = cj.Chain(cj.Gaussian(1, "mle"), cj.Normal(0.0, 1.0), cj.Mixing(20, allocation="fixed"))


def scaled(factor):
    def scale(key, family, params, corpus, source, generation0):
        return factor * jnp.exp(params.log_scale[0])

    return scale


OFFSET = 1.0


def shifted(key, family, params, corpus, source, generation0):
    return params.log_scale[0] + OFFSET


def test_other_states_are_another_question(tmp_path):
    question = {**QUESTION, "quantity": "tail_survival", "store": tmp_path / "trials.json"}
    first = cj.plan(CHAIN, **question, rare=[3, 4])
    assert cj.plan(CHAIN, **question, rare=[3, 4]) == first
    with pytest.raises(cj.ArgumentError, match="it answers another question"):
        cj.plan(CHAIN, **question, rare=[2, 4])


def test_a_metric_counts_with_all_that_it_refers_to(monkeypatch):
    assert digest_of(scaled(1.0)) == digest_of(scaled(1.0))
    assert digest_of(scaled(np.ones(3))) == digest_of(scaled(np.ones(3)))
    different = [
        scaled(1.0),
        scaled(2.0),
        scaled(np.ones(3)),
        functools.partial(scaled, 1.0),
        shifted,
        cj.Metric(shifted, reads=("params",)),
        cj.Metric(shifted, reads=("params", "key")),
        cj.Accept(lambda rows: rows > 0),
        cj.Accept(lambda rows: rows > 1),
        CHAIN,
        NORMAL,
    ]
    assert len({digest_of(one) for one in different}) == len(different)
    before = digest_of(shifted)
    monkeypatch.setitem(globals(), "OFFSET", 2.0)
    assert digest_of(shifted) != before


def asked(quantity):
    demand = make_demand(NORMAL, quantity, 0.5, None, 2, throughout=True, probability=0.9, rare=0.1)
    effort = make_effort(0.9, 0.1, 64, NORMAL, 2)
    return question_of(NORMAL, demand, make_knob(NORMAL, "policy.gamma", None, 2), effort, 5, 0.1)


def test_another_function_of_the_same_name_is_another_question():
    assert asked(scaled(1.0)) == asked(scaled(1.0))
    assert asked(scaled(1.0)) != asked(scaled(1.1))
    assert asked(scaled(1.0))["quantity"] == "scale"


@pytest.mark.parametrize(
    ("chain", "question"),
    [
        (CHAIN, {"quantity": "tail_survival", "rare": [1, 4], "bounds": (0.1, 0.9)}),
        (CHAIN, {"quantity": "tail_survival", "rare": 0.06, "key": 2**40 + 1}),
        (NORMAL, {"quantity": "variance_ratio", "at_least": 0.9, "generations": float("inf")}),
    ],
)
def test_the_command_repeats_the_plan(chain, question):
    plan = cj.plan(chain, **{**QUESTION, **question})
    assert eval(plan.command, {"cj": cj}) == plan


def test_a_command_names_what_a_line_cannot_hold():
    chain = cj.Chain(cj.Discrete(), cj.Categorical(np.full(100, 0.01)), cj.Mixing(20))
    plan = cj.plan(chain, **QUESTION, quantity="tail_survival", rare=[0, 1])
    assert plan.command.startswith("cj.plan(chain, quantity='tail_survival', generations=2,")
    assert "rare=[0, 1]" in plan.command
    assert eval(plan.command, {"cj": cj, "chain": chain}) == plan
    assert command_of(asked(shifted), NORMAL, shifted, {}) == (
        "cj.plan(cj.Chain(cj.Gaussian(estimator='mle'), cj.Normal(mean=[0.0], "
        "covariance=[[1.0]]), cj.Mixing(num_samples=20, allocation='fixed')), quantity=shifted, "
        "generations=2, at_least=0.5, throughout=True, probability=0.9, knob='policy.gamma', "
        "confidence=0.9, precision=0.1, max_chains=64, key=5)"
    )

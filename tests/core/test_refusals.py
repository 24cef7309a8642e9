"""Families and policies of a user's own that break a rule are refused by one line."""

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config, static

NORMAL = cj.Normal(0.0, 1.0)


@config
class Means(cj.AbstractFamily):
    """A family whose methods return what a case says."""

    broken: str = static(default="")

    def fit(self, keys, corpus, previous, generation0):
        mean = jnp.mean(corpus.absolute_rows[:, 0])
        return mean if self.broken == "fit" else cj.Fit(mean)

    def draw(self, keys, params, size, capacity, generation0):
        rows = params + jnp.zeros((capacity, 1))
        return rows if self.broken == "draw" else cj.Rows.of_rows(rows, size)

    def measure(self, params, corpus, source, generation0):
        if self.broken == "measure":
            return params
        return {"mean": params, "one": 1.0 if self.broken == "number" else params}


@config
class Some(cj.AbstractPolicy):
    """A policy whose corpora have `rows` rows."""

    num_samples: int = static(default=20)
    verifier: None = static(default=None)
    rows: int = static(default=20)

    def capacity(self, num_generations):
        return self.num_samples

    def validate(self, num_generations):
        pass

    def init(self, corpus, num_generations):
        return None

    def next(self, step):
        return step.model(self.rows, self.rows), step.memory


@config
class WithoutVerifier(cj.AbstractPolicy):
    """A policy that lacks a field."""

    num_samples: int = static(default=20)
    capacity = validate = init = next = Some.next


class PlainFamily(cj.AbstractFamily):
    """A family that is no config."""

    fit, draw, measure = Means.fit, Means.draw, Means.measure


def run(family, policy):
    return cj.simulate(cj.Chain(family, NORMAL, policy), key=0, num_chains=2, num_generations=2)


CASES = {
    "fewer rows": (
        lambda: run(cj.Gaussian(1), Some(rows=10)),
        "result of Some.next=corpus of 10 rows is not allowed: the policy's sizes are 20; ",
    ),
    "more rows": (
        lambda: run(cj.Gaussian(1, corpus="samples"), Some(rows=30)),
        "result of Some.next=corpus of 30 rows is not allowed",
    ),
    "rows instead of a fit": (
        lambda: run(Means("fit"), Some()),
        "result of Means.fit=.* is not allowed: it must be an instance of Fit; return ",
    ),
    "rows instead of a corpus": (
        lambda: run(Means("draw"), Some()),
        "result of Some.next=.* is not allowed: it must be an instance of AbstractCorpus",
    ),
    "a value instead of variables": (
        lambda: run(Means("measure"), Some()),
        "result of Means.measure=.* is not allowed: it must be an instance of Mapping",
    ),
    "a policy without a field": (
        lambda: run(cj.Gaussian(1), WithoutVerifier()),
        "Chain.policy=WithoutVerifier is not allowed: it lacks the field verifier; add ",
    ),
    "a family that is no config": (
        lambda: run(PlainFamily(), Some()),
        "Chain.family=PlainFamily is not allowed: its class is no config; decorate it with",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_broken_rules_get_one_line(name):
    call, expected = CASES[name]
    with pytest.raises(cj.ArgumentError, match=expected) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_right_ones_pass():
    records = run(Means("number"), Some())
    assert np.all(records["one"] == 1)
    assert run(cj.Gaussian(1), Some())["log_std"].shape == (3, 2)


def test_a_schedule_may_go_on():
    """A run with a size for each generation is resumed with a longer schedule."""
    sizes = [20, 10, 30, 40, 50, 60]
    chains = [cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace(part)) for part in (sizes[:3], sizes)]
    begun = cj.simulate(chains[0], key=0, num_chains=2, num_generations=2)
    rest = cj.simulate(chains[1], key=0, num_chains=2, num_generations=5, state=begun.state)
    whole = cj.simulate(chains[1], key=0, num_chains=2, num_generations=5)
    np.testing.assert_array_equal(rest["log_std"], whole["log_std"][3:])
    other = cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace([20, 11, *sizes[2:]]))
    with pytest.raises(cj.ArgumentError, match=r"chain.policy.num_samples="):
        cj.simulate(other, key=0, num_chains=2, num_generations=5, state=begun.state)


@config
class Failing(cj.AbstractFamily):
    """A family whose fit always returns the same status."""

    code: object = static(default=0)

    def fit(self, keys, corpus, previous, generation0):
        return cj.Fit(jnp.zeros(()), self.code)

    def draw(self, keys, params, size, capacity, generation0):
        return cj.Rows.of_rows(jnp.zeros((capacity, 1)), size)

    def measure(self, params, corpus, source, generation0):
        return {"zero": params}


@pytest.mark.parametrize(
    ("code", "found"), [(0, 0), (cj.Status.DEGENERATE, 2), (2, 2), (np.int32(3), 3)]
)
def test_a_status_is_a_code_or_an_array(code, found):
    chain = cj.Chain(Failing(code), cj.Normal(0.0, 1.0), cj.Replace(5))
    assert np.all(cj.simulate(chain, key=0, num_chains=2, num_generations=1)["status"] == found)


@pytest.mark.parametrize("code", [7, True, 2.5, "a", np.float32(2.7)])
def test_another_status_is_refused(code):
    chain = cj.Chain(Failing(code), cj.Normal(0.0, 1.0), cj.Replace(5))
    with pytest.raises(cj.ArgumentError, match=r"status of Failing\.fit"):
        cj.simulate(chain, key=0, num_chains=2, num_generations=1)

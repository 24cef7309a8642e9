"""Families and policies of a user's own that break a rule are refused by one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config, static

NORMAL = cj.Normal(0.0, 1.0)


def later(family, previous, name):
    """Tell whether a case breaks a rule of this name in generations after the first."""
    return family.broken == name and previous is not None


@config
class Means(cj.AbstractFamily):
    """A family whose methods return what a case says."""

    broken: str = static(default="")

    def fit(self, keys, corpus, previous, generation0):
        mean = jnp.mean(corpus.absolute_rows[:, 0])
        if self.broken == "fit":
            return mean
        params = (mean, mean) if later(self, previous, "structure") else mean
        params = params[None] if later(self, previous, "shape") else params
        params = params.astype(jnp.float16) if later(self, previous, "dtype") else params
        params = "mean" if self.broken == "text" else params
        params = np.float64(1e300) if self.broken == "beyond" else params
        status = jnp.int32(0) if later(self, previous, "status") else cj.Status.OK
        facts = {"more": mean} if later(self, previous, "facts") else {}
        return cj.Fit(params, status, None if self.broken == "no facts" else facts)

    def draw(self, keys, params, size, capacity, generation0):
        slots = capacity + {"more slots": 1, "fewer rows": -1}.get(self.broken, 0)
        rows = params + jnp.zeros((slots, 1))
        size = slots if self.broken == "fewer rows" else size
        return rows if self.broken == "draw" else cj.Rows.of_rows(rows, size)

    def measure(self, params, corpus, source, generation0):
        if self.broken == "measure":
            return params
        name = {"name": "a/b", "taken": "status"}.get(self.broken, "mean")
        value = {"words": "high", "none": None, "large": 2**40}.get(self.broken, params)
        return {name: value, "one": 1.0 if self.broken == "number" else params}


@config
class Some(cj.AbstractPolicy):
    """A policy whose corpora have `rows` rows and whose memory is what a case says."""

    num_samples: int = static(default=20)
    verifier: None = static(default=None)
    rows: object = static(default=20)
    slots: object = static(default=20)
    most: int = static(default=20)
    begin: object = static(default=None)
    memory: object = static(default=None)
    original: bool = static(default=False)

    def capacity(self, num_generations):
        return self.most

    def validate(self, num_generations):
        pass

    def init(self, corpus, num_generations):
        return self.begin if self.begin is None else self.begin()

    def next(self, step):
        draw = step.original if self.original else step.model
        rows = self.rows(step.generation) if callable(self.rows) else self.rows
        slots = step.generation if self.slots == "traced" else 20
        return draw(rows, slots), None if self.memory is None else self.memory()


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
        r"size of step.model in Some.next=30 is not allowed: with capacity=20 it must lie",
    ),
    "more original rows": (
        lambda: run(cj.Gaussian(1), Some(rows=30, original=True)),
        "size of step.original in Some.next=30 is not allowed: with capacity=20 ",
    ),
    "a number of rows that is none": (
        lambda: run(cj.Gaussian(1), Some(rows=20.0)),
        r"size of step.model in Some.next=float32\[\] is not allowed: it must be one integer; ",
    ),
    "a traced capacity": (
        lambda: run(cj.Gaussian(1), Some(slots="traced")),
        r"capacity of step.model in Some.next=.*int32\[\] is not allowed: it must be",
    ),
    "fewer slots than rows of generation 0": (
        lambda: run(cj.Gaussian(1), Some(most=5)),
        r"result of Some.capacity=5 is not allowed: it must lie in \[20, ",
    ),
    "more slots than asked for": (
        lambda: run(Means("more slots"), Some()),
        "result of Means.draw=corpus of 21 slots is not allowed: capacity=20 was asked for; ",
    ),
    "fewer rows than asked for": (
        lambda: run(Means("fewer rows"), Some()),
        "result of Means.draw=corpus of 19 rows is not allowed: size=20 was asked for; ",
    ),
    "another structure of params": (
        lambda: run(Means("structure"), Some()),
        r"params of Means.fit=\(float32\[\], float32\[\]\) is not allowed: it was float32\[\] in ",
    ),
    "another shape of params": (
        lambda: run(Means("shape"), Some()),
        r"params of Means.fit=float32\[1\] is not allowed: it was float32\[\] in the generation ",
    ),
    "another dtype of params": (
        lambda: run(Means("dtype"), Some()),
        r"params of Means.fit=float16\[\] is not allowed: it was float32\[\]",
    ),
    "text as params": (
        lambda: run(Means("text"), Some()),
        "params of Means.fit=str is not allowed: it must be an array; return a pytree of arrays",
    ),
    "a status in later generations only": (
        lambda: run(Means("status"), cj.Replace(20)),
        r"status of Means.fit=int32\[\] is not allowed: in generation 0 it was the number 0",
    ),
    "facts in later generations only": (
        lambda: run(Means("facts"), Some()),
        r"info of Means.fit={'more': float32\[\]} is not allowed: it was {} in the generation ",
    ),
    "no mapping of facts": (
        lambda: run(Means("no facts"), Some()),
        "info of result of Means.fit=NoneType is not allowed: it must be an instance of Mapping",
    ),
    "another structure of memory": (
        lambda: run(Means(), Some(memory=lambda: jnp.zeros(3))),
        r"memory of Some.next=float32\[3\] is not allowed: it was None in the generation before; ",
    ),
    "another shape within memory": (
        lambda: run(
            Means(),
            Some(begin=lambda: {"a": jnp.zeros(3)}, memory=lambda: {"a": jnp.zeros(4)}),
        ),
        r"memory\['a'\] of Some.next=float32\[4\] is not allowed: it was float32\[3\] in the ",
    ),
    "text as memory": (
        lambda: run(Means(), Some(begin=lambda: "text")),
        "memory of Some.init=str is not allowed: it must be an array; ",
    ),
    "words as a variable": (
        lambda: run(Means("words"), Some()),
        "variable 'mean' in result of Means.measure=str is not allowed: it must be an array of ",
    ),
    "none as a variable": (
        lambda: run(Means("none"), Some()),
        "variable 'mean' in result of Means.measure=None is not allowed",
    ),
    "a variable that no folder can hold": (
        lambda: run(Means("name"), Some()),
        "variable in result of Means.measure='a/b' is not allowed: a name has at most",
    ),
    "a variable of every run": (
        lambda: run(Means("taken"), Some()),
        "variable in result of Means.measure='status' is not allowed: a variable or coordinate of ",
    ),
    "rows instead of a fit": (
        lambda: run(Means("fit"), Some()),
        "result of Means.fit=.* is not allowed: it must be an instance of Fit; return ",
    ),
    "rows instead of a corpus": (
        lambda: run(Means("draw"), Some()),
        "result of Means.draw=.* is not allowed: it must be an instance of AbstractCorpus",
    ),
    "a value instead of variables": (
        lambda: run(Means("measure"), Some()),
        "result of Means.measure=.* is not allowed: it must be an instance of Mapping",
    ),
    "params beyond float32": (
        lambda: run(Means("beyond"), Some()),
        r"params of Means.fit=1e\+300 is not allowed: it exceeds the range of float32; set JAX_",
    ),
    "a variable beyond int32": (
        lambda: run(Means("large"), Some()),
        "variable 'mean' in result of Means.measure=1099511627776 .* exceeds the range of int32",
    ),
    "memory beyond int32": (
        lambda: run(cj.Gaussian(1), Some(begin=lambda: np.int64(1), memory=lambda: 2**40)),
        "memory of Some.next=1099511627776 is not allowed: it exceeds the range of int32; set JAX",
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


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize(
    "family", [Means(), cj.Gaussian(1, corpus="samples")], ids=["plain", "rows"]
)
def test_more_rows_than_slots_at_run_time_are_degenerate(family, original):
    """D_2 would have 21 rows in 20 slots: the chain ends there, and no row is left out."""
    policy = Some(rows=lambda generation: 19 + generation, original=original)
    records = run(family, policy)
    assert records["status"].tolist() == [[0, 0], [0, 0], [2, 2]]
    assert np.isfinite(records["mean"][:2]).all()
    assert np.isnan(records["mean"][2]).all()
    assert records.dataset["first_event"].values.tolist() == [2, 2]


def test_corpora_without_slots_hold_every_row():
    """Moments of 21 rows are exact, whatever the capacity."""
    records = run(cj.Gaussian(1), Some(rows=lambda generation: 19 + generation))
    assert np.all(records["status"] == 0)


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


def test_a_state_of_other_metrics_or_floats_says_which(tmp_path):
    rows = cj.Metric(lambda *given: given[3].rows[0, 0], name="row", reads=("corpus",))
    chain = cj.Chain(cj.Gaussian(1, corpus="samples"), NORMAL, cj.Replace(6))
    whole = {"key": 0, "num_chains": 2, "num_generations": 2, "metrics": [rows]}
    begun = cj.simulate(chain, **whole)
    begun.save(tmp_path / "run")
    longer = whole | {"num_generations": 3}
    for state in (begun.state, cj.Records.load(tmp_path / "run").state):
        expected = (
            r"metrics=\[\] is not allowed: the state was made with \['row'\], which read other"
        )
        with pytest.raises(cj.ArgumentError, match=expected):
            cj.simulate(chain, **(longer | {"metrics": [], "state": state}))
    with (
        jax.enable_x64(True),
        pytest.raises(cj.ArgumentError, match=r"state.params.*float32.*set jax_enable_x64"),
    ):
        cj.simulate(chain, **longer, state=begun.state)


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

"""Brackets contain what theory knows, verdicts err as rarely as stated, questions get one line."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.planning.demand import make_demand
from collapse_jax.planning.expectation import exact_mean
from collapse_jax.planning.search import find
from collapse_jax.planning.sequential import BoundedTest, MeanTest, ShareTest
from collapse_jax.theory import ancestors, gaussian_accumulation

NORMAL = cj.Normal(0.0, 1.0)
LAW = np.arange(1, 21) ** -1.0 / np.sum(np.arange(1, 21) ** -1.0)


def gaussian(size, estimator="mle", **shares):
    return cj.Chain(cj.Gaussian(1, estimator=estimator), NORMAL, cj.Mixing(size, **shares))


def ask(chain, **question):
    return cj.plan(chain, **{"generations": 5, "key": 0, "probability": None, **question})


@pytest.mark.parametrize("size", [10**3, 10**4, 10**5])
@pytest.mark.parametrize("lost", [0.01, 0.05, 0.1])
def test_the_smallest_share_that_keeps_the_variance_for_ever(size, lost):
    chain = gaussian(size, gamma=0.1, allocation="fixed")
    plan = ask(chain, quantity="variance_ratio", at_least=1 - lost, generations=math.inf)
    root = math.sqrt((2 * size - 1) ** 2 - 4 * size * (1 / lost - 1))
    fails, holds = plan.bracket
    assert fails < ((2 * size - 1) - root) / (2 * size) <= holds
    assert holds - fails == pytest.approx(1 / size)
    assert (plan.is_exact, plan.is_feasible, plan.reason) == (True, True, "")


@pytest.mark.parametrize("generations", [1, 20])
@pytest.mark.parametrize("allocation", ["fixed", "multinomial"])
@pytest.mark.parametrize("limit", [0.93, 0.98])
def test_gaussian_brackets_by_theory(generations, allocation, limit):
    chain = gaussian(200, gamma=0.5, allocation=allocation)
    plan = ask(chain, quantity="variance_ratio", at_least=limit, generations=generations)

    def variance(gamma):
        sizes = [200] * (generations + 1)
        moments = gaussian_accumulation.fresh_share_moments(sizes, gamma, "mle", allocation)
        return moments.variance[-1]

    fails, holds = plan.bracket
    assert fails is None or variance(fails) < limit
    assert variance(holds) >= limit
    assert fails is None or holds - fails == pytest.approx(1 / 200)


@pytest.mark.parametrize("limit", [0.3, 0.6])
def test_discrete_brackets_by_the_ancestral_dual(limit):
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(100))
    plan = ask(chain, quantity="tail_survival", at_least=limit, generations=20, rare=0.05)
    weights = (LAW < 0.05) / np.count_nonzero(LAW < 0.05)

    def survival(gamma):
        return ancestors.expected_present(LAW, [100] * 21, weights, gamma)[-1]

    fails, holds = plan.bracket
    assert survival(fails) < limit <= survival(holds)
    assert holds - fails == pytest.approx(1 / 100)


def test_the_simulated_share_of_rare_states_has_the_mean_of_the_dual():
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(100, gamma=0.1))
    question = {"throughout": False, "probability": None, "rare": 0.05}
    demand = make_demand(chain, "tail_survival", 0.5, None, 10, **question)
    records = cj.simulate(
        chain, key=0, num_chains=4096, num_generations=10, metrics=demand.metrics, every=10
    )
    values = demand.of_chains(records["tail_survival"])
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values) - exact_mean(chain, demand, 10)) < 5 * error


def test_a_simulated_bracket_contains_the_answer_of_theory():
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(100))
    question = {"quantity": "tail_survival", "at_least": 0.5, "generations": 10, "rare": 0.05}
    exact = ask(chain, **question)

    def as_metric(key, family, params, corpus, source, generation0):
        return jnp.mean(family.probabilities(params)[LAW < 0.05] > 0, dtype=float)

    metric = cj.Metric(as_metric, "rare_left", reads=("family", "params"))
    simulated = ask(chain, **{**question, "quantity": metric})
    assert simulated.bracket[0] < exact.bracket[1]
    assert exact.bracket[0] < simulated.bracket[1]
    assert not simulated.is_exact


def test_with_a_probability_the_share_of_chains_decides():
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(100))
    question = {"quantity": "support_size", "at_least": 15, "generations": 3}
    plan = ask(chain, **question, probability=0.9)
    fails, holds = (next(one for one in plan.trials if one.value == end) for end in plan.bracket)
    assert fails.share < 0.9 < holds.share
    assert plan == ask(chain, **question, probability=0.9)


@pytest.mark.parametrize(
    ("question", "bracket", "reason"),
    [
        ({"quantity": "variance_ratio", "at_least": 0.9999}, (1.0, None), "raise policy.num_samp"),
        ({"quantity": "variance_ratio", "at_least": 0.5}, (None, 0.0), ""),
        ({"quantity": "variance_ratio", "at_least": 0.5, "knob": "family.sampling_bias",
          "bounds": (0.5, 1.0)}, None, ""),
        ({"quantity": "variance_ratio", "at_most": 0.97}, (None, 0.0), "more of it does harm"),
    ],
)  # fmt: skip
def test_questions_without_a_bracket_say_why(question, bracket, reason):
    plan = ask(gaussian(100), **question)
    assert bracket is None or plan.bracket == bracket
    assert reason in plan.reason
    assert bool(plan.reason) == bool(reason)
    assert len(plan.answer.splitlines()) == 1


def test_a_setting_without_effect_is_named():
    chain = gaussian(100, "unbiased", gamma=0.5)
    plan = ask(chain, quantity="variance_ratio", at_least=0.9)
    assert "no effect on variance_ratio" in plan.reason


def test_a_quantity_that_rises_and_falls_is_named():
    levels = {0: False, 10: True}
    assert find(
        lambda level: 3 <= level <= 6 or levels.get(level, False), 0, 10, (0, 10), lambda _: 1
    )

    def hill(key, family, params, corpus, source, generation0):
        return -jnp.abs(params.log_scale[0])

    chain = cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace(100))
    plan = ask(
        chain, quantity=hill, at_least=-0.1, knob="family.sampling_bias", bounds=(0.2, 4.0),
        generations=3,
    )  # fmt: skip
    assert not plan.is_feasible
    assert "not monotone" in plan.answer
    wide = {"at_least": -0.5, "knob": "family.sampling_bias", "bounds": (0.4, 4.0)}
    plan = ask(chain, quantity=hill, **wide, generations=3)
    assert plan.is_feasible
    assert "not monotone in family.sampling_bias" in plan.reason


def test_a_killed_plan_resumes_to_the_same_answer(tmp_path):
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Mixing(50))
    question = {"quantity": "support_size", "at_least": 12, "generations": 2, "probability": 0.9}
    question["max_chains"] = 1024
    path = tmp_path / "trials.json"
    calls = []
    whole = ask(chain, **question, progress=calls.append)

    class KilledError(Exception):
        pass

    seen = []

    def kill(line):
        seen.append(line)
        if len(seen) == 3:
            raise KilledError

    with pytest.raises(KilledError):
        ask(chain, **question, store=path, progress=kill)
    again = []
    resumed = ask(chain, **question, store=path, progress=again.append)
    assert resumed == whole
    assert len(seen) + len(again) == len(calls)
    with pytest.raises(cj.ArgumentError, match="it answers another question"):
        ask(chain, **{**question, "at_least": 13}, store=path)


def test_a_report_has_the_answer_first_and_the_same_as_json(tmp_path):
    plan = ask(gaussian(100), quantity="variance_ratio", at_least=0.95, generations=20)
    page = plan.report(tmp_path)
    text = page.read_text()
    assert f"<h1>{plan.answer}</h1>" in text
    assert json.loads((tmp_path / "report.json").read_text())["bracket"] == list(plan.bracket)
    assert plan.original_rows == cj.OriginalRows(
        100, 100 * plan.bracket[1], plan.original_rows.total
    )
    assert plan.equivalent_rows > 20
    assert plan.half.value == pytest.approx(plan.bracket[1] / 2, abs=0.01)


@pytest.mark.parametrize(
    ("question", "match"),
    [
        ({}, "one of them must be given"),
        ({"at_least": 1, "at_most": 2}, "at_least, at_most=both is not allowed"),
        ({"at_least": math.nan}, "at_least=nan"),
        ({"at_least": 0.9, "quantity": "entropi"}, "quantity='entropi'"),
        ({"at_least": 0.9, "quantity": "mean"}, "has the axes dim"),
        ({"at_least": 0.9, "quantity": "tail_survival"}, "it counts states"),
        ({"at_least": 0.9, "knob": "policy.gama"}, "Chain.policy has no setting .gama."),
        ({"at_least": 0.9, "knob": "policy.original"}, "its value must be one number"),
        ({"at_least": 0.9, "knob": "family.sampling_bias"}, r"pass bounds=\(worst, best\)"),
        ({"at_least": 0.9, "bounds": (0.5, 0.5)}, "two different numbers"),
        ({"at_least": 0.9, "bounds": (0.5, 2)}, r"bounds\[1\]=2.0"),
        ({"at_least": 0.9, "probability": 1.0}, "no number of chains shows"),
        ({"at_least": 0.9, "probability": 0.0}, "probability=0.0"),
        ({"at_least": 0.9, "confidence": 1.0}, "confidence=1.0"),
        ({"at_least": 0.9, "generations": -1}, "generations=-1"),
        ({"at_least": -1}, r"variance_ratio lies in \[0, inf\]"),
        ({"at_least": 0.9, "generations": math.inf, "throughout": True}, "stationary state"),
    ],
)
def test_bad_questions_get_one_line(question, match):
    with pytest.raises(cj.ArgumentError, match=match) as error:
        ask(gaussian(100, gamma=0.1), **{"quantity": "variance_ratio", **question})
    assert len(str(error.value).splitlines()) == 1


def test_data_without_variance_are_refused():
    chain = cj.Chain(cj.Gaussian(1), cj.Empirical([5.0, 5.0, 5.0]), cj.Mixing(50))
    with pytest.raises(cj.ArgumentError, match="all of its rows are equal; pass rows that differ"):
        cj.plan(chain, quantity="variance_ratio", at_least=0.9, generations=5, key=0)


TESTS = {
    "share": (lambda: ShareTest(0.9), lambda rng: rng.random(4000) < 0.9),
    "bounded": (lambda: BoundedTest(0.3, 0.0, 1.0), lambda rng: rng.beta(3, 7, 4000)),
    "mean": (lambda: MeanTest(2.0), lambda rng: rng.normal(2.0, 3.0, 4000)),
}


def wrong(make, draw, shift=0.0, error=0.05):
    """Return how often a test that looks after every 100 numbers names a side."""
    sides = {True: 0, False: 0}
    for seed in range(400):
        test, values = make(), draw(np.random.default_rng(seed))
        for part in np.split(values, 40):
            test.add(part + shift)
            if (verdict := test.verdict(error)) is not None:
                sides[verdict] += 1
                break
    return sides


@pytest.mark.parametrize("name", TESTS)
def test_at_the_limit_each_answer_is_as_rare_as_stated(name):
    """400 runs with 40 looks each: 5 % of them plus four standard deviations are 37."""
    assert max(wrong(*TESTS[name]).values()) <= 37


def test_a_test_without_the_correction_for_looking_often_is_caught():
    class Careless(MeanTest):
        def verdict(self, error):
            mean = self._sum / self._number
            spread = math.sqrt(self._squares / self._number / self._number)
            return None if abs(mean) < 1.645 * spread else mean > 0

    assert max(wrong(lambda: Careless(2.0), TESTS["mean"][1]).values()) > 37


def test_clear_cases_are_decided_soon():
    for limit, hits, answer in [(0.95, 1.0, True), (0.95, 0.0, False), (0.5, 0.7, True)]:
        test = ShareTest(limit)
        test.add(np.arange(200) < 200 * hits)
        assert test.verdict(0.001) is answer
    test = BoundedTest(0.9, 0.0, 1.0)
    test.add(np.full(50, 0.2))
    assert test.verdict(0.001) is False


@pytest.mark.parametrize("answer", [1, 2, 3, 17, 500, 999, 1000])
@pytest.mark.parametrize("aim", [(0, 1000), (4, 5), (700, 720)])
def test_a_search_finds_the_first_level_that_holds(answer, aim):
    tried = []

    def verdict(level):
        tried.append(level)
        return level >= answer

    assert find(verdict, 0, 1000, aim, lambda _: 1) == (answer - 1, answer)
    assert len(set(tried)) < 25


def test_undecided_levels_are_spanned():
    ends = (0, 100)
    found = find(lambda level: None if 40 < level < 50 else level >= 45, *ends, ends, lambda _: 1)
    assert found == (40, 50)
    assert find(lambda level: level < 0, *ends, (20, 30), lambda _: 1) == (100, None)
    assert find(lambda level: True, *ends, (20, 30), lambda _: 1) == (None, 0)
    assert find(lambda level: None if level < 20 else True, *ends, ends, lambda _: 1) == (None, 20)


@pytest.mark.thorough
@pytest.mark.parametrize("dim", [1, 2])
def test_the_variance_of_data_is_planned_by_simulation(dim):
    """Theory knows only normal rows, so that files are simulated."""
    rows = np.random.default_rng(0).normal([170.0, 70.0][:dim], 10.0, (300, dim))
    chain = cj.Chain(cj.Gaussian(dim), cj.Empirical(rows), cj.Mixing(50))
    question = {"quantity": "variance_ratio", "at_least": 0.5, "generations": 2}
    plan = cj.plan(chain, **question, probability=0.5, confidence=0.9, key=0)
    assert plan.trials[0].num_chains > 0
    assert 0.7 < plan.trials[0].estimate < 1.3


def test_undecided_levels_get_more_effort_where_the_bracket_would_be_too_wide():
    insisted = []

    def insist(level):
        insisted.append(level)
        return None if level == 45 else level > 45

    arguments = (lambda level: None if 40 < level < 50 else level >= 45, 0, 100, (0, 100))
    assert find(*arguments, lambda _: 2, insist) == (44, 46)
    assert len(insisted) < 10
    insisted.clear()
    fails, holds = find(*arguments, lambda _: 25, insist)
    assert fails <= 40 < 50 <= holds
    assert insisted == []


def test_a_narrow_gap_is_tested_where_that_ends_the_search():
    tried = []

    def verdict(level):
        tried.append(level)
        return None if 110 <= level <= 119 else level >= 114

    found = find(verdict, 0, 1000, (100, 130), lambda level: max(10, level / 10))
    assert found.fails < 110
    assert 119 < found.holds <= found.fails + max(10, found.holds / 10)
    assert len(tried) < 15

"""The cheapest offer is near the best of all sizes, and costs what its rows cost."""

import math

import pytest

import collapse_jax as cj

DEMAND = {"quantity": "variance_ratio", "at_least": 0.95, "probability": None, "key": 0}
PRICES = {"original": 1.0, "synthetic": 0.01}


def chain(size, **settings):
    return cj.Chain(cj.Gaussian(1, "mle"), cj.Normal(0.0, 1.0), cj.Mixing(size, **settings))


def test_the_cheapest_offer_is_near_the_best_of_all_sizes():
    budget = cj.Budget(**PRICES)
    plan = cj.plan(chain(200), **DEMAND, generations=20, budget=budget)
    costs = {}
    for size in range(20, 120, 4):
        share = cj.plan(chain(size), **DEMAND, generations=20).bracket[1]
        if share is not None:
            costs[size] = size + 20 * size * (share + 0.01 * (1 - share))
    assert plan.cheapest.cost < 1.03 * min(costs.values())
    for offer in plan.offers:
        if offer.value is not None:
            rows = offer.size * (1 + 20 * offer.value)
            models = 20 * offer.size * (1 - offer.value)
            assert (offer.original, offer.synthetic) == pytest.approx((rows, models))
            assert offer.cost == pytest.approx(rows + 0.01 * models)
    assert "Cheapest of" in str(plan)
    assert plan == eval(plan.command, {"cj": cj})


def test_only_rows_that_are_decided_on_have_the_price_of_verification():
    budget = cj.Budget(original=1.0, synthetic=0.1, verified=2.0, sizes=[100])
    question = {**DEMAND, "generations": 3, "budget": budget}
    plain = cj.plan(chain(100), **question).cheapest
    detector = cj.Detector(true_pass=0.9, false_pass=0.9)
    filtered = cj.plan(chain(100, detector=detector), **question).cheapest
    assert filtered.value == plain.value
    assert filtered.cost - plain.cost == pytest.approx(2 * plain.synthetic)


def test_no_size_may_be_enough():
    budget = cj.Budget(**PRICES, sizes=(10, 12))
    plan = cj.plan(chain(10), **DEMAND, generations=5, budget=budget)
    assert plan.cheapest is None
    assert [one.cost for one in plan.offers] == [math.inf, math.inf]
    assert "No size of the corpora that was tried is enough." in str(plan)
    assert plan.to_json()["offers"][0]["cost"] == "inf"


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: cj.Budget(original=-1), "Budget.original=-1.0"),
        (lambda: cj.Budget(original=0), "some row must cost something"),
        (lambda: cj.Budget(original=1, sizes=[]), "Budget.sizes"),
        (lambda: cj.Budget(original=1, sizes=[0.5]), "Budget.sizes=0.5"),
    ],
)
def test_bad_prices_get_one_line(make, match):
    with pytest.raises(cj.ArgumentError, match=match):
        make()


@pytest.mark.parametrize(
    ("question", "match"),
    [
        ({"generations": math.inf}, "for ever costs any sum"),
        ({"knob": "policy.num_samples"}, "chooses the size of the corpus itself"),
        ({"chain": chain((10, 20, 30)), "generations": 2}, "corpora of one size"),
    ],
)
def test_questions_without_sizes_to_choose_get_one_line(question, match):
    given = {"chain": chain(100), "generations": 5, **DEMAND, "budget": cj.Budget(**PRICES)}
    with pytest.raises(cj.ArgumentError, match=match):
        cj.plan(**{**given, **question})

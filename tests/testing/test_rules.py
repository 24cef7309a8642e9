"""check_family, check_policy, check_source: ours pass, planted defects are named."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config
from collapse_jax.core.corpus import join
from collapse_jax.testing import BrokenRuleError, check_family, check_policy, check_source

LAW = cj.Categorical([0.4, 0.3, 0.2, 0.1])
DATA = np.random.default_rng(0).normal(size=80)
CLUSTERS = cj.NormalMixture([0.5, 0.5], [-4.0, 4.0], [1.0, 1.0])
FAMILIES = {
    "Discrete, counts": (cj.Discrete(corpus="counts"), LAW, {}),
    "Discrete, labels": (cj.Discrete(corpus="samples"), LAW, {}),
    "Discrete, smoothed": (cj.Discrete(smoothing=1.0), LAW, {"consistent": False}),
    "Gaussian, moments": (cj.Gaussian(1), cj.Normal(0.0, 1.0), {}),
    "Gaussian, rows": (
        cj.Gaussian(2, "mle", corpus="samples"),
        cj.Normal([0.0, 0.0], np.eye(2)),
        {},
    ),
    "GaussianMixture": (cj.GaussianMixture(2, 1), CLUSTERS, {"exchangeable": False}),
    "GaussianMixture, given start": (cj.GaussianMixture(2, 1, init=CLUSTERS), CLUSTERS, {}),
}


def cases(table, thorough, quick=()):
    """Mark what takes long to compile: `make test-thorough` runs some, `make verify` the others."""
    marks = {name: pytest.mark.thorough for name in thorough} | dict.fromkeys(quick, ())
    return [pytest.param(name, marks=marks.get(name, pytest.mark.slow)) for name in table]


@pytest.mark.parametrize("name", cases(FAMILIES, ["Discrete, labels", "Gaussian, rows"]))
def test_our_families_keep_the_rules(name):
    family, source, options = FAMILIES[name]
    rules = check_family(family, source, **options)
    assert ("weights" in rules) == (getattr(family, "corpus", "samples") == "samples")
    assert ("consistency" in rules) == options.get("consistent", True)


@config
class Location(cj.AbstractFamily):
    """Normal rows with mean and standard deviation: right, and the base of what is wrong."""

    def fit(self, keys, corpus, previous, first):
        x, weights = corpus.absolute_rows[:, 0], corpus.full_weights()
        mean = jnp.sum(weights * x) / jnp.sum(weights)
        std = jnp.sqrt(jnp.sum(weights * (x - mean) ** 2) / jnp.sum(weights))
        return cj.Fit((mean, std), jnp.where(std > 0, 0, 2))

    def draw(self, keys, params, size, capacity, first):
        scores = jax.random.normal(keys.key(cj.Purpose.DRAW), (capacity, 1))
        return cj.Rows.of_rows(params[0] + params[1] * scores, size)

    def measure(self, params, corpus, source, first):
        return {"mean": params[0], "log_std": jnp.log(params[1])}


@config
class IgnoresWeights(Location):
    def fit(self, keys, corpus, previous, first):
        return super().fit(keys, cj.Rows.of_rows(corpus.absolute_rows, len(corpus.rows)), 0, 0)


@config
class SharesKeys(Location):
    def draw(self, keys, params, size, capacity, first):
        scores = jax.random.normal(keys.chain, (capacity, 1))  # the same in every generation
        return cj.Rows.of_rows(params[0] + params[1] * scores, size)


@config
class DrawsFromNumpy(Location):
    def draw(self, keys, params, size, capacity, first):
        rows = params[0] + params[1] * np.random.default_rng().normal(size=(capacity, 1))
        return cj.Rows.of_rows(jnp.asarray(rows, jnp.float32), size)


@config
class DrawsTooNarrowly(Location):
    def draw(self, keys, params, size, capacity, first):
        return super().draw(keys, (params[0], 0.9 * params[1]), size, capacity, first)


@config
class HidesDegenerateFits(Location):
    def fit(self, keys, corpus, previous, first):
        params = super().fit(keys, corpus, previous, first).params
        return cj.Fit((params[0], params[1] / (params[1] > 0)), jnp.int32(0))


@config
class ForgetsTheSize(Location):
    def draw(self, keys, params, size, capacity, first):
        return super().draw(keys, params, capacity, capacity, first)


@config
class ChangesItsParams(Location):
    def fit(self, keys, corpus, previous, first):
        fit = super().fit(keys, corpus, previous, first)
        return fit if previous is None else cj.Fit((*fit.params, jnp.zeros(2)), fit.status)


@config
class BranchesInPython(Location):
    def fit(self, keys, corpus, previous, first):
        fit = super().fit(keys, corpus, previous, first)
        return fit if fit.params[1] > 0 else cj.Fit(fit.params, 2)


@config
class WeighsLateRowsMore(Location):
    def fit(self, keys, corpus, previous, first):
        weights = corpus.full_weights() * jnp.arange(1, len(corpus.rows) + 1)
        mean = jnp.sum(weights * corpus.absolute_rows[:, 0]) / jnp.sum(weights)
        return cj.Fit((mean, super().fit(keys, corpus, previous, first).params[1]), jnp.int32(0))


@config
class NamesNoAxes(Location):
    def measure(self, params, corpus, source, first):
        return {"both": jnp.stack(params)}


@config
class InventsAStatus(Location):
    def fit(self, keys, corpus, previous, first):
        return cj.Fit(super().fit(keys, corpus, previous, first).params, jnp.int32(9))


DEFECTS = {
    IgnoresWeights: "weights",
    SharesKeys: "randomness",
    DrawsFromNumpy: "deterministic",
    DrawsTooNarrowly: "consistency",
    HidesDegenerateFits: "status",
    ForgetsTheSize: "size",
    ChangesItsParams: "shapes",
    BranchesInPython: "traceable",
    WeighsLateRowsMore: "order",
    NamesNoAxes: "variables",
    InventsAStatus: "status",
}
NORMAL = cj.Sampler(lambda key, n: jax.random.normal(key, (n, 1)), 1)


def test_a_right_family_passes():
    assert len(check_family(Location(), NORMAL)) == 11


@pytest.mark.parametrize("family", DEFECTS, ids=lambda family: family.__name__)
def test_a_wrong_family_is_refused(family):
    with pytest.raises(BrokenRuleError, match=f"rule '{DEFECTS[family]}' is broken") as caught:
        check_family(family(), NORMAL)
    assert caught.value.rule == DEFECTS[family]


POLICIES = {
    "replace": cj.Replace(20),
    "schedule": cj.Replace([5, 20, 8, 9, 30]),
    "accumulate": cj.Accumulate(10),
    "accumulate, originals": cj.Accumulate(10, [0, 5, 3, 0, 9]),
    "subsample": cj.AccumulateSubsample(10),
    "subsample, originals": cj.AccumulateSubsample([4, 10, 3, 6, 5], 7),
    "fresh": cj.Fresh(12, 5),
    "fresh, weighted": cj.Fresh([12, 4, 6, 8, 3], 5, weight=0.3),
    "mixing": cj.Mixing(20, beta=0.3, gamma=0.2, original="data"),
    "verified": cj.Replace(20, verifier=lambda rows: rows.reshape(-1) < 1),
}


@pytest.mark.parametrize("name", cases(POLICIES, ["replace", "verified"]))
def test_our_policies_keep_the_rules(name):
    if name == "verified":
        check_policy(POLICIES[name], family=cj.Gaussian(1), source=cj.Normal(0.0, 1.0))
    else:
        rules = check_policy(POLICIES[name])
        assert ("moments" in rules) == (not POLICIES[name].reuses_rows)


class TakesOneRowLess(cj.Replace):
    def next(self, step):
        return step.model(self.size(step.generation) - 1, self.largest_size), step.memory


class CountsItsGenerations(cj.Replace):
    def next(self, step):
        return step.model(self.size(step.generation), self.initial_size), step.generation


class ForgetsTheModel(cj.Replace):
    def next(self, step):
        drawn = step.model(self.size(step.generation), self.initial_size)
        return dataclasses.replace(drawn, rows=jnp.zeros_like(drawn.rows)), step.memory


class HalvesTheCorpus(cj.Replace):
    """Half of the rows stay, at random; of moments, a share that no such subset has."""

    @property
    def needs(self):
        return cj.Needs(corpus=True)

    def next(self, step):
        size = self.initial_size
        half, corpus = size // 2, step.corpus
        if isinstance(corpus, cj.Moments):
            stays = dataclasses.replace(corpus, num_rows=jnp.int32(half))
        else:
            stays = corpus.subsample(step.keys, cj.Purpose.REUSE, half, size, size)
        return join([stays, step.model(size - half, size)], [half, size - half], size, True), None


@pytest.mark.parametrize(
    ("policy", "size", "rule"),
    [
        (HalvesTheCorpus, 6, "moments"),
        pytest.param(TakesOneRowLess, [20, 21, 20, 19, 20], "sizes", marks=pytest.mark.thorough),
        (CountsItsGenerations, 20, "shapes"),
        pytest.param(ForgetsTheModel, 20, "randomness", marks=pytest.mark.thorough),
    ],
)
def test_a_wrong_policy_is_refused(policy, size, rule):
    with pytest.raises(BrokenRuleError, match=f"rule '{rule}' is broken"):
        check_policy(config(policy)(size))


def test_a_family_without_its_source_is_refused():
    with pytest.raises(ValueError, match="source=nothing is not allowed: family is given"):
        check_policy(cj.Replace(20), family=cj.Gaussian(1))
    with pytest.raises(ValueError, match="family=nothing is not allowed: source is given"):
        check_policy(cj.Replace(20), source=cj.Normal(0.0, 1.0))


SOURCES = {
    "categorical": cj.Categorical([0.4, 0.0, 0.6]),
    "normal": cj.Normal([0.0, 1.0], np.array([[1.0, 0.3], [0.3, 2.0]])),
    "mixture": cj.NormalMixture([0.3, 0.7], [-1.0, 2.0], [0.5, 1.5]),
    "sampler": NORMAL,
    "rows": cj.Empirical(DATA),
    "all rows": cj.Empirical(DATA[:50]),
    "labels": cj.Empirical(np.arange(80) % 7),
}


@pytest.mark.parametrize("name", cases(SOURCES, ["normal", "rows"], quick=["sampler"]))
def test_our_sources_keep_the_rules(name):
    rules = check_source(SOURCES[name])
    assert ("law" in rules) == (name != "sampler")
    assert ("randomness" in rules) == (name != "all rows")


@config
class WrongLaw(cj.Categorical):
    def draw_counts(self, keys, size):
        return cj.Counts(super().draw_counts(keys, size).counts[::-1])


@config
class WrongScatter(cj.Normal):
    def draw_moments(self, keys, size, capacity):
        return super().draw_moments(keys, size // 2, capacity)


@config
class WrongLabels(cj.Categorical):
    def draw(self, keys, size, capacity):
        drawn = super().draw(keys, size, capacity)
        return cj.Labels(drawn.rows + 1, drawn.weights)


@config
class WrongKeys(cj.Normal):
    def draw(self, keys, size, capacity):
        return super().draw(cj.Keys(jax.random.key(0), jnp.int32(0)), size, capacity)


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        pytest.param(WrongLaw([0.4, 0.6]), "law", marks=pytest.mark.thorough),
        (WrongScatter(0.0, 1.0), "law"),
        pytest.param(WrongLabels([0.4, 0.6]), "kind", marks=pytest.mark.thorough),
        (WrongKeys(0.0, 1.0), "randomness"),
        (cj.Sampler(lambda key, n: jnp.log(jax.random.normal(key, (n, 1))), 1), "kind"),
    ],
)
def test_a_wrong_source_is_refused(source, rule):
    with pytest.raises(BrokenRuleError, match=f"rule '{rule}' is broken"):
        check_source(source)

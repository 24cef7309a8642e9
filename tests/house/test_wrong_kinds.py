"""Public functions and classes that are given an object of the wrong kind say what they take."""

import inspect
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax import testing

FAMILY, SOURCE, POLICY = cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10)
CHAIN = cj.Chain(FAMILY, SOURCE, POLICY)
RUN = {"key": 0, "num_chains": 2, "num_generations": 1}
KEY = jax.random.key(0)
PLAN = {"quantity": "log_std", "at_least": 0.5, "generations": 1, "key": 0}


@pytest.fixture(scope="module")
def records():
    return cj.simulate(CHAIN, **RUN)


def init():
    return CHAIN.init(KEY, 1)


CASES = {
    "Chain": [
        (lambda _: cj.Chain(SOURCE, FAMILY, POLICY), "this is a source: pass Chain(family=..., "),
        (lambda _: cj.Chain(FAMILY, POLICY, SOURCE), "this is a policy: pass Chain(family=..., "),
        (
            lambda _: cj.Chain(cj.Gaussian, SOURCE, POLICY),
            "Chain.family=the class Gaussian is not allowed: it must be a family, an instance of "
            "AbstractFamily; pass an instance, Gaussian(...)",
        ),
        (lambda _: cj.Chain(FAMILY, cj.Normal, POLICY), "pass an instance, Normal(...)"),
        (lambda _: cj.Chain(FAMILY, SOURCE, cj.Replace), "pass an instance, Replace(...)"),
        (lambda _: cj.Chain(FAMILY, "heights.csv", POLICY), "pass Empirical(...) of these data"),
        (lambda _: cj.Chain(FAMILY, np.ones(3), POLICY), "pass Empirical(...) of these data"),
        (lambda _: CHAIN.init(0, 1), "chain_key=0 is not allowed: it must be a typed key"),
        (lambda _: CHAIN.init(KEY, "a"), "num_generations='a' is not allowed"),
        (lambda _: CHAIN.step(None, 1, init()), "chain_key=None is not allowed"),
        (lambda one: CHAIN.step(KEY, 1, one.state), "records.state is for simulate(state=...)"),
        (lambda _: CHAIN.step(KEY, 1, None), "state=None is not allowed: it must be a ChainState"),
        (lambda one: CHAIN.measure(KEY, 1, one.state), "it must be a ChainState"),
        (lambda _: CHAIN.measure(KEY, 1, init(), ["mean"]), "metrics='mean' is not allowed: each"),
        (lambda one: CHAIN.event(one.state), "it must be a ChainState"),
    ],
    "simulate": [
        (lambda _: cj.simulate(cj.Chain, **RUN), "chain=the class Chain is not allowed"),
        (lambda _: cj.simulate(FAMILY, **RUN), "pass collapse_jax.Chain(...)"),
        (lambda one: cj.simulate(one, **RUN), "pass collapse_jax.Chain(...)"),
        (lambda one: cj.simulate(CHAIN, **RUN, state=one), "pass records.state"),
        (lambda one: cj.simulate(CHAIN, **RUN, store=one), "store=<Records"),
        (lambda _: cj.simulate(CHAIN, **RUN, reduce=cj.Reduce), "pass an instance, Reduce(...)"),
        (lambda _: cj.simulate(CHAIN, **RUN, metrics=max), "metrics=<built-in function max> is"),
        (lambda _: cj.simulate(CHAIN, **(RUN | {"key": None})), "key=None is not a random key"),
    ],
    "sweep": [
        (lambda _: cj.sweep(FAMILY, {"policy.gamma": [0]}, **RUN), "pass collapse_jax.Chain(...)"),
        (lambda _: cj.sweep(CHAIN, 3, **RUN), "axes=3 is not allowed: it must be a dict"),
        (lambda _: cj.sweep(CHAIN, ["policy"], **RUN), "axes=['policy'] is not allowed"),
    ],
    "plan": [
        (lambda _: cj.plan(FAMILY, **PLAN), "pass collapse_jax.Chain(...)"),
        (lambda _: cj.plan(CHAIN, **PLAN, knob=POLICY), "knob=Replace"),
        (lambda _: cj.plan(CHAIN, **PLAN, budget=1.0), "budget=1.0"),
        (lambda _: cj.plan(CHAIN, **(PLAN | {"quantity": 3})), "Metric.function=3"),
    ],
    "compare_with_theory": [
        (lambda one: cj.compare_with_theory(one.dataset), "pass the result of simulate, or Rec"),
        (lambda _: cj.compare_with_theory("runs/a"), "records='runs/a' is not allowed"),
        (lambda _: cj.compare_with_theory(CHAIN), "records=<Chain"),
        (lambda one: cj.compare_with_theory(one, "log_std"), "generations='log_std' is not"),
    ],
    "register_policy": [
        (lambda _: cj.register_policy(POLICY), "pass the class, without arguments"),
        (lambda _: cj.register_policy(cj.Gaussian), "it must be a class, a subclass of AbstractPo"),
        (lambda _: cj.register_policy("Replace"), "policy='Replace' is not allowed"),
    ],
    "Records": [
        (lambda _: cj.Records.load(3), "path=3 is not allowed: it must be a path"),
        (lambda one: cj.Records.load(one), "path=<Records"),
        (lambda one: one.save(None), "path=None is not allowed"),
        (lambda one: cj.Records.concatenate(one), "parts=Records is not allowed"),
        (lambda one: cj.Records.concatenate([one, one.dataset]), "parts[1]=Dataset is not allowed"),
        (lambda _: cj.Records.concatenate(["a", "b"]), "parts[0]=str is not allowed"),
        (lambda _: cj.Records.concatenate(3), "parts=int is not allowed"),
    ],
    "Metric": [
        (lambda _: cj.Metric(cj.Gaussian), "Metric.function=Gaussian is not"),
        (lambda one: cj.Metric(one), "Metric.function=<Records"),
    ],
    "Empirical": [
        (lambda _: cj.Empirical(CHAIN), "Empirical.data=<Chain"),
        (lambda _: cj.Empirical(SOURCE), "Empirical.data=Normal"),
    ],
    "Sampler": [
        (lambda _: cj.Sampler(cj.Normal, 1), "Sampler.function=<class"),
        (lambda _: cj.Sampler(1, max), "Sampler.dim=<built-in function max> is not allowed"),
    ],
    "Categorical": [(lambda _: cj.Categorical(SOURCE), "Categorical.probabilities=Normal")],
    "Normal": [(lambda _: cj.Normal(FAMILY, 1.0), "Normal.mean=<Gaussian")],
    "NormalMixture": [(lambda _: cj.NormalMixture(SOURCE, 0, 1), "NormalMixture.weights=Normal")],
    "Images": [
        (lambda _: cj.Images(SOURCE), "Images.images="),
        (lambda _: cj.Images.load(3, 8), "images=3 is not allowed"),
    ],
    "Gaussian": [(lambda _: cj.Gaussian(SOURCE), "Gaussian.dim=Normal")],
    "GaussianMixture": [
        (lambda _: cj.GaussianMixture(SOURCE, 1), "GaussianMixture.num_components=Normal")
    ],
    "Discrete": [(lambda _: cj.Discrete(SOURCE), "Discrete.num_states=Normal")],
    "Poisson": [(lambda _: cj.Poisson(SOURCE), "Poisson.corpus=Normal")],
    "Exponential": [(lambda _: cj.Exponential(SOURCE), "Exponential.corpus=Normal")],
    "PoissonLaw": [(lambda _: cj.PoissonLaw(SOURCE), "PoissonLaw.rate=Normal")],
    "ExponentialLaw": [(lambda _: cj.ExponentialLaw(SOURCE), "ExponentialLaw.rate=Normal")],
    "KernelDensity": [
        (lambda _: cj.KernelDensity(SOURCE), "KernelDensity.dim=Normal"),
        (lambda _: cj.KernelDensity(1, SOURCE), "KernelDensity.bandwidth=Normal"),
    ],
    "NormalInverseWishart": [
        (
            lambda _: cj.NormalInverseWishart(SOURCE, 1.0, 1.0, 3),
            "NormalInverseWishart.mean=Normal",
        )
    ],
    "SeriesDensity": [(lambda _: cj.SeriesDensity(SOURCE), "SeriesDensity.num_terms=Normal")],
    "LinearRegression": [(lambda _: cj.LinearRegression(SOURCE), "LinearRegression.dim=Normal")],
    "LogisticRegression": [
        (lambda _: cj.LogisticRegression(1, SOURCE), "LogisticRegression.penalty=Normal")
    ],
    "LinearModel": [(lambda _: cj.LinearModel(SOURCE), "LinearModel.coefficients=Normal")],
    "LogisticModel": [(lambda _: cj.LogisticModel(SOURCE), "LogisticModel.coefficients=Normal")],
    "Table": [(lambda _: cj.Table(SOURCE, x="a", y="b"), "pass a table, or an array")],
    "VAE": [(lambda _: cj.VAE(SOURCE), "VAE.latent_dim=Normal")],
    "LanguageModel": [(lambda _: cj.LanguageModel(SOURCE), "LanguageModel.model=Normal")],
    "Replace": [(lambda _: cj.Replace(FAMILY), "Replace.num_samples=<Gaussian")],
    "Mixing": [(lambda _: cj.Mixing(SOURCE), "Mixing.num_samples=Normal")],
    "Accumulate": [(lambda _: cj.Accumulate(SOURCE), "Accumulate.num_samples=Normal")],
    "Ecosystem": [(lambda _: cj.Ecosystem(SOURCE, [[1.0]]), "Ecosystem.chain=Normal")],
    "Detector": [(lambda _: cj.Detector(SOURCE, 0.1), "Detector.true_pass=Normal")],
    "AccumulateSubsample": [
        (lambda _: cj.AccumulateSubsample(SOURCE), "AccumulateSubsample.num_samples=Normal")
    ],
    "Accept": [(lambda _: cj.Accept(SOURCE), "Accept.function=Normal")],
    "Top": [
        (lambda _: cj.Top(SOURCE, max), "Top.num_candidates=Normal"),
        (lambda _: cj.Top(9, SOURCE), "Top.score=Normal"),
    ],
    "BestOf": [(lambda _: cj.BestOf(2, SOURCE), "BestOf.rewards=Normal")],
    "Edit": [(lambda _: cj.Edit(SOURCE), "Edit.function=Normal")],
    "Fresh": [(lambda _: cj.Fresh(SOURCE, 1), "Fresh.num_samples=Normal")],
    "Budget": [(lambda one: cj.Budget(one), "Budget.original=<Records")],
    "Reduce": [(lambda one: cj.Reduce(one), "Reduce.mean=<Records")],
    "Store": [(lambda one: cj.Store(one), "store=<Records")],
    "testing": [
        (lambda _: testing.check_family(cj.Gaussian, SOURCE), "pass an instance, Gaussian(...)"),
        (lambda _: testing.check_family(SOURCE, FAMILY), "this is a source: pass Chain("),
        (lambda _: testing.check_policy(cj.Replace), "pass an instance, Replace(...)"),
        (lambda _: testing.check_policy(FAMILY), "policy=<Gaussian"),
        (lambda _: testing.check_source(cj.Normal), "pass an instance, Normal(...)"),
        (lambda _: testing.check_source(FAMILY), "source=<Gaussian"),
    ],
}
UNCHECKED = {
    "Bernoulli": "takes no argument",
    "ArgumentError": "an error",
    "CompileReport": "made by compile_for",
    "Plan": "made by plan",
    "compile_for": "checked in tests/engine/test_compile_for.py",
    "Keys": "made by chains",
    "Moments": "a pytree, made while programs are traced",
    "Counts": "a pytree",
    "Labels": "a pytree",
    "Rows": "a pytree",
    "RunState": "made by simulate",
    "TokenBlocks": "checked in tests/sources/test_token_blocks.py",
}


@pytest.mark.parametrize(
    ("name", "index"), [(name, index) for name in CASES for index in range(len(CASES[name]))]
)
def test_the_wrong_kind_gets_one_line(name, index, records):
    call, expected = CASES[name][index]
    with pytest.raises(cj.ArgumentError) as caught:
        call(records)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert "; " in message, "what is allowed, then what to do"


def test_every_public_name_has_a_case():
    """Abstract classes, enumerations and tuples of results are not called with objects."""
    public = {
        name
        for name in cj.__all__
        if isinstance(value := getattr(cj, name), (type, types.FunctionType))
        and not inspect.isabstract(value)
        and not issubclass(value if isinstance(value, type) else object, (tuple, int))
        and not getattr(value, "__members__", None)
    }
    assert public - {"Samples"} == (CASES.keys() | UNCHECKED.keys()) - {"testing"}


def test_right_kinds_pass():
    state = CHAIN.step(KEY, jnp.int32(1), init())
    assert set(CHAIN.measure(KEY, jnp.int32(1), state)) >= {"mean", "status"}

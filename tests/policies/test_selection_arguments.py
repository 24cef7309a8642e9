"""Bad selections get one line: the argument, its value, what is allowed and what to do."""

import numpy as np
import pytest

import collapse_jax as cj


def simulate(chain):
    return cj.simulate(chain, key=0, num_chains=4, num_generations=3)


def chain(policy, family=None, source=None):
    return cj.Chain(family or cj.Gaussian(1), source or cj.Normal(0.0, 1.0), policy)


def words(policy):
    return cj.Chain(cj.Discrete(corpus="counts"), cj.Categorical([0.5, 0.5]), policy)


CASES = {
    "selection": (lambda: cj.Replace(10, selection=3), "Replace.selection=3"),
    "selection of a function": (
        lambda: cj.Accumulate(10, selection=abs),
        r"Accumulate.selection=.*pass cj.Accept\(function\)",
    ),
    "selection of a class": (
        lambda: cj.Fresh(10, 1, selection=cj.Top),
        r"Fresh.selection=the class Top.*pass an instance, Top\(...\)",
    ),
    "selection and verifier": (
        lambda: cj.Mixing(10, selection=cj.Edit(abs), verifier=abs),
        "Mixing.selection=Edit.*there is a verifier too",
    ),
    "selection of earlier laws": (
        lambda: cj.Mixing(10, beta=0.5, previous="distribution", selection=cj.Edit(abs)),
        "Mixing.previous='distribution'.*selection",
    ),
    "moments do not suffice for a selection": (
        lambda: chain(cj.Replace(10, selection=cj.Edit(abs)), cj.Gaussian(1, corpus="moments")),
        "Gaussian.corpus='moments'.*a selection reads rows",
    ),
    "more rows than candidates": (
        lambda: cj.Replace(10, selection=cj.Top(9, abs)),
        "Replace.num_samples=10.*Top has 9 candidates; pass num_candidates=10",
    ),
    "more rows than candidates in a schedule": (
        lambda: cj.Accumulate([4, 12, 5], selection=cj.Top(9, abs)),
        "Accumulate.num_samples=12.*Top has 9 candidates",
    ),
    "more rows than candidates among mixed ones": (
        lambda: cj.Mixing(20, gamma=0.5, allocation="fixed", selection=cj.Top(9, abs)),
        "Mixing.num_samples=10.*Top has 9 candidates",
    ),
    "more rows of finite data than candidates": (
        lambda: chain(cj.Replace(selection=cj.Top(9, abs)), None, cj.Empirical(np.arange(10.0))),
        "Replace.num_samples=10.*Top has 9 candidates",
    ),
    "no candidates": (lambda: cj.Top(0, abs), "Top.num_candidates=0"),
    "candidates of float": (lambda: cj.BestOf(2.5, abs), "BestOf.num_candidates=2.5"),
    "too many candidates of a row": (lambda: cj.BestOf(2**21, abs), "num_candidates=2097152"),
    "score": (lambda: cj.Top(9, "best"), "Top.score='best'.*callable"),
    "score of a selection": (lambda: cj.Top(9, cj.Edit(abs)), "Top.score=.*callable"),
    "temperature of top": (lambda: cj.Top(9, abs, -0.1), "Top.temperature=-0.1"),
    "temperature of raters": (lambda: cj.BestOf(2, abs, None, np.nan), "BestOf.temperature=nan"),
    "function of an edit": (lambda: cj.Edit(None), "Edit.function=None"),
    "function of accept": (lambda: cj.Accept(0.5), "Accept.function=0.5"),
    "no rewards": (lambda: cj.BestOf(2, []), r"BestOf.rewards=\[\]"),
    "one reward is no function": (lambda: cj.BestOf(2, [abs, 1]), r"BestOf.rewards\[1\]=1"),
    "negative shares": (
        lambda: cj.BestOf(2, [abs, abs], shares=[1.5, -0.5]),
        r"BestOf.shares\[1\]=-0.5 .*>= 0",
    ),
    "shares above one": (
        lambda: cj.BestOf(2, [abs, abs], shares=[0.6, 0.6]),
        "sum of BestOf.shares=1.2",
    ),
    "shares of other raters": (
        lambda: cj.BestOf(2, [abs, abs], shares=[1.0]),
        r"len\(BestOf.shares\)=1 .*2 rewards",
    ),
    "score of each coordinate": (
        lambda: simulate(chain(cj.Replace(10, selection=cj.Top(20, abs)))),
        r"result of Top.score=array of shape \(20, 1\).*shape \(20,\)",
    ),
    "score of all states": (
        lambda: simulate(words(cj.Replace(10, selection=cj.Top(20, sum)))),
        r"result of Top.score=array of shape \(\)",
    ),
    "reward of text": (
        lambda: simulate(words(cj.Replace(10, selection=cj.BestOf(2, lambda s: str(s))))),
        "result of BestOf.rewards=str",
    ),
    "score of a state that is no number": (
        lambda: simulate(words(cj.Replace(10, selection=cj.Top(20, lambda s: s * np.nan)))),
        "result of Top.score for state 0=nan",
    ),
    "reward of infinity": (
        lambda: simulate(words(cj.Replace(10, selection=cj.BestOf(2, lambda s: s / 0)))),
        "result of BestOf.rewards for state 0=nan",
    ),
    "probability of a state above one": (
        lambda: simulate(words(cj.Replace(10, selection=cj.Accept(lambda s: s + 0.5)))),
        "result of verifier for state 1=1.5",
    ),
    "edit of another shape": (
        lambda: simulate(chain(cj.Replace(10, selection=cj.Edit(lambda rows: rows[:, 0])))),
        "result of Edit.function=float32 array of shape",
    ),
    "edit to real states": (
        lambda: simulate(words(cj.Replace(10, selection=cj.Edit(lambda s: s * 0.5)))),
        "result of Edit.function=float32 array",
    ),
    "edit to no state": (
        lambda: simulate(words(cj.Replace(10, selection=cj.Edit(lambda s: s + 1)))),
        "result of Edit.function for state 1=2 .*states are 0 .. 1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_one_clear_line(name, refused):
    refused(*CASES[name])

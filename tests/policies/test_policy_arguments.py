"""Bad arguments of policies with original rows: one line each, before anything compiles."""

import pytest

import collapse_jax as cj

NORMAL = cj.Normal(0.0, 1.0)


def chain(policy):
    return cj.Chain(cj.Gaussian(1), NORMAL, policy)


def simulate(policy, num_generations=3):
    return cj.simulate(chain(policy), key=0, num_chains=4, num_generations=num_generations)


CASES = {
    "accumulate without an original": (
        lambda: cj.Accumulate(10, None),
        "Accumulate.num_original=None",
    ),
    "accumulate original below zero": (
        lambda: cj.Accumulate(10, -1),
        "Accumulate.num_original=-1",
    ),
    "accumulate original of float": (
        lambda: cj.Accumulate(10, [1, 2.5]),
        r"Accumulate.num_original\[1\]=2.5",
    ),
    "accumulate lengths": (
        lambda: cj.Accumulate([10, 20], [1, 2, 3]),
        r"len\(Accumulate.num_original\)=3",
    ),
    "accumulate sum above int32": (
        lambda: cj.Accumulate(2**31 - 1, 1),
        "Accumulate.num_samples . Accumulate",
    ),
    "accumulate originals for another run": (
        lambda: simulate(cj.Accumulate(5, [10, 20])),
        r"len\(Accumulate.num_original\)=2",
    ),
    "subsample original below zero": (
        lambda: cj.AccumulateSubsample(10, [3, -1]),
        r"AccumulateSubsample.num_original\[1\]=-1",
    ),
    "subsample originals for another run": (
        lambda: simulate(cj.AccumulateSubsample(5, [10, 20])),
        r"len\(AccumulateSubsample.num_original\)=2",
    ),
    "original rows fill the pool": (
        lambda: simulate(cj.Accumulate(1, 2**30), 5),
        "pool size=",
    ),
    "weight of zero": (lambda: cj.Fresh(10, 5, weight=0), "Fresh.weight=0"),
    "weight above one": (lambda: cj.Fresh(10, 5, weight=1.5), "Fresh.weight=1.5"),
    "weight of text": (lambda: cj.Fresh(10, 5, weight="half"), "Fresh.weight='half'"),
    "weight without original rows": (
        lambda: cj.Fresh(10, [5, 0, 5], weight=0.5),
        r"Fresh.num_original=\(5, 0, 5\) .*every corpus",
    ),
    "weights of states": (
        lambda: cj.Chain(cj.Discrete(), cj.Categorical([0.5, 0.5]), cj.Fresh(5, 5, weight=0.5)),
        "Chain.family=Discrete .*unequal weights.*use Gaussian",
    ),
    "ecosystem of a policy": (
        lambda: cj.Ecosystem(chain(cj.Fresh(5, 5)), [[1.0]]),
        "Ecosystem.chain.policy=Fresh .*must be Replace",
    ),
    "ecosystem of a family": (
        lambda: cj.Ecosystem(cj.Gaussian(1), [[1.0]]),
        "Ecosystem.chain=.*must be a Chain",
    ),
    "negative share": (
        lambda: cj.Ecosystem(chain(cj.Replace(5)), [[1.0, 0.0], [-0.1, 0.5]]),
        r"Ecosystem.weights\[1, 0\]=-0.1",
    ),
    "shares above one": (
        lambda: cj.Ecosystem(chain(cj.Replace(5)), [[1.0, 0.0], [0.6, 0.5]]),
        r"sum\(Ecosystem.weights\[1\]\)=1.1",
    ),
    "weights not square": (
        lambda: cj.Ecosystem(chain(cj.Replace(5)), [[1.0, 0.0]]),
        r"Ecosystem.weights=array of shape \(1, 2\)",
    ),
    "too many models": (
        lambda: cj.Ecosystem(chain(cj.Replace(5)), [[0.0] * 300] * 300),
        r"Ecosystem.weights=.*at most 256",
    ),
    "too few sources": (
        lambda: cj.Ecosystem(chain(cj.Replace(5)), [[0.5, 0], [0, 0.5]], [NORMAL]),
        r"len\(Ecosystem.sources\)=1",
    ),
    "sources of one object": (
        lambda: cj.Ecosystem(chain(cj.Replace(5)), [[0.5]], NORMAL),
        "Ecosystem.sources=Normal",
    ),
    "sources of other rows": (
        lambda: cj.Ecosystem(chain(cj.Replace(5)), [[0.5]], [cj.Normal([0, 0], [[1, 0], [0, 1]])]),
        "Chain.source='Normal'.*length 2",
    ),
    "pass above one": (lambda: cj.Detector(1.5, 0.1), "Detector.true_pass=1.5"),
    "pass below zero": (lambda: cj.Detector(0.9, -0.1), "Detector.false_pass=-0.1"),
    "pass of text": (lambda: cj.Detector("all", 0.1), "Detector.true_pass='all'"),
    "pass of nan": (lambda: cj.Detector(0.9, float("nan")), "Detector.false_pass=nan"),
    "nothing passes": (lambda: cj.Detector(0, 0), "Detector.true_pass=0.0 .* no row passes"),
    "detector of numbers": (
        lambda: cj.Mixing(10, gamma=0.1, detector=(0.9, 0.1)),
        r"Mixing.detector=\(0.9, 0.1\).*Detector\(true_pass, false_pass\)",
    ),
    "detector of fixed rows": (
        lambda: cj.Mixing(10, gamma=0.1, detector=cj.Detector(1, 1), allocation="fixed"),
        "Mixing.allocation='fixed'",
    ),
    "detector of previous rows": (
        lambda: cj.Mixing(10, beta=[0.0, 0.2], detector=cj.Detector(1, 1)),
        "Mixing.beta=0.2",
    ),
    "detector of a perfect score without original rows": (
        lambda: cj.Mixing(10, gamma=[0.5, 0.0], detector=cj.Detector(0.9, 0.0)),
        "Mixing.detector=Detector.*with gamma=0 no row passes",
    ),
    "detector that passes too many rows of D_0": (
        lambda: cj.Mixing([10, 90], gamma=0.1, original="data", detector=cj.Detector(1.0, 0.01)),
        "Mixing.gamma=",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_argument_gets_one_line(name):
    call, words = CASES[name]
    with pytest.raises(cj.ArgumentError, match=words) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert " is not allowed: " in message
    assert ";" in message

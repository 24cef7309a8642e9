"""Every kind of chain is compiled for TPU and GPU by their own compilers, and fits."""

import importlib.util
from pathlib import Path

import pytest

import collapse_jax as cj

_PATH = Path(__file__).parent.parent / "golden" / "cases.py"
_SPEC = importlib.util.spec_from_file_location("cases", _PATH)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

# One of each kind of program; the others take minutes.
_SHORT = {
    "gaussian | mixing",
    "gaussian reduced | replace",
    "gaussian 3-D moments | accumulate",
    "discrete law | replace",
}
_CASES = {
    name: (make, more)
    for name, make, more in _MODULE.cases()
    if not name.startswith("language model")  # it calls programs of its own
}
_PLANE = cj.Normal([0.0, 1.0], [[1.0, 0.3], [0.3, 2.0]])
_CHAINS = {
    "poisson": (cj.Poisson(), cj.PoissonLaw(1.0)),
    "exponential": (cj.Exponential(), cj.ExponentialLaw(1.0)),
    "bernoulli": (cj.Bernoulli(), cj.Categorical([0.9, 0.1])),
    "kernel density": (cj.KernelDensity(1, 0.4), cj.Normal(0.0, 1.0)),
    "series density": (cj.SeriesDensity(8, 0.5), cj.Normal(0.5, 2.0)),
    "linear regression": (cj.LinearRegression(3), cj.LinearModel([1.0, 2.0, 3.0], 1.0)),
    "logistic regression": (cj.LogisticRegression(2, 0.1), cj.LogisticModel([1.0, -1.0])),
    "dirichlet samples": (
        cj.Discrete(prior=0.5, learner="posterior_sample"),
        cj.Categorical([0.2, 0.3, 0.5]),
    ),
    "inverse wishart samples": (
        cj.Gaussian(
            2,
            prior=cj.NormalInverseWishart([0.0, 1.0], 2.0, [[4.0, 1.0], [1.0, 3.0]], 9),
            learner="posterior_sample",
        ),
        _PLANE,
    ),
    "shrunk covariances": (cj.Gaussian(2, "ledoit_wolf"), _PLANE),
}
_CASES |= {
    name: (lambda pair=pair: cj.Chain(*pair, cj.Replace(20)), {}) for name, pair in _CHAINS.items()
}


def _topologies():
    yield "v5e:2x2"
    for name in ("v5p:2x2x2", "v6e:2x2", "h100", "a100"):
        yield pytest.param(name, marks=pytest.mark.slow)


def _all_cases():
    for name in _CASES:
        yield pytest.param(name, marks=[] if name in _SHORT else pytest.mark.slow)


@pytest.mark.accelerator
@pytest.mark.parametrize("name", list(_all_cases()))
@pytest.mark.parametrize("topology", list(_topologies()))
def test_chains_compile_and_fit(topology, name):
    make, more = _CASES[name]
    settings = more | {
        "num_chains": 512,
        "num_generations": 6,
    }  # some cases have fewer of their own
    report = cj.compile_for(make(), topology, **settings)
    assert report.fits
    assert report.seconds < 120
    assert report.batch * report.num_devices <= 1024, "at most half of a batch is padding"

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
    assert report.chains * report.num_devices <= 1024, "at most half of a batch is padding"

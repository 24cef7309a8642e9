"""The numbers of every family, policy and corpus are those of numbers.json."""

import importlib.util
import json
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("cases", Path(__file__).with_name("cases.py"))
cases = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(cases)

GOLDEN = json.loads(cases.NUMBERS.read_text())
CASES = {name: (make, settings) for name, make, settings in cases.cases()}
VARIANTS = (
    "gaussian mle",
    "gaussian samples",
    "gaussian 3-D",
    "discrete counts",
    "discrete changed",
)
QUICK = ("gaussian | replace", "discrete | replace", "gaussian mle | mixing, kept data")
# Elsewhere a sum may round differently, and a count drawn from it may differ in a few chains.
SPREAD = 0.1  # of a mean over 64 chains, relative to its size or one


def same(found, expected, is_same_machine):
    """Tell whether a variable has the bits of the golden file, or on another machine its mean."""
    (bits, mean), (golden_bits, golden_mean) = found, expected
    if is_same_machine and golden_bits is not None:
        return bits == golden_bits
    if mean is None or golden_mean is None:
        return mean == golden_mean
    tolerance = 1e-9 if golden_bits is None else SPREAD
    return abs(mean - golden_mean) <= tolerance * max(1, abs(golden_mean))


def marks_of(name):
    """Every case is compiled: some always, main cases in CI, their variants in `make verify`."""
    if name in QUICK:
        return []
    return [pytest.mark.slow if name.startswith(VARIANTS) else pytest.mark.thorough]


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(name)) for name in CASES])
def test_numbers_are_those_of_the_golden_file(name):
    make, settings = CASES[name]
    found, expected = cases.numbers_of(make, settings), GOLDEN["cases"][name]
    is_same_machine = cases.machine() == GOLDEN["machine"]
    wrong = [one for one in expected if not same(found[one], expected[one], is_same_machine)]
    assert (wrong, found.keys()) == ([], expected.keys())


def test_the_golden_file_has_every_case():
    assert GOLDEN["cases"].keys() == CASES.keys()


def test_a_changed_bit_would_be_found():
    assert same(["a", 1.0], ["a", 1.0], True)
    assert not same(["b", 1.0], ["a", 1.0], True)
    assert not same(["b", 1.3], ["a", 1.0], False)

"""Checks about the compiler: what they note, and which results of ours they refuse."""

import itertools
from importlib.metadata import version

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli import main
from collapse_jax.verify import compiler, suite
from collapse_jax.verify.base import Draw, Exact, Note, Registry

DRAW = Draw(0, "quick", 1e-9)
NAMES = ["products with many rows", "repeated calls"]


def check(name):
    return next(one for one in suite.CHECKS if one.name == name)


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_results_of_ours_are_untouched(name):
    result = suite.run_check(check(name), DRAW)
    assert result.passed, result.findings
    assert isinstance(next(iter(result.findings.values())), Note)


@pytest.mark.parametrize(("is_present", "text"), [(True, "present; "), (False, "absent")])
def test_a_fault_of_the_compiler_is_a_note(monkeypatch, tmp_path, capsys, is_present, text):
    checks = Registry()

    @checks.add("deterministic")
    def a_fault(draw):
        """Check that faults are noted."""
        yield compiler._note("some/repository#1", is_present)

    monkeypatch.setattr(suite, "CHECKS", tuple(checks))
    assert main(["verify", "--out", str(tmp_path)]) == 0
    assert f"some/repository#1 with jaxlib {version('jaxlib')}: {text}" in capsys.readouterr().out
    assert text.rstrip("; ") in (tmp_path / "report.html").read_text()
    assert text in (tmp_path / "checks.json").read_text()


def test_a_wrong_row_of_ours_is_a_failure(monkeypatch):
    empirical = cj.Empirical

    def wrong(rows):
        """Take the first row for the last, as the miscompiled program takes earlier ones."""
        return empirical(np.concatenate([rows[:-1], rows[:1] + 1]))

    monkeypatch.setattr(compiler.cj, "Empirical", wrong)
    monkeypatch.setattr(compiler, "_miscompiles_products", lambda: True)
    found = itertools.islice(check(NAMES[0]).run(DRAW), 3)  # the note, and the first family
    (_, note), *claims = found
    assert isinstance(note, Note)
    assert [isinstance(claim, Exact) and claim.passed for _, claim in claims] == [False, False]


def test_calls_that_differ_are_counted():
    calls = itertools.count()
    value = np.float32(0.1)

    def sometimes():
        return {"sum": np.nextafter(value, 1) if next(calls) % 50 == 49 else value}

    assert compiler._differing_calls(sometimes) == 4
    assert compiler._differing_calls(lambda: {"sum": np.array([np.nan, -0.0])}) == 0

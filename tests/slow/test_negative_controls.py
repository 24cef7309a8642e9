"""Negative controls: statistical faults, planted one at a time, that `collapse verify` catches.

A fault replaces a function of the library by a wrong one that runs as well as the right one.
Each is run against the checks that name it, in the quick lane; an exception in a check is not
a catch. The table of faults is printed after the tests.
"""

import faults_of_chains
import faults_of_draws
import faults_of_results
import jax
import pytest
from faults import Fault

from collapse_jax.random import chi_square
from collapse_jax.theory import ancestor_chains
from collapse_jax.verify import samplers, suite
from collapse_jax.verify.base import Draw

SEED = 0
FAULTS = [
    found
    for module in (faults_of_draws, faults_of_chains, faults_of_results)
    for found in vars(module).values()
    if isinstance(found, Fault)
]
RATE = suite.false_alarm([check for check in suite.CHECKS if "quick" in check.lanes])


def forget():
    jax.clear_caches()
    for cached in (chi_square._table, samplers._jitted, ancestor_chains._transitions):
        cached.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_planted_fault_is_caught(fault, monkeypatch, record_property):
    named = [check for check in suite.CHECKS if check.name in fault.checks]
    assert {check.name for check in named} == set(fault.checks)
    fault.plant(monkeypatch)
    forget()
    try:
        results = [suite.run_check(check, Draw(SEED, "quick", RATE)) for check in named]
    finally:
        monkeypatch.undo()
        forget()
    assert [result.error for result in results] == [None] * len(results)
    caught = [result.check.name for result in results if not result.passed]
    record_property("fault", fault.name)
    record_property("caught by", ", ".join(caught))
    assert caught

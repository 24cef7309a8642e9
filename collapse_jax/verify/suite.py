"""Runs the checks of a lane, two at a time, each with its share of the false alarms."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from collapse_jax.testing import Evidence
from collapse_jax.utils import check as arguments
from collapse_jax.verify import deterministic, metamorphic, mixtures, monte_carlo, policies
from collapse_jax.verify.base import LANES, Check, Draw, Result

SUITE_FALSE_ALARM = 1e-6
CHECKS: tuple[Check, ...] = (
    *deterministic.CHECKS,
    *monte_carlo.CHECKS,
    *policies.CHECKS,
    *metamorphic.CHECKS,
    *mixtures.CHECKS,
)


def verify(
    lane: str = "quick",
    seed: int = 0,
    notify: Callable[[Result], None] = lambda result: None,
    checks: Sequence[Check] | None = None,
) -> list[Result]:
    """Run the checks of a lane.

    Args:
      lane: "quick", within two minutes on two cores, or "full", within thirty.
      seed: of every random number.
      notify: called with each result as it comes.
      checks: which; None for `CHECKS`.

    Returns:
      Results in the order of the checks. All of them pass but with probability 1e-6.

    Raises:
      ValueError: for another lane or a seed that is no integer in [0, 2^31).
    """
    arguments.choice("lane", lane, LANES)
    arguments.integer("seed", seed, 0)
    chosen = [check for check in (CHECKS if checks is None else checks) if lane in check.lanes]
    rate = false_alarm(chosen)

    def run(check: Check) -> Result:
        result = run_check(check, Draw(seed, lane, rate))
        notify(result)
        return result

    with ThreadPoolExecutor(max(1, min(2, os.cpu_count() or 1))) as pool:
        return list(pool.map(run, chosen))


def false_alarm(checks: Sequence[Check]) -> float:
    """Of one claim, such that all claims together keep to `SUITE_FALSE_ALARM`."""
    return SUITE_FALSE_ALARM / max(1, sum(check.claims for check in checks))


def run_check(check: Check, draw: Draw) -> Result:
    """One check; an exception in it is a failure, not the end of the suite.

    Raises:
      AssertionError: if a check makes more claims than it said.
    """
    begin = time.perf_counter()
    findings, error = {}, None
    try:
        findings = dict(check.run(draw))
    except Exception as problem:
        error = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
    made = [one for one in findings.values() if isinstance(one, Evidence)]
    if error is None and len(made) != check.claims:
        raise AssertionError(f"{check.name} made {len(made)} claims and said {check.claims}")
    passed = error is None and all(
        one.p_value >= draw.false_alarm if isinstance(one, Evidence) else one.passed
        for one in findings.values()
    )
    return Result(check, passed, findings, time.perf_counter() - begin, error)

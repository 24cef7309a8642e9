"""Run the checks of a lane, two at a time, with a false-alarm rate for the whole suite."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from collapse_jax.testing import Evidence
from collapse_jax.utils import check as arguments
from collapse_jax.utils.jax_settings import own_settings
from collapse_jax.verify import (
    compiler,
    deterministic,
    metamorphic,
    mixtures,
    monte_carlo,
    policies,
)
from collapse_jax.verify.base import LANES, Check, Draw, Result

SUITE_FALSE_ALARM = 1e-6  # probability that a correct library fails a run
CHECKS: tuple[Check, ...] = (
    *deterministic.CHECKS,
    *compiler.CHECKS,
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
      lane: "quick" takes two minutes on two cores, "full" six.
      seed: of every random number, an integer in [0, 2^31).
      notify: called with every result as soon as it is there.
      checks: the checks to choose from; None for `CHECKS`.

    Returns:
      Results in the order of the checks. A correct library fails one or more of them with
      probability 1e-6.

    Raises:
      ValueError: if the lane or the seed is not allowed.
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
    """Return the false-alarm rate of one claim (Bonferroni).

    Args:
      checks: the checks of a run.

    Returns:
      `SUITE_FALSE_ALARM` divided by the number of statistical claims.
    """
    return SUITE_FALSE_ALARM / max(1, sum(check.claims for check in checks))


def run_check(check: Check, draw: Draw) -> Result:
    """Run a check; an exception in it counts as a failure.

    Args:
      check: the check.
      draw: its settings.

    Returns:
      The result.

    Raises:
      AssertionError: if the check yields another number of claims than it declares.
    """
    begin = time.perf_counter()
    findings, error = {}, None
    try:
        with own_settings():
            findings = dict(check.run(draw))
    except Exception as problem:
        error = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
    made = [one for one in findings.values() if isinstance(one, Evidence)]
    if error is None and len(made) != check.claims:
        raise AssertionError(f"{check.name} made {len(made)} claims and declares {check.claims}")
    passed = error is None and all(
        one.p_value >= draw.false_alarm if isinstance(one, Evidence) else one.passed
        for one in findings.values()
    )
    return Result(check, passed, findings, time.perf_counter() - begin, error)

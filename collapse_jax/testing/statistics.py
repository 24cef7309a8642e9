"""Statistical assertions with a stated false-fail rate and a smallest detectable bias."""

import math
from typing import Any

import numpy as np

FALSE_FAIL = 1e-9
"""Of one assertion: a suite of a thousand fails by chance once in a million runs."""
_POWER = 0.99
_FEWEST = 1000


def _quantile(probability: float) -> float:
    from scipy import special

    return float(special.ndtri(probability))


def assert_mean(values: Any, expected: float, *, false_fail: float = FALSE_FAIL) -> float:
    """Assert that independent draws have this expectation, by a z-test.

    Args:
      values: [draw], at least 1,000 of them, of a law whose mean is nearly normal at that
        number.
      expected: the expectation.
      false_fail: chance of failing though the expectation is right.

    Returns:
      The smallest bias that is caught with probability 0.99.

    Raises:
      AssertionError: if the mean is too far away, or there are too few draws.
    """
    draws = np.asarray(values, np.float64)
    if draws.ndim != 1 or draws.size < _FEWEST:
        raise AssertionError(f"{draws.shape} draws are too few for a z-test; take {_FEWEST}")
    if not np.all(np.isfinite(draws)):
        raise AssertionError(f"{np.sum(~np.isfinite(draws))} draws are not finite")
    error = float(np.std(draws, ddof=1) / math.sqrt(draws.size))
    limit = _quantile(1 - false_fail / 2) * error
    detectable = limit + _quantile(_POWER) * error
    gap = float(np.mean(draws) - expected)
    if abs(gap) > limit:
        raise AssertionError(
            f"mean {np.mean(draws):.6g} differs from {expected:.6g} by {gap / error:+.1f} standard "
            f"errors; {limit / error:.1f} are allowed (false-fail rate {false_fail:g})"
        )
    return detectable


def assert_same_law(one: Any, other: Any, *, false_fail: float = FALSE_FAIL) -> float:
    """Assert that two independent samples have one law, by Kolmogorov and Smirnov's test.

    Args:
      one: [draw], at least 1,000.
      other: [draw], at least 1,000.
      false_fail: chance of failing though the laws agree.

    Returns:
      The distance between distribution functions that is caught for certain, nearly:
      twice the critical one.

    Raises:
      AssertionError: if the distance is too large, or there are too few draws.
    """
    first, second = (np.sort(np.asarray(x, np.float64)) for x in (one, other))
    if min(first.size, second.size) < _FEWEST:
        raise AssertionError(f"{first.size} and {second.size} draws are too few; take {_FEWEST}")
    places = np.concatenate([first, second])
    ranks = [np.searchsorted(x, places, side="right") / x.size for x in (first, second)]
    distance = float(np.max(np.abs(ranks[0] - ranks[1])))
    share = first.size * second.size / (first.size + second.size)
    critical = math.sqrt(-math.log(false_fail / 2) / (2 * share))
    if distance > critical:
        raise AssertionError(
            f"the distribution functions differ by {distance:.4g}; {critical:.4g} is allowed "
            f"(false-fail rate {false_fail:g})"
        )
    return 2 * critical

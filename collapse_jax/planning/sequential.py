"""Decide from chain after chain on which side of a limit a mean lies, with a known error.

Evidence against a side is a bet that gains nothing on average if that side is right. Wherever the
bets are read, they exceed 1 / error with at most the probability `error` (Ville 1939), so that a
test may end as soon as it knows, and go on as long as it does not.

Sources: Robbins, Ann. Math. Stat. 41 (1970) for shares; Waudby-Smith & Ramdas, JRSS B 86 (2024) for
bounded numbers; Waudby-Smith et al., Ann. Stat. 52 (2024) for others, in large samples.
"""

import math
from typing import Protocol

import numpy as np
from scipy import special

_BETS = 0.95 * 0.7 ** np.arange(28)  # shares of what may be lost: 0.95 to 6e-5
_FEWEST = 256  # numbers without known bounds: fewer are no large sample


class Test(Protocol):
    """A test of "the mean is at least the limit"."""

    def add(self, values: np.ndarray) -> None:
        """Take the values of more chains.

        Args:
          values: one for each chain, [chain].
        """
        ...

    def verdict(self, error: float) -> bool | None:
        """Return whether the mean is at least the limit; None if that is not known yet.

        Args:
          error: most probability of a wrong answer, for each of both answers.
        """
        ...


class ShareTest:
    """A test of the share of chains for which an event happens.

    Each side's bet is the likelihood ratio against the limit, averaged over the shares on the other
    side.

    Args:
      limit: in (0, 1).

    >>> import numpy as np
    >>> test = ShareTest(0.95)
    >>> test.add(np.ones(100))
    >>> test.verdict(error=0.005), test.verdict(error=0.05)
    (None, True)
    """

    def __init__(self, limit: float) -> None:
        self._limit, self._hits, self._misses = limit, 0, 0

    def add(self, values: np.ndarray) -> None:
        """Take more events, see `Test`."""
        hits = int(np.count_nonzero(values))
        self._hits += hits
        self._misses += len(values) - hits

    def verdict(self, error: float) -> bool | None:
        """Return on which side of the limit the share lies, see `Test`."""
        shape = (self._hits + 1, self._misses + 1)
        at_limit = self._hits * math.log(self._limit) + self._misses * math.log1p(-self._limit)
        sides = {
            True: (special.betaincc(*shape, self._limit), 1 - self._limit),
            False: (special.betainc(*shape, self._limit), self._limit),
        }
        for answer, (mass, width) in sides.items():
            if mass > 0:
                evidence = special.betaln(*shape) + math.log(mass / width) - at_limit
                if evidence >= -math.log(error):
                    return answer
        return None


class BoundedTest:
    """A test of the mean of numbers in an interval.

    A bet of a share b on one side multiplies a capital by 1 + b (x - limit) / (limit - end), which
    is 1 on average at the limit, and at most 1 on the other side. The evidence is the mean capital
    of many bets.

    Args:
      limit: within the interval.
      low: its lower end.
      high: its upper end.

    >>> import numpy as np
    >>> test = BoundedTest(0.5, 0.0, 1.0)
    >>> test.add(np.full(100, 0.7))
    >>> test.verdict(error=0.01)
    True
    """

    def __init__(self, limit: float, low: float, high: float) -> None:
        self._limit, self._ends = limit, {True: limit - low, False: high - limit}
        self._logs = {answer: np.zeros(len(_BETS)) for answer in self._ends}

    def add(self, values: np.ndarray) -> None:
        """Take more numbers, see `Test`."""
        gaps = np.asarray(values, np.float64) - self._limit
        for answer, span in self._ends.items():
            if span > 0:
                gains = np.multiply.outer(_BETS / span, gaps if answer else -gaps)
                self._logs[answer] += np.sum(np.log1p(np.maximum(gains, -1 + 1e-12)), axis=1)

    def verdict(self, error: float) -> bool | None:
        """Return on which side of the limit the mean lies, see `Test`."""
        for answer, logs in self._logs.items():
            if special.logsumexp(logs) - math.log(len(_BETS)) >= -math.log(error):
                return answer
        return None


class MeanTest:
    """A test of the mean of numbers without known bounds; its errors hold in large samples.

    Args:
      limit: any number.

    >>> import numpy as np
    >>> test = MeanTest(0.0)
    >>> test.add(np.random.default_rng(0).normal(1.0, 2.0, 1000))
    >>> test.verdict(error=0.01)
    True
    """

    def __init__(self, limit: float) -> None:
        self._limit, self._number, self._sum, self._squares = limit, 0, 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        """Take more numbers, see `Test`."""
        gaps = np.asarray(values, np.float64) - self._limit
        self._number += len(gaps)
        self._sum += float(np.sum(gaps))
        self._squares += float(np.sum(gaps**2))

    def verdict(self, error: float) -> bool | None:
        """Return on which side of the limit the mean lies, see `Test`."""
        number = self._number
        if number < _FEWEST or not math.isfinite(self._squares):
            return None
        mean = self._sum / number
        variance = max(self._squares / number - mean**2, 0.0)
        scale = (math.log(1 / error) * 2 + math.log(2 * math.log(1 / error) + 1)) / (4 * _FEWEST)
        spread = number * scale + 1
        width = math.sqrt(
            2 * variance * spread / (number**2 * scale) * math.log(math.sqrt(spread) / error)
        )
        return None if abs(mean) <= width else mean > 0

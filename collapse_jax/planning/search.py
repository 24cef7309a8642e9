"""Find the smallest level of a knob that meets a demand, between one that fails and one that holds.

Levels are tried by bisection, in ratios where the answer is small. A level whose verdict is not
known after the most chains leaves a gap that the bracket spans: both sides of it are tried.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

Verdict = Callable[[int], bool | None]
"""verdict(level) -> whether the demand holds; None if that stays unknown."""


class Found(NamedTuple):
    """A bracket of levels.

    Attributes:
      fails: highest level known to fail; None if the lowest holds.
      holds: lowest level known to hold; None if the highest is not known to.
    """

    fails: int | None
    holds: int | None


def find(
    verdict: Verdict, low: int, high: int, start: int | None, width: Callable[[int], float]
) -> Found:
    """Return the bracket of the smallest level that holds.

    Args:
      verdict: of a level; holding levels are assumed to be those from the answer on.
      low: lowest level.
      high: highest level.
      start: a level to begin from, doubled while it fails; None for bisection of the whole range.
      width: how wide a bracket that ends at a level may be, at least one level.

    Returns:
      Levels, as close as the width asks for unless verdicts stay unknown.
    """
    if verdict(low):
        return Found(None, low)
    fails, holds = low, high
    if start is not None:
        fails, holds = _doubled(verdict, low, high, max(start, low + 1))
    answer = verdict(holds)
    if not answer:
        return Found(fails if answer is None else holds, None)
    unknown: list[int] = []
    while True:
        gaps = [(fails, unknown[0]), (unknown[-1], holds)] if unknown else [(fails, holds)]
        wide = [(one, other) for one, other in gaps if other - one > width(holds)]
        if not wide:
            return Found(fails, holds)
        level = _middle(*wide[0], low)
        answer = verdict(level)
        if answer is None:
            unknown = sorted([*unknown, level])
        elif answer:
            holds = level
            unknown = [one for one in unknown if one < level]
        else:
            fails = level
            unknown = [one for one in unknown if one > level]


def _doubled(verdict: Verdict, low: int, high: int, start: int) -> tuple[int, int]:
    """Return a level that fails and one that holds or is the highest."""
    fails, level = low, min(start, high)
    while level < high and verdict(level) is not True:
        fails, level = level, min(2 * level, high)
    return fails, level


def _middle(one: int, other: int, low: int) -> int:
    """Return a level between two, by ratio if they are far apart."""
    least = max(one - low, 1)
    if other - low > 4 * least:
        return min(max(low + round(math.sqrt(least * (other - low))), one + 1), other - 1)
    return (one + other) // 2

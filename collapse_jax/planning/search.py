"""Find the smallest level of a knob that meets a demand, between one that fails and one that holds.

Two levels that are expected to enclose the answer are tried first. A level whose verdict stays
unknown leaves a gap that the bracket spans: both sides of it are tried.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

Verdict = Callable[[int], bool | None]
"""verdict(level) -> whether the demand holds; None if that stays unknown."""


_PARTS = 16  # of a bracket: gaps that are as narrow stay
_STEP = 0.8  # of the width of a bracket, from one test to the next


class Found(NamedTuple):
    """A bracket of levels.

    Attributes:
      fails: highest level below `holds` that is known to fail; None if none is.
      holds: lowest level known to hold; None if none is.
    """

    fails: int | None
    holds: int | None


def find(
    verdict: Verdict,
    low: int,
    high: int,
    aim: tuple[int, int],
    width: Callable[[int], float],
    insist: Verdict = lambda level: None,
) -> Found:
    """Return the bracket of the smallest level that holds.

    Args:
      verdict: of a level; holding levels are assumed to be those from the answer on.
      low: lowest level.
      high: highest level.
      aim: a level that is expected to fail, and one that is expected to hold.
      width: how wide a bracket that ends at a level may be, at least one level.
      insist: the verdict of a level that stayed unknown, with more effort; used where the bracket
        would be too wide.

    Returns:
      Levels, as close as the width asks for unless verdicts stay unknown.
    """
    fails: int | None = None
    unknown: list[int] = []
    level, step = aim[1], 0.0
    while not (answer := verdict(level)):
        if answer is False:
            fails, unknown = level, []
            step = max(2 * step, step_of(width(level)))
        else:
            unknown.append(level)
            step = max(2 * step, step_of(width(level)) // 2, 1)
        if level == high:
            return Found(fails, None)
        level = min(level + int(step), high)
    holds = level
    level, step = min(aim[0], holds - 1), 0.0
    while fails is None and level >= low:
        answer = verdict(level)
        if answer is False:
            fails = level
            break
        if answer:
            holds, unknown = level, []
        else:
            unknown = [level, *unknown]
        if level == low:
            break
        step = max(2 * step, step_of(width(level)) if answer else step_of(width(level)) // 2, 1)
        level = max(level - int(step), low)
    if fails is None and low not in unknown:
        return Found(None, holds)
    known = [one for one in unknown if one > low]
    found = _narrowed(verdict, low if fails is None else fails, holds, known, low, width, insist)
    return Found(None, found.holds) if fails is None and found.fails == low else found


def _narrowed(
    verdict: Verdict,
    fails: int,
    holds: int,
    unknown: list[int],
    low: int,
    width: Callable[[int], float],
    insist: Verdict,
) -> Found:
    """Return a bracket within one that is too wide, by bisection of the gaps between verdicts."""
    tried: set[int] = set()
    while True:
        most = width(holds)
        gaps = [(fails, unknown[0]), (unknown[-1], holds)] if unknown else [(fails, holds)]
        wide = [(one, other) for one, other in gaps if other - one > max(most / len(gaps), 1)]
        left = [one for one in unknown if one not in tried]
        if holds - fails <= most:
            return Found(fails, holds)
        level = _middle(*wide[0], low) if wide else None
        if level is None:
            level = _last_level(fails, holds, unknown, width, is_over=not left)
        if level is not None:
            answer = verdict(level)
        elif left:
            level = left[-1] if holds - left[-1] <= left[0] - fails else left[0]
            answer = insist(level)
            tried.add(level)
        else:
            return Found(fails, holds)
        if answer is None:
            unknown = sorted({*unknown, level})
        elif answer:
            holds = level
            unknown = [one for one in unknown if one < level]
        else:
            fails = level
            unknown = [one for one in unknown if one > level]


def _last_level(
    fails: int, holds: int, unknown: list[int], width: Callable[[int], float], *, is_over: bool
) -> int | None:
    """Return a level of a narrow gap to test, None for none.

    It is the surest one whose verdict may end the search. If there is none, all else `is_over` and
    the unknown levels are few, it is the middle of the wider gap.
    """
    lower, higher, most = math.ceil(holds - width(holds)), holds, width(holds)
    while higher > unknown[-1] and higher - fails > width(higher):
        higher -= 1
    gap, level = max((unknown[0] - lower, lower), (higher - unknown[-1], higher))
    if gap > 0:
        return level
    gap, level = max(
        (unknown[0] - fails, (fails + unknown[0]) // 2),
        (holds - unknown[-1], (unknown[-1] + holds) // 2),
    )
    is_worth_it = unknown[-1] - unknown[0] < most and gap > max(most / _PARTS, 1)
    return level if is_over and is_worth_it else None


def step_of(width: float) -> int:
    """Return how far apart two tests are.

    Args:
      width: most levels of a bracket.
    """
    return max(1, math.floor(_STEP * width))


def _middle(one: int, other: int, low: int) -> int:
    """Return a level between two, by ratio if they are far apart."""
    least = max(one - low, 1)
    if other - low > 4 * least:
        return min(max(low + round(math.sqrt(least * (other - low))), one + 1), other - 1)
    return (one + other) // 2

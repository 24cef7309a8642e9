"""Choose where to test: two levels that are expected to enclose the answer, from looks.

Looks are compared by their margin, how far the mean or the quantile that a demand asks for is
beyond its limit. The level where it is zero is found by the Illinois method on the logarithm of
the level. Nothing of what is chosen here is a verdict.
"""

import bisect
import math
from collections.abc import Callable

import numpy as np
from scipy import special

from collapse_jax.planning.guess import guessed_margin
from collapse_jax.planning.search import step_of
from collapse_jax.planning.trials import Trials

_MOST_LOOKS = 16  # in search of a zero
_SCAN = 4  # levels in between that are looked at where the highest one fails
_LOWER = 0.4  # of the width of a bracket lies below the expected answer: failing shows sooner


def aim(trials: Trials) -> tuple[int, int]:
    """Return a level that is expected to fail and one that is expected to hold.

    Args:
      trials: of the question.
    """
    knob, demand = trials.knob, trials.demand
    low, high = knob.low, knob.high

    def margin(level: int) -> float:
        found = trials.look(level).margin
        return -math.inf if math.isnan(found) else found

    guess = _guessed(trials)
    if guess is not None:
        first, last = _enclosed(margin, guess, step_of(trials.width(guess)), low, high)
    elif knob.is_open:
        start = min(max(int(knob.current), low + 1), high)
        first, last = _enclosed(margin, start, 3 * (start - low), low, high)
    else:
        first, last = low, high
    if margin(first) >= 0:
        return first, first
    if margin(last) < 0:
        levels = [] if guess is not None else _between(low, last)
        holding = [level for level in levels if margin(level) >= 0]
        if not holding:
            return last, last
        last = holding[0]
    zero = _zero(margin, first, last, low, trials.width)
    wide = trials.width(math.ceil(zero))
    if wide < 2:
        below = max(math.floor(zero), low)
        return below, min(below + 1, high)
    wide = step_of(wide)
    part = _LOWER if demand.probability is None else _part_below(trials, first, last, wide)
    below = max(math.floor(zero - part * wide), low)
    return below, min(below + wide, high)


def _guessed(trials: Trials) -> int | None:
    """Return the level where the guessed margin becomes positive."""
    knob, demand = trials.knob, trials.demand
    if not knob.is_share or guessed_margin(knob.at(knob.low), demand) is None:
        return None

    def holds(level: int) -> bool:
        return (guessed_margin(knob.at(level), demand) or 0.0) >= 0

    return bisect.bisect_left(range(knob.low, knob.high), True, key=holds) + knob.low


def _enclosed(
    margin: Callable[[int], float], start: int, step: int, low: int, high: int
) -> tuple[int, int]:
    """Return levels whose margins have different signs, or an end twice, by growing steps."""
    level, step = start, max(step, 1)
    if margin(level) >= 0:
        while level > low:
            lower = max(level - step, low) if 2 * step < level - low else low + (level - low) // 4
            if margin(lower) < 0:
                return lower, level
            level, step = lower, 2 * step
        return low, low
    while level < high:
        higher = min(level + step, high)
        if margin(higher) >= 0:
            return level, higher
        level, step = higher, 4 * step
    return high, high


def _part_below(trials: Trials, first: int, last: int, wide: int) -> float:
    """Return which part of a bracket to put below the expected answer, for the fewest chains.

    A share p of chains differs from the limit P by the divergence KL(p || P) for each chain, which
    is what a test adds up.
    """
    ends = trials.look(first), trials.look(last)
    spread = max(one.standard_error * math.sqrt(max(one.num_chains, 1)) for one in ends)
    rise = (ends[1].margin - ends[0].margin) / max(last - first, 1) * wide
    if not (spread > 0 and math.isfinite(rise) and rise > 0):
        return _LOWER
    limit = float(trials.demand.probability or 0.5)
    parts = np.linspace(0.1, 0.9, 17)
    chains = np.zeros(len(parts))
    for offsets in (-parts, 1 - parts):
        share = special.ndtr(special.ndtri(limit) + offsets * rise / spread)
        chains += 1 / (special.rel_entr(share, limit) + special.rel_entr(1 - share, 1 - limit))
    return float(parts[np.argmin(chains)])


def _between(low: int, high: int) -> list[int]:
    """Return some levels between two, by ratio, in ascending order."""
    span = high - low + 1
    return sorted(
        {low + round(span ** (part / (_SCAN + 1))) for part in range(1, _SCAN + 1)} - {low, high}
    )


def _zero(
    margin: Callable[[int], float],
    first: int,
    last: int,
    low: int,
    width: Callable[[int], float],
) -> float:
    """Return about where the margin is zero, from levels with a negative and a positive one."""
    ends = [float(margin(first)), float(margin(last))]

    def scaled(level: float) -> float:
        return math.log(level - low + 1)

    def expected() -> float:
        part = 0.5
        if all(math.isfinite(one) for one in ends):
            part = ends[0] / (ends[0] - ends[1])
        return low - 1 + math.exp(scaled(first) + part * (scaled(last) - scaled(first)))

    side = 0
    for _ in range(_MOST_LOOKS):
        if last - first <= max(1, width(last)):
            break
        level = min(max(round(expected()), first + 1), last - 1)
        found = margin(level)
        if found >= 0:
            last, ends[1] = level, found
            ends[0] *= 0.5 if side == 1 else 1
            side = 1
        else:
            first, ends[0] = level, found
            ends[1] *= 0.5 if side == -1 else 1
            side = -1
    ends = [margin(first), margin(last)]
    return expected()

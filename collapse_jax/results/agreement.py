"""Standardize the difference between a mean over chains and its expectation.

A standardized difference z is made such that P(|z| > t) <= 2 exp(-t^2 / 2) if the expectation
is right, for any t. Where the chains do not suffice for that, there is none, and a reason.

* Values whose law is not too skewed for the number of chains: the self-normalized sum
  z = sum(x - m) / sqrt(sum((x - m)^2)), m being the expectation. It never exceeds the square
  root of the number of chains n; for symmetric laws the bound is exact (Efron 1969).
* Values in a known interval: Chernoff's bound, z = sqrt(2 n KL(mean || m)), where KL is the
  divergence of Bernoulli laws. It holds for every law in the interval (Hoeffding 1963), is
  sharp for truth values, and weak for values that hardly vary. It never exceeds
  sqrt(2 n max(-ln m, -ln(1 - m))), m being relative to the interval.

With few chains these limits lie below every threshold, and a comparison could not fail whatever
the chains are: `chains_needed` returns the number from which on it can.
"""

import math
from typing import NamedTuple

import numpy as np

from collapse_jax.utils.counted import counted

_SKEWNESS = 50.0  # chains needed at skewness 1; simulated log-normal chains then keep the bound
_TAIL = math.sqrt(2 * math.log(40))  # 2 exp(-t^2 / 2) = 0.05
_ROUNDING = float(np.finfo(np.float32).eps)  # relative; differences that are finer say nothing
_LEAST = 1e-9  # of a probability: expectations this close to a bound are not exact enough
_OVERFLOW = 1e-6  # probability of a single overflow above which infinite values say nothing
_BISECTIONS = 60  # halvings of an interval, to the precision of float64


class ChainMean(NamedTuple):
    """Mean of a quantity over the chains that have a value.

    Attributes:
      num_chains: number of these chains.
      mean: their mean.
      std: their standard deviation, with divisor `num_chains`; NaN if a value is infinite.
      skewness: third standardized moment; NaN if unknown, as for two chains, where it is always 0.
      rounding: error of the mean by rounding, in the unit of the mean.
      frozen: number of chains that are frozen.
    """

    num_chains: int
    mean: float
    std: float
    skewness: float = math.nan
    rounding: float = 0.0
    frozen: int = 0

    @classmethod
    def of(cls, values: np.ndarray, frozen: int, rounding: float = 0.0) -> "ChainMean":
        """Return the mean of the values that are not NaN.

        Args:
          values: one per chain, [chain].
          frozen: number of chains that are frozen.
          rounding: error of a value by what it was recorded in, besides float32's.
        """
        found = np.asarray(values, np.float64)
        found = found[~np.isnan(found)]
        if found.size == 0:
            return cls(0, math.nan, math.nan, frozen=frozen)
        with np.errstate(invalid="ignore"):
            gaps = found - np.mean(found)
            std = float(np.std(found))
            is_known = std > 0 and found.size > 2
            skewness = float(np.mean((gaps / std) ** 3)) if is_known else math.nan
        rounding = max(_ROUNDING * float(np.max(np.abs(found))), rounding)
        return cls(len(found), float(np.mean(found)), std, skewness, rounding, frozen)


class Verdict(NamedTuple):
    """A comparison of a mean with an expectation.

    Attributes:
      low: lower end of the 95 % interval of the mean; NaN if unknown.
      high: upper end of the interval.
      standardized: z as described above; NaN if the chains do not suffice.
      note: the reason why nothing was tested, or "".
      most: number that |z| cannot exceed with so many chains, whatever their values.
    """

    low: float
    high: float
    standardized: float
    note: str = ""
    most: float = math.inf


def judge(
    found: ChainMean,
    exact: float,
    variance: float = math.nan,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    dtype: str | None = None,
) -> Verdict:
    """Compare a mean over chains with its expectation.

    Args:
      found: the mean.
      exact: the expectation.
      variance: exact variance over chains; NaN if unknown.
      bounds: interval that holds every value.
      dtype: floating-point type that the values were recorded in; None for no limit.

    Returns:
      The verdict.
    """
    if reason := _too_few(found):
        return Verdict(math.nan, math.nan, math.nan, reason)
    if dtype is not None and _is_beyond(found, exact, float(np.finfo(dtype).max)):
        return Verdict(found.mean, found.mean, math.nan, f"beyond {dtype}")
    if found.mean == exact and not math.isfinite(exact):
        return Verdict(found.mean, found.mean, 0.0)
    if not math.isfinite(found.mean - exact):
        return Verdict(found.mean, found.mean, math.copysign(math.inf, found.mean - exact))
    low, high = bounds
    is_bounded = math.isfinite(high - low) and low < high
    if is_bounded and (_is_truth_value(found, bounds) or _is_skewed(found, bounds)):
        return _within(found, exact, bounds)
    low, high = _student(found)
    rounding = max(found.rounding, _ROUNDING * abs(exact))
    gap = found.mean - exact
    most = math.sqrt(found.num_chains)
    if _is_skewed(found, bounds) and abs(gap) > rounding and variance != 0:
        return Verdict(low, high, math.nan, "too few chains for a law so skewed", most)
    spread = max(found.std**2 + gap**2, 0.0 if math.isnan(variance) else variance)
    if variance == 0 == found.std:  # every chain has the expectation
        spread = 0.0
    error = max(math.sqrt(spread / found.num_chains), rounding)
    most = math.inf if spread == 0 == variance else most
    return Verdict(low, high, gap / error if gap else 0.0, most=most)


def _too_few(found: ChainMean) -> str:
    """Return why a mean says nothing about the expectation, or ""."""
    if found.frozen:
        # What froze the chains may depend on their values, which the expectation does not know.
        frozen, total = found.frozen, found.frozen + found.num_chains
        return f"{frozen:,} of {counted(total, 'chain')} {'is' if frozen == 1 else 'are'} frozen"
    if found.num_chains == 0:
        return "no chain has a value"
    return "a single chain" if found.num_chains == 1 else ""


def _is_beyond(found: ChainMean, exact: float, largest: float) -> bool:
    """Tell whether overflow explains what was recorded.

    By Markov's inequality a chain overflows with probability at most E|x| / largest.
    """
    is_likely = found.num_chains * abs(exact) > _OVERFLOW * largest
    return exact > largest or (found.mean == math.inf and exact != -math.inf and is_likely)


def _is_truth_value(found: ChainMean, bounds: tuple[float, float]) -> bool:
    """Tell whether all values lie at the bounds: their variance is then the largest possible."""
    low, high = bounds
    largest = (found.mean - low) * (high - found.mean)
    return found.std**2 >= 0.999 * largest


def _is_skewed(found: ChainMean, bounds: tuple[float, float]) -> bool:
    """Tell whether a few chains decide the mean, so that others may be missing.

    If the skewness of the values is unknown, that of a log-normal law with their coefficient of
    variation is taken, which is larger than that of most laws of positive values.
    """
    if found.std == 0:
        return True
    skewness = found.skewness
    if math.isnan(skewness):
        gaps = (found.mean - bounds[0], bounds[1] - found.mean)
        ratios = [found.std / gap if gap > 0 else math.inf for gap in gaps]
        skewness = max(ratio**3 + 3 * ratio for ratio in ratios)
    return not found.num_chains >= _SKEWNESS * skewness**2


def _within(found: ChainMean, exact: float, bounds: tuple[float, float]) -> Verdict:
    """Compare the mean of values in an interval by Chernoff's bound."""
    low, width = bounds[0], bounds[1] - bounds[0]
    mean, law = (min(max((x - low) / width, 0.0), 1.0) for x in (found.mean, exact))
    least, most = _chernoff_interval(mean, found.num_chains)
    ends = (low + width * least, low + width * most)
    law = min(max(law, _LEAST), 1 - _LEAST)
    most = math.sqrt(2 * found.num_chains * max(-math.log(law), -math.log1p(-law)))
    if abs(found.mean - exact) <= max(found.rounding, _ROUNDING * abs(exact)):
        return Verdict(*ends, 0.0, most=most)
    score = math.sqrt(2 * found.num_chains * _divergence(mean, law))
    return Verdict(*ends, math.copysign(score, mean - law), most=most)


def _divergence(one: float, other: float) -> float:
    """Return KL(Bernoulli(one) || Bernoulli(other)) in nats, for `other` in (0, 1)."""
    parts = ((one, other), (1 - one, 1 - other))
    return max(0.0, sum(p * math.log(p / q) for p, q in parts if p > 0))


def _chernoff_interval(mean: float, count: int) -> tuple[float, float]:
    """Return the expectations in [0, 1] that Chernoff's bound does not refuse at 5 %."""
    allowed = _TAIL**2 / (2 * count)

    def end(inside: float, outside: float) -> float:
        for _ in range(_BISECTIONS):
            middle = (inside + outside) / 2
            if 0 < middle < 1 and _divergence(mean, middle) <= allowed:
                inside = middle
            else:
                outside = middle
        return inside

    return end(mean, 0.0), end(mean, 1.0)


def _student(found: ChainMean) -> tuple[float, float]:
    """Return Student's 95 % interval of the mean."""
    from scipy.special import stdtrit

    half = float(stdtrit(found.num_chains - 1, 0.975)) * found.std / math.sqrt(found.num_chains - 1)
    return found.mean - half, found.mean + half


def threshold(number: int, false_alarm: float) -> float:
    """Return the bound that the largest of several z exceeds with a given probability at most.

    Args:
      number: number of comparisons, dependent or not (Bonferroni).
      false_alarm: probability that one or more exceed the bound although all expectations are
        right, in (0, 1).

    Returns:
      t with number * 2 exp(-t^2 / 2) = false_alarm.

    >>> round(threshold(100, 1e-6), 2)
    6.18
    """
    return math.sqrt(2 * math.log(2 * max(number, 1) / false_alarm))


def chains_needed(num_chains: int, most: float, limit: float) -> int:
    """Return the smallest number of chains whose z can exceed a limit.

    Args:
      num_chains: a number of chains.
      most: what |z| cannot exceed with these, see `Verdict`; it grows with their square root.
      limit: see `threshold`.

    >>> chains_needed(10, 10**0.5, threshold(1, 1e-6))  # 2 ln(2 / 1e-6) = 29.02
    30
    """
    return math.floor(num_chains * (limit / most) ** 2) + 1

"""Compare statements of the literature with the findings of a run."""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from collapse_jax.utils.counted import counted
from collapse_jax.utils.interval import mean_over_chains

MOST_ERRORS = 4.0  # standard errors: a correct mean is further off once in 16,000 times
FEWEST_CHAINS = 8  # with fewer, a standard error is too uncertain for any verdict
LEAST_EFFECT = 0.01  # relative change of networks below which no effect can be told from none
NO_EFFECT = f"no run changes by more than {100 * LEAST_EFFECT:g} %"
_CHANCE = 1 / 16_000  # of a correct mean beyond `most_errors`, on both sides together
_VERDICTS = {True: "agrees", False: "differs", None: "not tested"}


class Finding(NamedTuple):
    """The result of a test.

    Attributes:
      words: the finding, with an interval if it is subject to chance.
      holds: whether run and literature agree; None if the run cannot tell.
      why: the reason why the run cannot tell, if `holds` is None.
    """

    words: str
    holds: bool | None
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement of the literature with the finding of a run.

    Attributes:
      claim: the statement, with its number if it has one.
      source: paper and section.
      found: the finding of the run, with an interval if it is subject to chance.
      holds: whether both agree; None if the run cannot tell.
      why: the reason why the run cannot tell, if `holds` is None.

    >>> Statement("The error grows.", "Nature 631", "1.2 to 3.4", True).verdict
    'agrees'
    >>> Statement("The error grows.", "Nature 631", "1.2", None, "a single model").words
    'not tested (a single model)'
    """

    claim: str
    source: str
    found: str
    holds: bool | None
    why: str = ""

    @property
    def verdict(self) -> str:
        """Return the verdict: agrees, differs or not tested."""
        return _VERDICTS[self.holds]

    @property
    def words(self) -> str:
        """Return the verdict, with the reason if the statement was not tested."""
        is_explained = self.holds is None and self.why
        return f"{self.verdict} ({self.why})" if is_explained else self.verdict


def most_errors(num_chains: int | None = None) -> float:
    """Return the number of standard errors that a correct mean exceeds once in 16,000 times.

    Args:
      num_chains: independent chains of which the standard error was estimated, by Student's t;
        None for very many.

    >>> round(most_errors(), 1), round(most_errors(1000), 1), round(most_errors(8), 1)
    (4.0, 4.0, 8.5)
    """
    from scipy.special import stdtrit

    if num_chains is None:
        return MOST_ERRORS
    return float(stdtrit(max(num_chains - 1, 1), 1 - _CHANCE / 2))


def exceeds(
    differences: Float[np.ndarray, "..."],
    errors: Float[np.ndarray, "..."],
    num_chains: int | None = None,
) -> bool | None:
    """Tell whether differences of means are positive, beyond chance.

    Args:
      differences: differences of means.
      errors: sums of the standard errors of both means, in the same shape.
      num_chains: independent chains of each mean, None for very many.

    Returns:
      True if all are positive, False if one is negative, None if chance may decide a sign.

    >>> exceeds(np.array([1.0]), np.array([0.1])), exceeds(np.array([0.1]), np.array([0.1]))
    (True, None)
    """
    most = most_errors(num_chains)
    if np.all(differences > most * errors):
        return True
    return False if np.any(differences < -most * errors) else None


def agreement(
    names: Sequence[str],
    means: Float[np.ndarray, " case"],
    errors: Float[np.ndarray, " case"],
    exact: Float[np.ndarray, " case"],
    num_chains: int | None = None,
    gaps: Float[np.ndarray, " case"] | None = None,
) -> Finding:
    """Compare means with exact expectations, within what chance allows.

    Means that agree only because chance allows nearly anything are no evidence: see `gaps`.

    Args:
      names: names of the cases.
      means: means over independent chains, [case].
      errors: standard errors of the means, [case].
      exact: expectations, [case].
      num_chains: chains of each mean, None for very many.
      gaps: least differences from the expectations that chance must not hide, [case]; infinite
        for a case in which any difference may be hidden. None for half the expectations: then
        a mean of none or twice the expectation is found.

    Returns:
      The finding, which holds if all cases agree; None for fewer than 8 chains, and for means
      that agree within an allowed difference that is not below `gaps`.

    >>> zero = np.zeros(1)
    >>> agreement(["x"], zero + 0.1, zero + 0.1, zero).words
    'x: 0.1 ± 0.1 (exact 0)'
    """
    means, errors, exact = (np.asarray(values, np.float64) for values in (means, errors, exact))
    cases = [
        f"{name}: {mean:.4g}{plus_minus(error, 2)} (exact {value:.4g})"
        for name, mean, error, value in zip(names, means, errors, exact, strict=True)
    ]
    words = "; ".join(cases)
    if num_chains is not None and num_chains < FEWEST_CHAINS:
        return Finding(words, None, few_chains(num_chains))
    rounding = 1e-5 * np.abs(exact)  # float32 rounds sums by about as much
    allowed = most_errors(num_chains) * errors + rounding
    if not np.all(np.abs(means - exact) <= allowed):
        return Finding(words, False)
    if num_chains is not None:
        if gaps is None:
            gaps = np.where(exact == 0, np.inf, np.abs(exact) / 2)
        if reason := cannot_tell(errors, gaps, num_chains):
            return Finding(words, None, reason)
    return Finding(words, True)


def cannot_tell(
    errors: Float[np.ndarray, " case"], gaps: Float[np.ndarray, " case"], num_chains: int
) -> str:
    """Return the reason why so few chains could not find an error of the given size, or "".

    Args:
      errors: standard errors of means over chains, [case].
      gaps: positive differences from an expectation that have to be found, [case].
      num_chains: chains of each mean.

    >>> cannot_tell(np.array([0.5]), np.array([1.0]), 8)
    'too few chains: 8, needs about 41'
    >>> cannot_tell(np.array([0.1]), np.array([1.0]), 8)
    ''
    """
    errors, gaps = np.asarray(errors, np.float64), np.asarray(gaps, np.float64)
    if not np.any(most_errors(num_chains) * errors >= gaps):
        return ""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.max(errors / gaps)) * math.sqrt(num_chains)
    if not math.isfinite(ratio):
        return f"too few chains: {num_chains:,}"
    low, high = num_chains, 2 * num_chains
    while most_errors(high) * ratio >= math.sqrt(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 100):  # the standard errors are not known better
        middle = (low + high) // 2
        is_enough = most_errors(middle) * ratio < math.sqrt(middle)
        low, high = (low, middle) if is_enough else (middle, high)
    return f"too few chains: {num_chains:,}, needs about {high:,}"


def plus_minus(error: float, digits: int = 1) -> str:
    """Return a standard error with its sign; nothing where there is none.

    Args:
      error: the standard error, NaN for a single chain.
      digits: significant digits.

    >>> plus_minus(0.12), plus_minus(float("nan"))
    (' ± 0.1', '')
    """
    return "" if np.isnan(error) else f" ± {error:.{digits}g}"


def few_chains(num_chains: int) -> str:
    """Return the reason why a few chains decide nothing.

    Args:
      num_chains: number of chains, fewer than 8.

    >>> few_chains(1)
    '1 chain is too few for a standard error'
    """
    verb = "is" if num_chains == 1 else "are"
    return f"{counted(num_chains, 'chain')} {verb} too few for a standard error"


def stopped_chains(number: int) -> Finding:
    """Return the finding on chains of which some stopped early.

    Args:
      number: chains that stopped before the last generation, at least 1.

    >>> stopped_chains(2).why
    '2 chains stopped early'
    """
    words = "the chains that are left are no sample of all chains"
    return Finding(words, None, f"{counted(number, 'chain')} stopped early")


def failed_points(number: int, total: int) -> Finding:
    """Return the finding on a grid of which some points failed.

    Args:
      number: points that failed, at least 1.
      total: all points.

    >>> failed_points(1, 4).why
    '1 of 4 points failed'
    """
    return Finding(
        "points that failed have no values", None, f"{number:,} of {total:,} points failed"
    )


def diverged_chains(number: int, total: int) -> Finding:
    """Return the finding on networks whose training diverged in some chains.

    Args:
      number: chains in which a loss or a perplexity was not finite, at least 1.
      total: number of all chains.

    >>> diverged_chains(2, 3).why
    'training diverged in 2 of 3 runs'
    """
    words = "not every run has finite losses"
    return Finding(words, None, f"training diverged in {number:,} of {counted(total, 'run')}")


def equals(
    claim: str,
    source: str,
    names: Sequence[str],
    means: Float[np.ndarray, " case"],
    errors: Float[np.ndarray, " case"],
    exact: Float[np.ndarray, " case"],
) -> Statement:
    """Compare means with exact expectations, within four standard errors.

    Args:
      claim: the formula.
      source: paper and section.
      names: names of the cases.
      means: means over independent chains, [case].
      errors: standard errors of the means, [case].
      exact: expectations, [case].

    Returns:
      The statement, which holds if all cases agree.

    >>> zero = np.zeros(1)
    >>> equals("E x = 0", "a book", ["x"], zero + 0.1, zero + 0.1, zero).verdict
    'agrees'
    """
    return Statement(claim, source, *agreement(names, means, errors, exact))


def mean_with_interval(values: Float[np.ndarray, " chain"], digits: int = 3) -> str:
    """Return the mean over chains and its 95 % t interval as text.

    Args:
      values: one value per chain, [chain].
      digits: significant digits.

    >>> mean_with_interval(np.array([1.0, 2.0, 3.0]))
    '2 (-0.484 to 4.48)'
    """
    mean, half = mean_over_chains(np.asarray(values, np.float64))
    if np.isnan(half):
        return f"{mean:.{digits}g}"
    return f"{mean:.{digits}g} ({mean - half:.{digits}g} to {mean + half:.{digits}g})"

"""Compare statements of the literature with the findings of a run."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from collapse_jax.utils.interval import mean_over_chains

MOST_ERRORS = 4.0  # standard errors: a correct mean is further off once in 16,000 times


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement of the literature with the finding of a run.

    Attributes:
      claim: the statement, with its number if it has one.
      source: paper and section.
      found: the finding of the run, with an interval if it is subject to chance.
      holds: whether both agree; None if the run is too small to decide.

    >>> Statement("The error grows.", "Nature 631", "1.2 to 3.4", True).verdict
    'agrees'
    """

    claim: str
    source: str
    found: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        """Return one word: agrees, differs or undecided."""
        return {True: "agrees", False: "differs", None: "undecided"}[self.holds]


def exceeds(differences: Float[np.ndarray, "..."], errors: Float[np.ndarray, "..."]) -> bool | None:
    """Tell whether differences of means are positive, beyond four standard errors.

    Args:
      differences: differences of means.
      errors: sums of the standard errors of both means, in the same shape.

    Returns:
      True if all are positive, False if one is negative, None if chance may decide a sign.

    >>> exceeds(np.array([1.0]), np.array([0.1])), exceeds(np.array([0.1]), np.array([0.1]))
    (True, None)
    """
    if np.all(differences > MOST_ERRORS * errors):
        return True
    return False if np.any(differences < -MOST_ERRORS * errors) else None


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
    >>> equals("E x = 0", "a book", ["x"], zero + 0.1, zero + 0.1, zero).found
    'x: 0.1 ± 0.1 (exact 0)'
    """
    means, errors, exact = (np.asarray(values, np.float64) for values in (means, errors, exact))
    cases = [
        f"{name}: {mean:.4g} ± {error:.2g} (exact {value:.4g})"
        for name, mean, error, value in zip(names, means, errors, exact, strict=True)
    ]
    rounding = 1e-5 * np.abs(exact)  # float32 rounds sums by about as much
    holds = bool(np.all(np.abs(means - exact) <= MOST_ERRORS * errors + rounding))
    return Statement(claim, source, "; ".join(cases), holds)


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

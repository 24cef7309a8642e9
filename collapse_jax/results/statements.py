"""What a paper states, beside what a run found."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from collapse_jax.utils.interval import mean_over_chains

MOST_ERRORS = 4.0  # a right mean is further off once in 16,000 times


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement of the literature and what became of it.

    Attributes:
      claim: the statement, with its number if it has one.
      source: where it stands.
      found: what the run has to say, with an interval where chance is in it.
      holds: whether both agree; None where the run is too small to tell.

    >>> Statement("The error grows.", "Nature 631", "1.2 to 3.4", True).verdict
    'agrees'
    """

    claim: str
    source: str
    found: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        """One word."""
        return {True: "agrees", False: "differs", None: "undecided"}[self.holds]


def exceeds(differences: Float[np.ndarray, "..."], errors: Float[np.ndarray, "..."]) -> bool | None:
    """Whether differences are positive: None if chance may have made one what it is.

    Args:
      differences: of means.
      errors: standard errors of the means, added up.

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
    """Whether means are what theory says, within four standard errors.

    Args:
      claim: the formula.
      source: where it stands.
      names: of the cases.
      means: over independent chains.
      errors: their standard errors.
      exact: expectations.

    >>> zero = np.zeros(1)
    >>> equals("E x = 0", "a book", ["x"], zero + 0.1, zero + 0.1, zero).found
    'x: 0.1 ± 0.1 (exact 0)'
    """
    means, errors, exact = (np.asarray(values, np.float64) for values in (means, errors, exact))
    cases = [
        f"{name}: {mean:.4g} ± {error:.2g} (exact {value:.4g})"
        for name, mean, error, value in zip(names, means, errors, exact, strict=True)
    ]
    rounding = 1e-5 * np.abs(exact)  # of float32
    holds = bool(np.all(np.abs(means - exact) <= MOST_ERRORS * errors + rounding))
    return Statement(claim, source, "; ".join(cases), holds)


def mean_with_interval(values: Float[np.ndarray, " chain"], digits: int = 3) -> str:
    """The mean over chains and its 95 % t interval, in words.

    >>> mean_with_interval(np.array([1.0, 2.0, 3.0]))
    '2 (-0.484 to 4.48)'
    """
    mean, half = mean_over_chains(np.asarray(values, np.float64))
    if np.isnan(half):
        return f"{mean:.{digits}g}"
    return f"{mean:.{digits}g} ({mean - half:.{digits}g} to {mean + half:.{digits}g})"

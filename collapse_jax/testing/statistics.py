"""Test random results, with a stated false-fail rate and smallest detectable effect."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

FALSE_FAIL = 1e-9
"""Probability that one assertion fails by chance: once in a million runs of a thousand."""
POWER = 0.99
"""Probability with which the smallest detectable effect fails an assertion."""
_FEWEST = 1000  # draws; with fewer the asymptotic laws of the statistics are inaccurate
_FEWEST_EXPECTED = 10  # draws per cell, for the asymptotic law of chi-square


class Evidence(NamedTuple):
    """The evidence of independent draws about a claim.

    Attributes:
      p_value: probability of data at least as extreme if the claim is true.
      draws: number of draws.
      detectable: smallest effect that fails with probability 0.99.
      effect: the quantity that `detectable` measures.
      message: the finding in words.

    >>> import numpy as np
    >>> from collapse_jax.testing import Evidence, mean_evidence
    >>> draws = np.random.default_rng(0).normal(size=10_000)
    >>> evidence = mean_evidence(draws, 0.1)
    >>> isinstance(evidence, Evidence), evidence.draws, round(evidence.detectable, 3)
    (True, 10000, 0.084)
    >>> evidence.message
    'mean 0.00631189 differs from 0.1 by -9.4 standard errors; 6.1 are allowed'
    """

    p_value: float
    draws: int
    detectable: float
    effect: str
    message: str

    def check(self, false_fail: float) -> float:
        """Assert that the claim is not refused.

        Args:
          false_fail: probability of refusing a true claim.

        Returns:
          `detectable`.

        Raises:
          AssertionError: if the p-value is below `false_fail`.
        """
        if not self.p_value >= false_fail:
            raise AssertionError(f"{self.message} (false-fail rate {false_fail:g})")
        return self.detectable


def _quantile(probability: float) -> float:
    from scipy import special

    return float(special.ndtri(probability))


def _draws(values: Any) -> np.ndarray:
    draws = np.asarray(values, np.float64)
    if draws.ndim != 1 or draws.size < _FEWEST:
        raise AssertionError(f"{draws.shape} draws are too few; take {_FEWEST} in one axis")
    if not np.all(np.isfinite(draws)):
        raise AssertionError(f"{np.sum(~np.isfinite(draws))} draws are not finite")
    return draws


def mean_evidence(values: Any, expected: float, false_fail: float = FALSE_FAIL) -> Evidence:
    """Test whether independent draws have an expectation, by a z-test.

    Args:
      values: [draw], at least 1,000 of them.
      expected: the expectation.
      false_fail: rate at which `detectable` and the message are given.

    Returns:
      The evidence; the effect is the bias of the mean, in the unit of `values`.

    Raises:
      AssertionError: if there are too few draws, or one is not finite.

    >>> import numpy as np
    >>> from collapse_jax.testing import mean_evidence
    >>> draws = np.random.default_rng(0).normal(size=10_000)
    >>> mean_evidence(draws, 0.1).p_value < 1e-9
    True
    """
    from scipy import special

    draws = _draws(values)
    error = float(np.std(draws, ddof=1) / math.sqrt(draws.size))
    gap = float(np.mean(draws) - expected)
    score = abs(gap) / error if error > 0 else (math.inf if gap else 0.0)
    limit = _quantile(1 - false_fail / 2)
    return Evidence(
        p_value=float(2 * special.ndtr(-score)),
        draws=draws.size,
        detectable=(limit + _quantile(POWER)) * error,
        effect="bias of the mean",
        message=f"mean {np.mean(draws):.6g} differs from {expected:.6g} by "
        f"{math.copysign(score, gap):+.1f} standard errors; {limit:.1f} are allowed",
    )


def law_evidence(
    values: Any, cdf: Callable[[np.ndarray], np.ndarray], false_fail: float = FALSE_FAIL
) -> Evidence:
    """Test whether draws have a continuous law, by Kolmogorov's test.

    Args:
      values: [draw], at least 1,000 of them.
      cdf: the distribution function, of arrays.
      false_fail: rate at which `detectable` and the message are given.

    Returns:
      The evidence; the effect is a gap between distribution functions, in [0, 1].

    Raises:
      AssertionError: if there are too few draws, or one is not finite.

    >>> import numpy as np
    >>> from collapse_jax.testing import law_evidence
    >>> from scipy import special
    >>> draws = np.random.default_rng(0).normal(size=10_000)
    >>> law_evidence(draws, special.expit).p_value < 1e-9
    True
    """
    draws = np.sort(_draws(values))
    ranks = np.arange(draws.size + 1) / draws.size
    theory = cdf(draws)
    distance = float(max(np.max(ranks[1:] - theory), np.max(theory - ranks[:-1])))
    return _distance_evidence(distance, draws.size, draws.size, false_fail)


def same_law_evidence(one: Any, other: Any, false_fail: float = FALSE_FAIL) -> Evidence:
    """Test whether two independent samples have the same law, by Kolmogorov and Smirnov's test.

    Args:
      one: [draw], at least 1,000 of them.
      other: [draw], at least 1,000 of them.
      false_fail: rate at which `detectable` and the message are given.

    Returns:
      The evidence; the effect is a gap between distribution functions, in [0, 1].

    Raises:
      AssertionError: if there are too few draws, or one is not finite.

    >>> import numpy as np
    >>> from collapse_jax.testing import same_law_evidence
    >>> draws, others = np.random.default_rng(0).normal(size=(2, 10_000))
    >>> same_law_evidence(draws, others + 0.2).p_value < 1e-9
    True
    """
    first, second = np.sort(_draws(one)), np.sort(_draws(other))
    places = np.concatenate([first, second])
    ranks = [np.searchsorted(x, places, side="right") / x.size for x in (first, second)]
    distance = float(np.max(np.abs(ranks[0] - ranks[1])))
    share = first.size * second.size / (first.size + second.size)
    return _distance_evidence(distance, share, first.size + second.size, false_fail)


def _distance_evidence(distance: float, share: float, draws: int, false_fail: float) -> Evidence:
    from scipy import special

    root = math.sqrt(share)
    critical = float(special.kolmogi(false_fail)) / root
    # Massart's inequality bounds how far the observed distance may lie below the true one.
    return Evidence(
        p_value=float(special.kolmogorov(distance * root)),
        draws=draws,
        detectable=critical + math.sqrt(-math.log(1 - POWER) / 2) / root,
        effect="gap between distribution functions",
        message=f"the distribution functions differ by {distance:.4g}; {critical:.4g} is allowed",
    )


def frequency_evidence(counts: Any, probabilities: Any, false_fail: float = FALSE_FAIL) -> Evidence:
    """Test whether cells were hit with given probabilities, by Pearson's chi-square test.

    Cells with fewer than 10 expected draws are merged. A single hit where the probability is
    zero refuses the claim.

    Args:
      counts: [cell], hits, at least 1,000 in total.
      probabilities: [cell], proportional to the probabilities.
      false_fail: rate at which `detectable` and the message are given.

    Returns:
      The evidence; the effect is the root mean square of relative deviations.

    Raises:
      AssertionError: if there are too few draws.

    >>> from collapse_jax.testing import frequency_evidence
    >>> frequency_evidence([5_020, 4_980], [0.5, 0.5]).p_value > 0.5
    True
    >>> frequency_evidence([5_020, 4_980, 1], [0.5, 0.5, 0.0]).p_value
    0.0
    """
    from scipy import special, stats

    hits, law = np.asarray(counts, np.float64), np.asarray(probabilities, np.float64)
    total = float(hits.sum())
    if total < _FEWEST:
        raise AssertionError(f"{total:g} draws are too few; take {_FEWEST}")
    expected = total * law / law.sum()
    few = expected < _FEWEST_EXPECTED
    order = np.append(hits[~few], hits[few].sum()), np.append(expected[~few], expected[few].sum())
    kept = order[1] > 0
    impossible = bool(np.any(hits[law == 0] > 0))
    statistic = float(np.sum((order[0] - order[1])[kept] ** 2 / order[1][kept]))
    freedom = max(int(kept.sum()) - 1, 1)
    critical = float(special.chdtri(freedom, false_fail))
    # The noncentrality at which the statistic exceeds the critical value often enough.
    away = float(special.chndtrinc(critical, freedom, 1 - POWER))
    return Evidence(
        p_value=0.0 if impossible else float(stats.chi2.sf(statistic, freedom)),
        draws=int(total),
        detectable=math.sqrt(away / total),
        effect="root mean square of relative deviations",
        message=f"chi-square {statistic:.1f} with {freedom} degrees of freedom; {critical:.1f} is "
        "allowed" + ("; an impossible cell was hit" if impossible else ""),
    )


def assert_mean(values: Any, expected: float, *, false_fail: float = FALSE_FAIL) -> float:
    """Assert that independent draws have this expectation, by a z-test.

    Args:
      values: [draw], at least 1,000 of them, of a law whose mean is nearly normal at that
        number.
      expected: the expectation.
      false_fail: probability of failing although the expectation is right.

    Returns:
      The smallest bias that is detected with probability 0.99, in the unit of `values`.

    Raises:
      AssertionError: if the mean is too far away, or there are too few draws.

    >>> import numpy as np
    >>> from collapse_jax.testing import assert_mean
    >>> draws = np.random.default_rng(0).normal(size=10_000)
    >>> round(assert_mean(draws, 0.0), 3)  # the smallest detectable effect
    0.084
    """
    return mean_evidence(values, expected, false_fail).check(false_fail)


def assert_law(
    values: Any, cdf: Callable[[np.ndarray], np.ndarray], *, false_fail: float = FALSE_FAIL
) -> float:
    """Assert that independent draws have a continuous law, by Kolmogorov's test.

    Args:
      values: [draw], at least 1,000.
      cdf: the distribution function, of arrays.
      false_fail: probability of failing although the law is right.

    Returns:
      The gap between distribution functions that is detected with probability 0.99, in [0, 1].

    Raises:
      AssertionError: if the gap is too large, or there are too few draws.

    >>> import numpy as np
    >>> from collapse_jax.testing import assert_law
    >>> from scipy import special
    >>> draws = np.random.default_rng(0).normal(size=10_000)
    >>> round(assert_law(draws, special.ndtr), 3)  # the smallest detectable effect
    0.048
    """
    return law_evidence(values, cdf, false_fail).check(false_fail)


def assert_same_law(one: Any, other: Any, *, false_fail: float = FALSE_FAIL) -> float:
    """Assert that two independent samples have the same law, by Kolmogorov and Smirnov's test.

    Args:
      one: [draw], at least 1,000.
      other: [draw], at least 1,000.
      false_fail: probability of failing although the laws agree; smaller if values are tied.

    Returns:
      The gap between distribution functions that is detected with probability 0.99, in [0, 1].

    Raises:
      AssertionError: if the gap is too large, or there are too few draws.

    >>> import numpy as np
    >>> from collapse_jax.testing import assert_same_law
    >>> draws, others = np.random.default_rng(0).normal(size=(2, 10_000))
    >>> round(assert_same_law(draws, others), 3)  # the smallest detectable effect
    0.068
    """
    return same_law_evidence(one, other, false_fail).check(false_fail)


def assert_frequencies(counts: Any, probabilities: Any, *, false_fail: float = FALSE_FAIL) -> float:
    """Assert that cells were hit with these probabilities, by Pearson's chi-square test.

    Args:
      counts: [cell], hits, at least 1,000 in total.
      probabilities: [cell].
      false_fail: probability of failing although the probabilities are right.

    Returns:
      The root mean square of relative deviations that is detected with probability 0.99.

    Raises:
      AssertionError: if the deviation is too large, or there are too few draws.

    >>> from collapse_jax.testing import assert_frequencies
    >>> round(assert_frequencies([5_020, 4_980], [0.5, 0.5]), 3)  # the smallest detectable effect
    0.084
    """
    return frequency_evidence(counts, probabilities, false_fail).check(false_fail)

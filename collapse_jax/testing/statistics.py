"""Statistical tests with a stated false-fail rate and a smallest detectable effect."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

FALSE_FAIL = 1e-9
"""Of one assertion: a suite of a thousand fails by chance once in a million runs."""
POWER = 0.99
_FEWEST = 1000
_FEWEST_EXPECTED = 10


class Evidence(NamedTuple):
    """What independent draws say of a claim.

    Attributes:
      p_value: chance of data as far off as these if the claim is right.
      draws: how many draws it rests on.
      detectable: the smallest effect that fails with probability 0.99.
      effect: what `detectable` measures.
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
        """`detectable`, or AssertionError if the claim is refused at this rate."""
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
    """Whether independent draws have this expectation: a z-test.

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
    """Whether draws have a continuous law with this distribution function (Kolmogorov).

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
    """Whether two independent samples have one law (Kolmogorov and Smirnov).

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
    # Massart's bound on how far below the true distance the observed one may lie.
    return Evidence(
        p_value=float(special.kolmogorov(distance * root)),
        draws=draws,
        detectable=critical + math.sqrt(-math.log(1 - POWER) / 2) / root,
        effect="gap between distribution functions",
        message=f"the distribution functions differ by {distance:.4g}; {critical:.4g} is allowed",
    )


def frequency_evidence(counts: Any, probabilities: Any, false_fail: float = FALSE_FAIL) -> Evidence:
    """Whether cells were hit with these probabilities: Pearson's chi-square.

    Cells that expect fewer than 10 draws are taken together; one hit where the
    probability is zero refuses the claim.

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
      false_fail: chance of failing though the expectation is right.

    Returns:
      The smallest bias that is caught with probability 0.99.

    Raises:
      AssertionError: if the mean is too far away, or there are too few draws.

    >>> import numpy as np
    >>> from collapse_jax.testing import assert_mean
    >>> draws = np.random.default_rng(0).normal(size=10_000)
    >>> round(assert_mean(draws, 0.0), 3)  # it would have caught this much
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
      false_fail: chance of failing though the law is right.

    Returns:
      The gap between distribution functions that is caught with probability 0.99.

    Raises:
      AssertionError: if the gap is too large, or there are too few draws.

    >>> import numpy as np
    >>> from collapse_jax.testing import assert_law
    >>> from scipy import special
    >>> draws = np.random.default_rng(0).normal(size=10_000)
    >>> round(assert_law(draws, special.ndtr), 3)  # it would have caught this much
    0.048
    """
    return law_evidence(values, cdf, false_fail).check(false_fail)


def assert_same_law(one: Any, other: Any, *, false_fail: float = FALSE_FAIL) -> float:
    """Assert that two independent samples have one law, by Kolmogorov and Smirnov's test.

    Args:
      one: [draw], at least 1,000.
      other: [draw], at least 1,000.
      false_fail: chance of failing though the laws agree; less if values are tied.

    Returns:
      The gap between distribution functions that is caught with probability 0.99.

    Raises:
      AssertionError: if the gap is too large, or there are too few draws.

    >>> import numpy as np
    >>> from collapse_jax.testing import assert_same_law
    >>> draws, others = np.random.default_rng(0).normal(size=(2, 10_000))
    >>> round(assert_same_law(draws, others), 3)  # it would have caught this much
    0.068
    """
    return same_law_evidence(one, other, false_fail).check(false_fail)


def assert_frequencies(counts: Any, probabilities: Any, *, false_fail: float = FALSE_FAIL) -> float:
    """Assert that cells were hit with these probabilities, by Pearson's chi-square test.

    Args:
      counts: [cell], hits, at least 1,000 in all.
      probabilities: [cell].
      false_fail: chance of failing though the probabilities are right.

    Returns:
      The root mean square of relative deviations that is caught with probability 0.99.

    Raises:
      AssertionError: if the deviation is too large, or there are too few draws.

    >>> from collapse_jax.testing import assert_frequencies
    >>> round(assert_frequencies([5_020, 4_980], [0.5, 0.5]), 3)  # it would have caught this much
    0.084
    """
    return frequency_evidence(counts, probabilities, false_fail).check(false_fail)

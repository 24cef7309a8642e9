"""Compute published bounds on the loss of states; the exact laws are in `ancestors`."""

import numpy as np

from collapse_jax.theory.checks import Law, law_of
from collapse_jax.utils import check


def _survival_exponents(num_fits: int) -> np.ndarray:
    """Return t_1 = 1, t_{k+1} = 1 - exp(-t_k), for k = 1 .. n."""
    exponents = [1.0]
    for _ in range(check.integer("num_fits", num_fits, 1) - 1):
        exponents.append(-np.expm1(-exponents[-1]))
    return np.array(exponents)


def suresh_survival_bounds(
    probability: float, num_samples: int, num_fits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds on P(a state of this probability is alive after n fits), n = 1 .. num_fits.

    1 - exp(-M p t_n) <= P <= 1 - (1 - 3 M p^2 - 3 n p) exp(-M p t_n) under Replace, with
    t_1 = 1 and t_{n+1} = 1 - exp(-t_n). The upper bound is informative only while
    3 M p^2 + 3 n p < 1, and is 1 beyond. The exact value is 1 - E (1 - p)^A_g, g = n - 1,
    of `ancestors`.

    Source: Suresh et al., arXiv 2412.17646.

    Args:
      probability: p, of the state under p_0, in [0, 1].
      num_samples: M, rows of every corpus, at least 1.
      num_fits: number of fits, at least 1.

    Returns:
      Lower and upper bounds, [num_fits] float64 each, probabilities.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import bounds
    >>> low, high = bounds.suresh_survival_bounds(0.001, 1000, 3)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.6321, 0.4685, 0.3741], [0.6343, 0.4733, 0.3816])
    """
    p = check.number("probability", probability, 0, 1, "pass the probability of a state")
    size = check.integer("num_samples", num_samples, 1)
    decay = np.exp(-size * p * _survival_exponents(num_fits))
    fits = np.arange(1, len(decay) + 1)
    slack = 1 - 3 * size * p**2 - 3 * fits * p
    return 1 - decay, np.where(slack > 0, 1 - slack * decay, 1.0)


def poisson_survival(rate: float, num_samples: int, num_fits: int) -> np.ndarray:
    """Return P(rate still positive) of the Poisson chain after n = 1 .. num_fits fits, exactly.

    Each model estimates a Poisson rate from M rows of the previous model: 1 - exp(-M rate t_n),
    with t_1 = 1 and t_{n+1} = 1 - exp(-t_n).

    Source: Suresh et al., arXiv 2412.17646.

    Args:
      rate: Poisson rate of the truth, mean of a row, at least 0.
      num_samples: M, rows of every corpus, at least 1.
      num_fits: number of fits, at least 1.

    Returns:
      [num_fits] float64, probabilities.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import bounds
    >>> bounds.poisson_survival(0.01, 100, 3).round(4).tolist()
    [0.6321, 0.4685, 0.3741]
    """
    start = check.number("rate", rate, 0, np.inf, "pass the truth's rate")
    size = check.integer("num_samples", num_samples, 1)
    return -np.expm1(-size * start * _survival_exponents(num_fits))


def heterozygosity_survival_bound(
    probabilities: Law, num_samples: int, num_fits: int
) -> np.ndarray:
    """Return an upper bound on P(several states are left) after n = 1 .. num_fits fits.

    A corpus of M rows that is not absorbed has H >= 2 (M - 1) / M^2, so by Markov's inequality
    P <= H_0 (1 - 1/M)^n M^2 / (2 (M - 1)): geometric, and 1 where the right side is larger.

    Source: the proof of total collapse by Seddik et al., arXiv 2404.05090, follows the same steps.

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      num_samples: M, rows of every corpus, at least 2.
      num_fits: number of fits, at least 1.

    Returns:
      [num_fits] float64, bounds on a probability, in [0, 1].

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import bounds
    >>> bounds.heterozygosity_survival_bound([0.5, 0.5], 10, 60)[[0, 29, 59]].round(4).tolist()
    [1.0, 0.1178, 0.005]
    """
    law = law_of(probabilities)
    size = check.integer("num_samples", num_samples, 2)
    fits = np.arange(1, check.integer("num_fits", num_fits, 1) + 1)
    mean = float(law @ (1 - law)) * np.exp(fits * np.log1p(-1 / size))
    return np.minimum(1, mean * size**2 / (2 * (size - 1)))


def partly_synthetic_distance(
    first_model: Law, num_samples: int, num_original: int, num_fits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far models drift from model 1 where its N real rows stay in every corpus.

    Model n is fitted to the N real rows, whose frequencies are p_1, and to n_syn new rows of
    model n - 1. With a = n_syn / (N + n_syn), given model 1, exactly

        E |p_{n+1} - p_1|^2 = a^2 [(1 - 1/n_syn) E |p_n - p_1|^2 + (1 - |p_1|^2) / n_syn],

    which stays below a^2 (1 - |p_1|^2) / (n_syn (1 - a^2)): the real rows bound the drift.

    Source: the partially synthetic setting of Seddik et al., arXiv 2404.05090.

    Args:
      first_model: p_1, [state], probabilities with sum 1.
      num_samples: n_syn, synthetic rows of every corpus, at least 1.
      num_original: N, real rows of every corpus, at least 0.
      num_fits: number of fits, at least 1.

    Returns:
      E |p_n - p_1|^2 for n = 1 .. num_fits, [num_fits] float64, squared probabilities; and the
      bound sqrt(s E |p_n - p_1|^2) on the expected sum of |p_n - p_1|, [num_fits] float64, with s
      the number of states present in p_1 (Cauchy-Schwarz).

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import bounds
    >>> squared, bound = bounds.partly_synthetic_distance([0.5, 0.5], 10, 10, 50)
    >>> squared[[0, 1, -1]].round(5).tolist(), bound[-1].round(4).tolist()
    ([0.0, 0.0125, 0.01613], 0.1796)
    """
    law = law_of(first_model)
    synthetic = check.integer("num_samples", num_samples, 1)
    original = check.integer("num_original", num_original, 0)
    share, single = synthetic / (synthetic + original), 1 / synthetic
    truth, distances = float(law @ (1 - law)), [0.0]
    for _ in range(check.integer("num_fits", num_fits, 1) - 1):
        distances.append(share**2 * ((1 - single) * distances[-1] + truth * single))
    squared = np.array(distances)
    return squared, np.sqrt(np.sum(law > 0) * squared)

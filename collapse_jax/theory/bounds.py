"""Published bounds on the loss of states, with their validity. The exact laws are elsewhere."""

import numpy as np

from collapse_jax.theory.checks import Law, law_of
from collapse_jax.utils import check


def _survival_exponents(num_fits: int) -> np.ndarray:
    """t_1 = 1, t_{k+1} = 1 - exp(-t_k), for k = 1 .. n."""
    exponents = [1.0]
    for _ in range(check.integer("num_fits", num_fits, 1) - 1):
        exponents.append(-np.expm1(-exponents[-1]))
    return np.array(exponents)


def suresh_survival_bounds(
    probability: float, num_samples: int, num_fits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on P(a state of this probability is alive after n = 1 .. num_fits fits).

    1 - exp(-M p t_n) <= P <= 1 - (1 - 3 M p^2 - 3 n p) exp(-M p t_n), under Replace. The
    upper one says something only while 3 M p^2 + 3 n p < 1, and is 1 beyond; the exact
    value is 1 - E (1 - p)^A_g, g = n - 1, of `ancestors`.

    Source: Suresh et al., arXiv 2412.17646.

    >>> from collapse_jax.theory import bounds
    >>> low, high = bounds.suresh_survival_bounds(0.001, 1000, 3)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.6321, 0.4685, 0.3741], [0.6343, 0.4733, 0.3816])
    """
    p = check.number("probability", probability, 0, 1, "pass the probability of a state")
    size = check.integer("num_samples", num_samples, 1)
    fits = np.arange(1, num_fits + 1)
    decay = np.exp(-size * p * _survival_exponents(num_fits))
    slack = 1 - 3 * size * p**2 - 3 * fits * p
    return 1 - decay, np.where(slack > 0, 1 - slack * decay, 1.0)


def poisson_survival(rate: float, num_samples: int, num_fits: int) -> np.ndarray:
    """P(rate still positive) of the Poisson chain after n = 1 .. num_fits fits, exactly.

    Each model estimates a Poisson rate from M rows of the last: 1 - exp(-M rate t_n)
    (Suresh et al., arXiv 2412.17646).

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
    """An upper bound on P(several states are left) after n = 1 .. num_fits fits.

    A corpus of M rows that is not absorbed has H >= 2 (M - 1) / M^2, so by Markov's
    inequality P <= H_0 (1 - 1/M)^n M^2 / (2 (M - 1)): geometric, and 1 where that is more.
    The way in which Seddik et al., arXiv 2404.05090, prove total collapse. M >= 2.

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
    """How far models drift from the first where its N real rows are always kept.

    Model n is fitted to the N real rows, whose frequencies are `first_model`, and n_syn new
    rows of model n - 1. With a = n_syn / (N + n_syn), given the first model, exactly

        E |p_{n+1} - p_1|^2 = a^2 [(1 - 1/n_syn) E |p_n - p_1|^2 + (1 - |p_1|^2) / n_syn],

    which stays below a^2 (1 - |p_1|^2) / (n_syn (1 - a^2)): kept data bound the drift.

    Returns:
      E |p_n - p_1|^2 for n = 1 .. num_fits, and the bound sqrt(s E |p_n - p_1|^2) on the
      expected sum of |p_n - p_1|, s the number of states present in p_1 (Cauchy-Schwarz).

    Source: the partially synthetic setting of Seddik et al., arXiv 2404.05090.

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

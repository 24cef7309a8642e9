"""Compute closed forms of discrete chains: haploid Wright-Fisher, also with a fresh share.

`sizes` are M_0 .. M_G; results are for models 0 .. G, and model g is the result of n = g + 1
fits. The formulas need an unbiased fit (no smoothing) and unbiased sampling. Quantities without
a closed form are in `ancestors` and `enumeration`, also exact.

Source: Ewens, Mathematical Population Genetics, chapter 3.
"""

import math

import numpy as np

from collapse_jax.theory.checks import (
    Law,
    Share,
    Sizes,
    allocation_of,
    law_of,
    probabilities_of,
    share_of,
    sizes_of,
)
from collapse_jax.utils import check

_MOST_EIGENVALUES = 10**8  # entries of a table, 800 MB
_MOST_MULTIPLICITIES = 10**5  # integers of any length


def expected_heterozygosity(
    probabilities: Law,
    sizes: Sizes,
    gamma: Share = 0.0,
    allocation: str = "multinomial",
) -> np.ndarray:
    """Return E H_g, H = 1 - sum p^2, where a share gamma of D_1 .. D_G is drawn from p_0.

    Two rows of a corpus are distinct with probability 1 - 1/M, and then differ by the laws that
    they were drawn from. Multinomial: E H' = (1 - 1/M) [(1-gamma)^2 E H + (1 - (1-gamma)^2)
    H_0]. Fixed (exactly gamma M original rows): E H' = (1-gamma) (1-gamma-1/M) E H +
    [gamma (gamma-1/M) + 2 gamma (1-gamma)] H_0. Without fresh rows: H_0 prod (1 - 1/M_i).
    Neither holds where rows of D_0 are reused.

    Source: Ewens, Mathematical Population Genetics, chapter 3; the process with a fresh share
    is equation (1) of Shumailov et al., Nature 631 (2024), with beta = 0.

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      sizes: M_0 .. M_G, [generation], rows, at least 1.
      gamma: share of D_1 .. D_G drawn from p_0, one number or [G], in [0, 1], dimensionless.
      allocation: "multinomial", each row is original with probability gamma, or "fixed", exactly
        gamma M rows are.

    Returns:
      [G + 1] float64, expected heterozygosity in [0, 1), dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import discrete
    >>> discrete.expected_heterozygosity([0.5, 0.5], [10] * 3).round(4).tolist()
    [0.45, 0.405, 0.3645]
    >>> discrete.expected_heterozygosity([0.5, 0.5], [10] * 200, gamma=0.1)[-1].round(4).tolist()
    0.3155
    """
    law, values = law_of(probabilities), sizes_of(sizes)
    shares = share_of("gamma", gamma, len(values) - 1)
    allocation = allocation_of(allocation)
    truth = float(law @ (1 - law))
    results = [truth * (1 - 1 / values[0])]
    for size, share in zip(values[1:], shares, strict=True):
        if allocation == "fixed":
            same = (1 - share) * (1 - share - 1 / size)
            other = share * (share - 1 / size) + 2 * share * (1 - share)
        else:
            same = (1 - 1 / size) * (1 - share) ** 2
            other = (1 - 1 / size) * share * (2 - share)
        results.append(same * results[-1] + other * truth)
    return np.array(results)


def accumulate_expected_heterozygosity(probabilities: Law, sizes: Sizes) -> np.ndarray:
    """Return E H_g under Accumulate, generation i adding M_i rows: H_0 prod (1 - M_i / N_i^2).

    N_i = M_0 + .. + M_i. The factors are those of the normal variance under the MLE, see
    `gaussian_accumulation.accumulate_expected_variance`.

    Source: the setting is that of Gerstgrasser et al., arXiv 2404.01413, and Kazdan et al.,
    arXiv 2410.16713.

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      sizes: M_0 .. M_G, [generation], rows, at least 1.

    Returns:
      [G + 1] float64, expected heterozygosity in [0, 1), dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import discrete
    >>> discrete.accumulate_expected_heterozygosity([0.5, 0.5], [10] * 3).round(4).tolist()
    [0.45, 0.4388, 0.4339]
    """
    law, values = law_of(probabilities), sizes_of(sizes)
    return float(law @ (1 - law)) * np.cumprod(1 - values / np.cumsum(values) ** 2)


def variance_of_probability(probabilities: Law, sizes: Sizes) -> np.ndarray:
    """Return Var p_i under Replace: p_i (1 - p_i) (1 - prod_j (1 - 1/M_j)).

    Source: Ewens, Mathematical Population Genetics, chapter 3.

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      sizes: M_0 .. M_G, [generation], rows, at least 1.

    Returns:
      [G + 1, state] float64, variance of a probability, in [0, 1/4].

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import discrete
    >>> discrete.variance_of_probability([0.5, 0.5], [10] * 2).round(4).tolist()
    [[0.025, 0.025], [0.0475, 0.0475]]
    """
    law, values = law_of(probabilities), sizes_of(sizes)
    return law * (1 - law) * (1 - np.cumprod(1 - 1 / values))[:, None]


def missing_probability(probability: Law | float, num_samples: int) -> np.ndarray:
    """Return P(a state is missing from one corpus of M rows): (1 - q)^M.

    The probability 1 - q in the paper (Shumailov et al., Nature 631, 2024) is that of the state's
    eventual loss.

    Args:
      probability: q, of any shape, in [0, 1].
      num_samples: M, rows of the corpus, at least 1.

    Returns:
      float64 of the shape of `probability`, probabilities.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import discrete
    >>> discrete.missing_probability([0.01, 0.1], num_samples=100).round(6).tolist()
    [0.366032, 2.7e-05]
    """
    values = probabilities_of("probability", probability)
    size = check.integer("num_samples", num_samples, 1)
    with np.errstate(divide="ignore"):
        return np.exp(size * np.log1p(-values))


def diffusion_absorption_time(probabilities: Law, num_samples: int) -> float:
    """Return -2 M sum (1 - p_i) ln(1 - p_i), the diffusion's mean number of fits to absorption.

    An approximation: for large M it exceeds the exact `ancestors.mean_absorption_time` by
    about (ln M) / 3 and a constant.

    Source: Ewens, Mathematical Population Genetics, chapter 3.

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      num_samples: M, rows of every corpus, at least 1.

    Returns:
      Mean number of fits, at least 0.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import discrete
    >>> discrete.diffusion_absorption_time([0.5, 0.5], 100) / 100  # 2 ln 2
    1.3862943611198906
    """
    rest = 1 - law_of(probabilities)
    rest = rest[rest > 0]
    size = check.integer("num_samples", num_samples, 1)
    return float(-2 * size * (rest @ np.log(rest)))


def eigenvalues(num_samples: int) -> np.ndarray:
    """Return lambda_j = M! / ((M - j)! M^j), j = 0 .. M, of the chain of counts under Replace.

    Source: Ewens, Mathematical Population Genetics, chapter 3.

    Args:
      num_samples: M, rows of every corpus, at least 1.

    Returns:
      [M + 1] float64, eigenvalues in [0, 1] in decreasing order, dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import discrete
    >>> discrete.eigenvalues(3).round(4).tolist()
    [1.0, 1.0, 0.6667, 0.2222]
    """
    size = check.integer("num_samples", num_samples, 1, _MOST_EIGENVALUES)
    return np.concatenate([[1.0], np.cumprod(1 - np.arange(size) / size)])


def eigenvalue_multiplicities(num_samples: int, num_states: int) -> list[int]:
    """Return C(K + j - 2, j), the multiplicity of each of `eigenvalues`; 1 has multiplicity K.

    Source: Ewens, Mathematical Population Genetics, chapter 3.

    Args:
      num_samples: M, rows of every corpus, at least 1.
      num_states: K, number of states, at least 2.

    Returns:
      List of M + 1 multiplicities, exact integers, for j = 0 .. M.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import discrete
    >>> discrete.eigenvalue_multiplicities(3, num_states=3)
    [1, 2, 3, 4]
    """
    states = check.integer("num_states", num_states, 2)
    size = check.integer("num_samples", num_samples, 1, _MOST_MULTIPLICITIES)
    return [math.comb(states + j - 2, j) for j in range(size + 1)]

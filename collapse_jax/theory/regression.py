"""Compute the exact expected error of chains of least-squares regressions.

Covariates are normal with covariance Sigma, labels are those of the predecessor plus noise of
variance sigma^2; the error is (b - b_0)^T Sigma (b - b_0) in units of sigma^2. Results are for
models 0 .. G.
"""

import numpy as np

from collapse_jax.theory.checks import Sizes, sizes_of
from collapse_jax.utils import check


def _dimension(dim: int) -> int:
    return check.integer("dim", dim, 1)


def replace_expected_error(sizes: Sizes, dim: int) -> np.ndarray:
    """Return E error under Replace: the sum of d / (M_i - d - 1), inf from M_i <= d + 1 on.

    Source: Gerstgrasser et al., arXiv 2404.01413; the mean of an inverse Wishart matrix.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 1.
      dim: d, number of covariates, at least 1.

    Returns:
      [G + 1] float64, in units of sigma^2.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import regression
    >>> regression.replace_expected_error([20, 20], 2).round(4).tolist()
    [0.1176, 0.2353]
    """
    rest = sizes_of(sizes) - _dimension(dim) - 1
    return np.cumsum(np.where(rest > 0, dim / np.where(rest > 0, rest, 1), np.inf))


def accumulate_expected_error(sizes: Sizes, dim: int) -> np.ndarray:
    """Return E error under Accumulate: the sum of (M_i / N_i) d / (N_i - d - 1).

    N_i = M_0 + .. + M_i. With one size M it is about (d / M) sum 1 / i^2, below pi^2 d / (6 M).

    Source: derived from b_i = b_{i-1} + G_i^{-1} X_i^T e_i, G_i the pooled X^T X; the setting is
    that of Gerstgrasser et al., arXiv 2404.01413.

    Args:
      sizes: M_0 .. M_G, [generation], rows, at least 1.
      dim: d, number of covariates, at least 1.

    Returns:
      [G + 1] float64, in units of sigma^2; inf unless M_0 > d + 1.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import regression
    >>> regression.accumulate_expected_error([20] * 500, 2)[[0, 1, -1]].round(4).tolist()
    [0.1176, 0.1447, 0.1852]
    """
    values = sizes_of(sizes)
    pool = np.cumsum(values)
    rest = pool - _dimension(dim) - 1
    terms = np.where(rest > 0, values / pool * dim / np.where(rest > 0, rest, 1), np.inf)
    return np.cumsum(terms)


def self_training_risk(
    dim: int,
    size: int,
    spike: float,
    norm: float,
    noise: float,
    num_generations: int,
) -> np.ndarray:
    """Return the asymptotic risk of interpolating students that learn labels of their teacher.

    Covariates have covariance (s - 1) u u^T + I, the truth is b = r u, and every model is the
    least-norm fit of n < p new rows; only the labels of model 0 have noise. With tau = p / n - 1:
    B_g = r^2 s (1 - (s / (s + tau))^{g+1})^2, V_0 = sigma^2 / tau + tau s r^2 / (s + tau)^2,
    V_g = V_{g-1} / (1 + tau) + tau r^2 s^{2g+1} / (s + tau)^{2(g+1)}; the risk is B_g + V_g. The
    noise decays while the signal is lost, so that the risk has its minimum after some generations.

    Source: arXiv 2602.14029, in the limit of large p and n.

    Args:
      dim: p, number of covariates, more than `size`.
      size: n, rows of every generation, at least 1.
      spike: s, variance along the direction of the truth, > 0.
      norm: r, length of the truth, >= 0.
      noise: sigma, standard deviation of the labels of model 0, >= 0.
      num_generations: G.

    Returns:
      [G + 1] float64: E (b_g - b)^T Sigma (b_g - b).

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import regression
    >>> regression.self_training_risk(300, 200, 60.0, 1.0, 1.0, 5).round(3).tolist()
    [2.012, 1.363, 0.942, 0.676, 0.515, 0.426]
    """
    rows = check.integer("size", size, 1)
    columns = check.integer("dim", dim, rows + 1, remedy="pass more covariates than rows")
    generations = check.integer("num_generations", num_generations, 0)
    s = check.number("spike", spike, 0, np.inf, "pass a variance > 0", open_low=True)
    length = check.number("norm", norm, 0, np.inf, "pass a length >= 0")
    sigma = check.number("noise", noise, 0, np.inf, "pass a standard deviation >= 0")
    tau = columns / rows - 1
    kept = (s / (s + tau)) ** (np.arange(generations + 1) + 1)  # of the signal
    fresh = tau * length**2 / s * kept**2  # variance that a generation adds
    variance = [sigma**2 / tau + fresh[0]]
    for added in fresh[1:]:
        variance.append(variance[-1] / (1 + tau) + added)
    return length**2 * s * (1 - kept) ** 2 + np.array(variance)

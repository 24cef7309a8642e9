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

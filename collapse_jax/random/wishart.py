"""Wishart draws on the log scale, by Bartlett's decomposition.

If rows are M independent draws from N(mean, L L^T), their scatter about the sample
mean is L A A^T L^T with A lower triangular, A_jj^2 ~ chi2_{M-1-j} for j = 0 .. dim-1
and standard normals below the diagonal. For M - 1 < dim only the first M - 1 columns
of A exist: the scatter is singular, its factor a trapezoid.

Source: Bartlett 1934; Anderson, An Introduction to Multivariate Statistical Analysis, 7.2.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.random.chi_square import log_chi_square


def log_bartlett(
    scores: Float[Array, "dim ..."], size: int | Int[Array, "..."]
) -> Float[Array, "dim ..."]:
    """ln(A_jj / sqrt(M)) for j = 0 .. dim-1, -inf where M - 1 <= j.

    Args:
      scores: standard normal draws, one per diagonal entry.
      size: number of rows M >= 2, an int or a traced integer.
    """
    column = np.arange(len(scores)).reshape(-1, *[1] * (scores.ndim - 1))
    dof = size - 1 - column
    maximum = np.maximum if isinstance(size, int) else jnp.maximum
    return jnp.where(dof < 1, -jnp.inf, 0.5 * log_chi_square(scores, maximum(dof, 1), size))

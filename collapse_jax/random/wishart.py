"""Draw Wishart scatters on the log scale, by Bartlett's decomposition.

If rows are M independent draws from N(mean, L L^T), their scatter about the sample
mean is L A A^T L^T with A lower triangular, A_jj^2 ~ chi2_{M-1-j} for j = 0 .. dim-1
and standard normals below the diagonal. For M - 1 < dim only columns 0 .. M - 2
of A exist: the scatter is singular, its factor a trapezoid.

Source: Bartlett 1934; Anderson, An Introduction to Multivariate Statistical Analysis, 7.2.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.random.chi_square import log_chi_square
from collapse_jax.utils import log_cholesky

_BEYOND = 1e30  # nats: the exponential of any difference to a scale is 0


def log_bartlett(
    scores: Float[Array, "dim ..."], size: int | Int[Array, "..."]
) -> Float[Array, "dim ..."]:
    """Return ln(A_jj / sqrt(M)) for j = 0 .. dim-1, -inf where M - 1 <= j.

    Source: Bartlett 1934; Anderson, section 7.2.

    Args:
      scores: [dim, ...], standard normal scores, one per diagonal entry.
      size: [...], number of rows M >= 2, an int or a traced integer.

    Returns:
      [dim, ...], nats.
    """
    column = np.arange(len(scores)).reshape(-1, *[1] * (scores.ndim - 1))
    dof = size - 1 - column
    maximum = np.maximum if isinstance(size, int) else jnp.maximum
    return jnp.where(dof < 1, -jnp.inf, 0.5 * log_chi_square(scores, maximum(dof, 1), size))


def number_of_scores(dim: int) -> int:
    """Return how many standard normal scores the moments of one sample take.

    Args:
      dim: number of dimensions, at least 1.

    Returns:
      Number of scores: dim for the mean, dim for the diagonal, dim (dim - 1) / 2 below it.
    """
    return 2 * dim + dim * (dim - 1) // 2


def sample_moments(
    size: int | Int[Array, "..."],
    scores: Float[Array, "score ..."],
    mean: Float[Array, "dim ..."],
    log_scale: Float[Array, "dim ..."],
    factor: Float[Array, "dim dim ..."],
) -> tuple[Array, Array, Array]:
    """Draw mean, log scales and factor of a sample from N(mean, L L^T), covariance with divisor M.

    The chain may be the last axis of every array.

    Source: Bartlett 1934; Anderson, section 7.2.

    Args:
      size: [...], number of rows M >= 2, an int or a traced integer.
      scores: [score, ...], `number_of_scores(dim)` standard normal scores.
      mean: [dim, ...], in the unit of the rows.
      log_scale: [dim, ...], ln of the column scales of L, nats.
      factor: [dim, dim, ...], unit lower triangular, dimensionless.

    Returns:
      Mean [dim, ...], log scales [dim, ...] and factor [dim, dim, ...] of the sample, in the
      units of the arguments.
    """
    dim, dtype = len(mean), scores.dtype
    root = np.sqrt(size) if isinstance(size, int) else jnp.sqrt(jnp.maximum(size, 1))
    step = jnp.exp(log_scale) * scores[:dim] / jnp.asarray(root, dtype)
    new_scale = log_scale + log_bartlett(scores[dim : 2 * dim], size)
    if dim == 1:
        return mean + step, new_scale, factor
    parts = (scores[2 * dim :], log_scale, new_scale, factor)
    lower = jax.lax.platform_dependent(
        *parts,
        cpu=lambda *parts: _lower_factor(size, *parts),
        default=lambda *parts: _lower_factor_at_once(size, *parts),
    )
    new_mean = mean + log_cholesky.product(factor, step[:, None])[:, 0]
    return new_mean, new_scale, lower


def _lower_factor(
    size: Any, scores: Array, log_scale: Array, new_scale: Array, factor: Array
) -> Array:
    """Return the factor times diag(e^l) A with each column divided by its diagonal entry."""
    dim = len(factor)
    rows, columns = np.tril_indices(dim, -1)
    values = scores * _ratio(size, log_scale[rows], new_scale[columns])
    pieces = [piece for row in range(dim) for piece in _row(values, row, dim)]
    triangle = jnp.concatenate(pieces).reshape(dim, dim, *scores.shape[1:])
    return log_cholesky.product(factor, triangle)


def _lower_factor_at_once(
    size: Any, scores: Array, log_scale: Array, new_scale: Array, factor: Array
) -> Array:
    """Return what `_lower_factor` does, without gathers, which accelerators are slow at.

    All ratios are computed at once, with finite stand-ins for scales of zero.
    """
    dim, chain = len(factor), (1,) * (scores.ndim - 1)
    old = jnp.where(log_scale > -jnp.inf, log_scale, -_BEYOND)
    new = jnp.where(new_scale > -jnp.inf, new_scale, _BEYOND)
    new = new + 0.5 * jnp.log(jnp.asarray(size, new.dtype))
    pieces = [piece for row in range(dim) for piece in _row(scores, row, dim)]
    placed = jnp.concatenate(pieces).reshape(dim, dim, *scores.shape[1:])
    below = np.tri(dim, k=-1, dtype=bool).reshape(dim, dim, *chain)
    scaled = placed * jnp.exp(old[:, None] - new[None])
    return log_cholesky.product(factor, jnp.where(below, scaled, placed))


def _row(values: Array, row: int, dim: int) -> list[Array]:
    """Return the parts of a row of a unit triangle: entries below the diagonal, one, zeros."""
    chain, dtype = values.shape[1:], values.dtype
    below = values[row * (row - 1) // 2 :][:row]
    return [below, jnp.ones((1, *chain), dtype), jnp.zeros((dim - 1 - row, *chain), dtype)]


def _ratio(size: Any, old: Array, new: Array) -> Array:
    """Return e^old / (e^new sqrt(M)), 0 where a scale is zero."""
    ratio = old - new - 0.5 * jnp.log(jnp.asarray(size, new.dtype))
    return jnp.exp(jnp.where((old > -jnp.inf) & (new > -jnp.inf), ratio, -jnp.inf))


def colour(
    scores: Float[Array, "row dim"],
    log_scale: Float[Array, " dim"],
    factor: Float[Array, "dim dim"],
) -> tuple[Float[Array, "row dim"], Float[Array, ""]]:
    """Return rows L z / exp(top) and the log scale `top` of their frame, the largest of L.

    Args:
      scores: z, [row, dim], standard normal scores.
      log_scale: [dim], ln of the column scales of L, nats.
      factor: [dim, dim], unit lower triangular, dimensionless.

    Returns:
      Rows [row, dim], in units of exp(top), and `top`, scalar, nats; 0 if all scales are zero.
    """
    top = jnp.max(log_scale)
    top = jnp.where(top > -jnp.inf, top, 0)
    scaled = factor * jnp.exp(log_scale - top)
    if scaled.shape == (1, 1):
        return scores * scaled[0], top
    return log_cholesky.product(scores, scaled.T), top

"""Represent covariances by triangular factors with scales on the log scale.

covariance = L L^T, L = factor @ diag(exp(log_scale)), factor unit lower triangular.
A scale of exactly zero is log_scale = -inf, and its column of `factor` is that of the
identity. Covariances are added without squaring a scale, so tiny scales do not underflow.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

LogFactor = tuple[Array, Array]  # log_scale [dim], factor [dim, dim]
_SINGULAR = 1e-10  # of an axis' variance: a smaller pivot is rounding of float64, or text
_COLUMN = 1e-7  # of both axes' standard deviations: a larger entry below a zero pivot is wrong
_MANY_ROWS, _FEW_COLUMNS = 64, 3  # of a left factor: more of both make one einsum
_LARGEST_SUM = 32  # terms of a product that is written out; longer ones are one einsum


def product(
    left: Float[Array, "row inner ..."], right: Float[Array, "inner column ..."]
) -> Float[Array, "row column ..."]:
    """Return the matrix product, also of arrays with the chain as last axis.

    Small products are written out as a sum, which compiles to one loop over the chains; those of
    many rows with a matrix run five times as fast as one einsum.

    Args:
      left: [row, inner, ...].
      right: [inner, column, ...], with the same trailing axes or ones that broadcast.

    Returns:
      [row, column, ...], in the product of the units.
    """
    inner = left.shape[1]
    is_tall = left.ndim == 2 and len(left) > _MANY_ROWS and inner > _FEW_COLUMNS
    if is_tall or inner > _LARGEST_SUM:
        return jnp.einsum("ij...,jk...->ik...", left, right, precision=jax.lax.Precision.HIGHEST)
    return sum(
        (left[:, k, None] * right[None, k] for k in range(1, inner)),
        left[:, 0, None] * right[None, 0],
    )


def scaled_factor(log_scale: Float[Array, " dim"], factor: Float[Array, "dim dim"]) -> Array:
    """Return L on the linear scale; columns of tiny scale underflow to zero.

    Args:
      log_scale: [dim], ln of the column scales, nats.
      factor: [dim, dim], unit lower triangular, dimensionless.

    Returns:
      [dim, dim], L = factor @ diag(exp(log_scale)), in the unit of the rows.
    """
    return factor * jnp.exp(log_scale)


def add_covariances(left: LogFactor, right: LogFactor, gap: Float[Array, " dim"]) -> LogFactor:
    """Return the factor of L1 L1^T + L2 L2^T + gap gap^T.

    Args:
      left: log_scale [dim] in nats and factor [dim, dim] of L1.
      right: log_scale [dim] in nats and factor [dim, dim] of L2.
      gap: [dim], a vector in the unit of the rows.

    Returns:
      log_scale [dim] in nats and factor [dim, dim] of the sum.
    """
    if gap.shape == (1,):
        return _add_variances(left[0], right[0], gap), left[1]
    log_gap = jnp.log(jnp.abs(gap))
    top = jnp.max(jnp.stack([left[0], right[0], log_gap]))
    top = jnp.where(jnp.isfinite(top), top, 0)  # the largest entry then has order one
    columns = [
        left[1] * jnp.exp(left[0] - top),
        right[1] * jnp.exp(right[0] - top),
        (jnp.sign(gap) * jnp.exp(log_gap - top))[:, None],
    ]
    log_scale, factor = factorize(jnp.concatenate(columns, axis=1))
    return log_scale + top, factor


def _add_variances(left: Array, right: Array, gap: Array) -> Array:
    """Return 0.5 ln(exp(2 left) + exp(2 right) + gap^2), elementwise.

    The terms are divided by a rough value of the largest, for which the exponent of the gap does.
    """
    is_zero = jnp.abs(gap) < jnp.finfo(gap.dtype).tiny
    exponent = jnp.frexp(gap)[1].astype(gap.dtype) * gap.dtype.type(np.log(2))
    top = jnp.maximum(jnp.maximum(left, right), jnp.where(is_zero, -jnp.inf, exponent))
    top = jnp.where(top == -jnp.inf, 0, top)
    relative = jnp.where(is_zero, 0, gap * jnp.exp(-top))
    total = jnp.exp(2 * (left - top)) + jnp.exp(2 * (right - top)) + relative**2
    return top + 0.5 * jnp.log(total)


def factorize(columns: Float[Array, "dim column"]) -> LogFactor:
    """Return the factor of C C^T for a matrix C of columns, without forming the product.

    Modified Gram-Schmidt over the rows of C: the triangular factor is as accurate as that of
    Householder's method. A row that depends on earlier rows gets a scale of zero at its index.

    Source: Bjorck, BIT 7 (1967).

    Args:
      columns: C, [dim, column], in the unit of the rows.

    Returns:
      log_scale [dim] in nats and factor [dim, dim] of C C^T.
    """
    dim = len(columns)
    lengths = jnp.sqrt(jnp.sum(columns**2, axis=1))
    floor = dim * jnp.finfo(columns.dtype).eps * lengths
    order = jnp.arange(dim)

    def eliminate(j, carry):
        rest, log_scale, factor = carry
        length = jnp.sqrt(jnp.sum(rest[j] ** 2))
        alive = length > floor[j]
        direction = rest[j] / jnp.where(alive, length, 1)
        along = jnp.where((order > j) & alive, jnp.sum(rest * direction, axis=1), 0)
        rest = rest - along[:, None] * direction
        column = along / jnp.where(alive, length, 1) + (order == j)
        log_scale = log_scale.at[j].set(jnp.where(alive, jnp.log(length), -jnp.inf))
        return rest, log_scale, factor.at[:, j].set(column)

    start = (columns, jnp.zeros(dim, columns.dtype), jnp.zeros((dim, dim), columns.dtype))
    _, log_scale, factor = jax.lax.fori_loop(0, dim, eliminate, start)
    return log_scale, factor


def factorize_on_host(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor of a positive semi-definite NumPy matrix, in float64.

    Args:
      covariance: [dim, dim], symmetric, in the squared unit of the rows.

    Returns:
      log_scale [dim] in nats and factor [dim, dim].

    Raises:
      numpy.linalg.LinAlgError: if a pivot is negative beyond rounding, or is zero while its column
        is not.
    """
    dim = len(covariance)
    rest = np.array(covariance, np.float64)
    log_scale, factor = np.full(dim, -np.inf), np.eye(dim)
    # Each axis has a unit of its own: what is negligible is so relative to its own variance.
    spreads = np.sqrt(np.maximum(np.diagonal(rest), 0.0))
    for j in range(dim):
        pivot, tolerance = rest[j, j], _SINGULAR * spreads[j] ** 2
        if pivot < -tolerance:
            raise np.linalg.LinAlgError(f"pivot {j} is negative: {pivot:g}")
        if pivot <= tolerance:
            if np.any(np.abs(rest[j:, j]) > _COLUMN * spreads[j:] * spreads[j]):
                raise np.linalg.LinAlgError(f"pivot {j} is zero but its column is not")
            continue
        column = rest[:, j] / pivot
        factor[j + 1 :, j] = column[j + 1 :]
        log_scale[j] = 0.5 * np.log(pivot)
        rest -= pivot * np.outer(column, column)
    return log_scale, factor

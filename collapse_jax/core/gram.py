"""Hold what a linear regression needs of its rows: products of covariates and labels."""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.core.corpus import AbstractStatistics, Size
from collapse_jax.random.chi_square import log_chi_square
from collapse_jax.random.keys import Keys
from collapse_jax.random.normal import normal
from collapse_jax.utils.log_cholesky import product


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Gram(AbstractStatistics):
    """Number of rows (x, y) and the means of x x^T and x y: sufficient for linear regression.

    >>> import jax.numpy as jnp
    >>> left, right = (Gram(2, jnp.eye(1) * value, jnp.ones(1)) for value in (1.0, 3.0))
    >>> left.merge(right, jnp.int32(2)).xx.tolist()
    [[2.0]]
    """

    num_rows: Any  # int32 scalar
    xx: Float[Array, "dim dim"]
    xy: Float[Array, " dim"]

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return the mean products of the pooled rows."""
        total = self.num_rows + other.num_rows
        share = (self.num_rows / jnp.maximum(total, 1)).astype(self.xx.dtype)
        rest = (other.num_rows / jnp.maximum(total, 1)).astype(self.xx.dtype)
        xx, xy = share * self.xx + rest * other.xx, share * self.xy + rest * other.xy
        return type(self)(total, xx, xy)


def draw_gram(
    keys: Keys,
    purpose: int,
    factor: Float[Array, "dim dim"],
    coefficients: Float[Array, " dim"],
    noise: Float[Array, ""],
    size: Size,
) -> Gram:
    """Draw the mean products of rows with x ~ N(0, L L^T), y = x b + noise, without drawing a row.

    X^T X is Wishart with as many degrees of freedom as rows (Bartlett's factor), and X^T e given X
    is normal. Fewer rows than dimensions make X^T X singular, as they should.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      factor: L, lower triangular, in the units of x.
      coefficients: b, in the units of y over those of x.
      noise: standard deviation of y given x.
      size: M, number of rows, may be traced.

    Returns:
      A `Gram` of `size` rows.
    """
    dim, dtype = len(coefficients), factor.dtype
    scores = normal(keys, purpose, (2 * dim + dim * (dim - 1) // 2,))
    column = np.arange(dim)
    if isinstance(size, int):
        dof = size - column
        lengths = log_chi_square(scores[:dim], np.maximum(dof, 1), float(max(size, 1)))
    else:
        dof, divisor = size - column, jnp.maximum(jnp.asarray(size), 1)
        lengths = log_chi_square(scores[:dim], jnp.maximum(dof, 1), divisor)
    root = jnp.sqrt(jnp.maximum(jnp.asarray(size), 1).astype(dtype))
    diagonal = jnp.where(dof < 1, 0, jnp.exp(0.5 * lengths))
    rows, columns = np.tril_indices(dim, -1)
    below = jnp.where(jnp.asarray(dof)[columns] < 1, 0, scores[2 * dim :] / root)
    bartlett = jnp.zeros((dim, dim), dtype).at[column, column].set(diagonal)
    bartlett = bartlett.at[rows, columns].set(below)
    cholesky = product(factor, bartlett)
    errors = jnp.where(dof < 1, 0, scores[dim : 2 * dim]) * (noise / root)
    xx = product(cholesky, cholesky.T)
    xy = product(xx, coefficients[:, None])[:, 0] + product(cholesky, errors[:, None])[:, 0]
    return Gram(np.int32(size) if isinstance(size, int) else size, xx, xy)

"""Stacks of small matrices, [k, dim, dim]: up to three dimensions they are single numbers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from collapse_jax.mixture.row_sums import fold

WRITTEN_OUT = 3  # dimensions up to which the compiler sees no matrix
HIGHEST = jax.lax.Precision.HIGHEST


def diagonals(matrices: Float[Array, "k dim dim"]) -> Float[Array, "k dim"]:
    """The diagonal of each matrix."""
    return jnp.diagonal(matrices, axis1=-2, axis2=-1)


def product(left: Float[Array, "k i j"], right: Float[Array, "k j l"]) -> Float[Array, "k i l"]:
    """The product of each pair of matrices."""
    inner = left.shape[-1]
    if inner > WRITTEN_OUT:
        return jnp.einsum("kij,kjl->kil", left, right, precision=HIGHEST)
    return fold(jnp.add, [left[:, :, j, None] * right[:, None, j, :] for j in range(inner)])


def cholesky(matrices: Float[Array, "k dim dim"]) -> Float[Array, "k dim dim"]:
    """Lower factors; a pivot that is not positive gives 0 or NaN on the diagonal."""
    dim = matrices.shape[-1]
    if dim > WRITTEN_OUT:
        return jax.lax.linalg.cholesky(matrices, symmetrize_input=False)
    zero = jnp.zeros_like(matrices[:, 0, 0])
    factor = [[zero] * dim for _ in range(dim)]
    for j in range(dim):
        pivot = matrices[:, j, j] - fold(jnp.add, [zero, *(factor[j][k] ** 2 for k in range(j))])
        root = jnp.sqrt(jnp.maximum(pivot, 0))
        factor[j][j] = root
        for i in range(j + 1, dim):
            done = fold(jnp.add, [zero, *(factor[i][k] * factor[j][k] for k in range(j))])
            factor[i][j] = (matrices[:, i, j] - done) / jnp.where(root > 0, root, 1)
    return jnp.stack([jnp.stack(row, axis=-1) for row in factor], axis=-2)


def inverse(factors: Float[Array, "k dim dim"]) -> Float[Array, "k dim dim"]:
    """Inverses of lower triangular matrices."""
    dim = factors.shape[-1]
    if dim > WRITTEN_OUT:
        identity = jnp.broadcast_to(jnp.eye(dim, dtype=factors.dtype), factors.shape)
        return jax.lax.linalg.triangular_solve(factors, identity, left_side=True, lower=True)
    zero = jnp.zeros_like(factors[:, 0, 0])
    result = [[zero] * dim for _ in range(dim)]
    for i in range(dim):
        result[i][i] = 1 / factors[:, i, i]
        for j in range(i):
            along = fold(jnp.add, [factors[:, i, k] * result[k][j] for k in range(j, i)])
            result[i][j] = -along * result[i][i]
    return jnp.stack([jnp.stack(row, axis=-1) for row in result], axis=-2)


def times_vectors(
    matrices: Float[Array, "k i j"], vectors: Float[Array, "k j"]
) -> Float[Array, "k i"]:
    """The product of each matrix with its vector."""
    return product(matrices, vectors[..., None])[..., 0]


def times_rows(matrix: Float[Array, "i j"], rows: Float[Array, "j row"]) -> Float[Array, "i row"]:
    """One matrix times many vectors, coordinates first."""
    if len(matrix) > WRITTEN_OUT:
        return jnp.matmul(matrix, rows, precision=HIGHEST)
    return fold(jnp.add, [matrix[:, j, None] * rows[j] for j in range(len(rows))])

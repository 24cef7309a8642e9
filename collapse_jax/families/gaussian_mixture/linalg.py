"""Compute with stacks of small matrices, [k, dim, dim].

Up to three dimensions the compiled program has scalars in place of matrices.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from collapse_jax.utils.row_sums import row_sums

WRITTEN_OUT = 3  # dimensions up to which scalar expressions are faster than matrix operations
HIGHEST = jax.lax.Precision.HIGHEST


def diagonals(matrices: Float[Array, "k dim dim"]) -> Float[Array, "k dim"]:
    """Return the diagonal of each matrix.

    Args:
      matrices: [k, dim, dim].

    Returns:
      Diagonals, [k, dim].
    """
    return jnp.diagonal(matrices, axis1=-2, axis2=-1)


def product(left: Float[Array, "k i j"], right: Float[Array, "k j l"]) -> Float[Array, "k i l"]:
    """Return the product of each pair of matrices.

    Args:
      left: [k, i, j].
      right: [k, j, l].

    Returns:
      Products, [k, i, l].
    """
    inner = left.shape[-1]
    if inner > WRITTEN_OUT:
        return jnp.einsum("kij,kjl->kil", left, right, precision=HIGHEST)
    return fold(jnp.add, [left[:, :, j, None] * right[:, None, j, :] for j in range(inner)])


def cholesky(matrices: Float[Array, "k dim dim"]) -> Float[Array, "k dim dim"]:
    """Return lower Cholesky factors; a pivot <= 0 gives 0 or NaN on the diagonal.

    Args:
      matrices: symmetric, [k, dim, dim].

    Returns:
      Lower triangular factors, [k, dim, dim].
    """
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
    """Return the inverses of lower triangular matrices.

    Args:
      factors: lower triangular, [k, dim, dim].

    Returns:
      Lower triangular inverses, [k, dim, dim].
    """
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
    """Return the product of each matrix with its vector.

    Args:
      matrices: [k, i, j].
      vectors: [k, j].

    Returns:
      Vectors, [k, i].
    """
    return product(matrices, vectors[..., None])[..., 0]


def times_rows(matrix: Float[Array, "i j"], rows: Float[Array, "j row"]) -> Float[Array, "i row"]:
    """Return one matrix times many vectors, with coordinates as first axis.

    Args:
      matrix: [i, j].
      rows: [j, row].

    Returns:
      Vectors, [i, row].
    """
    if len(matrix) > WRITTEN_OUT:
        return jnp.matmul(matrix, rows, precision=HIGHEST)
    return fold(jnp.add, [matrix[:, j, None] * rows[j] for j in range(len(rows))])


Whitened = list[Array] | Array  # dim times [component, row], or [component, dim, row]


def whiten(
    values: Float[Array, "dim row"],
    means: Float[Array, "component dim"],
    factors: Float[Array, "component dim dim"],
    is_diagonal: bool,
) -> Whitened:
    """Return factor^-1 (row - mean) for every component and row.

    Args:
      values: rows, [dim, row].
      means: means of the components, [component, dim].
      factors: lower triangular, [component, dim, dim].
      is_diagonal: whether the factors are diagonal.

    Returns:
      The rows in the coordinates of each component, see `Whitened`.
    """
    dim = len(values)
    if is_diagonal and dim > WRITTEN_OUT:
        return (values - means[:, :, None]) / diagonals(factors)[:, :, None]
    inverses = inverse(factors)
    if dim > WRITTEN_OUT:
        centres = times_vectors(inverses, means)
        turned = jnp.einsum("kij,jr->kir", inverses, values, precision=HIGHEST)
        return turned - centres[:, :, None]
    centred = [values[j] - means[:, j, None] for j in range(dim)]
    columns = [[i] if is_diagonal else range(i + 1) for i in range(dim)]
    return [
        fold(jnp.add, [inverses[:, i, j, None] * centred[j] for j in columns[i]])
        for i in range(dim)
    ]


def squared_norms(whitened: Whitened) -> Float[Array, "component row"]:
    """Return the squared Mahalanobis distance of every row from every mean.

    Args:
      whitened: rows in the coordinates of each component.

    Returns:
      Distances >= 0, dimensionless, [component, row].
    """
    if isinstance(whitened, list):
        return fold(jnp.add, [z * z for z in whitened])
    return jnp.sum(whitened**2, axis=1)


def moments(
    responsibilities: Float[Array, "component row"], whitened: Whitened, is_diagonal: bool
) -> tuple[Array, Array, Array]:
    """Return sums over rows of r, r z and r z z^T for responsibilities r and whitened rows z.

    Args:
      responsibilities: weights of the rows, [component, row].
      whitened: rows in the coordinates of each component.
      is_diagonal: whether only the diagonal of z z^T is computed.

    Returns:
      Sums, [component], [component, dim] and [component, dim, dim].
    """
    if not isinstance(whitened, list):
        weighted = responsibilities[:, None] * whitened
        counts, first = row_sums([responsibilities])[0], row_sums([weighted])[0]
        if is_diagonal:
            squares = row_sums([weighted * whitened])[0]
            return counts, first, squares[..., None] * jnp.eye(len(squares[0]))
        second = jnp.einsum("kir,kjr->kij", weighted, whitened, precision=HIGHEST)
        return counts, first, second
    dim = len(whitened)
    weighted = [responsibilities * z for z in whitened]
    pairs = [(i, j) for i in range(dim) for j in range(i + 1) if i == j or not is_diagonal]
    products = [weighted[i] * whitened[j] for i, j in pairs]
    counts, *sums = row_sums([responsibilities, *weighted, *products])
    entries = dict(zip(pairs, sums[dim:], strict=True))
    zero = jnp.zeros_like(counts)
    table = [[entries.get((max(i, j), min(i, j)), zero) for j in range(dim)] for i in range(dim)]
    second = jnp.stack([jnp.stack(row, axis=-1) for row in table], axis=-2)
    return counts, jnp.stack(sums[:dim], axis=-1), second


_WRITTEN_OUT = 32  # terms of a sum that becomes one expression


def fold(combine: Callable[[Array, Array], Array], terms: Sequence[Array]) -> Array:
    """Combine terms sequentially into one expression.

    Args:
      combine: a function of two arrays.
      terms: at least one array.
    """
    return reduce(combine, terms)


def log_sum_exp(logits: Float[Array, "component row"]) -> Float[Array, " row"]:
    """Return ln sum exp over components, -inf where all logits are -inf.

    Args:
      logits: [component, row].

    Returns:
      Logarithms, [row].
    """
    if len(logits) > _WRITTEN_OUT:
        return jax.nn.logsumexp(logits, axis=0)
    top = fold(jnp.maximum, list(logits))
    safe = jnp.where(top > -jnp.inf, top, 0)
    return safe + jnp.log(fold(jnp.add, [jnp.exp(logit - safe) for logit in logits]))


def squared_distances(
    rows: Float[Array, "dim row"], centres: Float[Array, "dim centre"]
) -> Float[Array, "centre row"]:
    """Return |row - centre|^2 for every pair.

    Args:
      rows: [dim, row].
      centres: [dim, centre].

    Returns:
      Squared distances, [centre, row].
    """
    if len(rows) > _WRITTEN_OUT:
        return jnp.sum((rows[:, None] - centres[:, :, None]) ** 2, axis=0)
    return fold(jnp.add, [(x - c[:, None]) ** 2 for x, c in zip(rows, centres, strict=True)])

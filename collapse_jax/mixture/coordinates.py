"""Rows in the coordinates of each component, and their moments there.

In few dimensions a row's coordinates are numbers of their own, and everything that is summed
over rows is one loop over them; in more they are matrices.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from collapse_jax.mixture.row_sums import fold, row_sums
from collapse_jax.mixture.small import HIGHEST, WRITTEN_OUT, diagonals, inverse, times_vectors

Whitened = list[Array] | Array  # dim times [component, row], or [component, dim, row]


def whiten(
    values: Float[Array, "dim row"],
    means: Float[Array, "component dim"],
    factors: Float[Array, "component dim dim"],
    is_diagonal: bool,
) -> Whitened:
    """factor^-1 (row - mean) for every component and row."""
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
    """Squared Mahalanobis distance of every row from every mean."""
    if isinstance(whitened, list):
        return fold(jnp.add, [z * z for z in whitened])
    return jnp.sum(whitened**2, axis=1)


def moments(
    responsibilities: Float[Array, "component row"], whitened: Whitened, is_diagonal: bool
) -> tuple[Array, Array, Array]:
    """Sums over rows of r [component], r z [component, dim], r z z^T [component, dim, dim]."""
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

"""Compute the Bures distance of covariances without cancellation, however close they are.

The squared Bures distance of L L^T and T T^T, which is the squared Wasserstein-2 distance of
normal laws of equal means, is the least |L Q - T|^2 over rotations Q. The textbook form
|L|^2 + |T|^2 - 2 |T^T L|_* subtracts numbers that agree to one part in the number of samples.
Here the gap D = L Q - T is a sum of small terms, which are known to full relative precision.

Source: Bhatia, Jain and Lim, Expo. Math. 37 (2019).
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.utils.log_cholesky import product
from collapse_jax.utils.vmap import chains_last

_SWEEPS = {2: 1, 3: 5}  # until convergence, where compiled rotations are faster than LAPACK


def bures_squared(
    theirs: Float[Array, "dim dim"], gap: Float[Array, "dim dim"]
) -> Float[Array, ""]:
    """Return the least |(T + D) Q - T|^2 over rotations Q.

    Args:
      theirs: T, [dim, dim], a root of the covariance to compare with, of order one.
      gap: D, [dim, dim]; T + D is a root of the other covariance. Both roots are lower triangular
        with diagonals >= 0, so that the best orthogonal Q is a rotation.

    Returns:
      A scalar >= 0 in the squared unit of the roots, precise relative to itself.

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics.bures import bures_squared
    >>> float(bures_squared(jnp.eye(2), 2.0**-20 * jnp.eye(2)) * 2.0**40)
    2.0
    """
    if len(theirs) in _SWEEPS:
        return chains_last(_written_out)(theirs, gap)
    return jnp.sum(_align_by_svd(theirs, gap) ** 2)


def _align_by_svd(theirs: Array, gap: Array) -> Array:
    """Return L Q - T with Q from the singular vectors of T^T L, then refined.

    Q - I is corrected to be orthogonal, and Q to make T^T L Q symmetric, both to rounding
    relative to their small parts; what is left of the error is of second order.
    """
    ours = theirs + gap
    left, sizes, right = jnp.linalg.svd(_times(theirs.T, ours))
    turn = _times(right.T, left.T) - jnp.eye(len(gap), dtype=gap.dtype)  # Q - I
    for _ in range(2):
        defect = turn + turn.T + _times(turn.T, turn)  # Q^T Q - I
        turn = turn - 0.5 * (defect + _times(turn, defect))
    gap = gap + _times(ours, turn)
    products = _times(theirs.T, gap)
    skew = _times(_times(left.T, products - products.T), left)
    sums = sizes[:, None] + sizes
    small = -skew / jnp.where(sums > 0, sums, jnp.inf)
    small = _times(_times(left, small), left.T)
    return gap + _times(theirs + gap, small + 0.5 * _times(small, small))


def _times(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision="highest")


class _Aligned(NamedTuple):
    """Two roots on their way to alignment, and the products that tell how.

    Attributes:
      theirs: T, [dim, dim, ...].
      gap: D = L - T, [dim, dim, ...].
      square: T^T T, [dim, dim, ...].
      products: T^T D, [dim, dim, ...].
    """

    theirs: Array
    gap: Array
    square: Array
    products: Array


def _written_out(
    theirs: Float[Array, "dim dim ..."], gap: Float[Array, "dim dim ..."]
) -> Float[Array, "..."]:
    """Return the distance by Kogbetliantz's method for the singular values of T^T L.

    Each step rotates two columns of L until their block of T^T L is symmetric, and then the same
    columns of L and T until it is diagonal. Convergence is quadratic.

    Source: Kogbetliantz, Quart. Appl. Math. 13 (1955).
    """
    dim = len(theirs)
    transposed = jnp.swapaxes(theirs, 0, 1)
    pair = _Aligned(theirs, gap, product(transposed, theirs), product(transposed, gap))

    def sweep(_: Array, pair: _Aligned) -> _Aligned:
        for one, two in itertools.combinations(range(dim), 2):
            partner = np.arange(dim)
            partner[[one, two]] = two, one
            pair = _turn(pair, partner)
        return pair

    pair = jax.lax.fori_loop(0, _SWEEPS[dim], sweep, pair)
    return jnp.sum(pair.gap**2, axis=(0, 1))


class _Rotation(NamedTuple):
    """A rotation of two columns, which adds to each a part of itself and of its partner.

    Attributes:
      less: cos - 1, and 0 for other columns, [dim, ...].
      swap: the sine with the sign of the column, and 0 for other columns, [dim, ...].
      partner: the other column of each, or itself, [dim].
    """

    less: Array
    swap: Array
    partner: np.ndarray

    def of(self, matrix: Array) -> Array:
        """Return what the rotation of its columns adds to a matrix."""
        return matrix * self.less + matrix[:, self.partner] * self.swap

    def of_both(self, matrix: Array) -> Array:
        """Return a matrix with rotated columns and rows."""
        matrix = matrix + self.of(matrix)
        return matrix + self.less[:, None] * matrix + self.swap[:, None] * matrix[self.partner]


def _turn(pair: _Aligned, partner: np.ndarray) -> _Aligned:
    """Make the block of T^T L of two columns symmetric, then diagonal."""
    theirs, gap, square, products = pair
    chains = (1,) * (theirs.ndim - 2)
    side = np.sign(partner - np.arange(len(partner))).reshape(-1, *chains)
    alone = _symmetrizing(square, products, partner, side)
    gap = gap + (alone.of(gap) + alone.of(theirs))
    products = products + (alone.of(products) + alone.of(square))
    both = _diagonalizing(square + products, partner, side)
    return _Aligned(
        theirs + both.of(theirs),
        gap + both.of(gap),
        both.of_both(square),
        both.of_both(products),
    )


def _symmetrizing(
    square: Array, products: Array, partner: np.ndarray, side: np.ndarray
) -> _Rotation:
    """Return the rotation of L after which the block is symmetric, precise if it is small."""
    skew = (_opposite(products, partner) - _opposite(jnp.swapaxes(products, 0, 1), partner)) * side
    own = _diagonal(square) + _diagonal(products)
    trace = own + own[partner]
    length = jnp.hypot(skew, trace)
    safe = jnp.where(length > 0, length, 1)
    sine = skew / safe
    less = jnp.where(trace > 0, -skew * sine / (safe + jnp.abs(trace)), trace / safe - 1)
    is_active = (side != 0) & (length > 0)
    return _Rotation(jnp.where(is_active, less, 0), jnp.where(is_active, sine * side, 0), partner)


def _diagonalizing(block: Array, partner: np.ndarray, side: np.ndarray) -> _Rotation:
    """Return Jacobi's rotation of L and T, after which a symmetric block is diagonal."""
    twice = _opposite(block, partner) + _opposite(jnp.swapaxes(block, 0, 1), partner)
    own = _diagonal(block)
    difference = (own[partner] - own) * side
    is_active = (side != 0) & (twice != 0)
    size = jnp.abs(difference) + jnp.hypot(difference, twice)
    tangent = jnp.where(difference >= 0, 1, -1) * twice / jnp.where(is_active, size, 1)
    tangent = jnp.where(is_active, tangent, 0)
    length = jnp.sqrt(tangent**2 + 1)
    return _Rotation(-(tangent**2) / (length * (1 + length)), -tangent / length * side, partner)


def _opposite(matrix: Array, partner: np.ndarray) -> Array:
    """Return the entry of each row in the column of its partner, [dim, ...]."""
    return matrix[np.arange(len(matrix)), partner]


def _diagonal(matrix: Array) -> Array:
    return _opposite(matrix, np.arange(len(matrix)))

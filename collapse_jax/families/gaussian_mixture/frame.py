"""Define affine frames with rows of order one: absolute = location + exp(log_scale) F x."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from collapse_jax.core.samples import Rows
from collapse_jax.families.gaussian_mixture.em import RESOLUTION, Components, Points
from collapse_jax.families.gaussian_mixture.linalg import (
    WRITTEN_OUT,
    inverse,
    product,
    times_rows,
    times_vectors,
)
from collapse_jax.utils.log_cholesky import factorize, scaled_factor
from collapse_jax.utils.row_sums import first_true, row_sums


class Frame(NamedTuple):
    """An affine frame of rows with a lower triangular factor of order one."""

    location: Float[Array, " dim"]
    log_scale: Float[Array, ""]
    factor: Float[Array, "dim dim"]

    @property
    def log_volume(self) -> Float[Array, ""]:
        """Return ln of the volume of a unit cube of the frame, a scalar."""
        dim = len(self.location)
        return dim * self.log_scale + jnp.sum(jnp.log(jnp.diagonal(self.factor)))


class Standardization(NamedTuple):
    """The map to overall mean zero and covariance one: values = root^-1 (old values - mean)."""

    mean: Float[Array, " dim"]
    root: Float[Array, "dim dim"]
    is_singular: Bool[Array, ""]

    def components(self, old: Components) -> Components:
        """Return the components of a mixture in the new values.

        Args:
          old: components in the old values.
        """
        back = jnp.broadcast_to(inverse(self.root[None]), old.factors.shape)
        means = times_vectors(back, old.means - self.mean)
        return Components(old.weights, means, product(back, old.factors))

    def frame(self, old: Frame) -> Frame:
        """Return the frame of the new values.

        Args:
          old: the frame of the old values.
        """
        location = old.location + jnp.exp(old.log_scale) * _times(old.factor, self.mean)
        factor = times_rows(old.factor, self.root)
        top = jnp.max(jnp.abs(factor))
        return Frame(location, old.log_scale + jnp.log(top), factor / top)


def frame_of(samples: Rows) -> Frame:
    """Return the frame of rows.

    Args:
      samples: rows with location, log scale and factor.
    """
    assert samples.location is not None
    assert samples.log_scale is not None
    assert samples.factor is not None
    return Frame(samples.location, samples.log_scale, samples.factor)


def move(components: Components, old: Frame, new: Frame) -> Components:
    """Return the components of one frame in another frame, exact to rounding.

    Args:
      components: a mixture in the old frame.
      old: the frame of the components.
      new: the frame of the result.
    """
    back = inverse(new.factor[None])[0]
    turn = jnp.exp(old.log_scale - new.log_scale) * times_rows(back, old.factor)
    turn = jnp.broadcast_to(turn, components.factors.shape)
    shift = _times(back, (old.location - new.location) * jnp.exp(-new.log_scale))
    means = times_vectors(turn, components.means) + shift
    return components._replace(means=means, factors=product(turn, components.factors))


def _times(matrix: Float[Array, "dim dim"], vector: Float[Array, " dim"]) -> Float[Array, " dim"]:
    return times_vectors(matrix[None], vector[None])[0]


def standardize(rows: Points, is_diagonal: bool) -> tuple[Points, Standardization]:
    """Transform rows to overall mean zero and covariance one.

    Moments are relative to the first row, so that equal rows have no spread at all. Rows are
    singular if preceding coordinates determine a coordinate to rounding.

    Args:
      rows: rows of one chain with their multiplicities.
      is_diagonal: whether coordinates are only scaled.

    Returns:
      The new rows, and the map from the old ones.
    """
    values = rows.values
    first = values[:, 0 if rows.weights is None else first_true(rows.weights > 0)]
    relative = values - first[:, None]
    shift = jnp.stack(row_sums([rows.weigh(x) for x in relative])) / rows.total
    centred = relative - shift[:, None]
    whiten = _orthogonalize if len(values) <= WRITTEN_OUT else _factorize
    whiten = _scale if is_diagonal else whiten
    root, lengths, standard = whiten(rows, centred)
    resolution = RESOLUTION * jnp.finfo(values.dtype).eps * lengths
    is_singular = ~jnp.all(jnp.diagonal(root) > resolution)
    identity = jnp.eye(len(values), dtype=values.dtype)
    root = jnp.where(is_singular, identity, root)
    standard = jnp.where(is_singular, centred, standard)
    return Points(standard, rows.weights), Standardization(first + shift, root, is_singular)


def _scale(rows: Points, centred: Array) -> tuple[Array, Array, Array]:
    """Return a diagonal root, the standard deviations in it, and the scaled rows."""
    lengths = _lengths(rows, centred)
    return jnp.diag(lengths), lengths, centred / _or_one(lengths)[:, None]


def _orthogonalize(rows: Points, centred: Array) -> tuple[Array, Array, Array]:
    """Return a root of the covariance, the standard deviations, and the whitened rows.

    Modified Gram-Schmidt forms no covariance, so the root is as precise as the rows.
    """
    lengths = _lengths(rows, centred)
    rest, zero = list(centred), jnp.zeros_like(lengths[0])
    columns = []
    for j in range(len(rest)):
        scale = _lengths(rows, rest[j][None])[0] if j else lengths[0]
        rest[j] = rest[j] / _or_one(scale)
        products = [rows.weigh(rest[j] * x) for x in rest[j + 1 :]]
        along = [share / rows.total for share in row_sums(products)] if products else []
        for i, share in enumerate(along, j + 1):
            rest[i] = rest[i] - share * rest[j]
        columns.append(jnp.stack([*[zero] * j, scale, *along]))
    return jnp.stack(columns, axis=1), lengths, jnp.stack(rest)


def _factorize(rows: Points, centred: Array) -> tuple[Array, Array, Array]:
    """Return the results of `_orthogonalize`, computed by operations on matrices."""
    columns = centred / jnp.sqrt(jnp.asarray(rows.total, centred.dtype))
    columns = columns if rows.weights is None else columns * jnp.sqrt(rows.weights)
    log_scale, factor = factorize(columns)
    root = scaled_factor(log_scale, factor)
    safe = scaled_factor(jnp.where(log_scale > -jnp.inf, log_scale, 0), factor)
    return root, _lengths(rows, centred), times_rows(inverse(safe[None])[0], centred)


def _lengths(rows: Points, centred: Array) -> Float[Array, " dim"]:
    """Return the root mean square of every coordinate, [dim]."""
    return jnp.sqrt(jnp.stack(row_sums([rows.weigh(x * x) for x in centred])) / rows.total)


def _or_one(scale: Array) -> Array:
    return jnp.where(scale > 0, scale, 1)

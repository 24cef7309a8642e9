"""Measure Gaussian mixtures by pure functions of their components and frame."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from collapse_jax.core.samples import Rows
from collapse_jax.families.gaussian_mixture import em
from collapse_jax.families.gaussian_mixture.em import Components
from collapse_jax.families.gaussian_mixture.frame import Frame, move
from collapse_jax.families.gaussian_mixture.linalg import diagonals, product, times_vectors
from collapse_jax.utils import log_cholesky

LogOverlap = Float[Array, "component component"]


def absolute(components: Components, frame: Frame) -> tuple[Array, Array]:
    """Return means and roots of covariances in data units.

    Args:
      components: a mixture.
      frame: its frame.

    Returns:
      Means, [component, dim], and roots, [component, dim, dim].

    >>> from collapse_jax.families.gaussian_mixture import metrics
    >>> pair = metrics.of_normals([0.5, 0.5], [[0.0], [4.0]], [[0.0], [0.0]], [[[1.0]], [[1.0]]])
    >>> means, roots = metrics.absolute(*pair)
    >>> means.tolist(), roots.tolist()
    ([[0.0], [4.0]], [[[1.0]], [[1.0]]])
    """
    return _isotropic(components, frame, jnp.zeros_like(frame.location), frame.log_scale * 0)


def log_dets(components: Components, frame: Frame) -> Float[Array, " component"]:
    """Return ln of the determinant of each covariance, finite for all small covariances.

    Args:
      components: a mixture.
      frame: its frame.

    Returns:
      Logarithms, [component].

    >>> from collapse_jax.families.gaussian_mixture import metrics
    >>> wide = metrics.of_normals([1.0], [[3.0]], [[2.0]], [[[1.0]]])
    >>> metrics.log_dets(*wide).tolist()
    [4.0]
    """
    own = jnp.sum(jnp.log(diagonals(components.factors)), axis=-1)
    return 2 * (own + frame.log_volume)


def log_spreads(components: Components, frame: Frame) -> Float[Array, " component"]:
    """Return ln sqrt(trace / dim) of each covariance.

    Args:
      components: a mixture.
      frame: its frame.

    Returns:
      Logarithms, [component].

    >>> from collapse_jax.families.gaussian_mixture import metrics
    >>> wide = metrics.of_normals([1.0], [[3.0]], [[2.0]], [[[1.0]]])
    >>> metrics.log_spreads(*wide).tolist()
    [2.0]
    """
    dim = components.means.shape[1]
    turned = product(_spread(frame.factor, components.factors), components.factors)
    return frame.log_scale + 0.5 * jnp.log(jnp.sum(turned**2, axis=(-2, -1)) / dim)


def effective_components(weights: Float[Array, " component"]) -> Float[Array, ""]:
    """Return exp of the entropy of weights: K if all are equal, 1 if one component has all.

    Args:
      weights: >= 0 with sum 1, [component].

    Returns:
      A scalar in [1, K], components.

    >>> import jax.numpy as jnp
    >>> from collapse_jax.families.gaussian_mixture import metrics
    >>> round(float(metrics.effective_components(jnp.array([0.5, 0.5, 0.0]))), 4)
    2.0
    """
    logs = jnp.log(jnp.where(weights > 0, weights, 1))
    return jnp.exp(-jnp.sum(weights * logs))


def component_distances(components: Components) -> Float[Array, "component component"]:
    """Return Mahalanobis distances between means, under the average of both covariances.

    Args:
      components: a mixture in any frame.

    Returns:
      Distances >= 0, dimensionless, [component, component].

    >>> import jax
    >>> from collapse_jax.families.gaussian_mixture import metrics
    >>> pair = metrics.of_normals([0.5, 0.5], [[0.0], [4.0]], [[0.0], [0.0]], [[[1.0]], [[1.0]]])
    >>> components, _ = pair
    >>> jax.jit(metrics.component_distances)(components).round(4).tolist()
    [[0.0, 4.0], [4.0, 0.0]]
    """
    gaps, log_scale, factor = _pairs(
        components.means, components.factors, components.means, components.factors
    )
    whitened = _solve(factor, gaps) * jnp.exp(-log_scale)
    return jnp.sqrt(2 * jnp.sum(whitened**2, axis=-1))  # the pair's factor is of the sum


def log_l2_squared(
    one: Components, frame: Frame, other: Components, other_frame: Frame
) -> Float[Array, ""]:
    """Return ln of the integral of (f - h)^2 over space, -inf if f and h are equal to the bit.

    The overlap of two normal laws is a normal density, int N_i N_j = N(mu_i - mu_j; 0,
    S_i + S_j). Differences below the rounding of f^2 + h^2 are reported as that rounding.

    Args:
      one: the mixture f.
      frame: the frame of f.
      other: the mixture h.
      other_frame: the frame of h.

    Returns:
      A scalar.

    >>> import jax
    >>> from collapse_jax.families.gaussian_mixture import metrics
    >>> normal = metrics.of_normals([1.0], [[3.0]], [[0.0]], [[[1.0]]])
    >>> far = metrics.of_normals([1.0], [[103.0]], [[0.0]], [[[1.0]]])
    >>> log_l2_squared = jax.jit(metrics.log_l2_squared)
    >>> float(log_l2_squared(*normal, *normal))
    -inf
    >>> round(float(log_l2_squared(*normal, *far)), 4)  # ln(1 / sqrt(pi))
    -0.5724
    """
    number = max(len(one.weights), len(other.weights))
    one, other = _padded(one, number), _padded(other, number)
    same = [jnp.all(a == b) for a, b in zip((*one, *frame), (*other, *other_frame), strict=True)]
    is_same = jnp.all(jnp.stack(same))
    top = jnp.maximum(frame.log_scale, other_frame.log_scale)
    is_wider = frame.log_scale > other_frame.log_scale
    origin = jnp.where(is_wider, frame.location, other_frame.location)
    dim = len(origin)
    left = _isotropic(one, frame, origin, top)
    right = _isotropic(other, other_frame, origin, top)
    logs = [
        _log_outer(one, one) + _log_overlap(*one[1:], *one[1:]) - frame.log_volume,
        _log_outer(one, other) + _log_overlap(*left, *right) - dim * top,
        _log_outer(other, other) + _log_overlap(*other[1:], *other[1:]) - other_frame.log_volume,
    ]
    largest = jnp.max(jnp.stack(logs))
    squares, mixed, other_squares = (jnp.exp(terms - largest) for terms in logs)
    difference = jnp.sum(squares - mixed - mixed.T + other_squares)
    resolution = jnp.finfo(difference.dtype).eps
    value = largest + jnp.log(jnp.maximum(difference, resolution))
    return jnp.where(is_same, -jnp.inf, value)


def _padded(components: Components, number: int) -> Components:
    """Return the mixture with further components of weight 0, `number` of them in all."""
    extra = number - len(components.weights)
    if not extra:
        return components
    more = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], extra, axis=0), components)
    more = more._replace(weights=jnp.zeros_like(more.weights))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), components, more)


def mean_log_density(rows: Rows, components: Components, frame: Frame) -> Float[Array, ""]:
    """Return the mean over rows of ln f(row).

    Args:
      rows: rows with their weights.
      components: the mixture f.
      frame: the frame of f.

    Returns:
      Nats per row, a scalar.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> from collapse_jax.families.gaussian_mixture import metrics
    >>> normal = metrics.of_normals([1.0], [[3.0]], [[0.0]], [[[1.0]]])
    >>> rows = cj.Rows.of_rows(jnp.array([[3.0], [4.0]]), 2)
    >>> density = jax.jit(metrics.mean_log_density)(rows, *normal)
    >>> round(float(density), 4)  # -ln(2 pi) / 2 - 1 / 4
    -1.1689
    """
    own = Frame(*_frame_without_factor(rows))
    values = rows.plain_rows.T
    moved = move(components, frame, own)
    density = em.log_density(values, moved) - own.log_volume
    weights = rows.full_weights()
    return jnp.sum(jnp.where(weights > 0, weights * density, 0)) / jnp.sum(weights)


def of_normals(weights: Any, means: Any, log_scales: Any, factors: Any) -> tuple[Components, Frame]:
    """Return a mixture of normal laws in a frame of their size.

    Args:
      weights: >= 0 with sum 1, [component].
      means: [component, dim].
      log_scales: ln of the scales of the columns of the factors, [component, dim].
      factors: unit lower triangular, [component, dim, dim].

    Returns:
      The components and their frame.

    >>> from collapse_jax.families.gaussian_mixture import metrics
    >>> normal = metrics.of_normals([1.0], [[3.0]], [[0.0]], [[[1.0]]])
    >>> components, frame = normal
    >>> components.means.tolist(), frame.location.tolist()
    ([[0.0]], [3.0])
    """
    dtype = jnp.result_type(float)
    weights, means, log_scales, factors = (
        jnp.asarray(value, dtype) for value in (weights, means, log_scales, factors)
    )
    dim = means.shape[1]
    top = jnp.max(log_scales)
    roots = factors * jnp.exp(log_scales - top)[:, None, :]
    origin = means[0]
    components = Components(weights, (means - origin) * jnp.exp(-top), roots)
    return components, Frame(origin, top, jnp.eye(dim, dtype=dtype))


def _frame_without_factor(rows: Rows) -> tuple[Array, Array, Array]:
    assert rows.location is not None
    assert rows.log_scale is not None
    return rows.location, rows.log_scale, jnp.eye(len(rows.location), dtype=rows.rows.dtype)


def _isotropic(
    components: Components, frame: Frame, origin: Float[Array, " dim"], top: Float[Array, ""]
) -> tuple[Array, Array]:
    """Return means and roots in the frame (origin, top, identity)."""
    turn = _spread(frame.factor * jnp.exp(frame.log_scale - top), components.factors)
    shift = (frame.location - origin) * jnp.exp(-top)
    return times_vectors(turn, components.means) + shift, product(turn, components.factors)


def _spread(matrix: Float[Array, "dim dim"], like: Float[Array, "component dim dim"]) -> Array:
    return jnp.broadcast_to(matrix, like.shape)


def _log_outer(one: Components, other: Components) -> LogOverlap:
    return jnp.log(one.weights)[:, None] + jnp.log(other.weights)[None]


def _pairs(means: Array, roots: Array, other_means: Array, other_roots: Array):
    """Return for every pair the difference of means, and the factor of the summed covariance."""
    gaps = means[:, None] - other_means[None]
    shape = (len(means), len(other_means), *roots.shape[1:])
    columns = jnp.concatenate(
        [jnp.broadcast_to(roots[:, None], shape), jnp.broadcast_to(other_roots[None], shape)], -1
    )
    log_scale, factor = jax.vmap(jax.vmap(log_cholesky.factorize))(columns)
    return gaps, log_scale, factor


def _solve(factor: Array, gaps: Array) -> Array:
    """Return factor^-1 gap for unit lower triangular factors."""
    dim = gaps.shape[-1]
    solved = []
    for i in range(dim):
        known = sum(factor[..., i, j] * solved[j] for j in range(i))
        solved.append(gaps[..., i] - known)
    return jnp.stack(solved, axis=-1)


def _log_overlap(means: Array, roots: Array, other_means: Array, other_roots: Array) -> LogOverlap:
    """Return ln N(mu_i - mu_j; 0, S_i + S_j) of every pair."""
    gaps, log_scale, factor = _pairs(means, roots, other_means, other_roots)
    distance = jnp.sum((_solve(factor, gaps) * jnp.exp(-log_scale)) ** 2, axis=-1)
    constant = gaps.shape[-1] * jnp.log(2 * jnp.pi).astype(gaps.dtype)
    return -0.5 * (distance + constant) - jnp.sum(log_scale, axis=-1)

"""The normal law in any number of dimensions, and the exact moments of its samples."""

import dataclasses
import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax import check, linear
from collapse_jax.chains_last import chains_last
from collapse_jax.config import config
from collapse_jax.corpus import Moments, Samples, Size, prefix_weights
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.normal import normal
from collapse_jax.random.wishart import log_bartlett
from collapse_jax.source import MomentsSource, Truth


def number_of_scores(dim: int) -> int:
    """How many standard normal scores the moments of one sample take."""
    return 2 * dim + dim * (dim - 1) // 2


def draw_moments(
    scores: Float[Array, " score"],
    mean: Float[Array, " dim"],
    log_scale: Float[Array, " dim"],
    factor: Float[Array, "dim dim"],
    size: int | Int[Array, ""],
) -> Moments:
    """Moments of `size` independent draws from N(mean, L L^T), none of them drawn.

    The sample mean is normal and independent of the scatter, which is Wishart
    (Cochran). With Bartlett's factor A, chol(covariance) = L A / sqrt(M).

    Args:
      scores: `number_of_scores(dim)` standard normals.
      mean: mean of the law.
      log_scale: log scales of its Cholesky factor L.
      factor: unit lower-triangular part of L.
      size: M >= 1; scatter is zero for M = 1 and singular for M <= dim.
    """
    if isinstance(size, int):
        update = chains_last(functools.partial(_update, size))
        return Moments(np.int32(size), *update(scores, mean, log_scale, factor))
    return Moments(size, *chains_last(_update)(size, scores, mean, log_scale, factor))


def _update(
    size: int | Int[Array, "..."],
    scores: Float[Array, "score ..."],
    mean: Float[Array, "dim ..."],
    log_scale: Float[Array, "dim ..."],
    factor: Float[Array, "dim dim ..."],
) -> tuple[Array, Array, Array]:
    """Mean, log scales and factor of a sample, for arrays with the chain as last axis too."""
    dim, dtype = len(mean), scores.dtype
    root = np.sqrt(size) if isinstance(size, int) else jnp.sqrt(jnp.maximum(size, 1))
    step = jnp.exp(log_scale) * scores[:dim] / jnp.asarray(root, dtype)
    new_scale = log_scale + log_bartlett(scores[dim : 2 * dim], size)
    if dim == 1:
        return mean + step, new_scale, factor
    # diag(e^l) A with each column divided by its diagonal entry e^{l_j} A_jj.
    rows, columns = np.tril_indices(dim, -1)
    old, new = log_scale[rows], new_scale[columns]
    ratio = old - new - 0.5 * jnp.log(jnp.asarray(size, dtype))
    ratio = jnp.where((old > -jnp.inf) & (new > -jnp.inf), ratio, -jnp.inf)
    chain = scores.shape[1:]
    unit = jnp.eye(dim, dtype=dtype).reshape(dim, dim, *[1] * len(chain))
    triangle = jnp.broadcast_to(unit, (dim, dim, *chain))
    triangle = triangle.at[rows, columns].set(scores[2 * dim :] * jnp.exp(ratio))
    new_mean = mean + linear.product(factor, step[:, None])[:, 0]
    return new_mean, new_scale, linear.product(factor, triangle)


@config
class Normal(MomentsSource):
    """N(mean, covariance).

    Args:
      mean: a number or [dim].
      covariance: a number >= 0 in one dimension, else a symmetric positive
        semi-definite [dim, dim] matrix.

    Raises:
      ValueError: for shapes that disagree, values that are not finite, or a
        covariance that is not symmetric positive semi-definite.

    >>> import collapse_jax as cj
    >>> cj.Normal(mean=[0.0, 0.0], covariance=[[1.0, 0.5], [0.5, 1.0]]).row_dim
    2
    """

    mean: Any
    covariance: Any
    log_scale: Any = dataclasses.field(init=False, repr=False)
    factor: Any = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        mean = check.array("Normal.mean", self.mean, (0, 1), "pass a number or [dim]").reshape(-1)
        covariance, log_scale, factor = check_covariance(
            "Normal.covariance", self.covariance, len(mean)
        )
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "covariance", covariance)
        object.__setattr__(self, "log_scale", log_scale)
        object.__setattr__(self, "factor", factor)

    @property
    def row_dim(self) -> int:
        """Length of a row."""
        return len(self.mean)

    @property
    def is_elementwise(self) -> bool:
        """In one dimension."""
        return self.row_dim == 1

    @property
    def truth(self) -> Truth:
        """The law's own moments."""
        mean, log_scale, factor = _as_floats(self.mean, self.log_scale, self.factor)
        return Truth(mean, log_scale, factor, jnp.exp(log_scale[0]))

    def draw_moments(self, keys: Keys, size: Size, capacity: int) -> Moments:
        """Exact: normal mean, Wishart scatter."""
        mean, log_scale, factor = _as_floats(self.mean, self.log_scale, self.factor)
        scores = normal(keys, Purpose.SOURCE, (number_of_scores(self.row_dim),))
        return draw_moments(scores, mean, log_scale, factor, size)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Samples:
        """Rows, in the frame of the law."""
        mean, log_scale, factor = _as_floats(self.mean, self.log_scale, self.factor)
        scores = normal(keys, Purpose.SOURCE, (capacity, self.row_dim))
        rows, top = colour(scores, log_scale, factor)
        return Samples(rows, prefix_weights(size, capacity), mean, top)


def colour(
    scores: Float[Array, "row dim"],
    log_scale: Float[Array, " dim"],
    factor: Float[Array, "dim dim"],
) -> tuple[Float[Array, "row dim"], Float[Array, ""]]:
    """Rows L z / exp(top) and the log scale `top` of their frame, the largest of L."""
    top = jnp.max(log_scale)
    top = jnp.where(top > -jnp.inf, top, 0)
    scaled = factor * jnp.exp(log_scale - top)
    if scaled.shape == (1, 1):
        return scores * scaled[0], top
    return linear.product(scores, scaled.T), top


def check_covariance(name: str, value: Any, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A covariance matrix with its log scales and factor, or one clear line."""
    remedy = f"pass a symmetric positive semi-definite [{dim}, {dim}] matrix" + (
        " or a number >= 0" if dim == 1 else ""
    )
    covariance = check.array(name, value, (0, 2), remedy)
    if covariance.ndim == 0:
        covariance = covariance.reshape(1, 1)
    if covariance.shape != (dim, dim):
        shown = check.Shown(f"array of shape {covariance.shape}")
        raise check.fail(name, shown, f"its shape must be ({dim}, {dim}), as the mean's", remedy)
    gap = np.abs(covariance - covariance.T)
    if np.max(gap) > 1e-8 * max(np.max(np.abs(covariance)), 1e-300):
        i, j = (int(axis) for axis in np.unravel_index(np.argmax(gap), gap.shape))
        raise check.fail(
            f"{name}[{i}, {j}]", float(covariance[i, j]), f"it must equal [{j}, {i}]", remedy
        )
    try:
        log_scale, factor = linear.factorize_on_host((covariance + covariance.T) / 2)
    except np.linalg.LinAlgError as error:
        shown = float(np.min(np.linalg.eigvalsh(covariance)))
        raise check.fail(
            f"smallest eigenvalue of {name}", shown, "it must be >= 0", remedy
        ) from error
    return covariance, log_scale, factor


def _as_floats(*arrays: Any) -> tuple[Array, ...]:
    return tuple(jnp.asarray(array, jnp.result_type(float)) for array in arrays)

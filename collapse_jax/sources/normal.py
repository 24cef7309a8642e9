"""Define the normal law in any number of dimensions, with exact moments of its samples."""

import dataclasses
from typing import Any, Self

import numpy as np

from collapse_jax.config import config, replace_fields
from collapse_jax.core.corpus import Moments, Size, draw_moments
from collapse_jax.core.samples import Rows, prefix_weights
from collapse_jax.core.source import MomentsSource, Truth
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.normal import normal
from collapse_jax.random.wishart import colour, number_of_scores
from collapse_jax.utils import check, log_cholesky

_MOST_RATIO = 1e30  # of standard deviations: factors of float32 end at 3.4e38
_ASYMMETRY = 1e-8  # of both standard deviations: rounding of matrices that were read as text


@config
class Normal(MomentsSource):
    """The normal law N(mean, covariance).

    Args:
      mean: a number or [dim].
      covariance: a number >= 0 in one dimension, else a symmetric positive
        semi-definite [dim, dim] matrix.

    Raises:
      ArgumentError: for shapes that disagree, values that are not finite, or a
        covariance that is not symmetric positive semi-definite.

    >>> import collapse_jax as cj
    >>> cj.Normal(mean=[0.0, 0.0], covariance=[[1.0, 0.5], [0.5, 1.0]]).row_dim
    2
    """

    mean: Any
    covariance: Any
    moments: Any = dataclasses.field(init=False, repr=False)  # Truth, computed on the host

    def __post_init__(self) -> None:
        mean = check.array("Normal.mean", self.mean, (0, 1), "pass a number or [dim]").reshape(-1)
        covariance, log_scale, factor = check_covariance(
            "Normal.covariance", self.covariance, len(mean)
        )
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "covariance", covariance)
        object.__setattr__(self, "moments", Truth.of(mean, log_scale, factor))

    @property
    def row_dim(self) -> int:
        """Return the length of a row."""
        return len(self.mean)

    @property
    def is_elementwise(self) -> bool:
        """Tell whether the law has one dimension."""
        return self.row_dim == 1

    @property
    def location(self) -> Any:
        """Return the mean."""
        return self.mean

    def translated(self, shift: Any) -> Self:
        """Return the law with another mean."""
        mean = self.mean + shift
        return replace_fields(self, mean=mean, moments=self.moments._replace(mean=mean))

    @property
    def truth(self) -> Truth:
        """Return the moments of the law."""
        return self.moments.as_floats()

    def log_spreads(self) -> np.ndarray:
        """Return ln of the standard deviation along each axis, without arrays on a device."""
        return self.moments.log_spreads()

    def draw_moments(self, keys: Keys, size: Size, capacity: int) -> Moments:
        """Draw exact moments: a normal mean and a Wishart scatter."""
        mean, log_scale, factor, *_ = self.truth
        scores = normal(keys, Purpose.SOURCE, (number_of_scores(self.row_dim),))
        return draw_moments(scores, mean, log_scale, factor, size)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw rows in the frame of the law."""
        mean, log_scale, factor, *_ = self.truth
        scores = normal(keys, Purpose.SOURCE, (capacity, self.row_dim))
        rows, top = colour(scores, log_scale, factor)
        return Rows(rows, prefix_weights(size, capacity), mean, top)


def check_units(name: str, spreads: np.ndarray, most: float) -> None:
    """Refuse axes whose units differ by more than float32 can hold.

    Args:
      name: name of the argument, for the message.
      spreads: [dim], standard deviations in the units of the axes.
      most: largest ratio of two that are not zero.

    Raises:
      ArgumentError: naming the ratio.
    """
    found = spreads[spreads > 0]
    if found.size and found.max() / found.min() > most:
        shown = check.Shown(
            f"axes with standard deviations {found.min():.3g} and {found.max():.3g}"
        )
        allowed = f"they may differ by a factor of {most:g}"
        raise check.fail(name, shown, allowed, "measure the axes in other units")


def check_covariance(name: str, value: Any, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check a covariance matrix and factorize it.

    Args:
      name: name of the argument, for the message.
      value: a number, or a [dim, dim] matrix.
      dim: length of a row.

    Returns:
      The covariance, [dim, dim], its log scales, [dim], and its unit factor, [dim, dim].

    Raises:
      ArgumentError: if the matrix is not symmetric positive semi-definite.
    """
    remedy = f"pass a symmetric positive semi-definite [{dim}, {dim}] matrix" + (
        " or a number >= 0" if dim == 1 else ""
    )
    covariance = check.array(name, value, (0, 2), remedy)
    if covariance.ndim == 0:
        covariance = covariance.reshape(1, 1)
    if covariance.shape != (dim, dim):
        shown = check.Shown(f"array of shape {covariance.shape}")
        raise check.fail(name, shown, f"its shape must be ({dim}, {dim}), as the mean's", remedy)
    check_units(name, np.sqrt(np.abs(np.diagonal(covariance))), _MOST_RATIO)
    gap = np.abs(covariance - covariance.T)
    spreads = np.sqrt(np.abs(np.diagonal(covariance)))
    excess = gap - _ASYMMETRY * np.outer(spreads, spreads)
    if np.max(excess) > 0:
        i, j = (int(axis) for axis in np.unravel_index(np.argmax(excess), gap.shape))
        raise check.fail(
            f"{name}[{i}, {j}]", float(covariance[i, j]), f"it must equal [{j}, {i}]", remedy
        )
    try:
        log_scale, factor = log_cholesky.factorize_on_host((covariance + covariance.T) / 2)
    except np.linalg.LinAlgError as error:
        shown = float(np.min(np.linalg.eigvalsh(covariance)))
        raise check.fail(
            f"smallest eigenvalue of {name}", shown, "it must be >= 0", remedy
        ) from error
    return covariance, log_scale, factor

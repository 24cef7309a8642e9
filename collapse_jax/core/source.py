"""Sources of original data: the truth p_0 that model 0 is fitted to.

Every source yields rows. A source that also knows the exact law of a sufficient statistic
has an ability of its own: `CountsSource`, `MomentsSource`, `TotalsSource`.
"""

import abc
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.core.corpus import Counts, Moments, Size, Totals
from collapse_jax.core.samples import Labels, Rows, Samples
from collapse_jax.random.keys import Keys


class AbstractSource(abc.ABC):
    """Original data for one chain."""

    @property
    def num_states(self) -> int | None:
        """Return the number of states, if rows are labels 0 .. num_states-1."""
        return None

    @property
    def row_dim(self) -> int | None:
        """Return the length of a row, if rows are real vectors."""
        return None

    @property
    def num_rows(self) -> int | None:
        """Return the number of rows, if the data are finite."""
        return None

    @property
    def is_elementwise(self) -> bool:
        """Tell whether a draw adds nothing along an axis, see `Schedule`."""
        return False

    @property
    def location(self) -> Any | None:
        """Return a point among the rows, which models and corpora are kept relative to.

        Far from zero float32 cannot tell rows from one another; relative to this point it can.

        Returns:
          float64 [dim] in the unit of the rows; None for a source that cannot be translated.
        """
        return None

    def translated(self, shift: Any) -> Self:
        """Return the source of the same rows plus a vector, if it has a `location`.

        Args:
          shift: [dim], in the unit of the rows; float64 on the host loses nothing.

        Returns:
          A source of the same class.

        Raises:
          NotImplementedError: without a `location`.
        """
        raise NotImplementedError

    @property
    def independent(self) -> "AbstractSource":
        """Return the source of independent rows from p_0: another one only for finite data."""
        return self

    @abc.abstractmethod
    def draw(self, keys: Keys, size: Size, capacity: int) -> Samples:
        """Draw original rows.

        Args:
          keys: random numbers of the generation.
          size: number of rows, which may be traced.
          capacity: slots, static, at least `size`; the first of them are filled.

        Returns:
          `size` rows in `capacity` slots.
        """


class CountsSource(AbstractSource):
    """A source of labels that draws counts without drawing labels."""

    @property
    @abc.abstractmethod
    def law(self) -> Float[Array, " state"]:
        """Return p_0, the probability of every state, [state]."""

    @abc.abstractmethod
    def draw_counts(self, keys: Keys, size: Size) -> Counts:
        """Draw the counts of `size` rows.

        Args:
          keys: random numbers of the generation.
          size: number of rows, may be traced.

        Returns:
          Counts by state.
        """

    @abc.abstractmethod
    def draw(self, keys: Keys, size: Size, capacity: int) -> Labels:
        """Draw labels, see `AbstractSource.draw`."""


class PreciseScales(NamedTuple):
    """The scales of p_0 as sums of two numbers, each of which float32 holds to its own precision.

    A model that is fitted to many rows differs from p_0 by less than the rounding of either.

    Attributes:
      log_scale: [2, dim], see `Truth`.
      factor: [2, dim, dim], see `Truth`.
      log_overlap: [2], ln of the overlap of `Truth`.
      excess: the variance minus the squared overlap, >= 0, scalar; 0 if p_0 is normal.
    """

    log_scale: Any
    factor: Any
    log_overlap: Any
    excess: Any


class Truth(NamedTuple):
    """The moments of p_0, with which metrics of a Gaussian chain compare.

    overlap = int_0^1 Q(u) Phi^{-1}(u) du, Q the quantile function of p_0, in one
    dimension: the share of the spread a normal law can match (sigma if p_0 is normal).

    >>> import collapse_jax as cj
    >>> truth = cj.Normal(mean=1.0, covariance=4.0).truth
    >>> isinstance(truth, cj.Truth), truth.mean.tolist(), truth.overlap.round(4).tolist()
    (True, [1.0], 2.0)
    """

    mean: Any  # [dim]
    log_scale: Any  # [dim]
    factor: Any  # [dim, dim]
    overlap: Any  # scalar
    precise: PreciseScales | None = None

    @classmethod
    def of(cls, mean: Any, log_scale: Any, factor: Any, overlap: Any = None) -> Self:
        """Return moments that are known on the host in float64.

        Args:
          mean: [dim].
          log_scale: [dim].
          factor: [dim, dim].
          overlap: scalar; None for that of a normal law.
        """
        overlap = np.exp(log_scale[0]) if overlap is None else np.asarray(overlap)
        with np.errstate(divide="ignore"):
            log_overlap = np.log(overlap)
        excess = np.maximum(np.exp(2 * log_scale[0]) - overlap**2, 0)
        precise = PreciseScales(_split(log_scale), _split(factor), _split(log_overlap), excess)
        return cls(mean, log_scale, factor, overlap, precise)

    def as_floats(self) -> Self:
        """Return the same moments as arrays of jax's default float type.

        Returns:
          Moments with a mean of [dim], log scales of [dim] in nats and a factor of [dim, dim];
          what float32 cannot hold is inf.
        """
        with np.errstate(over="ignore"):
            return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(float)), self)

    def log_spreads(self) -> np.ndarray:
        """Return ln of the standard deviation along each axis.

        Returns:
          [dim], nats, float64 on the host; -inf for an axis without spread.
        """
        scales, factor = (np.asarray(one, np.float64) for one in (self.log_scale, self.factor))
        with np.errstate(divide="ignore"):
            logs = scales + np.log(np.abs(factor))
        return np.logaddexp.reduce(2 * logs, axis=1) / 2


def _split(values: np.ndarray) -> np.ndarray:
    """Return values as the sum of float32 numbers and the rest, [2, ...]."""
    high = values.astype(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore"):  # -inf stands for a scale of zero
        low = values - high
    return np.stack([high, np.where(np.isfinite(high), low, 0)])


class MomentsSource(AbstractSource):
    """A source of real vectors whose law has known moments."""

    @property
    @abc.abstractmethod
    def truth(self) -> Truth:
        """Return the moments of p_0."""

    def log_spreads(self) -> np.ndarray:
        """Return ln of the standard deviation of p_0 along each axis, see `Truth.log_spreads`."""
        return self.truth.log_spreads()

    @abc.abstractmethod
    def draw_moments(self, keys: Keys, size: Size, capacity: int) -> Moments:
        """Draw the moments of original rows.

        Args:
          keys: random numbers of the generation.
          size: number of rows, may be traced.
          capacity: static, at least `size`.

        Returns:
          Moments of the rows.
        """

    @abc.abstractmethod
    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw real vectors, see `AbstractSource.draw`."""


class TotalsSource(AbstractSource):
    """A source of real numbers that draws their mean without drawing rows."""

    @property
    def row_dim(self) -> int:
        """Return 1: rows are numbers."""
        return 1

    @abc.abstractmethod
    def draw_totals(self, keys: Keys, size: Size) -> Totals:
        """Draw number and mean of original rows.

        Args:
          keys: random numbers of the generation.
          size: number of rows, may be traced.

        Returns:
          Totals of the rows.
        """

    @abc.abstractmethod
    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw real rows, see `AbstractSource.draw`."""

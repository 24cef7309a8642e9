"""Sources of original data: the truth p_0 that model 0 is fitted to.

Every source yields rows. A source that also knows the exact law of a sufficient statistic
has an ability of its own: `CountsSource`, `MomentsSource`.
"""

import abc
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from collapse_jax.core.corpus import Counts, Moments, Size
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


class MomentsSource(AbstractSource):
    """A source of real vectors whose law has known moments."""

    @property
    @abc.abstractmethod
    def truth(self) -> Truth:
        """Return the moments of p_0."""

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

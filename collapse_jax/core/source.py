"""Where original data come from: the truth p_0 that model 0 is fitted to.

Every source yields rows. A source that also knows the exact law of a corpus's
sufficient statistic says so by an ability of its own: `CountsSource`, `MomentsSource`.
"""

import abc
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from collapse_jax.core.corpus import Counts, Moments, Samples, Size
from collapse_jax.random.keys import Keys


class AbstractSource(abc.ABC):
    """Original data for one chain."""

    @property
    def num_states(self) -> int | None:
        """Number of states, if rows are labels 0 .. num_states-1."""
        return None

    @property
    def row_dim(self) -> int | None:
        """Length of a row, if rows are real vectors."""
        return None

    @property
    def num_rows(self) -> int | None:
        """Number of rows, if the data are finite."""
        return None

    @property
    def is_elementwise(self) -> bool:
        """Whether a draw adds nothing along an axis, see `AbstractFamily.is_elementwise`."""
        return False

    @property
    def independent(self) -> "AbstractSource":
        """The source of independent rows from p_0: another one only if the data are finite."""
        return self

    @abc.abstractmethod
    def draw(self, keys: Keys, size: Size, capacity: int) -> Samples:
        """`size` rows, which may be traced, in the first of `capacity` slots."""


class CountsSource(AbstractSource):
    """A source of labels that draws counts without drawing labels."""

    @property
    @abc.abstractmethod
    def law(self) -> Float[Array, " state"]:
        """p_0, the probability of every state."""

    @abc.abstractmethod
    def draw_counts(self, keys: Keys, size: Size) -> Counts:
        """The counts of `size` rows."""


class Truth(NamedTuple):
    """What the metrics of a Gaussian chain compare with: the moments of p_0.

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
        """Moments of p_0."""

    @abc.abstractmethod
    def draw_moments(self, keys: Keys, size: Size, capacity: int) -> Moments:
        """The moments of `size` rows, at most `capacity` (static)."""

"""What a fit needs of a generation's data: counts, moments, or the rows themselves.

A corpus is a small algebra, `size` and `merge`. Its representation is the least
that its family's fit needs, which is why analytic chains never draw a row.
"""

import abc
import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax import linear


class AbstractCorpus(abc.ABC):
    """The data of one generation of one chain."""

    @property
    @abc.abstractmethod
    def size(self) -> Int[Array, ""]:
        """Number of rows."""

    @abc.abstractmethod
    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """The same corpus with room for `capacity` rows.

        Args:
          capacity: slots, at least the rows there are.
          is_full: whether every later corpus will fill its slots, too.
        """

    @abc.abstractmethod
    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """The rows of both.

        Args:
          other: rows to add.
          start: the slot of the first of them, where slots exist: the number of
            slots in use, known from the schedule.
        """


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Counts(AbstractCorpus):
    """How many rows are in each state. Sufficient for `Discrete`, and it stays so when pooled."""

    counts: Int[Array, " state"]

    @property
    def size(self) -> Int[Array, ""]:
        """Number of rows."""
        return jnp.sum(self.counts)

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Itself: counts need no room."""
        return self

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """The counts added."""
        return type(self)(self.counts + other.counts)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moments(AbstractCorpus):
    """Size, mean and covariance (divisor: the size) of real-valued rows.

    covariance = L L^T with L = factor @ diag(exp(log_scale)): scales live on the log
    scale, so a collapsing chain never underflows. log_scale -inf is a scale of zero.
    """

    num_rows: Any  # int32 scalar
    mean: Float[Array, " dim"]
    log_scale: Float[Array, " dim"]
    factor: Float[Array, "dim dim"]  # unit lower triangular

    @property
    def size(self) -> Int[Array, ""]:
        """Number of rows."""
        return self.num_rows

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Itself: moments need no room."""
        return self

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Moments of the pooled rows, by Chan's formula: scatters add, and so does the gap."""
        total = self.num_rows + other.num_rows
        share = self.num_rows / total
        rest = other.num_rows / total
        shift = other.mean - self.mean
        mean = self.mean + rest * shift
        log_scale, factor = linear.add_covariances(
            (self.log_scale + 0.5 * jnp.log(share), self.factor),
            (other.log_scale + 0.5 * jnp.log(rest), other.factor),
            jnp.sqrt(share * rest) * shift,
        )
        return type(self)(total, mean, log_scale, factor)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Samples(AbstractCorpus):
    """Rows with a fixed capacity and a weight per slot; weight 0 is an empty slot.

    Real-valued rows live in a frame, row = location + exp(log_scale) * rows[i], in
    which they are of order one however far the chain has collapsed. Labels and other
    rows that are not real vectors have no frame.
    """

    rows: Array  # [slot, ...]
    weights: Float[Array, " slot"] | None = None  # None: every slot holds one row
    location: Float[Array, " dim"] | None = None
    log_scale: Float[Array, ""] | None = None

    @property
    def capacity(self) -> int:
        """Number of slots, static."""
        return self.rows.shape[0]

    @property
    def size(self) -> Int[Array, ""]:
        """Number of slots with a row."""
        if self.weights is None:
            return jnp.int32(self.capacity)
        return jnp.sum(self.weights > 0, dtype=jnp.int32)

    @property
    def absolute_rows(self) -> Array:
        """The rows outside their frame."""
        if self.location is None or self.log_scale is None:
            return self.rows
        return self.location + jnp.exp(self.log_scale) * self.rows

    def full_weights(self) -> Float[Array, " slot"]:
        """The weight of every slot."""
        return jnp.ones(self.capacity) if self.weights is None else self.weights

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """The same rows in the first of `capacity` slots, the others empty."""
        extra = capacity - self.capacity
        if extra == 0 and is_full:
            return self
        pad = [(0, extra)] + [(0, 0)] * (self.rows.ndim - 1)
        return dataclasses.replace(
            self,
            rows=jnp.pad(self.rows, pad),
            weights=jnp.pad(self.full_weights(), (0, extra)),
        )

    def in_frame(self, location: Array | None, log_scale: Array | None) -> Self:
        """The same rows expressed in another frame."""
        if self.location is None or self.log_scale is None:
            return self
        if location is None or log_scale is None:
            return self
        ratio = jnp.exp(self.log_scale - log_scale)
        rows = self.rows * ratio + (self.location - location) * jnp.exp(-log_scale)
        return dataclasses.replace(self, rows=rows, location=location, log_scale=log_scale)

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Both, in this corpus's frame; the other's slots are written from `start` on."""
        other = other.in_frame(self.location, self.log_scale)
        where = (start,) + (0,) * (self.rows.ndim - 1)
        return dataclasses.replace(
            self,
            rows=jax.lax.dynamic_update_slice(self.rows, other.rows, where),
            weights=jax.lax.dynamic_update_slice(
                self.full_weights(), other.full_weights(), (start,)
            ),
        )


def prefix_weights(size: int | Int[Array, ""], capacity: int) -> Float[Array, " slot"] | None:
    """Weights of `capacity` slots of which the first `size` hold a row."""
    if isinstance(size, int) and size == capacity:
        return None
    return (jnp.arange(capacity) < size).astype(jnp.result_type(float))

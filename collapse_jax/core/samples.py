"""Corpora held row by row: labels, and real vectors in a frame."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.core.corpus import AbstractCorpus, Moments, Size
from collapse_jax.random.keys import Keys
from collapse_jax.random.subset import random_subset
from collapse_jax.utils import check, log_cholesky
from collapse_jax.utils.row_sums import first_true, row_sums


class Samples(AbstractCorpus):
    """Rows held one by one, in slots of fixed number with a weight each; weight 0 is an empty slot.

    `Labels` holds states or tokens, `Rows` real vectors.

    Attributes:
      rows: [slot, ...].
      weights: [slot], or None if every slot holds one row.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> isinstance(cj.Labels(jnp.array([2, 0])), cj.Samples)
    True
    """

    rows: Array
    weights: Float[Array, " slot"] | None

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse to make the abstract class, which version 0.1 had as a concrete one."""
        if cls is not Samples:
            return super().__new__(cls)
        allowed = "it is abstract since version 0.2"
        remedy = "make Labels(labels, weights) or Rows.of_rows(rows, size)"
        raise check.fail("Samples", check.Shown("Samples(...)"), allowed, remedy)

    @staticmethod
    def of_rows(rows: Float[Array, "slot dim"], size: Size) -> "Rows":
        """Return real vectors as a corpus.

        Args:
          rows: one vector in each slot.
          size: how many of them, from the first on, are in the corpus; may be traced.
        """
        origin = jnp.zeros(rows.shape[1:], rows.dtype)
        weights = prefix_weights(size, len(rows))
        return Rows(rows, weights, origin, jnp.zeros((), rows.dtype))

    def _replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)  # pyright: ignore  (subclasses are dataclasses)

    @property
    def capacity(self) -> int:
        """Return the number of slots, static."""
        return self.rows.shape[0]

    @property
    def size(self) -> Int[Array, ""]:
        """Return the number of slots with a row."""
        if self.weights is None:
            return jnp.int32(self.capacity)
        return jnp.sum(self.weights > 0, dtype=jnp.int32)

    @property
    def static_size(self) -> int | None:
        """Return the number of slots if each holds a row."""
        return self.capacity if self.weights is None else None

    @property
    @abc.abstractmethod
    def absolute_rows(self) -> Array:
        """Return the rows as the user knows them, [slot, ...]."""

    def with_rows(self, rows: Array, weights: Array | None) -> Self:
        """Return other rows and weights in the same frame.

        Args:
          rows: [slot, ...].
          weights: [slot], or None if every slot holds a row.

        Returns:
          A corpus of the same class.
        """
        return self._replace(rows=rows, weights=weights)

    def full_weights(self) -> Float[Array, " slot"]:
        """Return the weight of every slot."""
        return jnp.ones(self.capacity) if self.weights is None else self.weights

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Return the same rows in `capacity` slots, of which those beyond the rows are empty."""
        extra = capacity - self.capacity
        if extra <= 0:
            rows = self.rows[:capacity]
            weights = None if is_full else self.full_weights()[:capacity]
            return self._replace(rows=rows, weights=weights)
        pad = [(0, extra)] + [(0, 0)] * (self.rows.ndim - 1)
        return self._replace(
            rows=jnp.pad(self.rows, pad),
            weights=jnp.pad(self.full_weights(), (0, extra)),
        )

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """Return the chosen rows in the first slots."""
        slots = random_subset(keys, purpose, total, size, capacity)
        weights = prefix_weights(size, capacity)
        if self.weights is not None:
            chosen = self.weights[slots]
            weights = chosen if weights is None else chosen * weights
        return self._replace(rows=self.rows[slots], weights=weights)

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return both, the other's slots written from `start` on."""
        where = (start, *[jnp.zeros_like(start)] * (self.rows.ndim - 1))
        return self._replace(
            rows=jax.lax.dynamic_update_slice(self.rows, other.rows, where),
            weights=jax.lax.dynamic_update_slice(
                self.full_weights(), other.full_weights(), (start,)
            ),
            info={**self.info, **other.info},
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Labels(Samples):
    """States, or blocks of tokens: integers that are counted or looked up, never averaged.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> corpus = cj.Labels(jnp.array([2, 0, 0]), weights=jnp.array([1.0, 1.0, 0.0]))
    >>> int(corpus.size), corpus.capacity, corpus.rows.tolist()
    (2, 3, [2, 0, 0])
    """

    rows: Int[Array, "slot ..."]
    weights: Float[Array, " slot"] | None = None
    info: Mapping[str, Array] = dataclasses.field(default_factory=dict)

    @property
    def absolute_rows(self) -> Array:
        """Return the integers."""
        return self.rows


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rows(Samples):
    """Real vectors in a frame, row = location + exp(log_scale) * factor @ rows[i].

    In the frame vectors are of order one, however far the chain has collapsed. A factor, of
    order one too, lets one direction collapse further than another; None is the identity.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> corpus = cj.Rows.of_rows(jnp.array([[1.0], [2.0], [0.0]]), size=2)
    >>> int(corpus.size), corpus.capacity, corpus.full_weights().tolist()
    (2, 3, [1.0, 1.0, 0.0])
    """

    rows: Float[Array, "slot dim"]
    weights: Float[Array, " slot"] | None
    location: Float[Array, " dim"]
    log_scale: Float[Array, ""]
    factor: Float[Array, "dim dim"] | None = None  # lower triangular
    info: Mapping[str, Array] = dataclasses.field(default_factory=dict)

    @property
    def absolute_rows(self) -> Array:
        """Return the rows outside their frame."""
        return self.location + jnp.exp(self.log_scale) * self.plain_rows

    @property
    def plain_rows(self) -> Array:
        """Return the rows in a frame of the same location and scale without a factor."""
        return self.rows if self.factor is None else log_cholesky.product(self.rows, self.factor.T)

    def translated(self, shift: Float[Array, " dim"]) -> Self:
        """Return the same rows plus a vector.

        Args:
          shift: [dim], in the unit of the rows.
        """
        return dataclasses.replace(self, location=self.location + shift)

    def in_frame(self, location: Array, log_scale: Array) -> Self:
        """Return the same rows in another frame without a factor.

        Args:
          location: of the frame, [dim].
          log_scale: of the frame, scalar.

        Returns:
          The rows, relative to the other frame; those of empty slots are zero.
        """
        ratio = jnp.exp(self.log_scale - log_scale)
        rows = self.plain_rows * ratio + (self.location - location) * jnp.exp(-log_scale)
        if self.weights is not None:
            rows = jnp.where(self.weights[:, None] > 0, rows, 0)
        factor = None if self.factor is None else jnp.eye(len(self.factor), dtype=rows.dtype)
        return dataclasses.replace(
            self, rows=rows, location=location, log_scale=log_scale, factor=factor
        )

    def framed_for(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return the same rows in the wider of both frames; one without rows is ignored."""
        is_wider = (other.size > 0) & ((start == 0) | (other.log_scale > self.log_scale))
        location = jnp.where(is_wider, other.location, self.location)
        return self.in_frame(location, jnp.where(is_wider, other.log_scale, self.log_scale))

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return both in this corpus's frame, the other's slots written from `start` on."""
        return super().merge(other.in_frame(self.location, self.log_scale), start)


def prefix_weights(size: int | Int[Array, ""], capacity: int) -> Float[Array, " slot"] | None:
    """Return the weights of slots of which the first ones hold a row.

    Args:
      size: number of rows, may be traced.
      capacity: number of slots, static.

    Returns:
      1 or 0 for every slot, [slot]; None if every slot holds a row.
    """
    if isinstance(size, int) and size == capacity:
        return None
    return (jnp.arange(capacity) < size).astype(jnp.result_type(float))


def moments_of(samples: Rows) -> Moments:
    """Return size, mean and covariance of weighted rows, to rounding in their own frame.

    Rows are taken relative to the first of them, so that equal rows have no spread at all.

    Args:
      samples: rows with weights, [slot, dim].
    """
    if samples.weights is None:
        weights, total, first = 1, samples.capacity, 0
    else:
        weights, total = samples.weights, row_sums([samples.weights])[0]
        total, first = jnp.where(total > 0, total, 1), first_true(weights > 0)
    total = jnp.asarray(total, samples.rows.dtype)
    reference = samples.rows[first]
    columns = (samples.rows - reference).T
    mean = row_sums([weights * columns])[0] / total
    centred = columns - mean[:, None]
    if len(centred) == 1:
        log_scale = 0.5 * jnp.log(row_sums([weights * centred**2])[0] / total)
        factor = jnp.ones((1, 1), centred.dtype)
    else:
        log_scale, factor = log_cholesky.factorize(centred * jnp.sqrt(weights))
        log_scale = log_scale - 0.5 * jnp.log(total)
    location = samples.location + jnp.exp(samples.log_scale) * (reference + mean)
    return Moments(samples.size, location, log_scale + samples.log_scale, factor)


def expand(counts: Array, capacity: int) -> Array:
    """Return the labels that counts stand for, in order.

    Args:
      counts: rows by state, [state].
      capacity: number of slots, static, at least the number of rows.

    Returns:
      Labels [slot]; those beyond the number of rows are of no meaning.
    """
    ends = jnp.cumsum(counts)[:-1]
    steps = jnp.zeros(capacity, jnp.int32).at[ends].add(1, mode="drop")
    return jnp.cumsum(steps)

"""What a fit needs of a generation's data: counts, moments, or the rows themselves.

A corpus is a small algebra: `size`, `merge`, `subsample`. Its representation is the least
that its family's fit needs, which is why analytic chains never draw a row.
"""

import abc
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.random.hypergeometric import multivariate_hypergeometric
from collapse_jax.random.keys import Keys
from collapse_jax.random.subset import random_subset
from collapse_jax.random.wishart import sample_moments
from collapse_jax.utils import log_cholesky
from collapse_jax.utils.vmap import chains_last

Size = int | Int[Array, ""]


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
          is_full: whether the rows fill the slots, here and in every later corpus.
        """

    @abc.abstractmethod
    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """A uniformly random subset of the rows, without replacement.

        Args:
          keys: random numbers of the generation that the subset is for.
          purpose: whose stream to use.
          size: how many rows, at most `total`; may be traced.
          capacity: static, at least `size`.
          total: the number of rows there are, known from the schedule.

        Raises:
          TypeError: if the corpus does not hold its rows.
        """

    def framed_for(self, other: Any, start: Int[Array, ""]) -> Self:
        """The same rows, written so that rows of `other` can be merged from slot `start` on."""
        return self

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
    """How many rows are in each state. Sufficient for `Discrete`, and it stays so when pooled.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> pool = cj.Counts(jnp.array([3, 0, 1])).merge(cj.Counts(jnp.array([1, 1, 0])), jnp.int32(4))
    >>> pool.counts.tolist(), int(pool.size)
    ([4, 1, 1], 6)
    """

    counts: Int[Array, " state"]

    @property
    def size(self) -> Int[Array, ""]:
        """Number of rows."""
        return jnp.sum(self.counts)

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Itself: counts need no room."""
        return self

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """Multivariate hypergeometric counts."""
        return type(self)(multivariate_hypergeometric(keys, purpose, self.counts, size))

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """The counts added."""
        return type(self)(self.counts + other.counts)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moments(AbstractCorpus):
    """Size, mean and covariance (divisor: the size) of real-valued rows.

    covariance = L L^T with L = factor @ diag(exp(log_scale)): scales live on the log
    scale, so a collapsing chain never underflows. log_scale -inf is a scale of zero.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> at = {"log_scale": jnp.array([-jnp.inf]), "factor": jnp.ones((1, 1))}
    >>> left, right = (cj.Moments(2, jnp.array([mean]), **at) for mean in (-1.0, 1.0))
    >>> pool = left.merge(right, jnp.int32(2))
    >>> int(pool.size), pool.mean.tolist(), pool.log_scale.tolist()
    (4, [0.0], [0.0])
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

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """Not possible: moments do not say what their rows are."""
        raise TypeError("Moments hold no rows to choose from; use corpus='samples'")

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Moments of the pooled rows, by Chan's formula: scatters add, and so does the gap."""
        total = self.num_rows + other.num_rows
        share = self.num_rows / jnp.maximum(total, 1)
        rest = other.num_rows / jnp.maximum(total, 1)
        shift = other.mean - self.mean
        mean = self.mean + rest * shift
        log_scale, factor = log_cholesky.add_covariances(
            (self.log_scale + 0.5 * jnp.log(share), self.factor),
            (other.log_scale + 0.5 * jnp.log(rest), other.factor),
            jnp.sqrt(share * rest) * shift,
        )
        return type(self)(total, mean, log_scale, factor)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Samples(AbstractCorpus):
    """Rows with a fixed capacity and a weight per slot; weight 0 is an empty slot.

    Real-valued rows live in a frame, row = location + exp(log_scale) * factor @ rows[i],
    in which they are of order one however far the chain has collapsed. A factor, of
    order one too, lets one direction collapse further than another; None is the identity.
    Labels and other rows that are not real vectors have no frame.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> corpus = cj.Samples.of_rows(jnp.array([[1.0], [2.0], [0.0]]), size=2)
    >>> int(corpus.size), corpus.capacity, corpus.full_weights().tolist()
    (2, 3, [1.0, 1.0, 0.0])
    """

    rows: Array  # [slot, ...]
    weights: Float[Array, " slot"] | None = None  # None: every slot holds one row
    location: Float[Array, " dim"] | None = None
    log_scale: Float[Array, ""] | None = None
    factor: Float[Array, "dim dim"] | None = None  # lower triangular

    @classmethod
    def of_rows(cls, rows: Float[Array, "slot dim"], size: Size) -> Self:
        """Real-valued rows as they are; the first `size` count, which may be traced."""
        origin = jnp.zeros(rows.shape[1:], rows.dtype)
        weights = prefix_weights(size, len(rows))
        return cls(rows, weights, origin, jnp.zeros((), rows.dtype))

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
        return self.location + jnp.exp(self.log_scale) * self.plain_rows

    @property
    def plain_rows(self) -> Array:
        """The rows in a frame of the same location and scale, and no factor."""
        return self.rows if self.factor is None else log_cholesky.product(self.rows, self.factor.T)

    def full_weights(self) -> Float[Array, " slot"]:
        """The weight of every slot."""
        return jnp.ones(self.capacity) if self.weights is None else self.weights

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """The same rows in `capacity` slots, of which those beyond the rows are empty."""
        extra = capacity - self.capacity
        if extra <= 0:
            rows = self.rows[:capacity]
            weights = None if is_full else self.full_weights()[:capacity]
            return dataclasses.replace(self, rows=rows, weights=weights)
        pad = [(0, extra)] + [(0, 0)] * (self.rows.ndim - 1)
        return dataclasses.replace(
            self,
            rows=jnp.pad(self.rows, pad),
            weights=jnp.pad(self.full_weights(), (0, extra)),
        )

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """The chosen rows in the first slots."""
        slots = random_subset(keys, purpose, total, size, capacity)
        weights = prefix_weights(size, capacity)
        if self.weights is not None:
            kept = self.weights[slots]
            weights = kept if weights is None else kept * weights
        return dataclasses.replace(self, rows=self.rows[slots], weights=weights)

    def in_frame(self, location: Array | None, log_scale: Array | None) -> Self:
        """The same rows in another frame, one without a factor; empty slots become zero."""
        if self.location is None or self.log_scale is None:
            return self
        if location is None or log_scale is None:
            return self
        ratio = jnp.exp(self.log_scale - log_scale)
        rows = self.plain_rows * ratio + (self.location - location) * jnp.exp(-log_scale)
        if self.weights is not None:
            rows = jnp.where(self.weights[:, None] > 0, rows, 0)
        factor = None if self.factor is None else jnp.eye(len(self.factor), dtype=rows.dtype)
        return dataclasses.replace(
            self, rows=rows, location=location, log_scale=log_scale, factor=factor
        )

    def framed_for(self, other: Any, start: Int[Array, ""]) -> Self:
        """The same rows in the wider of both frames; one without rows has no say."""
        if self.location is None or self.log_scale is None:
            return self
        is_wider = (other.size > 0) & ((start == 0) | (other.log_scale > self.log_scale))
        location = jnp.where(is_wider, other.location, self.location)
        return self.in_frame(location, jnp.where(is_wider, other.log_scale, self.log_scale))

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Both, in this corpus's frame; the other's slots are written from `start` on."""
        other = other.in_frame(self.location, self.log_scale)
        where = (start, *[jnp.zeros_like(start)] * (self.rows.ndim - 1))
        return dataclasses.replace(
            self,
            rows=jax.lax.dynamic_update_slice(self.rows, other.rows, where),
            weights=jax.lax.dynamic_update_slice(
                self.full_weights(), other.full_weights(), (start,)
            ),
        )


def join(parts: Sequence[AbstractCorpus], sizes: Sequence[Size], capacity: int, is_full: bool):
    """The rows of several corpora, one after the other, in `capacity` slots.

    Args:
      parts: each with its rows in its first slots and at most `capacity` slots.
      sizes: numbers of rows, at most `capacity` together.
      capacity: static.
      is_full: whether the rows always fill the slots.
    """
    joined, start = parts[0].with_capacity(2 * capacity), jnp.asarray(sizes[0], jnp.int32)
    for part, size in zip(parts[1:], sizes[1:], strict=True):
        joined = joined.framed_for(part, start).merge(part, start)
        start = start + size
    return joined.with_capacity(capacity, is_full)


def prefix_weights(size: int | Int[Array, ""], capacity: int) -> Float[Array, " slot"] | None:
    """Weights of `capacity` slots of which the first `size` hold a row."""
    if isinstance(size, int) and size == capacity:
        return None
    return (jnp.arange(capacity) < size).astype(jnp.result_type(float))


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
        update = chains_last(functools.partial(sample_moments, size))
        return Moments(np.int32(size), *update(scores, mean, log_scale, factor))
    return Moments(size, *chains_last(sample_moments)(size, scores, mean, log_scale, factor))


def moments_of(samples: Samples) -> Moments:
    """Size, mean and covariance of weighted rows, to rounding in their own frame.

    Rows are taken relative to the first of them, so that equal rows have no spread at all.
    """
    weights = samples.full_weights()
    total = jnp.sum(weights)
    share = weights / jnp.where(total > 0, total, 1)
    first = samples.rows[0 if samples.weights is None else jnp.argmax(weights > 0)]
    rows = samples.rows - first
    mean = jnp.sum(share[:, None] * rows, axis=0)
    centred = (rows - mean) * jnp.sqrt(share)[:, None]
    assert samples.location is not None
    assert samples.log_scale is not None
    if centred.shape[1] == 1:
        log_scale = 0.5 * jnp.log(jnp.sum(centred**2, axis=0))
        factor = jnp.ones((1, 1), centred.dtype)
    else:
        log_scale, factor = log_cholesky.factorize(centred.T)
    location = samples.location + jnp.exp(samples.log_scale) * (first + mean)
    return Moments(samples.size, location, log_scale + samples.log_scale, factor)


def expand(counts: Array, capacity: int) -> Array:
    """The labels that `counts` counts, in order, in the first of `capacity` slots."""
    ends = jnp.cumsum(counts)[:-1]
    steps = jnp.zeros(capacity, jnp.int32).at[ends].add(1, mode="drop")
    return jnp.cumsum(steps)

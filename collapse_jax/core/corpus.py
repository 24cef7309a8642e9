"""The data of a generation, as little of them as a fit needs: counts, moments, or rows.

A corpus is a small algebra: `size`, `merge`, `subsample`. Its representation is the least
that its family's fit needs, which is why analytic chains never draw a row.
"""

import abc
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.random.hypergeometric import multivariate_hypergeometric
from collapse_jax.random.keys import Keys
from collapse_jax.random.subset import random_subset
from collapse_jax.random.wishart import sample_moments
from collapse_jax.utils import check, log_cholesky
from collapse_jax.utils.vmap import chains_last

Size = int | Int[Array, ""]


class AbstractCorpus(abc.ABC):
    """The data of one generation of one chain.

    Attributes:
      info: facts about how the rows were drawn that are recorded as variables, by name.
    """

    info: Mapping[str, Array] = MappingProxyType({})

    @property
    @abc.abstractmethod
    def size(self) -> Int[Array, ""]:
        """Return the number of rows."""

    def with_info(self, **info: Array) -> Self:
        """Return the same corpus with these facts and no others."""
        return dataclasses.replace(self, info=info)  # pyright: ignore

    @abc.abstractmethod
    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Return the same corpus with slots for `capacity` rows.

        Args:
          capacity: slots, at least the rows there are.
          is_full: whether the rows fill the slots, here and in every later corpus.
        """

    @abc.abstractmethod
    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """Draw a uniformly random subset of the rows, without replacement.

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
        """Return the same rows, written so that `other` can be merged from slot `start` on."""
        return self

    @abc.abstractmethod
    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return the rows of both.

        Args:
          other: rows to add.
          start: the slot of the first of them, where slots exist: the number of
            slots in use, known from the schedule.
        """


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Counts(AbstractCorpus):
    """Numbers of rows by state: sufficient for `Discrete`, also when pooled.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> pool = cj.Counts(jnp.array([3, 0, 1])).merge(cj.Counts(jnp.array([1, 1, 0])), jnp.int32(4))
    >>> pool.counts.tolist(), int(pool.size)
    ([4, 1, 1], 6)
    """

    counts: Int[Array, " state"]
    info: Mapping[str, Array] = dataclasses.field(default_factory=dict)

    @property
    def size(self) -> Int[Array, ""]:
        """Return the number of rows."""
        return jnp.sum(self.counts)

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Return the corpus unchanged: counts have no slots."""
        return self

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """Draw multivariate hypergeometric counts."""
        counts = multivariate_hypergeometric(keys, purpose, self.counts, size)
        return dataclasses.replace(self, counts=counts)

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return the counts added."""
        return type(self)(self.counts + other.counts, {**self.info, **other.info})


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
        """Return the number of rows."""
        return self.num_rows

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Return the corpus unchanged: moments have no slots."""
        return self

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """Refuse: moments do not say what their rows are."""
        raise TypeError("Moments hold no rows to choose from; use corpus='samples'")

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return the moments of the pooled rows, by the formula of Chan, Golub & LeVeque (1979)."""
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


class Samples(AbstractCorpus):
    """Rows held one by one, in slots of fixed number with a weight each; weight 0 is an empty slot.

    `Labels` holds states or tokens, `Rows` real vectors.

    Attributes:
      rows: [slot, ...].
      weights: [slot], or None if every slot holds one row.
    """

    rows: Array
    weights: Float[Array, " slot"] | None

    def __new__(cls, *_: Any, **__: Any) -> Self:
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
    @abc.abstractmethod
    def absolute_rows(self) -> Array:
        """Return the rows as the user knows them, [slot, ...]."""

    def with_rows(self, rows: Array, weights: Array | None) -> Self:
        """Return other rows and weights in the same frame."""
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

    def in_frame(self, location: Array, log_scale: Array) -> Self:
        """Return the same rows in another frame without a factor; empty slots become zero."""
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


def join(parts: Sequence[AbstractCorpus], sizes: Sequence[Size], capacity: int, is_full: bool):
    """Return the rows of several corpora, one after the other, in `capacity` slots.

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
    """Return the weights of `capacity` slots of which the first `size` hold a row."""
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
    """Draw the moments of `size` independent rows of N(mean, L L^T), without drawing a row.

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


def moments_of(samples: Rows) -> Moments:
    """Return size, mean and covariance of weighted rows, to rounding in their own frame.

    Rows are taken relative to the first of them, so that equal rows have no spread at all.
    """
    weights = samples.full_weights()
    total = jnp.sum(weights)
    share = weights / jnp.where(total > 0, total, 1)
    reference = samples.rows[0 if samples.weights is None else jnp.argmax(weights > 0)]
    rows = samples.rows - reference
    mean = jnp.sum(share[:, None] * rows, axis=0)
    centred = (rows - mean) * jnp.sqrt(share)[:, None]
    if centred.shape[1] == 1:
        log_scale = 0.5 * jnp.log(jnp.sum(centred**2, axis=0))
        factor = jnp.ones((1, 1), centred.dtype)
    else:
        log_scale, factor = log_cholesky.factorize(centred.T)
    location = samples.location + jnp.exp(samples.log_scale) * (reference + mean)
    return Moments(samples.size, location, log_scale + samples.log_scale, factor)


def expand(counts: Array, capacity: int) -> Array:
    """Return the labels that `counts` counts, in order, in the first of `capacity` slots."""
    ends = jnp.cumsum(counts)[:-1]
    steps = jnp.zeros(capacity, jnp.int32).at[ends].add(1, mode="drop")
    return jnp.cumsum(steps)

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
from collapse_jax.random.wishart import sample_moments
from collapse_jax.utils import log_cholesky
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

    @property
    def static_size(self) -> int | None:
        """Return the number of rows if it is known when a program is traced, else None."""
        return None

    def with_info(self, **info: Array) -> Self:
        """Return the same corpus with these facts and no others.

        Args:
          **info: scalars by name.

        Returns:
          The corpus with other `info`.
        """
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
          total: the number of rows of this corpus, known from the schedule.

        Returns:
          A corpus of `size` rows.

        Raises:
          TypeError: if the corpus does not hold its rows.
        """

    def of_size(self, size: Size) -> Self:
        """Return the same corpus, whose number of rows a schedule tells.

        A number that all chains share is cheaper to compute with than one of each chain.

        Args:
          size: the number of rows.
        """
        return self

    def framed_for(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return the same rows, written so that `other` can be merged from slot `start` on.

        Args:
          other: a corpus of the same kind.
          start: number of slots in use, int32 scalar.

        Returns:
          The corpus, in a frame that suits both.
        """
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


class AbstractStatistics(AbstractCorpus):
    """A corpus that is the number of its rows, and statistics that suffice for a fit.

    Subclasses are frozen dataclasses with the field `num_rows`, an int32 scalar or a plain number.
    """

    num_rows: Any

    @property
    def size(self) -> Int[Array, ""]:
        """Return the number of rows."""
        return self.num_rows

    @property
    def static_size(self) -> int | None:
        """Return the number of rows if it is a plain number."""
        is_plain = isinstance(self.num_rows, (int, np.integer))
        return int(self.num_rows) if is_plain else None

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Return the corpus unchanged: statistics have no slots."""
        return self

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """Refuse: statistics do not say what their rows are."""
        name = type(self).__name__
        raise TypeError(f"{name} has no rows to choose from; use corpus='samples'")

    def of_size(self, size: Size) -> Self:
        """Return the same statistics with this number of rows."""
        return dataclasses.replace(self, num_rows=size)  # pyright: ignore


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moments(AbstractStatistics):
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

    def translated(self, shift: Float[Array, " dim"]) -> Self:
        """Return the moments of the rows plus a vector.

        Args:
          shift: [dim], in the unit of the rows.
        """
        return dataclasses.replace(self, mean=self.mean + shift)

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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Totals(AbstractStatistics):
    """Number and mean of real rows: sufficient for laws that are fitted by their mean.

    mean = relative_mean * exp(log_scale): a mean that drifts geometrically never underflows, and
    one of whole numbers, with log_scale 0, is not rounded by a logarithm.

    >>> import jax.numpy as jnp
    >>> left, right = (Totals(2, jnp.float32(mean), jnp.float32(0.0)) for mean in (1.0, 4.0))
    >>> pool = left.merge(right, jnp.int32(2))
    >>> int(pool.size), float(pool.relative_mean)
    (4, 2.5)
    """

    num_rows: Any  # int32 scalar
    relative_mean: Float[Array, ""]
    log_scale: Float[Array, ""]

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return number and mean of the pooled rows."""
        total = self.num_rows + other.num_rows
        top = jnp.maximum(self.log_scale, other.log_scale)
        left = self.num_rows / jnp.maximum(total, 1) * jnp.exp(self.log_scale - top)
        right = other.num_rows / jnp.maximum(total, 1) * jnp.exp(other.log_scale - top)
        mean = left * self.relative_mean + right * other.relative_mean
        return type(self)(total, mean.astype(top.dtype), top)


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

    Returns:
      Moments of `size` rows, the covariance with divisor M.
    """
    if isinstance(size, int):
        update = chains_last(functools.partial(sample_moments, size))
        return Moments(np.int32(size), *update(scores, mean, log_scale, factor))
    return Moments(size, *chains_last(sample_moments)(size, scores, mean, log_scale, factor))

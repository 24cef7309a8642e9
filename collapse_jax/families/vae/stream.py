"""A corpus that is drawn while it is trained on: some rows, and a model for all others."""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.core.corpus import AbstractCorpus, Samples, Size
from collapse_jax.random.keys import Keys


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Stream(AbstractCorpus):
    """Rows that stay, and rows that a decoder makes anew every time they are asked for.

    Attributes:
      rows: those that stay, None if there are none.
      decoder: params of the decoder of all others, None if there are none.
      num_drawn: how many others an epoch has; int32 scalar.
      capacity: how many it may have at most, static.
    """

    rows: Samples | None
    decoder: Any
    num_drawn: Any
    capacity: int = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(cls, corpus: Any) -> "Stream":
        """Any corpus of images as a stream."""
        if isinstance(corpus, Stream):
            return corpus
        return cls(corpus, None, jnp.int32(0), 0)

    @property
    def size(self) -> Int[Array, ""]:
        """Number of rows of an epoch."""
        return self.num_drawn + (0 if self.rows is None else self.rows.size)

    @property
    def num_kept_slots(self) -> int:
        """Slots of the rows that stay; they come first."""
        return 0 if self.rows is None else self.rows.capacity

    def weights(self) -> Float[Array, " slot"]:
        """The weight of every slot: those of the rows that stay, then those of the others."""
        drawn = (jnp.arange(self.capacity) < self.num_drawn).astype(jnp.float32)
        if self.rows is None:
            return drawn
        return jnp.concatenate([self.rows.full_weights().astype(jnp.float32), drawn])

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Room for the rows that stay; the others need none."""
        if self.rows is None:
            return self
        return dataclasses.replace(self, rows=self.rows.with_capacity(capacity))

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """A subset of rows that stay."""
        if self.decoder is not None or self.rows is None:
            raise TypeError("a stream holds no rows to choose from; use corpus='samples'")
        rows = self.rows.subsample(keys, purpose, size, capacity, total)
        return dataclasses.replace(self, rows=rows)

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Rows of one and the model of the other."""
        if self.rows is not None and other.rows is not None:
            raise TypeError("a stream has one set of rows; use corpus='samples'")
        if self.decoder is not None and other.decoder is not None:
            raise TypeError("a stream has one model; use corpus='samples'")
        drawn = self if other.decoder is None else other
        rows = other.rows if self.rows is None else self.rows
        return dataclasses.replace(drawn, rows=rows)

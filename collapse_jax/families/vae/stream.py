"""Define a corpus that is drawn during training: stored rows, and a model for all others."""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.samples import Samples
from collapse_jax.random.keys import Keys


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Stream(AbstractCorpus):
    """Stored rows, and rows that a decoder draws again in every epoch.

    Attributes:
      rows: the stored rows, None if there are none.
      decoder: params of the decoder of the drawn rows, None if there are none.
      num_drawn: drawn rows of an epoch, int32 scalar.
      capacity: the most drawn rows of an epoch, static.
    """

    rows: Samples | None
    decoder: Any
    num_drawn: Any
    capacity: int = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(cls, corpus: Any) -> "Stream":
        """Return any corpus of images as a stream.

        Args:
          corpus: a stream, or samples of images.
        """
        if isinstance(corpus, Stream):
            return corpus
        return cls(corpus, None, jnp.int32(0), 0)

    @property
    def size(self) -> Int[Array, ""]:
        """Return the number of rows of an epoch."""
        return self.num_drawn + (0 if self.rows is None else self.rows.size)

    @property
    def num_stored_slots(self) -> int:
        """Return the number of slots of the stored rows, which precede the drawn rows."""
        return 0 if self.rows is None else self.rows.capacity

    def weights(self) -> Float[Array, " slot"]:
        """Return the weight of every slot: stored rows, then drawn rows, [slot]."""
        drawn = (jnp.arange(self.capacity) < self.num_drawn).astype(jnp.float32)
        if self.rows is None:
            return drawn
        return jnp.concatenate([self.rows.full_weights().astype(jnp.float32), drawn])

    def with_capacity(self, capacity: int, is_full: bool = False) -> Self:
        """Return the stream with buffers for so many stored rows; drawn rows need none."""
        if self.rows is None:
            return self
        return dataclasses.replace(self, rows=self.rows.with_capacity(capacity))

    def subsample(self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size) -> Self:
        """Return the stream with a subset of its stored rows."""
        if self.decoder is not None or self.rows is None:
            raise TypeError("a stream holds no rows to choose from; use corpus='samples'")
        rows = self.rows.subsample(keys, purpose, size, capacity, total)
        return dataclasses.replace(self, rows=rows)

    def merge(self, other: Any, start: Int[Array, ""]) -> Self:
        """Return the stored rows of one stream with the decoder of the other."""
        if self.rows is not None and other.rows is not None:
            raise TypeError("a stream has one set of rows; use corpus='samples'")
        if self.decoder is not None and other.decoder is not None:
            raise TypeError("a stream has one model; use corpus='samples'")
        drawn = self if other.decoder is None else other
        rows = other.rows if self.rows is None else self.rows
        return dataclasses.replace(drawn, rows=rows)

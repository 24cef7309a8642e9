"""Where a policy gets its rows: the newest model, and the source of original data."""

import dataclasses
from typing import Any

from jaxtyping import Array, Float, Int

from collapse_jax.corpus import AbstractCorpus, Size
from collapse_jax.family import AbstractFamily
from collapse_jax.policy import AbstractPolicy, Keep
from collapse_jax.random.keys import Keys
from collapse_jax.source import AbstractSource


@dataclasses.dataclass
class OriginalDraw:
    """(size, capacity) -> rows of the source, under its own rule for finite data."""

    family: AbstractFamily
    source: AbstractSource
    keys: Keys

    def __call__(self, size: Size, capacity: int) -> AbstractCorpus:
        """`size` rows, at most `capacity` (static)."""
        return self.family.original(self.keys, self.source, size, capacity)

    def independent(self, size: Size, capacity: int) -> AbstractCorpus:
        """`size` independent rows from p_0; finite data are drawn from with replacement."""
        return self.family.original(self.keys, self.source.independent, size, capacity)


@dataclasses.dataclass
class ModelDraw:
    """(size, capacity) -> rows from the newest model, and what else its family can do.

    Attributes:
      family: the family.
      source: p_0.
      params: the model of generation - 1.
      keys: random numbers of this generation.
      generation: of the corpus that is made.
      first: (params, corpus) of generation 0, where kept.
      keep: the verifier of drawn rows, if any.
      acceptance: share of the last draw that it accepted.
    """

    family: AbstractFamily
    source: AbstractSource
    params: Any
    keys: Keys
    generation: Int[Array, ""]
    first: Any
    keep: Keep | None
    acceptance: Float[Array, ""] | None = None

    def __call__(self, size: Size, capacity: int) -> AbstractCorpus:
        """`size` rows, at most `capacity` (static), that the verifier accepts."""
        arguments = (self.keys, self.params, size, capacity, self.first)
        if self.keep is None:
            return self.family.draw(*arguments)
        corpus, self.acceptance = self.family.draw_verified(*arguments, self.keep)
        return corpus

    @property
    def has_explicit_law(self) -> bool:
        """Whether mixtures of laws are laws of the same kind."""
        return self.family.has_explicit_law

    def mix(self, law: Any, shares: tuple[Array, Array, Array]) -> Any:
        """alpha times the model's law + beta `law` + gamma p_0; `law` may be None for beta = 0."""
        return self.family.mix_law(law, self.generation, self.params, self.source, shares)

    def from_law(self, law: Any, size: Size, capacity: int) -> AbstractCorpus:
        """`size` independent rows from a law."""
        return self.family.draw_law(
            self.keys, law, self.generation, self.source, size, capacity, self.first
        )

    def recalls_rows(self, policy: AbstractPolicy) -> bool:
        """Whether `remember` and `recall` stand in for a stored pool."""
        return policy.history == "rows" and self.family.recalls_rows

    def remember(self, models: Any) -> Any:
        """`models` with the newest one: its rows of this generation can be recalled."""
        return self.family.remember(models, self.generation, self.params)

    def recall(
        self, models: Any, generation: Int[Array, " row"], row: Int[Array, " row"], size: Size
    ) -> AbstractCorpus:
        """The rows that were drawn at these places of these generations; the first `size` count."""
        return self.family.recall(self.keys, models, generation, row, size, self.first)

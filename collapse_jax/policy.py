"""How the next corpus is made from the newest model, earlier data and the original."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax import check
from collapse_jax.corpus import AbstractCorpus
from collapse_jax.random.keys import Keys

Size = int | Int[Array, ""]
Draw = Callable[[Size, int], AbstractCorpus]  # (size, capacity) -> corpus
NumSamples = int | Sequence[int] | None


class AbstractPolicy(abc.ABC):
    """The rule that turns generation g into the corpus of generation g + 1."""

    num_samples: Any

    @property
    def uses_first(self) -> bool:
        """Whether `next` reads the corpus of generation 0."""
        return False

    @property
    def keeps_corpus(self) -> bool:
        """Whether `next` reads the previous corpus."""
        return False

    @property
    def has_fixed_size(self) -> bool:
        """Whether every corpus has M_0 rows."""
        return False

    def size(self, generation: int | Int[Array, ""]) -> Size:
        """M_g: an int where it is the same in every generation."""
        if isinstance(self.num_samples, int):
            return self.num_samples
        if len(set(self.num_samples)) == 1:
            return self.num_samples[0]
        return jnp.asarray(np.array(self.num_samples, np.int32))[generation]

    @property
    def initial_size(self) -> int:
        """M_0."""
        return self.num_samples if isinstance(self.num_samples, int) else self.num_samples[0]

    @property
    def largest_size(self) -> int:
        """The largest M_g."""
        return self.num_samples if isinstance(self.num_samples, int) else max(self.num_samples)

    def sizes(self, num_generations: int) -> np.ndarray:
        """M_0 .. M_G as int64."""
        if isinstance(self.num_samples, int):
            return np.full(num_generations + 1, self.num_samples, np.int64)
        return np.array(self.num_samples, np.int64)

    @abc.abstractmethod
    def capacity(self, num_generations: int) -> int:
        """Slots that the largest corpus of a run needs."""

    @abc.abstractmethod
    def validate(self, num_generations: int) -> None:
        """Raise ValueError if the policy cannot run that long."""

    @abc.abstractmethod
    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """The policy's memory after D_0."""

    @abc.abstractmethod
    def next(
        self,
        keys: Keys,
        generation: Int[Array, ""],
        model_draw: Draw,
        original_draw: Draw,
        corpus: AbstractCorpus | None,
        memory: Any,
        first: Any,
    ) -> tuple[AbstractCorpus, Any]:
        """The corpus of `generation` >= 1 and the memory after it.

        Args:
          keys: random numbers of this generation.
          generation: index of the corpus to make.
          model_draw: rows from the model of generation - 1.
          original_draw: rows from the source.
          corpus: that model's own corpus, None unless `keeps_corpus`.
          memory: what `init` or the last `next` returned.
          first: (params, corpus) of generation 0, None unless `uses_first`.
        """


def check_sizes(name: str, num_samples: NumSamples) -> int | tuple[int, ...] | None:
    """One size, or a tuple of sizes of which not all are equal."""
    if num_samples is None:
        return None
    remedy = "pass one int >= 1, or one per generation, num_generations + 1 in all"
    if isinstance(num_samples, (str, bytes)):
        raise check.fail(name, num_samples, "it must be an integer or a sequence", remedy)
    if not isinstance(num_samples, (Sequence, np.ndarray)) or np.ndim(num_samples) == 0:
        return check.integer(name, num_samples, 1, remedy=remedy)
    sizes = tuple(
        check.integer(f"{name}[{place}]", size, 1, remedy=remedy)
        for place, size in enumerate(num_samples)
    )
    if not sizes:
        raise check.fail(name, [], "it must not be empty", remedy)
    return sizes


def check_length(name: str, num_samples: Any, num_generations: int) -> None:
    """A schedule has one size for each of generations 0 .. G."""
    if isinstance(num_samples, tuple) and len(num_samples) != num_generations + 1:
        allowed = f"num_generations={num_generations} needs {num_generations + 1} sizes"
        remedy = "pass one int, or num_generations + 1 sizes"
        raise check.fail(f"len({name})", len(num_samples), allowed, remedy)

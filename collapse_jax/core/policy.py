"""How the next corpus is made from the newest model, earlier data and the original."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.random.keys import Keys
from collapse_jax.utils import check

NumSamples = int | Sequence[int] | None
Verifier = Callable[[Array], Array]
"""verifier(rows or states) -> a bool for each: which of a model's rows may be trained on."""


class AbstractPolicy(abc.ABC):
    """The rule that turns generation g into the corpus of generation g + 1."""

    num_samples: Any
    verifier: Verifier | None

    @property
    def uses_first(self) -> bool:
        """Whether `next` reads the corpus of generation 0."""
        return False

    @property
    def keeps_corpus(self) -> bool:
        """Whether `next` reads the previous corpus."""
        return False

    @property
    def is_growing(self) -> bool:
        """Whether what a state holds grows with the number of generations."""
        return False

    @property
    def history(self) -> str | None:
        """What the family remembers of earlier generations for `next`.

        "law": the law p_g of the newest corpus, for `ModelDraw.from_law`. "rows": what it
        takes to make any row of an earlier generation again, if the family can do that.
        Either becomes the policy's memory in place of what `init` returns.
        """
        return None

    @property
    def reuses_rows(self) -> bool:
        """Whether rows are trained on more than once, so that moments do not suffice."""
        return False

    @property
    def uses_model_only(self) -> bool:
        """Whether every row after generation 0 comes from the newest model."""
        return False

    @property
    def is_elementwise(self) -> bool:
        """Whether `next` adds nothing along an axis, see `AbstractFamily.is_elementwise`."""
        return False

    @property
    def has_fixed_size(self) -> bool:
        """Whether every corpus has M_0 rows."""
        return False

    @property
    def total_sizes(self) -> int | tuple[int, ...]:
        """What `size` tells, as one number or a tuple of M_0 .. M_G."""
        return self.num_samples

    def size(self, generation: int | Int[Array, ""]) -> Size:
        """M_g: an int where it is the same in every generation."""
        return size_at(self.total_sizes, generation)

    @property
    def initial_size(self) -> int:
        """M_0."""
        sizes = self.total_sizes
        return sizes if isinstance(sizes, int) else sizes[0]

    @property
    def largest_size(self) -> int:
        """The largest M_g."""
        sizes = self.total_sizes
        return sizes if isinstance(sizes, int) else max(sizes)

    @property
    def smallest_size(self) -> int:
        """The smallest M_g."""
        sizes = self.total_sizes
        return sizes if isinstance(sizes, int) else min(sizes)

    def sizes(self, num_generations: int) -> np.ndarray:
        """M_0 .. M_G as int64."""
        if isinstance(self.total_sizes, int):
            return np.full(num_generations + 1, self.total_sizes, np.int64)
        return np.array(self.total_sizes, np.int64)

    def largest_population(self, num_generations: int) -> int:
        """The most rows that a subset is ever chosen from."""
        return self.largest_size if self.reuses_rows else 0

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
        model_draw: Any,
        original_draw: Any,
        corpus: AbstractCorpus | None,
        memory: Any,
        first: Any,
    ) -> tuple[AbstractCorpus, Any]:
        """The corpus of `generation` >= 1 and the memory after it.

        Args:
          keys: random numbers of this generation.
          generation: index of the corpus to make.
          model_draw: a `ModelDraw`: (size, capacity) -> rows from the model of generation - 1,
            and what else the family can do.
          original_draw: an `OriginalDraw`: (size, capacity) -> rows from the source.
          corpus: that model's own corpus, None unless `keeps_corpus`.
          memory: what `init` or the last `next` returned.
          first: (params, corpus) of generation 0, None unless `uses_first`.
        """


def size_at(sizes: int | tuple[int, ...], generation: int | Int[Array, ""]) -> Size:
    """Entry `generation` of a schedule: an int where all are equal."""
    if isinstance(sizes, int):
        return sizes
    if len(set(sizes)) == 1:
        return sizes[0]
    return jnp.asarray(np.array(sizes, np.int32))[generation]


def check_verifier(name: str, verifier: Any) -> None:
    """A verifier is a function, or None."""
    if verifier is not None and not callable(verifier):
        remedy = "pass a function of rows (or states) that returns one bool for each, or None"
        raise check.fail(name, verifier, "it must be callable", remedy)


def check_sizes(name: str, num_samples: NumSamples, low: int = 1) -> int | tuple[int, ...] | None:
    """One size, or a tuple of sizes."""
    if num_samples is None:
        return None
    remedy = f"pass one int >= {low}, or one per generation, num_generations + 1 in all"
    if isinstance(num_samples, (str, bytes)):
        raise check.fail(name, num_samples, "it must be an integer or a sequence", remedy)
    if not isinstance(num_samples, (Sequence, np.ndarray)) or np.ndim(num_samples) == 0:
        return check.integer(name, num_samples, low, remedy=remedy)
    sizes = tuple(
        check.integer(f"{name}[{place}]", size, low, remedy=remedy)
        for place, size in enumerate(num_samples)
    )
    if not sizes:
        raise check.fail(name, [], "it must not be empty", remedy)
    return sizes


def check_length(name: str, schedule: Any, num_generations: int, entries: str = "sizes") -> None:
    """A schedule of sizes has an entry for each of generations 0 .. G."""
    if isinstance(schedule, tuple) and len(schedule) != num_generations + 1:
        allowed = f"num_generations={num_generations} needs {num_generations + 1} {entries}"
        remedy = f"pass one number, or num_generations + 1 {entries}"
        raise check.fail(f"len({name})", len(schedule), allowed, remedy)


def check_population(name: str, population: int, num_generations: int) -> None:
    """A pool must have fewer than 2^31 rows."""
    if population > check.MAX_SIZE:
        allowed = f"after num_generations={num_generations} the pool may hold 2^31 - 1 rows"
        raise check.fail("pool size", population, allowed, f"lower {name} or num_generations")

"""Train on a fixed number of rows out of everything made so far."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus
from collapse_jax.core.policy import AbstractPolicy, Recall, Step, Verifier
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.policies.checks import (
    check_length,
    check_population,
    check_selection,
    check_sizes,
)
from collapse_jax.policies.original_rows import (
    added,
    check_num_original,
    largest_of,
    pool_capacity,
    pool_size,
    with_new_rows,
)
from collapse_jax.random.keys import Purpose
from collapse_jax.random.subset import random_subset


@config
class AccumulateSubsample(AbstractPolicy):
    """D_{g+1} is as many rows of the pool as a generation adds, chosen without replacement.

    The pool holds D_0, the num_samples rows that each later generation drew from its model, and
    num_original new original rows of each: data accumulate, the cost of a fit does not (Shumailov
    et al. 2024, supplement; Kazdan et al., arXiv 2410.16713). D_0 is as many original rows as
    generation 0 has of both kinds.

    If a family can make the rows of an earlier generation again from their random numbers, and
    no original rows are added, the pool is never stored and memory does not grow with M.

    Args:
      num_samples: rows of the model that each generation adds, one number or one per generation
        0 .. G; None for the size of the original data.
      num_original: new original rows that each generation adds, >= 0, one number or one per
        generation 0 .. G.
      verifier: a verifier of the model's rows, see `Replace`.
      selection: what makes the model's part of the corpus from its rows, see `Replace`.

    Raises:
      ValueError: for sizes that are not integers, schedules of different lengths, or a pool that
        reaches 2^31 rows within the run.

    >>> import collapse_jax as cj
    >>> policy = cj.AccumulateSubsample(100)
    >>> policy.sizes(3).tolist(), policy.largest_population(3)
    ([100, 100, 100, 100], 400)
    """

    num_samples: int | Sequence[int] | None = static(default=None)
    num_original: int | Sequence[int] = static(default=0)
    verifier: Verifier | None = static(default=None)
    selection: AbstractSelection | None = static(default=None)

    def __post_init__(self) -> None:
        sizes = check_sizes("AccumulateSubsample.num_samples", self.num_samples)
        object.__setattr__(self, "num_samples", sizes)
        original = check_num_original("AccumulateSubsample", sizes, self.num_original)
        object.__setattr__(self, "num_original", original)
        check_selection(self, self.num_samples)

    @property
    def total_sizes(self) -> Any:
        """Return the numbers of rows that generations add and fit, of both kinds."""
        return None if self.num_samples is None else added(self.num_samples, self.num_original)

    @property
    def is_growing(self) -> bool:
        """Return True: the pool grows."""
        return True

    @property
    def reuses_rows(self) -> bool:
        """Return True: a row may be chosen in many generations."""
        return True

    @property
    def recalls(self) -> Recall | None:
        """Return ROWS, unless a selection decides which rows exist or the source adds some."""
        is_plain = self.selected_by is None and not largest_of(self.num_original)
        return Recall.ROWS if is_plain else None

    @property
    def has_fixed_size(self) -> bool:
        """Tell whether the schedule is constant and no row can be refused."""
        return isinstance(self.size(0), int) and not self.can_refuse

    def capacity(self, num_generations: int) -> int:
        """Return the slots of the largest corpus; the pool is memory."""
        return self.largest_size

    def largest_population(self, num_generations: int) -> int:
        """Return the slots of the pool."""
        return pool_capacity(self, num_generations)

    def validate(self, num_generations: int) -> None:
        """Refuse a schedule without G + 1 sizes, and a pool of 2^31 rows and more."""
        name = "AccumulateSubsample.num_samples"
        check_length(name, self.num_samples, num_generations)
        check_length("AccumulateSubsample.num_original", self.num_original, num_generations)
        check_population(name, self.largest_population(num_generations), num_generations)

    @property
    def reads_values(self) -> bool:
        """Return False: rows are passed on as they are."""
        return False

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Return the pool, for families that cannot make rows again."""
        return corpus.with_capacity(pool_capacity(self, num_generations))

    def next(self, step: Step) -> tuple[AbstractCorpus, Any]:
        """Return a subset of the pool after the rows of a generation were added."""
        size, capacity = self.size(step.generation), self.largest_size
        before = pool_size(self, step.generation)
        if step.model.recalls_rows:
            models = step.model.remember(step.memory)
            slots = random_subset(step.keys, Purpose.REUSE, before + size, size, capacity)
            made, row = self._origin(slots)
            return step.model.recall(models, made, row, size), models
        pool = with_new_rows(self, step, step.memory, before)
        chosen = pool.subsample(step.keys, Purpose.REUSE, size, capacity, before + size)
        return chosen.with_capacity(capacity, self.has_fixed_size), pool

    def _origin(self, slots: Int[Array, " row"]) -> tuple[Array, Array]:
        """Return the generation that made the row of a slot, and the row's index within it."""
        if isinstance(size := self.size(0), int):
            return slots // size, slots % size
        ends = np.cumsum(np.array(self.num_samples)).astype(np.int32)
        made = jnp.searchsorted(jnp.asarray(ends), slots, side="right").astype(jnp.int32)
        return made, slots - jnp.asarray(ends - np.array(self.num_samples, np.int32))[made]

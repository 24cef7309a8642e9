"""Train on everything made so far, original data included."""

from collections.abc import Sequence
from typing import Any

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus
from collapse_jax.core.policy import AbstractPolicy, Step, Verifier
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.core.state import Needs
from collapse_jax.policies.checks import (
    check_length,
    check_population,
    check_selection,
    check_sizes,
)
from collapse_jax.policies.original_rows import (
    added,
    check_num_original,
    pool_capacity,
    pool_size,
    with_new_rows,
)


@config
class Accumulate(AbstractPolicy):
    """D_{g+1} is D_g, num_samples rows drawn from model g, and num_original new original rows.

    Under it the error stays bounded (Gerstgrasser et al., arXiv 2404.01413); with original rows
    it tends to 0, the faster the larger their share is (arXiv 2602.16065). D_0 is as many
    original rows as generation 0 has of both kinds. New rows of a finite source are a new subset
    of its rows.

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
    >>> cj.Accumulate(100).capacity(num_generations=3)
    400
    >>> cj.Accumulate(90, num_original=10).sizes(3).tolist()
    [100, 100, 100, 100]
    """

    num_samples: int | Sequence[int] | None = static(default=None)
    num_original: int | Sequence[int] = static(default=0)
    verifier: Verifier | None = static(default=None)
    selection: AbstractSelection | None = static(default=None)

    def __post_init__(self) -> None:
        sizes = check_sizes("Accumulate.num_samples", self.num_samples)
        object.__setattr__(self, "num_samples", sizes)
        original = check_num_original("Accumulate", sizes, self.num_original)
        object.__setattr__(self, "num_original", original)
        check_selection(self, self.num_samples)

    @property
    def total_sizes(self) -> Any:
        """Return the numbers of rows that generations add, of both kinds."""
        return None if self.num_samples is None else added(self.num_samples, self.num_original)

    @property
    def needs(self) -> Needs:
        """Return the previous corpus: it is the pool."""
        return Needs(corpus=True)

    @property
    def is_growing(self) -> bool:
        """Return True: the pool grows."""
        return True

    @property
    def is_elementwise(self) -> bool:
        """Return True: pooling moments adds single numbers."""
        return True

    def capacity(self, num_generations: int) -> int:
        """Return the slots of the pool and of the last draws."""
        return pool_capacity(self, num_generations)

    def validate(self, num_generations: int) -> None:
        """Refuse a schedule without G + 1 sizes, and a pool of 2^31 rows and more."""
        name = "Accumulate.num_samples"
        check_length(name, self.num_samples, num_generations)
        check_length("Accumulate.num_original", self.num_original, num_generations)
        check_population(name, self.capacity(num_generations), num_generations)

    @property
    def reads_values(self) -> bool:
        """Return False: rows are passed on as they are."""
        return False

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Return None: the pool is the corpus."""
        return None

    def next(self, step: Step) -> tuple[AbstractCorpus, Any]:
        """Return the pool with the rows of a generation."""
        size = pool_size(self, step.generation)
        return with_new_rows(self, step, step.corpus, size), step.memory

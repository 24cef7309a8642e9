"""Train on what the newest model made and on new original rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus, join
from collapse_jax.core.policy import AbstractPolicy, FreshShare, Step, Verifier, size_at
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.policies.checks import check_length, check_selection, check_sizes
from collapse_jax.policies.original_rows import added, check_num_original, largest_of
from collapse_jax.policies.weights import check_weight, weighted


@config
class Fresh(AbstractPolicy):
    """D_{g+1} is num_samples rows drawn from model g and num_original new rows of the source.

    D_0 is as many original rows as both together. The fresh-data loop of Alemohammad et
    al., arXiv 2307.01850. New rows of a finite source are a new subset of its rows.

    Args:
      num_samples: rows from the model, one number or one per generation 0 .. G; None for
        the size of the original data.
      num_original: new original rows, >= 0, one number or one per generation 0 .. G.
      verifier: a verifier of the model's rows, see `Replace`.
      selection: what makes the model's part of the corpus from its rows, see `Replace`.
      weight: share of the total weight in a fit that original rows of D_1 .. D_G have, in (0, 1],
        for `Gaussian` (He et al., arXiv 2502.18049); None for rows of equal weight.

    Raises:
      ValueError: for sizes that are not integers, schedules of different lengths, or sums
        of 2^31 and more.

    >>> import collapse_jax as cj
    >>> cj.Fresh(90, num_original=10).sizes(2).tolist()
    [100, 100, 100]
    """

    num_samples: int | Sequence[int] | None = static(default=None)
    num_original: int | Sequence[int] = static(default=0)
    verifier: Verifier | None = static(default=None)
    selection: AbstractSelection | None = static(default=None)
    weight: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_samples", check_sizes("Fresh.num_samples", self.num_samples))
        original = check_num_original("Fresh", self.num_samples, self.num_original)
        object.__setattr__(self, "num_original", original)
        check_selection(self, self.num_samples)
        weight = check_weight("Fresh", self.weight, original)
        object.__setattr__(self, "weight", weight)

    @property
    def total_sizes(self) -> Any:
        """Return the numbers of synthetic and original rows, added."""
        return None if self.num_samples is None else added(self.num_samples, self.num_original)

    @property
    def has_fixed_size(self) -> bool:
        """Tell whether sums are constant, and no row can be refused or has another weight."""
        is_constant = isinstance(self.size(0), int)
        return is_constant and not self.can_refuse and self.weight is None

    @property
    def weighs_rows(self) -> bool:
        """Tell whether original rows have another weight."""
        return self.weight is not None

    @property
    def is_elementwise(self) -> bool:
        """Return True: pooling moments adds single numbers."""
        return True

    def capacity(self, num_generations: int) -> int:
        """Return the slots of the largest corpus."""
        return self.largest_size

    def validate(self, num_generations: int) -> None:
        """Refuse a schedule without G + 1 sizes."""
        check_length("Fresh.num_samples", self.num_samples, num_generations)
        check_length("Fresh.num_original", self.num_original, num_generations)

    @property
    def reads_values(self) -> bool:
        """Return False: rows are passed on as they are."""
        return False

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Return None: nothing is remembered."""
        return None

    def fresh_share(self, num_generations: int) -> FreshShare | None:
        """Return num_original / M_g, exact numbers of rows, if all rows have equal weights."""
        if type(self) is not Fresh or self.weight is not None:
            return None
        original = np.broadcast_to(self.num_original, num_generations + 1)
        return FreshShare(original[1:] / self.sizes(num_generations)[1:], "fixed")

    def next(self, step: Step) -> tuple[AbstractCorpus, Any]:
        """Return the model's rows, followed by the source's."""
        sizes, parts = [], []
        schedules: Any = (self.num_samples, self.num_original)
        for schedule, draw in zip(schedules, (step.model, step.original), strict=True):
            if (largest := largest_of(schedule)) > 0:
                sizes.append(size_at(schedule, step.generation))
                parts.append(draw(sizes[-1], largest))
        if self.weight is not None:
            return weighted(parts, sizes, self.weight, self.largest_size), step.memory
        return join(parts, sizes, self.largest_size, self.has_fixed_size), step.memory

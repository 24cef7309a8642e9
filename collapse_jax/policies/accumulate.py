"""Train on everything made so far, original data included."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

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


@config
class Accumulate(AbstractPolicy):
    """D_{g+1} is D_g together with num_samples rows drawn from model g.

    Under it the error stays bounded (Gerstgrasser et al., arXiv 2404.01413).

    Args:
      num_samples: rows that each generation adds, one number or M_0 .. M_G (M_0 is the
        size of D_0); None for the size of the original data.
      verifier: a verifier of the model's rows, see `Replace`.
      selection: what makes the model's part of the corpus from its rows, see `Replace`.

    Raises:
      ValueError: for sizes that are not integers in [1, 2^31), or a pool that
        reaches 2^31 rows within the run.

    >>> import collapse_jax as cj
    >>> cj.Accumulate(100).capacity(num_generations=3)
    400
    """

    num_samples: int | Sequence[int] | None = static(default=None)
    verifier: Verifier | None = static(default=None)
    selection: AbstractSelection | None = static(default=None)

    def __post_init__(self) -> None:
        sizes = check_sizes("Accumulate.num_samples", self.num_samples)
        object.__setattr__(self, "num_samples", sizes)
        check_selection(self, self.num_samples)

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
        """Return the slots of the pool and of the last draw."""
        return pool_capacity(self, num_generations)

    def validate(self, num_generations: int) -> None:
        """Refuse a schedule without G + 1 sizes, and a pool of 2^31 rows and more."""
        name = "Accumulate.num_samples"
        check_length(name, self.num_samples, num_generations)
        check_population(name, self.capacity(num_generations), num_generations)

    @property
    def reads_values(self) -> bool:
        """Return False: rows are passed on as they are."""
        return False

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Return None: the pool is the corpus."""
        return None

    def next(self, step: Step) -> tuple[AbstractCorpus, Any]:
        """Return the pool with M_g more rows."""
        new = step.model(self.size(step.generation), self.largest_size)
        size = pool_size(self, step.generation)
        return step.corpus.of_size(size).merge(new, size), step.memory


def pool_capacity(policy: AbstractPolicy, num_generations: int) -> int:
    """Return the slots for M_0 + ... + M_G rows, the last draw written with the largest size."""
    return int(np.sum(policy.sizes(num_generations)[:-1])) + policy.largest_size


def pool_size(policy: AbstractPolicy, generation: Int[Array, ""]) -> Int[Array, ""]:
    """Return M_0 + ... + M_{generation - 1}, the number of rows made before `generation`."""
    if isinstance(size := policy.size(generation), int):
        return jnp.asarray(size * generation, jnp.int32)
    pools = np.concatenate([[0], np.cumsum(np.array(policy.num_samples))])
    return jnp.asarray(pools.astype(np.int32))[generation]

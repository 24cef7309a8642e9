"""Train on everything made so far, original data included."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax import check
from collapse_jax.config import config, static
from collapse_jax.corpus import AbstractCorpus
from collapse_jax.policy import AbstractPolicy, Draw, Size, check_length, check_sizes
from collapse_jax.random.keys import Keys


@config
class Accumulate(AbstractPolicy):
    """D_{g+1} is D_g together with num_samples rows drawn from model g.

    Under it the error stays bounded (Gerstgrasser et al., arXiv 2404.01413).

    Args:
      num_samples: rows that each generation adds, one number or M_0 .. M_G (M_0 is the
        size of D_0); None for the size of the original data.

    Raises:
      ValueError: for sizes that are not integers in [1, 2^31), or a pool that
        reaches 2^31 rows within the run.
    """

    num_samples: int | Sequence[int] | None = static(default=None)

    def __post_init__(self) -> None:
        sizes = check_sizes("Accumulate.num_samples", self.num_samples)
        object.__setattr__(self, "num_samples", sizes)

    @property
    def keeps_corpus(self) -> bool:
        """The pool is the previous corpus."""
        return True

    def capacity(self, num_generations: int) -> int:
        """The pool, and room for the last draw's empty slots."""
        earlier = self.sizes(num_generations)[:-1]
        return int(np.sum(earlier)) + self.largest_size

    def validate(self, num_generations: int) -> None:
        """A schedule must have G + 1 sizes, and the pool fewer than 2^31 rows."""
        check_length("Accumulate.num_samples", self.num_samples, num_generations)
        pool = self.capacity(num_generations)
        if pool > check.MAX_SIZE:
            allowed = f"after num_generations={num_generations} the pool may hold 2^31 - 1 rows"
            raise check.fail(
                "pool size", pool, allowed, "lower Accumulate.num_samples or num_generations"
            )

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """The pool is the corpus: nothing more to remember."""
        return None

    def _pool_size(self, generation: Int[Array, ""]) -> Size:
        """Rows in D_{generation - 1}."""
        if isinstance(size := self.size(generation), int):
            return size * generation
        pools = np.concatenate([[0], np.cumsum(np.array(self.num_samples))])
        return jnp.asarray(pools.astype(np.int32))[generation]

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
        """The pool with M_g more rows."""
        assert corpus is not None
        new = model_draw(self.size(generation), self.largest_size)
        return corpus.merge(new, jnp.asarray(self._pool_size(generation), jnp.int32)), memory

"""A policy whose corpus size and share are inputs of the compiled program, not part of it."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus, join
from collapse_jax.core.policy import AbstractPolicy, Step, Verifier
from collapse_jax.core.state import Needs
from collapse_jax.random.binomial import binomial
from collapse_jax.random.keys import Purpose

MOST_ROWS = 1_000_000
"""The largest size M that the sliders offer."""
KINDS = ("replace", "mixing", "accumulate", "fresh")
"""The policies that the page offers, as the command line names them."""


@config
class Adjustable(AbstractPolicy):
    """Replace, Mixing, Accumulate or Fresh with M and a share that need no new compilation.

    Sizes of the library's policies are part of a program, since the size of D_0 is. Here D_0 has
    the largest size and is thrown away: generation 1 takes M new original rows and is generation 0
    of the chain that is looked at. Only families whose corpus is not rows run it at a cost that
    does not depend on the largest size.

    Args:
      kind: "replace", "mixing", "accumulate" or "fresh".
      rows: M, int32 scalar in [1, 1,000,000].
      share: gamma of Mixing, in [0, 1]; the others ignore it.
      original: original rows among the M of a generation, int32 scalar in [0, M], of Fresh and
        Accumulate; the others ignore it.
    """

    kind: str = static(default="replace")
    rows: Any = 100
    share: Any = 0.0
    original: Any = 0
    num_samples: int = static(default=MOST_ROWS)
    verifier: Verifier | None = static(default=None)

    @property
    def needs(self) -> Needs:
        """Return the previous corpus where it is the pool."""
        return Needs(corpus=self.kind == "accumulate")

    @property
    def is_elementwise(self) -> bool:
        """Return True: pooling moments adds single numbers."""
        return True

    @property
    def reads_values(self) -> bool:
        """Return False: rows are passed on as they are."""
        return False

    def capacity(self, num_generations: int) -> int:
        """Return the largest size: corpora without rows have no slots."""
        return self.num_samples

    def validate(self, num_generations: int) -> None:
        """Accept every number of generations."""

    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Return None: the pool is the corpus."""
        return None

    def next(self, step: Step) -> tuple[AbstractCorpus, Any]:
        """Return original rows in generation 1, and later those of the policy."""
        rows = jnp.asarray(self.rows, jnp.int32)
        corpus = jax.lax.cond(
            step.generation == 1,
            lambda: step.original.independent(rows, self.num_samples),
            lambda: self._later(step, rows),
        )
        return corpus, step.memory

    def _later(self, step: Step, rows: Int[Array, ""]) -> AbstractCorpus:
        most, share = self.num_samples, jnp.asarray(self.share, jnp.result_type(float))
        if self.kind == "replace":
            return step.model(rows, most)
        if self.kind == "mixing" and step.model.has_explicit_law:
            law = step.model.mix(None, (1 - share, jnp.zeros_like(share), share))
            return step.model.from_law(law, rows, most)
        if self.kind == "mixing":
            original = binomial(step.keys, Purpose.POLICY, rows, share, 1 - share)
        else:
            original = jnp.asarray(self.original, jnp.int32)
        sizes: list[Any] = [rows - original, original]
        parts = [step.model(sizes[0], most), step.original.independent(original, most)]
        if self.kind == "accumulate":
            sizes.insert(0, rows * (step.generation - 1))
            parts.insert(0, step.corpus)
        return join(parts, sizes, most, False)

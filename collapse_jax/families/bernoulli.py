"""Define Bernoulli laws: the share of ones, exact in law under every policy."""

from collections.abc import Mapping
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from collapse_jax.config import config
from collapse_jax.core.corpus import AbstractCorpus, Counts, Size
from collapse_jax.core.family import AbstractFamily, Fit
from collapse_jax.core.metric import Curve, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.core.source import AbstractSource, CountsSource
from collapse_jax.random.binomial import binomial
from collapse_jax.random.hypergeometric import check_population
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.utils import check
from collapse_jax.utils.status import Status


@config
class Bernoulli(AbstractFamily):
    """Bernoulli laws on the states 0 and 1, fitted by the share of ones.

    One generation, in order: M rows are drawn, each 1 with probability rate_g; rate_{g+1} is the
    share of ones. The number of ones is Binomial(M, rate_g), and one draw makes a generation, for
    every M. Rates 0 and 1 are absorbing. The law is that of `Discrete` with two states.

    Variables: `rate`, the probability of a 1, and `is_absorbed` (rate 0 or 1). `status` 2: the
    corpus is empty.

    Sources: `Categorical([1 - p, p])`, or `Empirical` of truth values or of labels 0 and 1.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Bernoulli(), cj.Categorical([0.9, 0.1]), cj.Replace(100))
    >>> records = cj.simulate(chain, key=0, num_chains=2000, num_generations=5)
    >>> records.theory["rate_variance"].values[[0, 5]].round(5).tolist()
    [0.0009, 0.00527]
    >>> bool(abs(records["rate"][5].var() - 0.00527) < 0.001)
    True
    """

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Refuse sources of other rows than 0 and 1."""
        is_binary = isinstance(source, CountsSource) and (source.num_states or 0) <= 2
        if not is_binary:
            name, states = type(source).__name__, source.num_states
            rows = "are no labels" if states is None else f"have {states} states"
            allowed = f"its rows {rows}, and Bernoulli needs labels 0 and 1"
            remedy = "pass Categorical([1 - p, p]) or Empirical of such labels, or use Discrete()"
            raise check.fail("Chain.source", name, allowed, remedy)
        return self

    def validate(self, policy: AbstractPolicy, num_generations: int) -> None:
        """Refuse subsets of more rows than hypergeometric draws can handle."""
        check_population(policy.largest_population(num_generations))

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """Return exact counts."""
        assert isinstance(source, CountsSource)
        counts = source.draw_counts(keys, size).counts
        return Counts(jnp.pad(counts, (0, 2 - len(counts))))

    def summarize(self, samples: Any) -> AbstractCorpus:
        """Return the counts of labels."""
        weights = samples.full_weights() > 0
        ones = jnp.sum((samples.rows == 1) & weights, dtype=jnp.int32)
        return Counts(jnp.stack([samples.size - ones, ones]))

    def fit(self, keys: Keys, corpus: Counts, previous: Any, generation0: Any) -> Fit:
        """Return the shares of zeros and ones, each precise relative to itself."""
        counts = corpus.counts.astype(jnp.result_type(float))
        total = corpus.counts[0] + corpus.counts[1]
        rows = jnp.maximum(total, 1).astype(counts.dtype)
        shares = jnp.where(corpus.counts == total, 1, counts / rows)
        status = jnp.where(total > 0, Status.OK, Status.DEGENERATE).astype(jnp.int32)
        return Fit(shares, status)

    def draw(
        self, keys: Keys, params: Float[Array, "2"], size: Size, capacity: int, generation0: Any
    ) -> AbstractCorpus:
        """Draw a binomial number of ones."""
        return self._draw(keys, Purpose.DRAW, params, size)

    def _draw(self, keys: Keys, purpose: int, law: Float[Array, "2"], size: Size) -> Counts:
        size = jnp.asarray(size, jnp.int32)
        ones = binomial(keys, purpose, size, law[1], law[0])
        return Counts(jnp.stack([size - ones, ones]))

    def draw_selected(
        self,
        keys: Keys,
        params: Float[Array, "2"],
        size: Size,
        capacity: int,
        generation0: Any,
        selection: AbstractSelection,
    ) -> AbstractCorpus:
        """Draw what the selection makes of the law of the model."""
        return Counts(*selection.counts(keys, params, size))

    @property
    def has_explicit_law(self) -> bool:
        """Return True: a mixture of two laws is a law of the family."""
        return True

    def start_law(
        self, params: Any, source: AbstractSource, num_generations: int
    ) -> Float[Array, "2"]:
        """Return p_0."""
        return self._truth(source)

    def mix_law(
        self,
        law: Float[Array, "2"] | None,
        generation: Any,
        params: Float[Array, "2"],
        source: AbstractSource,
        shares: tuple[Array, Array, Array],
    ) -> Float[Array, "2"]:
        """Return the mixed probabilities."""
        alpha, beta, gamma = shares
        mixed = alpha * params + gamma * self._truth(source)
        return mixed if law is None else mixed + beta * law

    def draw_law(
        self,
        keys: Keys,
        law: Float[Array, "2"],
        generation: Any,
        source: AbstractSource,
        size: Size,
        capacity: int,
        generation0: Any,
    ) -> AbstractCorpus:
        """Draw a binomial number of ones from a law."""
        return self._draw(keys, Purpose.HISTORY, law, size)

    def _truth(self, source: AbstractSource) -> Float[Array, "2"]:
        assert isinstance(source, CountsSource)
        return jnp.pad(source.law, (0, 2 - len(source.law)))

    def measure(
        self, params: Float[Array, "2"], corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Array]:
        """Return the rate."""
        return {"rate": params[1], "is_absorbed": (params[0] == 0) | (params[1] == 0)}

    def absorbed(self, params: Float[Array, "2"]) -> Bool[Array, ""]:
        """Tell whether one state is left."""
        return (params[0] == 0) | (params[1] == 0)

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name and unit of the default variables."""
        return {
            "rate": Quantity("fitted probability of a 1"),
            "is_absorbed": Quantity("one state is left"),
        }

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return expectations on a known law, without reused rows or a selection."""
        from collapse_jax.families.rate_theory import bernoulli_curves

        return bernoulli_curves(chain, sizes)

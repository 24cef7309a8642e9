"""What a generation's model is: how it is fitted, drawn from, and measured."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from collapse_jax.core import history
from collapse_jax.core.corpus import AbstractCorpus, Samples, Size, prefix_weights
from collapse_jax.core.host_context import HostContext
from collapse_jax.core.policy import AbstractPolicy, Verifier
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.utils import check

OK, NON_FINITE, DEGENERATE, FLOORED = 0, 1, 2, 3
"""Codes of `status`; chains with NON_FINITE or DEGENERATE freeze."""

_MOST_ROUNDS = 256

Metric = Callable[[Key[Array, ""], Any, Any, AbstractCorpus, AbstractSource, Any], Array]
"""metric(key, family, params, corpus, source, first) -> array."""


class Fit(NamedTuple):
    """A fitted model.

    Attributes:
      params: what `draw` and `measure` need.
      status: int32 code, or the int 0 where a fit cannot fail.
      info: what else is worth recording of the fit, by name.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> cj.Fit(params=jnp.zeros(3)).status
    0
    """

    params: Any
    status: int | Int[Array, ""] = OK
    info: Mapping[str, Array] = {}


def verdict(verifier: Verifier, rows: Array, count: int) -> Bool[Array, " row"]:
    """What a verifier says of `count` rows or states.

    Raises:
      ValueError: if that is not one truth value for each.
    """
    accepted = jnp.asarray(verifier(rows))
    if accepted.shape != (count,):
        shown = check.Shown(f"array of shape {accepted.shape}")
        allowed = f"for {count} rows it must return one bool each, shape ({count},)"
        remedy = "reduce over the axes of a row, e.g. verifier=lambda rows: abs(rows[:, 0]) < 2"
        raise check.fail("result of verifier", shown, allowed, remedy)
    return accepted.astype(bool)


class AbstractFamily(abc.ABC):
    """A family of models; every method handles one chain and is pure.

    A family of your own is a frozen class decorated with `collapse_jax.config.config` that has
    `fit`, `draw` and `measure`; `collapse_jax.testing.check_family` says whether it keeps the
    rules. examples/custom_family.py is one.
    """

    @property
    def keeps_corpus(self) -> bool:
        """Whether `measure` reads the corpus."""
        return False

    @property
    def uses_first(self) -> bool:
        """Whether a method reads generation 0."""
        return False

    @property
    def uses_first_corpus(self) -> bool:
        """Whether that includes its corpus, not only its model."""
        return self.uses_first

    @property
    def runs_in_turn(self) -> bool:
        """Whether `fit` takes chains one after the other on CPU, see `sequential_on_cpu`.

        Wide batches then gain nothing.
        """
        return False

    @property
    def runs_alone(self) -> bool:
        """Whether a chain by itself keeps a CPU busy: none shares its program there."""
        return False

    @property
    def runs_on_host(self) -> bool:
        """Whether fit, draw and measure are Python that calls compiled programs of its own."""
        return False

    @property
    def outline(self) -> "AbstractFamily":
        """A family whose methods can be traced for the shapes of this one's results."""
        return self

    def at(self, place: HostContext) -> Self:
        """The family, at work in a place; for those that run on the host."""
        del place
        return self

    @property
    def stores_corpus(self) -> bool:
        """Whether a state can hold the corpus for metrics to read: not if it is never stored."""
        return True

    @property
    def is_elementwise(self) -> bool:
        """Whether a chain is single numbers, never added along an axis.

        The order of such additions, and so their rounding, depends on how many chains
        share a call; chains that have them run in batches of one fixed width.
        """
        return False

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """The family with its open choices (states, corpus) made for a chain; itself by default.

        Raises:
          ValueError: if the source's rows do not fit, or the corpus does not suffice.
        """
        del source, policy
        return self

    def validate(self, policy: AbstractPolicy, num_generations: int) -> None:
        """Raise ValueError if the corpus cannot serve the policy for that long."""
        del policy, num_generations

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """`size` original rows as this family's corpus, at most `capacity` (static)."""
        return self.summarize(source.draw(keys, size, capacity))

    @abc.abstractmethod
    def fit(self, keys: Keys, corpus: Any, previous: Any, first: Any) -> Fit:
        """The model fitted to a corpus.

        Args:
          keys: random numbers of this generation.
          corpus: D_g.
          previous: params of generation g - 1, None for g = 0.
          first: (params, corpus) of generation 0, None unless `uses_first`.
        """

    @abc.abstractmethod
    def draw(
        self, keys: Keys, params: Any, size: Size, capacity: int, first: Any
    ) -> AbstractCorpus:
        """`size` rows from a model, at most `capacity` (static)."""

    def draw_verified(
        self, keys: Keys, params: Any, size: Size, capacity: int, first: Any, verifier: Verifier
    ) -> tuple[AbstractCorpus, Float[Array, ""]]:
        """`size` rows that the verifier accepts, drawn until there are so many, and the share accepted.

        Slots stay empty if in 256 rounds of `capacity` rows too few are accepted.
        """

        def draw(round: Array | int) -> tuple[Any, Array]:
            keys_of_round = keys.branch(Purpose.VERIFY, round)
            drawn: Any = self.draw(keys_of_round, params, capacity, capacity, first)
            return drawn, verdict(verifier, drawn.absolute_rows, capacity)

        def fill(rows: Array, filled: Array, drawn: Array, accepted: Array) -> Array:
            place = jnp.where(accepted, filled + jnp.cumsum(accepted) - 1, capacity)
            return rows.at[place].set(drawn, mode="drop")

        def again(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            round, rows, filled = carry
            drawn, accepted = draw(round)
            rows = fill(rows, filled, drawn.rows, accepted)
            return round + 1, rows, filled + jnp.sum(accepted, dtype=jnp.int32)

        start, accepted = draw(0)
        filled = jnp.sum(accepted, dtype=jnp.int32)
        rows = fill(jnp.zeros_like(start.rows), jnp.int32(0), start.rows, accepted)
        _, rows, filled = jax.lax.while_loop(
            lambda carry: (carry[2] < size) & (carry[0] < _MOST_ROUNDS),
            again,
            (jnp.int32(1), rows, filled),
        )
        weights = prefix_weights(jnp.minimum(filled, size), capacity)
        return dataclasses.replace(start, rows=rows, weights=weights), jnp.mean(
            accepted, dtype=float
        )

    @property
    def has_explicit_law(self) -> bool:
        """Whether a mixture of laws is a law of the same kind, as on finitely many states."""
        return False

    def start_law(self, params: Any, source: AbstractSource, num_generations: int) -> Any:
        """p_0, in the form in which `mix_law` goes on: here with room for all models."""
        return history.start(params, num_generations)

    def mix_law(
        self,
        law: Any,
        generation: Int[Array, ""],
        params: Any,
        source: AbstractSource,
        shares: tuple[Array, Array, Array],
    ) -> Any:
        """alpha model + beta law + gamma p_0."""
        return history.mix(law, generation, params, shares)

    def draw_law(
        self,
        keys: Keys,
        law: Any,
        generation: Int[Array, ""],
        source: AbstractSource,
        size: Size,
        capacity: int,
        first: Any,
    ) -> AbstractCorpus:
        """`size` independent rows from a law."""
        return history.draw(
            keys,
            law,
            generation,
            size,
            capacity,
            lambda keys, params, size, capacity: self.draw(keys, params, size, capacity, first),
            lambda keys, size, capacity: self.original(keys, source.independent, size, capacity),
        )

    @property
    def recalls_rows(self) -> bool:
        """Whether `remember` and `recall` can make any earlier row again."""
        return False

    def start_rows(self, params: Any, num_generations: int) -> Any:
        """Room for what `recall` needs of every generation."""
        return history.room_for(params, num_generations)

    def remember(self, models: Any, generation: Int[Array, ""], params: Any) -> Any:
        """Note the model that the rows of `generation` are drawn from."""
        return history.store(models, generation - 1, params)

    def recall(
        self,
        keys: Keys,
        models: Any,
        generation: Int[Array, " row"],
        row: Int[Array, " row"],
        size: Size,
        first: Any,
    ) -> AbstractCorpus:
        """Rows number `row` of the draws of `generation` >= 0; the first `size` count."""
        raise NotImplementedError

    def summarize(self, samples: Samples) -> AbstractCorpus:
        """Rows as this family's corpus: the rows themselves by default."""
        return samples

    @abc.abstractmethod
    def measure(
        self, params: Any, corpus: AbstractCorpus | None, source: AbstractSource, first: Any
    ) -> dict[str, Float[Array, "..."]]:
        """The default variables of a model."""

    def absorbed(self, params: Any) -> Bool[Array, ""] | None:
        """Whether the chain can never change again; None if that cannot happen."""
        return None

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Variables that are recorded on request only, by name."""
        return {}

    @property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the axes of each variable that is not a scalar."""
        return {}

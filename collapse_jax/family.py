"""What a generation's model is: how it is fitted, drawn from, and measured."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from jaxtyping import Array, Bool, Float, Int, Key

from collapse_jax.corpus import AbstractCorpus, Samples
from collapse_jax.policy import AbstractPolicy
from collapse_jax.random.keys import Keys
from collapse_jax.source import AbstractSource

OK, NON_FINITE, DEGENERATE, FLOORED = 0, 1, 2, 3
"""Codes of `status`; chains with NON_FINITE or DEGENERATE freeze."""

Metric = Callable[[Key[Array, ""], Any, Any, AbstractCorpus, AbstractSource, Any], Array]
"""metric(key, family, params, corpus, source, first) -> array."""


class Fit(NamedTuple):
    """A fitted model.

    Attributes:
      params: what `draw` and `measure` need.
      status: int32 code, or the int 0 where a fit cannot fail.
      info: what else is worth recording of the fit, by name.
    """

    params: Any
    status: int | Int[Array, ""] = OK
    info: Mapping[str, Array] = {}


class AbstractFamily(abc.ABC):
    """A family of models; every method handles one chain and is pure."""

    @property
    def keeps_corpus(self) -> bool:
        """Whether `measure` reads the corpus."""
        return False

    @property
    def uses_first(self) -> bool:
        """Whether a method reads generation 0."""
        return False

    @property
    def is_elementwise(self) -> bool:
        """Whether a chain is single numbers, never added along an axis.

        The order of such additions, and so their rounding, depends on how many chains
        share a call; chains that have them run in batches of one fixed width.
        """
        return False

    @abc.abstractmethod
    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """The family with its open choices (states, corpus) made for a chain.

        Raises:
          ValueError: if the source's rows do not fit, or the corpus does not suffice.
        """

    @abc.abstractmethod
    def original(
        self, keys: Keys, source: AbstractSource, size: int, capacity: int
    ) -> AbstractCorpus:
        """`size` original rows as this family's corpus."""

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
        self, keys: Keys, params: Any, size: int | Int[Array, ""], capacity: int, first: Any
    ) -> AbstractCorpus:
        """`size` rows from a model, at most `capacity` (static)."""

    @abc.abstractmethod
    def summarize(self, samples: Samples) -> AbstractCorpus:
        """Rows as this family's corpus."""

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

"""One chain of generations: a source fills a corpus, a family fits it, a policy makes the next."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from collapse_jax.config import config
from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.family import DEGENERATE, NON_FINITE, AbstractFamily, Fit, Metric
from collapse_jax.core.policy import AbstractPolicy, Verifier
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.utils import check


@dataclasses.dataclass
class OriginalDraw:
    """(size, capacity) -> rows of the source, under its own rule for finite data."""

    family: AbstractFamily
    source: AbstractSource
    keys: Keys

    def __call__(self, size: Size, capacity: int) -> AbstractCorpus:
        """`size` rows, at most `capacity` (static)."""
        return self.family.original(self.keys, self.source, size, capacity)

    def independent(self, size: Size, capacity: int) -> AbstractCorpus:
        """`size` independent rows from p_0; finite data are drawn from with replacement."""
        return self.family.original(self.keys, self.source.independent, size, capacity)


@dataclasses.dataclass
class ModelDraw:
    """(size, capacity) -> rows from the newest model, and what else its family can do.

    Attributes:
      family: the family.
      source: p_0.
      params: the model of generation - 1.
      keys: random numbers of this generation.
      generation: of the corpus that is made.
      first: (params, corpus) of generation 0, where kept.
      verifier: of drawn rows, if any.
      acceptance: share of the last draw that it accepted.
    """

    family: AbstractFamily
    source: AbstractSource
    params: Any
    keys: Keys
    generation: Int[Array, ""]
    first: Any
    verifier: Verifier | None
    acceptance: Float[Array, ""] | None = None

    def __call__(self, size: Size, capacity: int) -> AbstractCorpus:
        """`size` rows, at most `capacity` (static), that the verifier accepts."""
        arguments = (self.keys, self.params, size, capacity, self.first)
        if self.verifier is None:
            return self.family.draw(*arguments)
        corpus, self.acceptance = self.family.draw_verified(*arguments, self.verifier)
        return corpus

    @property
    def has_explicit_law(self) -> bool:
        """Whether mixtures of laws are laws of the same kind."""
        return self.family.has_explicit_law

    def mix(self, law: Any, shares: tuple[Array, Array, Array]) -> Any:
        """alpha times the model's law + beta `law` + gamma p_0; `law` may be None for beta = 0."""
        return self.family.mix_law(law, self.generation, self.params, self.source, shares)

    def from_law(self, law: Any, size: Size, capacity: int) -> AbstractCorpus:
        """`size` independent rows from a law."""
        return self.family.draw_law(
            self.keys, law, self.generation, self.source, size, capacity, self.first
        )

    def recalls_rows(self, policy: AbstractPolicy) -> bool:
        """Whether `remember` and `recall` stand in for a stored pool."""
        return policy.history == "rows" and self.family.recalls_rows

    def remember(self, models: Any) -> Any:
        """`models` with the newest one: its rows of this generation can be recalled."""
        return self.family.remember(models, self.generation, self.params)

    def recall(
        self, models: Any, generation: Int[Array, " row"], row: Int[Array, " row"], size: Size
    ) -> AbstractCorpus:
        """The rows that were drawn at these places of these generations; the first `size` count."""
        return self.family.recall(self.keys, models, generation, row, size, self.first)


class ChainState(NamedTuple):
    """A chain after a generation.

    Attributes:
      params: the newest model.
      corpus: what it was fitted to, or None where nothing reads it.
      memory: the policy's own.
      first: (params, corpus) of generation 0; each None where nothing reads it.
      status: int32 code, or None for a family whose fit cannot fail.

    >>> import jax
    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> shapes = jax.eval_shape(lambda key: chain.init(key, num_generations=10), jax.random.key(0))
    >>> isinstance(shapes, cj.ChainState), shapes.params.mean.shape
    (True, (1,))
    """

    params: Any
    corpus: Any
    memory: Any
    first: Any
    status: Int[Array, ""] | None


class Verified(NamedTuple):
    """The policy's memory, and the share of the model's rows that the verifier accepted."""

    memory: Any
    acceptance: Float[Array, ""]


class Retained(NamedTuple):
    """What a state holds beyond the newest model."""

    corpus: bool
    first: bool
    first_corpus: bool

    def part_of(self, state: ChainState) -> ChainState:
        """What is held of a state that has everything."""
        params, corpus = state.first
        first = (params, corpus if self.first_corpus else None) if self.first else None
        return state._replace(corpus=state.corpus if self.corpus else None, first=first)


EVERYTHING = Retained(corpus=True, first=True, first_corpus=True)


@config
class Chain:
    """A family, a source and a policy: everything that defines a chain but its randomness.

    One generation, in order: the policy makes D_{g+1} with the model of generation g,
    the family fits model g+1 to it. Generation 0 is the model fitted to D_0 ~ p_0.

    Args:
      family: what the models are, e.g. ``Gaussian(dim=1)``.
      source: where original data come from, e.g. ``Normal(0.0, 1.0)``.
      policy: what each model is trained on, e.g. ``Replace(num_samples=100)``.

    Raises:
      ValueError: if one is of the wrong kind or they do not fit each other.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Discrete(), cj.Categorical([0.7, 0.2, 0.1]), cj.Replace(100))
    >>> chain.family.num_states, chain.policy.initial_size
    (3, 100)
    """

    family: AbstractFamily
    source: AbstractSource
    policy: AbstractPolicy

    def __post_init__(self) -> None:
        kinds = {"family": AbstractFamily, "source": AbstractSource, "policy": AbstractPolicy}
        for name, kind in kinds.items():
            allowed = f"it must be a {name}, an instance of {kind.__name__}"
            remedy = f"pass an object of collapse_jax's {name} classes or your own subclass"
            check.instance(f"Chain.{name}", getattr(self, name), kind, allowed, remedy)
        given = {name: getattr(self, name) for name in kinds}
        object.__setattr__(self, "_given", given)  # no field: nothing that a program depends on
        if self.policy.num_samples is None:
            if self.source.num_rows is None:
                name = f"{type(self.policy).__name__}.num_samples"
                allowed = f"{type(self.source).__name__} has no number of rows of its own"
                raise check.fail(name, None, allowed, "pass num_samples=100, say")
            policy = dataclasses.replace(self.policy, num_samples=self.source.num_rows)  # pyright: ignore
            object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "family", self.family.resolve(self.source, self.policy))

    @property
    def given(self) -> dict[str, Any]:
        """Family, source and policy as they were given, their open choices not yet made."""
        return dict(self.__dict__["_given"])

    def retained(self, metrics: Sequence[str | Metric] = ()) -> Retained:
        """What states must hold for the policy, the family and these metrics."""
        asked = len(metrics) > 0 and self.family.stores_corpus
        rows = asked or self.policy.uses_first or self._history == "rows"
        return Retained(
            corpus=asked or self.policy.keeps_corpus or self.family.keeps_corpus,
            first=rows or self.family.uses_first,
            first_corpus=rows or (self.family.uses_first and self.family.uses_first_corpus),
        )

    @property
    def _history(self) -> str | None:
        """The policy's history, as far as the family has one."""
        history = self.policy.history
        return None if history == "rows" and not self.family.recalls_rows else history

    @property
    def is_elementwise(self) -> bool:
        """Whether a chain is single numbers, see `AbstractFamily.is_elementwise`."""
        parts = (self.family, self.source, self.policy)
        return all(part.is_elementwise for part in parts)

    def validate(self, num_generations: int) -> None:
        """Raise ValueError if the chain cannot run that long."""
        self.policy.validate(num_generations)
        self.family.validate(self.policy, num_generations)

    def init(
        self, chain_key: Key[Array, ""], num_generations: int, retained: Retained = EVERYTHING
    ) -> ChainState:
        """Generation 0: original data, and the model fitted to them."""
        check.one_chain("chain_key", chain_key)
        keys = Keys(chain_key, jnp.int32(0))
        policy, family = self.policy, self.family
        size = policy.initial_size
        corpus = family.original(keys, self.source, size, size)
        corpus = corpus.with_capacity(policy.capacity(num_generations), policy.has_fixed_size)
        fit = family.fit(keys, corpus, None, None)
        if self._history == "law":
            memory = family.start_law(fit.params, self.source, num_generations)
        elif self._history == "rows":
            memory = family.start_rows(fit.params, num_generations)
        else:
            memory = policy.init(corpus, num_generations)
        if policy.verifier is not None:
            memory = Verified(memory, jnp.asarray(jnp.nan))
        status = None if isinstance(fit.status, int) else fit.status
        return retained.part_of(
            ChainState(fit.params, corpus, memory, (fit.params, corpus), status)
        )

    def step(
        self, chain_key: Key[Array, ""], generation: Int[Array, ""], state: ChainState
    ) -> ChainState:
        """The state of `generation` from that of the one before."""
        check.one_chain("chain_key", chain_key)
        keys = Keys(chain_key, generation)
        family, source, first = self.family, self.source, state.first
        verifier = self.policy.verifier
        model_draw = ModelDraw(family, source, state.params, keys, generation, first, verifier)
        corpus, memory = self.policy.next(
            keys,
            generation,
            model_draw,
            OriginalDraw(family, source, keys),
            state.corpus,
            state.memory if verifier is None else state.memory.memory,
            first,
        )
        if verifier is not None:
            assert model_draw.acceptance is not None
            memory = Verified(memory, model_draw.acceptance)
        fit = family.fit(keys, corpus, state.params, first)
        kept = None if state.corpus is None else corpus
        return _freeze(state, ChainState(fit.params, kept, memory, state.first, None), fit)

    def measure(
        self,
        chain_key: Key[Array, ""],
        generation: Int[Array, ""],
        state: ChainState,
        metrics: Sequence[str | Metric] = (),
    ) -> dict[str, Array]:
        """The variables of a generation; NaN where the chain is frozen."""
        family = self.family
        key = Keys(chain_key, generation).key(Purpose.METRIC)
        values = family.measure(state.params, state.corpus, self.source, state.first)
        for metric in metrics:
            function = family.optional_metrics[metric] if isinstance(metric, str) else metric
            name = metric if isinstance(metric, str) else metric.__name__
            values[name] = jnp.asarray(
                function(key, family, state.params, state.corpus, self.source, state.first)
            )
        if self.policy.verifier is not None:
            values["acceptance"] = state.memory.acceptance
        if state.status is None:
            return {**values, "status": jnp.int8(0)}
        frozen = is_frozen(state.status)
        for name, value in values.items():
            if jnp.issubdtype(value.dtype, jnp.floating):
                values[name] = jnp.where(frozen, jnp.nan, value)
        return {**values, "status": state.status.astype(jnp.int8)}

    def event(self, state: ChainState) -> Bool[Array, ""]:
        """Whether the chain is absorbed or has a status other than ok."""
        absorbed = self.family.absorbed(state.params)
        event = jnp.bool_(False) if absorbed is None else absorbed
        return event if state.status is None else event | (state.status > 0)


def is_frozen(status: Int[Array, ""]) -> Bool[Array, ""]:
    """Whether a chain with this status takes no further step."""
    return (status == NON_FINITE) | (status == DEGENERATE)


def _freeze(old: ChainState, new: ChainState, fit: Fit) -> ChainState:
    """The new state, or the old one with its status if that was frozen.

    A frozen chain's memory serves nothing, and a pool may be large: it is passed on.
    """
    if old.status is None:
        return new
    frozen = is_frozen(old.status)
    new = new._replace(status=jnp.asarray(fit.status, jnp.int32))
    held = jax.tree.map(
        lambda before, after: jnp.where(frozen, before, after),
        old._replace(memory=None),
        new._replace(memory=None),
    )
    return held._replace(memory=new.memory)

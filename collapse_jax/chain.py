"""One chain of generations: a source fills a corpus, a family fits it, a policy makes the next."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from collapse_jax import check
from collapse_jax.config import config, replace_fields
from collapse_jax.family import DEGENERATE, NON_FINITE, AbstractFamily, Fit, Metric
from collapse_jax.policy import AbstractPolicy
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.source import AbstractSource


class ChainState(NamedTuple):
    """A chain after a generation.

    Attributes:
      params: the newest model.
      corpus: what it was fitted to, or None where nothing reads it.
      memory: the policy's own.
      first: (params, corpus) of generation 0, or None where nothing reads it.
      status: int32 code, or None for a family whose fit cannot fail.
    """

    params: Any
    corpus: Any
    memory: Any
    first: Any
    status: Int[Array, ""] | None


class Keep(NamedTuple):
    """What a state holds beyond the newest model."""

    corpus: bool
    first: bool


EVERYTHING = Keep(corpus=True, first=True)


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
        if self.policy.num_samples is None:
            if self.source.num_rows is None:
                name = f"{type(self.policy).__name__}.num_samples"
                allowed = f"{type(self.source).__name__} has no number of rows of its own"
                raise check.fail(name, None, allowed, "pass num_samples=100, say")
            policy = replace_fields(self.policy, num_samples=self.source.num_rows)
            object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "family", self.family.resolve(self.source, self.policy))

    def keep(self, metrics: Sequence[str | Metric] = ()) -> Keep:
        """What states must hold for the policy, the family and these metrics."""
        asked = len(metrics) > 0
        return Keep(
            corpus=asked or self.policy.keeps_corpus or self.family.keeps_corpus,
            first=asked or self.policy.uses_first or self.family.uses_first,
        )

    @property
    def is_elementwise(self) -> bool:
        """Whether a chain is single numbers, see `AbstractFamily.is_elementwise`."""
        return self.family.is_elementwise and self.source.is_elementwise

    def init(
        self, chain_key: Key[Array, ""], num_generations: int, keep: Keep = EVERYTHING
    ) -> ChainState:
        """Generation 0: original data, and the model fitted to them."""
        check.one_chain("chain_key", chain_key)
        keys = Keys(chain_key, jnp.int32(0))
        policy, family = self.policy, self.family
        size = policy.initial_size
        corpus = family.original(keys, self.source, size, size)
        corpus = corpus.with_capacity(policy.capacity(num_generations), policy.has_fixed_size)
        memory = policy.init(corpus, num_generations)
        fit = family.fit(keys, corpus, None, None)
        first = (fit.params, corpus) if keep.first else None
        status = None if isinstance(fit.status, int) else fit.status
        return ChainState(fit.params, corpus if keep.corpus else None, memory, first, status)

    def step(
        self, chain_key: Key[Array, ""], generation: Int[Array, ""], state: ChainState
    ) -> ChainState:
        """The state of `generation` from that of the one before."""
        check.one_chain("chain_key", chain_key)
        keys = Keys(chain_key, generation)
        family, policy = self.family, self.policy
        corpus, memory = policy.next(
            keys,
            generation,
            lambda size, capacity: family.draw(keys, state.params, size, capacity, state.first),
            lambda size, capacity: family.original(keys, self.source, int(size), capacity),
            state.corpus,
            state.memory,
            state.first,
        )
        fit = family.fit(keys, corpus, state.params, state.first)
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
    """The new state, or the old one with its status if that was frozen."""
    if old.status is None:
        return new
    frozen = is_frozen(old.status)
    new = new._replace(status=jnp.asarray(fit.status, jnp.int32))
    return jax.tree.map(lambda before, after: jnp.where(frozen, before, after), old, new)

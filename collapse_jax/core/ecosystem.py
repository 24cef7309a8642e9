"""Models that train on each other's rows: several models of one family as one chain."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.config import config, static
from collapse_jax.core.chain import Chain
from collapse_jax.core.checks import check_part
from collapse_jax.core.corpus import AbstractCorpus, Size, join
from collapse_jax.core.family import AbstractFamily, Fit, Schedule
from collapse_jax.core.metric import Curve, Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.source import AbstractSource
from collapse_jax.core.state import InitialGeneration, Needs
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.multinomial import multinomial
from collapse_jax.utils import check
from collapse_jax.utils.row_shares import square_shares
from collapse_jax.utils.status import Status

_ROUNDING = 1e-6  # of sums of weights: a smaller rest is no share of original rows
_MOST_MODELS = 256  # each is traced: more take minutes to compile


@config
class Ecosystem:
    """Models that train on each other's rows, for `simulate`.

    Of the rows of model i's next corpus, each comes from model j with probability weights[i][j],
    and with the rest of row i from model i's original source. All models have the family of the
    chain and the sizes of its policy `Replace`; D_0 of each is original rows. Records have a
    dimension "model".

    Args:
      chain: family, source and `Replace` of a single model.
      weights: [model, model], shares >= 0, at most 1 in each row.
      sources: original source of each model; None for that of the chain.

    Raises:
      ValueError: for weights that are no such shares, another number of sources, sources of other
        rows, or a chain whose policy is not `Replace` without a selection.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(20))
    >>> ecosystem = cj.Ecosystem(chain, weights=[[0.9, 0.1], [0.0, 1.0]])
    >>> records = cj.simulate(ecosystem, key=0, num_chains=8, num_generations=3)
    >>> records.variables["log_std"].dims
    ('generation', 'chain', 'model')
    """

    chain: Chain
    weights: Any
    sources: Sequence[AbstractSource] | None = None

    def __post_init__(self) -> None:
        remedy = "pass Chain(family, source, Replace(...))"
        check.instance("Ecosystem.chain", self.chain, Chain, "it must be a Chain", remedy)
        policy = self.chain.policy
        if not policy.uses_model_only or policy.selected_by is not None:
            shown = check.Shown(type(policy).__name__)
            allowed = "the weights tell where rows come from: the policy must be Replace"
            raise check.fail(
                "Ecosystem.chain.policy", shown, f"{allowed}, without selection", remedy
            )
        family = self.chain.family
        if family.schedule.on_host or family.needs.generation0:
            shown, allowed = (
                check.Shown(type(family).__name__),
                "its models need the host or model 0",
            )
            raise check.fail("Ecosystem.chain.family", shown, allowed, "use another family")
        weights = square_shares("Ecosystem.weights", self.weights)
        if len(weights) > _MOST_MODELS:
            shown = check.Shown(f"array of shape {weights.shape}")
            allowed = f"at most {_MOST_MODELS} models are simulated"
            raise check.fail("Ecosystem.weights", shown, allowed, "pass fewer")
        object.__setattr__(self, "weights", weights)
        if self.sources is not None:
            object.__setattr__(self, "sources", self._checked_sources(len(weights)))

    def _checked_sources(self, num_models: int) -> tuple[AbstractSource, ...]:
        """Return one source for each model, whose rows fit the family."""
        remedy = f"pass {num_models} sources, one for each row of weights, or None"
        if not isinstance(self.sources, Sequence):
            shown = check.Shown(type(self.sources).__name__)
            raise check.fail("Ecosystem.sources", shown, "it must be a sequence", remedy)
        if len(self.sources) != num_models:
            allowed = f"weights has {num_models} rows"
            raise check.fail("len(Ecosystem.sources)", len(self.sources), allowed, remedy)
        for source in self.sources:
            check_part("source", source)
            states = self.chain.source.num_states, source.num_states
            if states[0] != states[1]:
                shown, allowed = check.Shown(f"{states[1]} states"), f"the chain has {states[0]}"
                raise check.fail("Ecosystem.sources", shown, allowed, "give all the same states")
            self.chain.family.resolve(source, self.chain.policy)
        return tuple(self.sources)

    @property
    def joint(self) -> Chain:
        """Return all models as one chain."""
        chain = self.chain
        sources = (chain.source,) if self.sources is None else tuple(self.sources)
        models = Models(chain.family, self.weights, sources)
        return Chain(models, chain.source, chain.policy)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Corpora(AbstractCorpus):
    """The corpora of several models.

    Attributes:
      parts: one corpus for each model.
    """

    parts: tuple[Any, ...]
    info: Mapping[str, Array] = dataclasses.field(default_factory=dict)

    @property
    def size(self) -> Int[Array, ""]:
        """Return the number of rows of a model's corpus."""
        return self.parts[0].size

    def with_capacity(self, capacity: int, is_full: bool = False) -> "Corpora":
        """Return the corpora with slots for so many rows each."""
        parts = tuple(part.with_capacity(capacity, is_full) for part in self.parts)
        return dataclasses.replace(self, parts=parts)

    def subsample(
        self, keys: Keys, purpose: int, size: Size, capacity: int, total: Size
    ) -> "Corpora":
        """Refuse: rows of several models are never chosen again."""
        raise TypeError("rows of several models are not chosen again")

    def merge(self, other: Any, start: Int[Array, ""]) -> "Corpora":
        """Refuse: corpora of several models are not pooled."""
        raise TypeError("corpora of several models are not pooled")


@dataclasses.dataclass(frozen=True)
class _OfEachModel:
    """A metric of one model as a metric of all."""

    function: Callable[..., Any]

    def __call__(self, key, family, params, corpus, source, generation0):
        values = []
        for index, model in enumerate(params or (None,) * family.num_models):
            part = None if corpus is None else corpus.parts[index]
            start = family.generation0_of(index, generation0)
            truth = None if source is None else family.source_of(index)
            values.append(self.function(key, family.family, model, part, truth, start))
        return jnp.stack(values)


@config
class Models(AbstractFamily):
    """Several models of one family, whose draws are corpora mixed by weights.

    Args:
      family: of each model, with its open choices made.
      weights: [model, model], shares of rows by origin; the rest is original.
      sources: original source of each model, or one for all.
    """

    family: AbstractFamily
    weights: Any
    sources: tuple[AbstractSource, ...]
    origins: Any = dataclasses.field(init=False, repr=False, default=None)  # [model, model + 1]
    num_models: int = static(init=False, repr=False, default=0)
    draws_original: bool = static(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        rest = 1 - self.weights.sum(axis=1, keepdims=True)
        rest = np.where(rest > _ROUNDING, rest, 0)
        object.__setattr__(self, "origins", np.concatenate([self.weights, rest], axis=1))
        object.__setattr__(self, "num_models", len(self.weights))
        object.__setattr__(self, "draws_original", bool(np.any(rest > 0)))

    def source_of(self, index: int) -> AbstractSource:
        """Return the original source of a model.

        Args:
          index: of the model, a number in [0, num_models).
        """
        return self.sources[index if len(self.sources) > 1 else 0]

    def generation0_of(
        self, index: int, generation0: InitialGeneration | None
    ) -> InitialGeneration | None:
        """Return generation 0 of a model.

        Args:
          index: of the model, a number in [0, num_models).
          generation0: of all models, or None.
        """
        if generation0 is None:
            return None
        corpus = generation0.corpus
        return InitialGeneration(
            generation0.params[index], None if corpus is None else corpus.parts[index]
        )

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return those of one model, with the axis "model"."""
        return {
            name: one._replace(dims=("model", *one.dims))
            for name, one in self.family.quantities.items()
        }

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return those of one model, with the axis "model"."""
        return {
            name: dataclasses.replace(
                one, function=_OfEachModel(one.function), dims=("model", *one.dims),
                reads=tuple(dict.fromkeys((*one.reads, "family", "params"))),
            )
            for name, one in self.family.optional_metrics.items()
        }  # fmt: skip

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return what the family knows of models that exchange rows with one source."""
        if len(self.sources) > 1:
            return {}
        return self.family.ecosystem_theory(np.asarray(self.weights), chain.source, sizes)

    @property
    def needs(self) -> Needs:
        """Return those of one model."""
        return self.family.needs

    @property
    def schedule(self) -> Schedule:
        """Return that of one model, but for sums over models."""
        return self.family.schedule._replace(elementwise=False)

    @property
    def stores_corpus(self) -> bool:
        """Tell whether the family stores corpora."""
        return self.family.stores_corpus

    def validate(self, policy: AbstractPolicy, num_generations: int) -> None:
        """Check what one model checks."""
        self.family.validate(policy, num_generations)

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """Return original rows of the source of each model."""
        parts = []
        for index in range(self.num_models):
            own = self._keys(keys, index)
            parts.append(self.family.original(own, self.source_of(index), size, capacity))
        return Corpora(tuple(parts))

    def _keys(self, keys: Keys, index: int, origin: int | Array = -1) -> Keys:
        """Return the keys of a model, or of its rows from another one."""
        return keys.branch(Purpose.MODEL, index * (self.num_models + 2) + origin + 1)

    def fit(
        self, keys: Keys, corpus: Any, previous: Any, generation0: InitialGeneration | None
    ) -> Fit:
        """Fit each model to its corpus; the status is the worst of all."""
        fits = []
        for index, part in enumerate(corpus.parts):
            before = None if previous is None else previous[index]
            start = self.generation0_of(index, generation0)
            fits.append(self.family.fit(self._keys(keys, index), part, before, start))
        status = fits[0].status
        if not (isinstance(status, int) and status == Status.OK):
            every = jnp.stack([jnp.asarray(fit.status, jnp.int32) for fit in fits])
            is_frozen = (every == Status.NON_FINITE) | (every == Status.DEGENERATE)
            frozen = jnp.max(jnp.where(is_frozen, every, 0))
            status = jnp.where(frozen > 0, frozen, jnp.max(every))
        info = {name: jnp.stack([fit.info[name] for fit in fits]) for name in fits[0].info}
        return Fit(tuple(fit.params for fit in fits), status, info)

    def draw(
        self,
        keys: Keys,
        params: Any,
        size: Size,
        capacity: int,
        generation0: InitialGeneration | None,
    ) -> AbstractCorpus:
        """Draw the next corpus of each model: the origin of each row, and the rows."""
        del generation0  # no family that reads it is taken
        number, is_full = self.num_models, isinstance(size, int) and size == capacity
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
        corpora = []
        for index in range(number):
            own = self._keys(keys, index)
            counts = multinomial(own, Purpose.POLICY, size, self.origins[index])
            parts = self._drawn(keys, index, stacked, counts, capacity)
            if self.draws_original:
                original = self._keys(keys, index, number)
                source = self.source_of(index).independent
                parts.append(self.family.original(original, source, counts[number], capacity))
            sizes = [counts[origin] for origin in range(len(parts))]
            corpora.append(join(parts, sizes, capacity, is_full))
        return Corpora(tuple(corpora))

    def _drawn(
        self, keys: Keys, index: int, models: Any, counts: Array, capacity: int
    ) -> list[AbstractCorpus]:
        """Return the rows of a model that come from each of the models."""

        def draw(origin: Array, model: Any, number: Array) -> AbstractCorpus:
            own = self._keys(keys, index, origin)
            return self.family.draw(own, model, number, capacity, None)

        number = self.num_models
        drawn = jax.vmap(draw)(jnp.arange(number), models, counts[:number])
        return [jax.tree.map(lambda leaf: leaf[j], drawn) for j in range(number)]  # noqa: B023

    def measure(
        self,
        params: Any,
        corpus: Any,
        source: AbstractSource,
        generation0: InitialGeneration | None,
    ) -> dict[str, Array]:
        """Return the variables of each model, along the first axis."""
        values = []
        for index, model in enumerate(params):
            part = None if corpus is None else corpus.parts[index]
            start = self.generation0_of(index, generation0)
            values.append(self.family.measure(model, part, self.source_of(index), start))
        return {name: jnp.stack([one[name] for one in values]) for name in values[0]}

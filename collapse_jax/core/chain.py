"""One chain of generations: a source fills a corpus, a family fits it, a policy makes the next."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from collapse_jax.config import config, replace_fields
from collapse_jax.core import checks
from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.family import AbstractFamily, Schedule
from collapse_jax.core.metric import RENAME, Metric
from collapse_jax.core.policy import (
    AbstractPolicy,
    ModelDraw,
    OriginalDraw,
    Recall,
    Step,
)
from collapse_jax.core.selection import UNDEFINED, AbstractSelection
from collapse_jax.core.source import AbstractSource
from collapse_jax.core.state import EVERYTHING, ChainState, InitialGeneration, Needs
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings
from collapse_jax.utils.status import Status, is_frozen


@dataclasses.dataclass(frozen=True)
class _OriginalDraw(OriginalDraw):
    """Rows of a chain's source."""

    chain: "Chain"
    keys: Keys

    def __call__(self, size: Size, capacity: int) -> AbstractCorpus:
        return self._drawn(self.chain.source, size, capacity)

    def independent(self, size: Size, capacity: int) -> AbstractCorpus:
        return self._drawn(self.chain.source.independent, size, capacity)

    def _drawn(self, source: AbstractSource, size: Size, capacity: int) -> AbstractCorpus:
        chain = self.chain
        rows = checks.check_request(chain.policy, "original", size, capacity)
        corpus = chain.family.original(self.keys, source, size, capacity)
        checks.check_drawn(source, "draw", corpus, rows, capacity)
        return chain.marked(corpus, size, capacity, rows)


@dataclasses.dataclass(frozen=True)
class _ModelDraw(ModelDraw):
    """Rows of a chain's newest model, for the corpus of a generation."""

    chain: "Chain"
    keys: Keys
    generation: Int[Array, ""]
    state: ChainState

    def __call__(self, size: Size, capacity: int) -> AbstractCorpus:
        chain, family, selection = self.chain, self.chain.family, self.chain.policy.selected_by
        rows = checks.check_request(chain.policy, "model", size, capacity)
        arguments = (self.keys, self.state.params, size, capacity, self.state.generation0)
        if selection is None:
            corpus = family.draw(*arguments)
            checks.check_drawn(family, "draw", corpus, rows, capacity)
        else:
            most = checks.check_candidates(chain.policy, selection, size, capacity)
            corpus = family.draw_selected(*arguments, chain.in_data_units(selection))
            checks.check_drawn(family, "draw_selected", corpus, None, capacity)
            capacity = most
        return chain.marked(corpus, size, capacity, rows)

    @property
    def has_explicit_law(self) -> bool:
        return self.chain.family.has_explicit_law

    def mix(self, law: Any, shares: tuple[Array, Array, Array]) -> Any:
        chain = self.chain
        return chain.family.mix_law(law, self.generation, self.state.params, chain.source, shares)

    def from_law(self, law: Any, size: Size, capacity: int) -> AbstractCorpus:
        source, generation0 = self.chain.source, self.state.generation0
        return self.chain.family.draw_law(
            self.keys, law, self.generation, source, size, capacity, generation0
        )

    @property
    def recalls_rows(self) -> bool:
        return self.chain.recalls is Recall.ROWS

    def remember(self, models: Any) -> Any:
        return self.chain.family.remember(models, self.generation, self.state.params)

    def recall(
        self, models: Any, generation: Int[Array, " row"], row: Int[Array, " row"], size: Size
    ) -> AbstractCorpus:
        generation0 = self.state.generation0
        return self.chain.family.recall(self.keys, models, generation, row, size, generation0)


@config
class Chain:
    """A family, a source and a policy: everything that defines a chain except its randomness.

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
    location: Any = dataclasses.field(init=False, repr=False, default=None)  # see `centred`

    def __post_init__(self) -> None:
        for name in checks.PARTS:
            checks.check_part(name, getattr(self, name))
        checks.check_fields(self.policy)
        given = {name: getattr(self, name) for name in checks.PARTS}
        object.__setattr__(self, "_given", given)  # no field: no program depends on it
        if self.policy.num_samples is None:
            if self.source.num_rows is None:
                name = f"{type(self.policy).__name__}.num_samples"
                allowed = f"{type(self.source).__name__} has no number of rows of its own"
                raise check.fail(name, None, allowed, "pass a number, e.g. num_samples=100")
            policy = dataclasses.replace(self.policy, num_samples=self.source.num_rows)  # pyright: ignore
            object.__setattr__(self, "policy", policy)
        if self.policy.weighs_rows and not self.family.fits_weights:
            name, shown = "Chain.family", check.Shown(type(self.family).__name__)
            allowed = f"{type(self.policy).__name__} gives rows unequal weights, which it ignores"
            raise check.fail(name, shown, allowed, "use Gaussian, or leave weight out")
        object.__setattr__(self, "family", self.family.resolve(self.source, self.policy))
        object.__setattr__(self, "policy", self.policy.resolve(self.family))

    @property
    def given(self) -> dict[str, Any]:
        """Return family, source and policy as they were given, before open choices were made."""
        return dict(self.__dict__["_given"])

    @property
    def centred(self) -> "Chain":
        """Return the same chain with rows and models relative to the location of the source.

        Means far from zero would lose to float32 what distinguishes one model from the next.
        User functions still get absolute numbers: `location` is added again for them.

        Returns:
          A chain with a `location`, float64 [dim]; this one where a part knows of no location.
        """
        location = self.source.location
        if location is None or not self.family.located or self.policy.reads_values:
            return self
        family, source = (part.translated(-location) for part in (self.family, self.source))
        return replace_fields(self, family=family, source=source, location=location)

    def in_data_units(self, selection: AbstractSelection) -> AbstractSelection:
        """Return a selection of relative rows, from one of absolute rows.

        Args:
          selection: of the policy.
        """
        return selection if self.location is None else selection.translated(-self.location)

    def marked(
        self, corpus: AbstractCorpus, size: Size, capacity: int, rows: int | None
    ) -> AbstractCorpus:
        """Return a draw, marked if at run time its policy asked for more rows than slots.

        Args:
          corpus: the rows.
          size: number of rows asked for.
          capacity: number of slots.
          rows: the number of rows, if it is known without running.
        """
        if rows is not None or not checks.is_own(self.policy):
            return corpus
        return checks.marked(corpus, size, capacity)

    @property
    def recalls(self) -> Recall | None:
        """Return what the policy draws from again, as far as the family can make it."""
        recalls = self.policy.recalls
        return None if recalls is Recall.ROWS and not self.family.recalls_rows else recalls

    @property
    def schedule(self) -> Schedule:
        """Return how chains share programs; elementwise only if every part is."""
        elementwise = self.source.is_elementwise and self.policy.is_elementwise
        schedule = self.family.schedule
        return schedule._replace(elementwise=schedule.elementwise and elementwise)

    def retained(self, metrics: Sequence[Metric] = ()) -> Needs:
        """Return what states must hold for the policy, the family and these metrics.

        Args:
          metrics: of the run.

        Returns:
          The union of their needs.
        """
        needs = self.policy.needs | self.family.needs
        if self.recalls is Recall.ROWS:
            needs = needs | Needs(generation0=True, generation0_corpus=True)
        for metric in metrics:
            asked = metric.needs
            if not self.family.stores_corpus:
                asked = asked._replace(corpus=False, generation0_corpus=False)
            needs = needs | asked
        return needs

    def validate(self, num_generations: int) -> None:
        """Check that the chain can run that long.

        Args:
          num_generations: G, the last generation.

        Raises:
          ValueError: if it cannot, naming argument, value, what is allowed and the remedy.
        """
        self.policy.validate(num_generations)
        self.family.validate(self.policy, num_generations)

    @own_settings()
    def init(
        self, chain_key: Key[Array, ""], num_generations: int, retained: Needs = EVERYTHING
    ) -> ChainState:
        """Make generation 0: original data, and the model fitted to them.

        Args:
          chain_key: of one chain, a scalar typed key.
          num_generations: G, which decides the capacity of growing corpora; static.
          retained: what the state shall hold; static.

        Returns:
          The state of generation 0.

        Raises:
          ValueError: for a batch of keys.
        """
        check.one_chain("chain_key", chain_key)
        check.integer("num_generations", num_generations, 0)
        keys = Keys(chain_key, jnp.int32(0))
        policy, family = self.policy, self.family
        size = policy.initial_size
        corpus = family.original(keys, self.source, size, size)
        checks.check_drawn(self.source, "draw", corpus, size, size)
        name = f"result of {type(policy).__name__}.capacity"
        capacity = check.integer(name, policy.capacity(num_generations), size)
        corpus = corpus.with_capacity(capacity, policy.has_fixed_size)
        fit, status = checks.check_fit(family, family.fit(keys, corpus, None, None))
        checks.check_arrays("params", f"{type(family).__name__}.fit", fit.params)
        if self.recalls is Recall.LAW:
            memory = family.start_law(fit.params, self.source, num_generations)
        elif self.recalls is Recall.ROWS:
            memory = family.start_rows(fit.params, num_generations)
        else:
            memory = policy.init(corpus, num_generations)
            checks.check_arrays("memory", f"{type(policy).__name__}.init", memory)
        own = checks.is_own(policy)  # it may ask for more rows than slots
        if status is None and (own or policy.selected_by is not None):
            status = jnp.int32(Status.OK)
        generation0 = InitialGeneration(fit.params, corpus)
        info = {**self._undrawn_info, **fit.info}
        state = ChainState(fit.params, corpus, memory, generation0, status, info)
        return retained.of(state)

    @property
    def _undrawn_info(self) -> dict[str, Array]:
        """Return what is recorded of a draw where the model was not drawn from: NaN."""
        selection = self.policy.selected_by
        return dict.fromkeys(() if selection is None else selection.variables, jnp.asarray(jnp.nan))

    @own_settings()
    def step(
        self, chain_key: Key[Array, ""], generation: Int[Array, ""], state: ChainState
    ) -> ChainState:
        """Make the state of a generation from that of the one before.

        Args:
          chain_key: of one chain, a scalar typed key.
          generation: g >= 1, the generation to make, int32 scalar.
          state: of generation g - 1.

        Returns:
          The state of generation g; that of a frozen chain does not change.

        Raises:
          ValueError: for a batch of keys.
        """
        check.one_chain("chain_key", chain_key)
        checks.check_chain_state(state)
        keys = Keys(chain_key, generation)
        made = self.policy.next(
            Step(
                keys=keys,
                generation=generation,
                model=_ModelDraw(self, keys, generation, state),
                original=_OriginalDraw(self, keys),
                corpus=state.corpus,
                memory=state.memory,
                generation0=state.generation0,
            )
        )
        corpus, memory = checks.check_next(self.policy, made)
        drawn = {**self._undrawn_info, **corpus.info}
        undefined = drawn.pop(UNDEFINED, None)
        corpus, memory = _without_info(corpus), _without_info(memory)
        fit = self.family.fit(keys, corpus, state.params, state.generation0)
        fit, status = checks.check_fit(self.family, fit)
        new = ChainState(
            fit.params,
            None if state.corpus is None else corpus,
            memory,
            state.generation0,
            checks.worst_status(self.family, state.status, status, corpus, undefined),
            {**drawn, **fit.info},
        )
        checks.check_state(self.family, self.policy, state, new)
        return _freeze(state, new)

    @own_settings()
    def measure(
        self,
        chain_key: Key[Array, ""],
        generation: Int[Array, ""],
        state: ChainState,
        metrics: Sequence[Metric] = (),
    ) -> dict[str, Array]:
        """Return the variables of a generation by name; NaN where the chain is frozen.

        Args:
          chain_key: of one chain, a scalar typed key.
          generation: g >= 0, int32 scalar.
          state: of that generation.
          metrics: further variables.
        """
        check.one_chain("chain_key", chain_key)
        checks.check_chain_state(state)
        family = self.family
        values = family.measure(state.params, state.corpus, self.source, state.generation0)
        values = checks.check_variables(family, "measure", values)
        if taken := sorted(values.keys() & state.info.keys()):
            shown = check.Shown(f"{type(family).__name__} with {taken[0]!r}")
            remedy = "give the entry of Fit.info another name"
            raise check.fail("Fit.info", shown, "its measure has a variable of this name", remedy)
        more = self.measure_metrics(chain_key, generation, state, metrics, values)
        values = {**_nan_if_frozen(state, values), **more, **_nan_if_frozen(state, state.info)}
        status = jnp.int8(0) if state.status is None else state.status.astype(jnp.int8)
        return {**values, "status": status}

    def measure_metrics(
        self,
        chain_key: Key[Array, ""],
        generation: Int[Array, ""],
        state: ChainState,
        metrics: Sequence[Metric],
        taken: Collection[str],
    ) -> dict[str, Array]:
        """Return the values of metrics by name; NaN where the chain is frozen.

        Args:
          chain_key: of one chain, a scalar typed key.
          generation: g >= 0, int32 scalar.
          state: of that generation.
          metrics: the metrics.
          taken: names of the family's variables.

        Raises:
          ArgumentError: for a metric whose name is taken.
        """
        family, values = self.family, {}
        key = Keys(chain_key, generation).key(Purpose.METRIC)
        relative = (state.params, state.corpus, self.source, state.generation0)
        absolute = self._absolute(*relative)
        for metric in metrics:
            remedy = "pass Metric(function)"
            check.instance("metrics", metric, Metric, "each must be a Metric", remedy)
            if metric.name in taken:
                shown = check.Shown(f"metric {metric.name!r}")
                allowed = f"{type(family).__name__} records a variable of this name"
                raise check.fail("metrics", shown, allowed, RENAME)
            given = relative if metric.is_relative else absolute
            values[str(metric.name)] = metric(key, family, *given)
        return _nan_if_frozen(state, values)

    def _absolute(
        self,
        params: Any,
        corpus: AbstractCorpus | None,
        source: AbstractSource,
        generation0: InitialGeneration | None,
    ) -> tuple[Any, AbstractCorpus | None, AbstractSource, InitialGeneration | None]:
        """Return what a metric reads with the location added."""
        shift = self.location
        if shift is None:
            return params, corpus, source, generation0
        shift = jnp.asarray(shift, jnp.result_type(float))

        def moved(params: Any, corpus: Any) -> InitialGeneration:
            corpus = None if corpus is None else corpus.translated(shift)
            return InitialGeneration(self.family.translate(params, shift), corpus)

        now = moved(params, corpus)
        then = None if generation0 is None else moved(*generation0)
        return now.params, now.corpus, source.translated(shift), then

    @own_settings()
    def event(self, state: ChainState) -> Bool[Array, ""]:
        """Tell whether the chain is absorbed or has a status other than ok.

        Args:
          state: after a generation.

        Returns:
          A boolean scalar.
        """
        checks.check_chain_state(state)
        absorbed = self.family.absorbed(state.params)
        event = jnp.bool_(False) if absorbed is None else absorbed
        return event if state.status is None else event | (state.status > 0)


def _nan_if_frozen(state: ChainState, values: Mapping[str, Array]) -> dict[str, Array]:
    """Return variables with NaN for real ones of a chain that is frozen."""
    if state.status is None:
        return dict(values)
    frozen = is_frozen(state.status)
    return {
        name: jnp.where(frozen, jnp.nan, value)
        if jnp.issubdtype(value.dtype, jnp.floating)
        else value
        for name, value in values.items()
    }


def _without_info(tree: Any) -> Any:
    """Return a corpus, or a pytree with corpora in it, without facts about draws."""

    def strip(leaf: Any) -> Any:
        is_noted = isinstance(leaf, AbstractCorpus) and leaf.info
        return leaf.with_info() if is_noted else leaf

    return jax.tree.map(strip, tree, is_leaf=lambda leaf: isinstance(leaf, AbstractCorpus))


def _freeze(old: ChainState, new: ChainState) -> ChainState:
    """Return the new state, or the old one with its status if that was frozen.

    The memory of a frozen chain is never read, and a pool may be large: it is passed on.
    """
    if old.status is None:
        return new
    frozen = is_frozen(old.status)
    held = jax.tree.map(
        lambda before, after: jnp.where(frozen, before, after),
        old._replace(memory=None),
        new._replace(memory=None),
    )
    return held._replace(memory=new.memory)

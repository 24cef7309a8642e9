"""The seam of families: a model is fitted, drawn from, and measured."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.core import history
from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.host_context import HostContext
from collapse_jax.core.metric import Curve, Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Samples
from collapse_jax.core.selection import AbstractSelection
from collapse_jax.core.source import AbstractSource
from collapse_jax.core.state import InitialGeneration, Needs
from collapse_jax.random.keys import Keys
from collapse_jax.utils import check
from collapse_jax.utils.status import Status


class Fit(NamedTuple):
    """A fitted model.

    Attributes:
      params: what `draw` and `measure` need.
      status: int32 code, see `Status`, or the int 0 where a fit cannot fail.
      info: facts about the fit that are recorded as variables, by name; scalars.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> cj.Fit(params=jnp.zeros(3)).status
    <Status.OK: 0>
    """

    params: Any
    status: int | Int[Array, ""] = Status.OK
    info: Mapping[str, Array] = {}


class Schedule(NamedTuple):
    """The way in which chains of a family share programs and devices.

    Attributes:
      on_host: fit, draw and measure are Python that calls compiled programs of its own.
      sequential_on_cpu: `fit` takes chains one after the other on CPU, see
        `utils.vmap.sequential_on_cpu`; wide batches then gain nothing.
      exclusive: a chain by itself keeps a CPU busy, and shares its program with no other.
      elementwise: a chain is single numbers, never added along an axis. The order of such
        additions, and so their rounding, depends on the number of chains in a call; chains
        that have them run in batches of one fixed width.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> chain.schedule == cj.Schedule(elementwise=True)
    True
    """

    on_host: bool = False
    sequential_on_cpu: bool = False
    exclusive: bool = False
    elementwise: bool = False


class AbstractFamily(abc.ABC):
    """A family of models; every method handles one chain and is pure.

    A family of your own is a frozen class decorated with `collapse_jax.config.config` that has
    `fit`, `draw` and `measure`; `collapse_jax.testing.check_family` tells whether it keeps the
    rules. examples/custom_family.py is one.
    """

    # What users see of it

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name, unit and axes of the default variables, by variable.

        A variable that is left out has the name as its long name, unit "1", and no axes.
        """
        return {}

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variables that are recorded on request only, by name."""
        return {}

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return the exact expectations of variables over chains, as far as they are known.

        NAME_variance is the variance of NAME over chains. Nothing is known by default.

        Args:
          chain: the `Chain`, whose family this is.
          sizes: M_0 .. M_G in rows, [G + 1].
        """
        del chain, sizes
        return {}

    def ecosystem_theory(
        self, weights: np.ndarray, source: AbstractSource, sizes: np.ndarray
    ) -> Mapping[str, Curve]:
        """Return expectations of models that train on each other's rows, see `Ecosystem`.

        Args:
          weights: [model, model], shares of the rows of each model by origin.
          source: of the original rows of all models.
          sizes: M_0 .. M_G in rows, [G + 1].

        Returns:
          Curves [G + 1, model] by variable; nothing is known by default.
        """
        del weights, source, sizes
        return {}

    # What the engine must know of it

    @property
    def needs(self) -> Needs:
        """Return what `draw`, `fit` and `measure` read of a chain beyond the newest model."""
        return Needs()

    @property
    def schedule(self) -> Schedule:
        """Return how its chains share programs and devices."""
        return Schedule()

    @property
    def stores_corpus(self) -> bool:
        """Tell whether a state can hold the corpus for metrics to read."""
        return True

    @property
    def fits_weights(self) -> bool:
        """Tell whether `fit` heeds unequal weights of rows."""
        return False

    @property
    def abstract_twin(self) -> "AbstractFamily":
        """Return a family whose methods can be traced for the shapes of this one's results."""
        return self

    def with_host_context(self, context: HostContext) -> Self:
        """Return the family at work in a context, if it runs on the host.

        Args:
          context: devices, and files for unfinished work.

        Returns:
          A family of the same class.
        """
        del context
        return self

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Return the family with its open choices (states, corpus) made for a chain.

        Args:
          source: of the chain.
          policy: of the chain.

        Returns:
          A family of the same class; the family unchanged by default.

        Raises:
          ValueError: if the source's rows do not fit, or the corpus does not suffice.
        """
        del source, policy
        return self

    def validate(self, policy: AbstractPolicy, num_generations: int) -> None:
        """Check that the corpus can serve the policy for that long.

        Args:
          policy: of the chain.
          num_generations: G.

        Raises:
          ValueError: if it cannot, naming argument, value, what is allowed and the remedy.
        """
        del policy, num_generations

    @property
    def located(self) -> Sequence[str]:
        """Return the variables that are positions, which move with the rows."""
        return ()

    def translated(self, shift: np.ndarray) -> Self:
        """Return the family for rows plus a vector, if `located` names variables.

        Args:
          shift: float64 [dim], in the unit of the rows.
        """
        del shift
        return self

    def translate(self, params: Any, shift: Float[Array, " dim"]) -> Any:
        """Return the model of the rows plus a vector, if `located` names variables.

        Args:
          params: a model.
          shift: [dim], in the unit of the rows.

        Raises:
          NotImplementedError: if no variable is a position.
        """
        raise NotImplementedError

    # One generation

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """Return original rows as this family's corpus.

        Args:
          keys: random numbers of the generation that the rows are for.
          source: p_0.
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`.

        Returns:
          A corpus of `size` rows.
        """
        return self.summarize(source.draw(keys, size, capacity))

    def summarize(self, samples: Samples) -> AbstractCorpus:
        """Return rows as this family's corpus.

        Args:
          samples: original rows.

        Returns:
          The least that `fit` needs of them; the rows by default.
        """
        return samples

    @abc.abstractmethod
    def fit(
        self, keys: Keys, corpus: Any, previous: Any, generation0: InitialGeneration | None
    ) -> Fit:
        """Fit a model to a corpus.

        Args:
          keys: random numbers of this generation.
          corpus: D_g.
          previous: params of generation g - 1, None for g = 0.
          generation0: model 0 and D_0, None for g = 0 or unless `needs` has them.

        Returns:
          The model and its status; structure, shapes and dtypes never change.
        """

    @abc.abstractmethod
    def draw(
        self,
        keys: Keys,
        params: Any,
        size: Size,
        capacity: int,
        generation0: InitialGeneration | None,
    ) -> AbstractCorpus:
        """Draw rows from a model.

        Args:
          keys: random numbers of the generation that the rows are for.
          params: the model.
          size: number of rows, which may be traced.
          capacity: static, at least `size`.
          generation0: model 0 and D_0, None unless `needs` has them.

        Returns:
          A corpus of `size` rows with at most `capacity` slots.
        """

    @abc.abstractmethod
    def measure(
        self,
        params: Any,
        corpus: AbstractCorpus | None,
        source: AbstractSource,
        generation0: InitialGeneration | None,
    ) -> dict[str, Float[Array, "..."]]:
        """Return the default variables of a model, by name.

        Args:
          params: the model.
          corpus: what it was fitted to, None unless `needs` has it.
          source: p_0.
          generation0: model 0 and D_0, None unless `needs` has them.
        """

    def absorbed(self, params: Any) -> Bool[Array, ""] | None:
        """Tell whether the chain can never change again.

        Args:
          params: of the newest model.

        Returns:
          A boolean scalar, or None if no chain of the family is ever absorbed.
        """
        return None

    def draw_selected(
        self,
        keys: Keys,
        params: Any,
        size: Size,
        capacity: int,
        generation0: InitialGeneration | None,
        selection: AbstractSelection,
    ) -> AbstractCorpus:
        """Draw rows, of which a selection chooses, refuses or changes some.

        Args:
          keys: random numbers of the generation that the rows are for.
          params: the model.
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`.
          generation0: model 0 and D_0, None unless `needs` has them.
          selection: of the policy.

        Returns:
          The selected rows, with the selection's variables as info.

        Raises:
          ArgumentError: if `draw` returns a corpus that does not hold its rows.
        """

        def draw(keys: Keys, number: int) -> Samples:
            name, allowed = f"result of {type(self).__name__}.draw", "a selection reads rows"
            drawn = self.draw(keys, params, number, number, generation0)
            return check.instance(name, drawn, Samples, allowed, "return Rows or Labels")

        return selection.rows(keys, draw, size, capacity)

    # Laws of earlier generations, for policies that draw from them again

    @property
    def has_explicit_law(self) -> bool:
        """Tell whether a mixture of laws is a law of the same kind, as on finitely many states."""
        return False

    def start_law(self, params: Any, source: AbstractSource, num_generations: int) -> Any:
        """Return p_0 in the form that `mix_law` extends.

        Args:
          params: of model 0.
          source: p_0.
          num_generations: G.

        Returns:
          The law of D_0.
        """
        return history.start(params, num_generations)

    def mix_law(
        self,
        law: Any,
        generation: Int[Array, ""],
        params: Any,
        source: AbstractSource,
        shares: tuple[Array, Array, Array],
    ) -> Any:
        """Return alpha model + beta law + gamma p_0.

        Args:
          law: p_{g-1}; None for beta = 0 and an explicit law.
          generation: g, int32 scalar.
          params: of model g - 1.
          source: p_0.
          shares: alpha, beta and gamma, scalars in [0, 1] that sum to 1.

        Returns:
          p_g in the form of `start_law`.
        """
        return history.mix(law, generation, params, shares)

    def draw_law(
        self,
        keys: Keys,
        law: Any,
        generation: Int[Array, ""],
        source: AbstractSource,
        size: Size,
        capacity: int,
        generation0: InitialGeneration | None,
    ) -> AbstractCorpus:
        """Draw `size` independent rows from a law.

        Args:
          keys: random numbers of the generation that the rows are for.
          law: as `mix_law` returned it.
          generation: g, int32 scalar.
          source: p_0.
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`.
          generation0: model 0 and D_0, None unless `needs` has them.

        Returns:
          A corpus of `size` rows.
        """

        def draw_model(keys: Keys, params: Any, size: Array, capacity: int) -> AbstractCorpus:
            return self.draw(keys, params, size, capacity, generation0)

        def draw_original(keys: Keys, size: Array, capacity: int) -> AbstractCorpus:
            return self.original(keys, source.independent, size, capacity)

        return history.draw(keys, law, generation, size, capacity, draw_model, draw_original)

    @property
    def recalls_rows(self) -> bool:
        """Tell whether `remember` and `recall` can make any earlier row again."""
        return False

    def start_rows(self, params: Any, num_generations: int) -> Any:
        """Return empty buffers for what `recall` needs of every generation.

        Args:
          params: of model 0.
          num_generations: G.

        Returns:
          Buffers [generation, ...].
        """
        return history.empty_models(params, num_generations)

    def remember(self, models: Any, generation: Int[Array, ""], params: Any) -> Any:
        """Return `models` with the one that the rows of `generation` are drawn from.

        Args:
          models: as `start_rows` or `remember` returned them.
          generation: g, int32 scalar.
          params: of model g - 1.

        Returns:
          Models of the same structure.
        """
        return history.store(models, generation - 1, params)

    def recall(
        self,
        keys: Keys,
        models: Any,
        generation: Int[Array, " row"],
        row: Int[Array, " row"],
        size: Size,
        generation0: InitialGeneration | None,
    ) -> AbstractCorpus:
        """Return rows of earlier draws.

        Args:
          keys: of the chain, for any generation.
          models: as `remember` returned them.
          generation: of each row, 0 for D_0, [row].
          row: index of each row within the draw of its generation, [row].
          size: number of rows that count, from the first on.
          generation0: model 0 and D_0, None unless `needs` has them.

        Returns:
          A corpus of the rows.

        Raises:
          NotImplementedError: unless `recalls_rows`.
        """
        raise NotImplementedError

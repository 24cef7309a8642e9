"""The rule that makes the next corpus from the newest model, earlier data and the original."""

import abc
import enum
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.selection import AbstractSelection, Accept, Verifier
from collapse_jax.core.state import InitialGeneration, Needs
from collapse_jax.random.keys import Keys
from collapse_jax.utils import check

NumSamples = int | Sequence[int] | None


class Recall(enum.Enum):
    """The things of earlier generations that a policy draws from again.

    Attributes:
      LAW: the law p_g of the newest corpus, by `ModelDraw.from_law`.
      ROWS: any row of an earlier generation, by `ModelDraw.recall`, if the family can make
        such a row again; otherwise the policy stores its pool.

    >>> import collapse_jax as cj
    >>> cj.Mixing(100, beta=0.5, previous="distribution").recalls is cj.Recall.LAW
    True
    """

    LAW = "law"
    ROWS = "rows"


class OriginalDraw(abc.ABC):
    """Draws original rows for a policy."""

    @abc.abstractmethod
    def __call__(self, size: Size, capacity: int) -> AbstractCorpus:
        """Return rows as the source draws them.

        Args:
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`; if more rows are asked for at run time than
            there are slots, the chain gets status DEGENERATE.

        Raises:
          ArgumentError: if `size` is known when a program is traced and exceeds `capacity`.
        """

    @abc.abstractmethod
    def independent(self, size: Size, capacity: int) -> AbstractCorpus:
        """Return independent rows from p_0; finite data are drawn from with replacement.

        Args:
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`.

        Returns:
          A corpus of `size` rows.
        """


class ModelDraw(abc.ABC):
    """Draws rows from the newest model for a policy, and from earlier ones where possible."""

    @abc.abstractmethod
    def __call__(self, size: Size, capacity: int) -> AbstractCorpus:
        """Return rows that pass the policy's selection.

        Args:
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`; if more rows are asked for at run time than
            there are slots, the chain gets status DEGENERATE.

        Raises:
          ArgumentError: if `size` is known when a program is traced and exceeds `capacity`.
        """

    @property
    @abc.abstractmethod
    def has_explicit_law(self) -> bool:
        """Tell whether a mixture of laws is a law of the same kind."""

    @abc.abstractmethod
    def mix(self, law: Any, shares: tuple[Array, Array, Array]) -> Any:
        """Return alpha times the model's law + beta `law` + gamma p_0.

        Args:
          law: p_g, or None for beta = 0.
          shares: alpha, beta and gamma, scalars that sum to 1.
        """

    @abc.abstractmethod
    def from_law(self, law: Any, size: Size, capacity: int) -> AbstractCorpus:
        """Return independent rows from a law.

        Args:
          law: as `mix` returned it.
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`.

        Returns:
          A corpus of `size` rows.
        """

    @property
    @abc.abstractmethod
    def recalls_rows(self) -> bool:
        """Tell whether `remember` and `recall` replace a stored pool."""

    @abc.abstractmethod
    def remember(self, models: Any) -> Any:
        """Return `models` with the newest one, whose rows can be recalled from now on.

        Args:
          models: the policy's memory.

        Returns:
          The memory after this generation.
        """

    @abc.abstractmethod
    def recall(
        self, models: Any, generation: Int[Array, " row"], row: Int[Array, " row"], size: Size
    ) -> AbstractCorpus:
        """Return rows of earlier draws.

        Args:
          models: as `remember` returned them.
          generation: the generation of each row, 0 for D_0.
          row: its index within the draw of that generation.
          size: how many of the rows, from the first on, are in the corpus.

        Returns:
          A corpus of `size` rows.
        """


class Step(NamedTuple):
    """Everything a policy may use to make a corpus.

    Attributes:
      keys: random numbers of this generation.
      generation: g >= 1, the index of the corpus to make, int32 scalar.
      model: draws rows from model g - 1.
      original: draws rows from the source.
      corpus: D_{g-1}, or None unless the policy's `needs` has it.
      memory: as `init` or the last `next` returned it.
      generation0: model 0 and D_0, or None unless the policy's `needs` has them.

    >>> import collapse_jax as cj
    >>> cj.Step._fields
    ('keys', 'generation', 'model', 'original', 'corpus', 'memory', 'generation0')
    """

    keys: Keys
    generation: Int[Array, ""]
    model: ModelDraw
    original: OriginalDraw
    corpus: Any
    memory: Any
    generation0: InitialGeneration | None


class FreshShare(NamedTuple):
    """New independent original rows in D_1 .. D_G, for closed forms.

    Attributes:
      shares: [G], shares of the rows, in [0, 1].
      allocation: "multinomial" if the origin of each row is drawn, "fixed" for exact numbers.

    >>> import collapse_jax as cj
    >>> fresh = cj.Fresh(90, num_original=10).fresh_share(num_generations=2)
    >>> isinstance(fresh, cj.FreshShare), fresh.shares.tolist(), fresh.allocation
    (True, [0.1, 0.1], 'fixed')
    """

    shares: np.ndarray
    allocation: str


class AbstractPolicy(abc.ABC):
    """The rule that turns generation g into the corpus of generation g + 1.

    A policy of your own is a frozen class decorated with `collapse_jax.config.config` that has
    `capacity`, `validate`, `init` and `next`; `register_policy` adds it to the command line and
    `collapse_jax.testing.check_policy` tells whether it keeps the rules.

    Attributes:
      num_samples: M, an int, or a tuple M_0 .. M_G; None for the size of the original data.
      verifier: which of the newest model's rows may be trained on; None for all.
      selection: what makes the model's part of a corpus from its rows; None for all rows. A
        policy without this field takes a verifier only.
    """

    num_samples: Any
    verifier: Verifier | None
    selection: AbstractSelection | None = None

    @property
    def selected_by(self) -> AbstractSelection | None:
        """Return what selects the newest model's rows: `selection`, or Accept of `verifier`."""
        return self.selection if self.verifier is None else Accept(self.verifier)

    @property
    def can_refuse(self) -> bool:
        """Tell whether a selection may return fewer rows than are asked for."""
        return self.selected_by is not None and self.selected_by.can_refuse

    @property
    def needs(self) -> Needs:
        """Return what of a chain `next` reads."""
        return Needs()

    @property
    def recalls(self) -> Recall | None:
        """Return what `next` draws from again; it replaces the memory that `init` returns."""
        return None

    @property
    def is_growing(self) -> bool:
        """Tell whether what a state holds grows with the number of generations."""
        return False

    @property
    def reuses_rows(self) -> bool:
        """Tell whether rows are trained on more than once, so that moments do not suffice."""
        return False

    @property
    def weighs_rows(self) -> bool:
        """Tell whether rows have unequal weights, which not every family fits."""
        return False

    @property
    def uses_model_only(self) -> bool:
        """Tell whether every row after generation 0 comes from the newest model."""
        return False

    @property
    def is_elementwise(self) -> bool:
        """Tell whether `next` adds nothing along an axis, see `Schedule`."""
        return False

    @property
    def reads_values(self) -> bool:
        """Tell whether `next` reads the values of rows or models, instead of passing them on.

        Where it does, chains are kept in absolute numbers, as precise as float32 is there;
        otherwise relative to the source's `location`.
        """
        return True

    @property
    def has_fixed_size(self) -> bool:
        """Tell whether every corpus has M_0 rows."""
        return False

    def resolve(self, family: Any) -> Self:
        """Return the policy for a family, without settings that no program of it needs.

        Args:
          family: of the chain, with its choices made.
        """
        return self

    @property
    def total_sizes(self) -> int | tuple[int, ...]:
        """Return the sizes of D_g, as one number or a tuple of M_0 .. M_G."""
        return self.num_samples

    def size(self, generation: int | Int[Array, ""]) -> Size:
        """Return M_g in rows.

        Args:
          generation: g, may be traced.

        Returns:
          Rows: an int where they are the same in every generation.
        """
        return size_at(self.total_sizes, generation)

    @property
    def initial_size(self) -> int:
        """Return M_0 in rows."""
        sizes = self.total_sizes
        return sizes if isinstance(sizes, int) else sizes[0]

    @property
    def largest_size(self) -> int:
        """Return the largest M_g in rows."""
        sizes = self.total_sizes
        return sizes if isinstance(sizes, int) else max(sizes)

    @property
    def smallest_size(self) -> int:
        """Return the smallest M_g in rows."""
        sizes = self.total_sizes
        return sizes if isinstance(sizes, int) else min(sizes)

    def sizes(self, num_generations: int) -> np.ndarray:
        """Return M_0 .. M_G.

        Args:
          num_generations: G.

        Returns:
          Rows, int64 [G + 1].
        """
        if isinstance(self.total_sizes, int):
            return np.full(num_generations + 1, self.total_sizes, np.int64)
        return np.array(self.total_sizes, np.int64)

    def largest_population(self, num_generations: int) -> int:
        """Return the largest number of rows that a subset is chosen from.

        Args:
          num_generations: G.

        Returns:
          Rows, an int; 0 if no subset is chosen.
        """
        return self.largest_size if self.reuses_rows else 0

    def fresh_share(self, num_generations: int) -> FreshShare | None:
        """Return the shares of new original rows if all other rows are the newest model's.

        Args:
          num_generations: G.

        Returns:
          The shares, or None where rows are reused or drawn from an earlier law; closed forms
          of families then know nothing of the policy.
        """
        del num_generations
        return None

    @abc.abstractmethod
    def capacity(self, num_generations: int) -> int:
        """Return the number of slots that the largest corpus of a run needs.

        Args:
          num_generations: G.

        Returns:
          Slots, an int.
        """

    @abc.abstractmethod
    def validate(self, num_generations: int) -> None:
        """Check that the policy can run that long.

        Args:
          num_generations: G.

        Raises:
          ValueError: if it cannot, naming argument, value, what is allowed and the remedy.
        """

    @abc.abstractmethod
    def init(self, corpus: AbstractCorpus, num_generations: int) -> Any:
        """Return the policy's memory after D_0, a pytree of arrays or None.

        Args:
          corpus: D_0.
          num_generations: G, the last generation.
        """

    @abc.abstractmethod
    def next(self, step: Step) -> tuple[AbstractCorpus, Any]:
        """Return the corpus of `step.generation` >= 1 and the memory after it.

        Args:
          step: what may be used. The memory must keep its structure, shapes and dtypes.
        """


POLICIES: dict[str, type[AbstractPolicy]] = {}
"""Policies by class name that the command line offers as policy:NAME."""


def register_policy(policy: type[Any]) -> type[Any]:
    """Offer a policy on the command line, as policy:NAME of every experiment.

    Args:
      policy: a config class; its fields are the options. Usable as a decorator.

    Returns:
      The policy.

    Raises:
      ValueError: if it is no class of policies, or another class of this name is registered.

    >>> import collapse_jax as cj
    >>> cj.register_policy(cj.Replace) is cj.Replace
    True
    """
    if not (isinstance(policy, type) and issubclass(policy, AbstractPolicy)):
        allowed = "it must be a class, a subclass of AbstractPolicy"
        raise check.fail("policy", policy, allowed, "pass the class, without arguments")
    name = policy.__name__
    known = POLICIES.setdefault(name, policy)
    if (known.__module__, known.__qualname__) != (policy.__module__, policy.__qualname__):
        allowed = f"{known.__module__} has registered a policy of this name"
        raise check.fail("policy", name, allowed, "choose another name")
    POLICIES[name] = policy
    return policy


def size_at(sizes: int | tuple[int, ...], generation: int | Int[Array, ""]) -> Size:
    """Return an entry of a schedule of sizes.

    Args:
      sizes: rows, one int or a tuple of G + 1.
      generation: index of the entry, may be traced.

    Returns:
      Rows: an int where all entries are equal, otherwise an int32 scalar.
    """
    if isinstance(sizes, int):
        return sizes
    if len(set(sizes)) == 1:
        return sizes[0]
    return jnp.asarray(np.array(sizes, np.int32))[generation]

"""The seam of selections: which rows of the newest model are trained on.

What may be assumed of a selection:

- It gets rows of the newest model only. Original rows and rows of earlier corpora never pass it,
  so D_0 is original.
- Candidates are independent rows of the model, drawn for the corpus of one generation. It returns
  the rows asked for; only one that `can_refuse` may return fewer.
- Functions of users get all candidates at once, [n, dim], or int32 states [n] of `Discrete`.
  They are traced for rows, and called once for all states. They draw no random numbers.
- On finitely many states it works on the law of the model (`counts`) and costs O(states) where
  it can; elsewhere on rows (`rows`). Both have one law.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Samples, prefix_weights
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.subset import running_count
from collapse_jax.utils import check

RowFunction = Callable[[Array], Array]
"""function(rows or states) -> a number for each."""
Verifier = Callable[[Array], Array]
"""verifier(rows or states) -> a bool or probability for each: which may be trained on."""
DrawRows = Callable[[Keys, int], Samples]
"""draw(keys, n) -> n independent rows of the newest model, all slots in use."""
UNDEFINED = "selection_undefined"
"""Entry of a corpus's `info`: whether a user's function gave no number; never recorded."""
_MOST_ROUNDS = 2**16  # of drawing until enough rows are accepted
_SLACK = 1e-6  # of probabilities, which functions round


class SelectedCounts(NamedTuple):
    """Selected rows on finitely many states.

    Attributes:
      counts: rows by state, int32 [state].
      info: facts that are recorded, scalars by name.
    """

    counts: Int[Array, " state"]
    info: Mapping[str, Array]


class AbstractSelection(abc.ABC):
    """A rule that makes the newest model's part of a corpus from its rows.

    A selection of your own is a frozen class decorated with `collapse_jax.config.config`;
    `collapse_jax.testing.check_selection` tells whether it keeps the rules.
    """

    @property
    @abc.abstractmethod
    def variables(self) -> tuple[str, ...]:
        """Return the names of the facts that are recorded of a draw."""

    @property
    def can_refuse(self) -> bool:
        """Tell whether fewer rows than asked for may be returned."""
        return False

    @property
    def repeats_draws(self) -> bool:
        """Tell whether rows are drawn again until enough are there."""
        return False

    @property
    def most_rounds(self) -> int:
        """Return how often rows are drawn at most for one corpus."""
        return 1

    @property
    def of_one_round(self) -> Self:
        """Return the selection that draws once, for models that would draw the same rows again."""
        return self

    @property
    def most_rows(self) -> int | None:
        """Return the largest number of rows that can be asked for, None for any."""
        return None

    def candidates(self, capacity: int) -> int:
        """Return the number of rows that `rows` draws at once.

        Args:
          capacity: slots of the corpus.
        """
        return capacity

    @abc.abstractmethod
    def translated(self, shift: Float[Array, " dim"]) -> Self:
        """Return the selection for rows plus a vector.

        Args:
          shift: [dim], in the unit of the rows; user functions still get the rows without it.
        """

    @abc.abstractmethod
    def rows(self, keys: Keys, draw: DrawRows, size: Size, capacity: int) -> Samples:
        """Return selected rows of a model.

        Args:
          keys: random numbers of the generation that the rows are for.
          draw: draws candidates.
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`.

        Returns:
          A corpus of `size` rows with the `variables` as info.
        """

    @abc.abstractmethod
    def counts(self, keys: Keys, law: Float[Array, " state"], size: Size) -> SelectedCounts:
        """Return selected rows of a model on finitely many states, as counts.

        Args:
          keys: random numbers of the generation that the rows are for.
          law: the model, weights [state] >= 0 that need not be normalised.
          size: number of rows, may be traced.
        """


def accepted_by(verifier: Verifier, rows: Array, count: int) -> Bool[Array, " row"] | Array:
    """Return the verifier's answers for rows or states.

    Args:
      verifier: of a policy.
      rows: real vectors [row, dim], or states [state].
      count: their number.

    Returns:
      Whether each may be trained on, or with which probability, [row].

    Raises:
      ValueError: if there is not one answer for each.
    """
    remedy = "reduce over the axes of a row, e.g. verifier=lambda rows: abs(rows[:, 0]) < 2"
    accepted = one_for_each("verifier", verifier, rows, count, "bool or probability", remedy)
    is_real = jnp.issubdtype(accepted.dtype, jnp.floating)
    return accepted.astype(jnp.result_type(float)) if is_real else accepted.astype(bool)


def one_for_each(
    name: str, function: RowFunction, rows: Array, count: int, what: str, remedy: str
) -> Array:
    """Return what a user's function says of rows or states.

    Args:
      name: of the function, for messages.
      function: of the user.
      rows: real vectors [row, dim], or states [state].
      count: their number.
      what: the thing it must return for each.
      remedy: what to do if it does not.

    Returns:
      An array [row].

    Raises:
      ValueError: if there is not one number for each.
    """
    allowed = f"for {count} rows it must return one {what} each, shape ({count},)"
    found = check.convertible(f"result of {name}", function(rows), allowed)
    if found.shape != (count,):
        shown = check.Shown(f"array of shape {found.shape}")
        raise check.fail(f"result of {name}", shown, allowed, remedy)
    if jnp.issubdtype(found.dtype, jnp.complexfloating):
        raise check.fail(f"result of {name}", check.Shown(str(found.dtype)), allowed, remedy)
    return found


def on_states(evaluate: Callable[[Array], Array], num_states: int) -> np.ndarray:
    """Return what a user's function says of all states, as numbers that programs may rest on.

    Args:
      evaluate: a checked function of states.
      num_states: K.

    Returns:
      A NumPy array [state, ...].
    """
    with jax.ensure_compile_time_eval():
        return np.asarray(evaluate(jnp.arange(num_states, dtype=jnp.int32)))


@config
class Accept(AbstractSelection):
    """Train on accepted rows only: the model is drawn from until enough of them are there.

    The function is a verifier. One that returns probabilities is noisy: it accepts some bad rows
    and refuses some good ones (Feng et al., arXiv 2406.07515). `verifier=f` of a policy is short
    for `selection=Accept(f)`.

    Recorded: `acceptance`, the share of the model's rows that is accepted.

    Args:
      function: function(rows), rows [n, dim] in data units, or function(states), int32 [n] for
        `Discrete`, returns a bool or a probability for each, [n].
      max_rounds: how often as many rows as a corpus has are drawn at most, in [1, 2^16]; slots
        stay empty if too few are accepted. Counts, which are exact, need no rounds.

    Raises:
      ValueError: for anything that is no function, or other rounds. A chain of rows ends with
        status NON_FINITE if a probability is NaN or outside [0, 1], and with DEGENERATE if no row
        is accepted.

    >>> import collapse_jax as cj
    >>> near = lambda rows: abs(rows[:, 0]) < 2
    >>> cj.Replace(100, verifier=near).selected_by == cj.Accept(near)
    True
    """

    function: Verifier = static()
    max_rounds: int = static(default=256)

    def __post_init__(self) -> None:
        check_function("Accept.function", self.function, "a bool or a probability")
        rounds = check.integer("Accept.max_rounds", self.max_rounds, 1, _MOST_ROUNDS)
        object.__setattr__(self, "max_rounds", rounds)

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the share of accepted rows."""
        return ("acceptance",)

    @property
    def can_refuse(self) -> bool:
        """Return True: drawing ends after `max_rounds` rounds."""
        return True

    @property
    def most_rounds(self) -> int:
        """Return `max_rounds`."""
        return self.max_rounds

    @property
    def of_one_round(self) -> Self:
        """Return the selection with one round."""
        return replace_fields(self, max_rounds=1)

    @property
    def repeats_draws(self) -> bool:
        """Return True."""
        return True

    def translated(self, shift: Float[Array, " dim"]) -> Self:
        """Return the selection whose function gets rows without a shift."""
        return replace_fields(self, function=lambda rows: self.function(rows - shift))

    def rows(self, keys: Keys, draw: DrawRows, size: Size, capacity: int) -> Samples:
        """Draw in rounds until `size` rows are accepted.

        Slots stay empty if in `max_rounds` rounds of `capacity` rows too few are accepted.
        `acceptance` is the share of the first round's.
        """

        def attempt(round: Array | int) -> tuple[Any, Array, Array]:
            keys_of_round = keys.branch(Purpose.VERIFY, round)
            drawn = draw(keys_of_round, capacity)
            answers = accepted_by(self.function, drawn.absolute_rows, capacity)
            if answers.dtype == jnp.bool_:
                return drawn, answers, jnp.bool_(False)
            word, _ = keys_of_round.bits(Purpose.SELECT, (capacity,))
            return drawn, _happens(word, answers), jnp.any(_is_no_probability(answers))

        def fill(rows: Array, filled: Array, drawn: Array, accepted: Array) -> tuple[Array, Array]:
            count = filled + running_count(accepted)
            slot = jnp.where(accepted, count - 1, capacity)
            return rows.at[slot].set(drawn, mode="drop"), count[-1]

        def again(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            round, rows, filled, undefined = carry
            drawn, accepted, wrong = attempt(round)
            rows, filled = fill(rows, filled, drawn.rows, accepted)
            return round + 1, rows, filled, undefined | wrong

        start, accepted, wrong = attempt(0)
        rows, first = fill(jnp.zeros_like(start.rows), jnp.int32(0), start.rows, accepted)
        _, rows, filled, undefined = _loop(
            lambda carry: (carry[2] < size) & (carry[0] < self.max_rounds),
            again,
            (jnp.int32(1), rows, first, wrong),
        )
        weights = prefix_weights(jnp.minimum(filled, size), capacity)
        corpus = dataclasses.replace(start, rows=rows, weights=weights)
        info = {"acceptance": first.astype(float) / capacity, UNDEFINED: undefined}
        return corpus.with_info(**info)

    def counts(self, keys: Keys, law: Float[Array, " state"], size: Size) -> SelectedCounts:
        """Draw from the law weighted by the answers; their mass is the acceptance."""
        answers = accepted_by(self.function, jnp.arange(len(law), dtype=jnp.int32), len(law))
        if answers.dtype == jnp.bool_:
            accepted = jnp.where(answers, law, 0)
        else:
            given = on_states(lambda s: accepted_by(self.function, s, len(law)), len(law))
            _check_probabilities(given)
            accepted = law * jnp.asarray(np.clip(given, 0, 1), law.dtype)
        mass = jnp.sum(accepted)
        some = jnp.where(mass > 0, accepted, law)
        number = jnp.where(mass > 0, size, 0)
        counts = multinomial(keys, Purpose.DRAW, number, some)
        return SelectedCounts(counts, {"acceptance": mass / jnp.sum(law)})


def _loop(condition: Callable[[Any], Any], body: Callable[[Any], Any], carry: Any) -> Any:
    """Return the result of a loop, in Python where a model is drawn from on the host."""
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(carry)):
        return jax.lax.while_loop(condition, body, carry)
    while condition(carry):
        carry = body(carry)
    return carry


def check_function(name: str, function: Any, what: str) -> None:
    """Refuse anything that cannot be called.

    Args:
      name: of the argument, with its class.
      function: the value.
      what: the thing it returns for each row.

    Raises:
      ValueError: if it cannot be called, or is a class.
    """
    if not callable(function) or isinstance(function, (type, AbstractSelection)):
        remedy = f"pass a function of rows (or states) that returns {what} for each"
        raise check.fail(name, function, "it must be callable", remedy)


def _is_no_probability(answers: Float[Array, "..."]) -> Bool[Array, "..."]:
    return ~((answers >= -_SLACK) & (answers <= 1 + _SLACK))


def _happens(word: Array, probability: Float[Array, " row"]) -> Bool[Array, " row"]:
    """Tell whether events of given probabilities happen, to 2^-32."""
    inside = jnp.clip(jnp.nan_to_num(probability), 0, 1 - 2.0**-24)
    return (probability >= 1) | (word < (inside * 2.0**32).astype(jnp.uint32))


def _check_probabilities(given: np.ndarray) -> None:
    wrong = ~((given >= -_SLACK) & (given <= 1 + _SLACK))
    if np.any(wrong):
        state = int(np.argmax(wrong))
        allowed = "a probability must lie in [0, 1]"
        remedy = "return bools, or numbers in [0, 1]"
        raise check.fail(
            f"result of verifier for state {state}", float(given[state]), allowed, remedy
        )

"""Train on the best of many candidates."""

from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Samples, expand, prefix_weights
from collapse_jax.core.selection import (
    UNDEFINED,
    AbstractSelection,
    DrawRows,
    RowFunction,
    SelectedCounts,
    check_function,
)
from collapse_jax.policies.selections.scores import (
    ALL,
    CHOSEN,
    perturbed,
    real,
    scores_of,
    scores_of_states,
)
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.largest import largest, slots_of
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.once import once
from collapse_jax.random.subset import running_count
from collapse_jax.utils import check


@config
class Top(AbstractSelection):
    """Train on the num_samples best of num_candidates rows of the newest model.

    Ties are broken among candidates at random. With a temperature the rows are drawn one after
    the other, without replacement, proportionally to exp(score / temperature).

    On finitely many states the candidates are multinomial counts, and taking from the top costs
    O(states) whatever their number is; with a temperature it costs O(num_candidates).

    Recorded: `acceptance`, the share of the candidates that is trained on, and the mean scores
    `chosen_score` of these and `candidate_score` of all candidates.

    Args:
      num_candidates: N, at least as many as the rows that the policy takes from a model.
      score: score(rows), rows [n, dim] in data units, or score(states), int32 [n] for
        `Discrete`, returns a number for each, [n]; larger is better, -inf is the last choice.
      temperature: in [0, 1e6], in the unit of the score; 0 takes the best.

    Raises:
      ValueError: for any other value, and by the policy for more rows than candidates. A chain of
        rows ends with status NON_FINITE if a score is NaN.

    >>> import collapse_jax as cj
    >>> best = cj.Top(400, lambda rows: -abs(rows[:, 0] - 2.0))
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(40, selection=best))
    >>> records = cj.simulate(chain, key=0, num_chains=100, num_generations=5)
    >>> round(float(records["mean"][5].mean()), 1)
    2.0
    """

    num_candidates: int = static()
    score: RowFunction = static()
    temperature: float = static(default=0.0)

    def __post_init__(self) -> None:
        number = check.integer("Top.num_candidates", self.num_candidates, 1)
        object.__setattr__(self, "num_candidates", number)
        check_function("Top.score", self.score, "a number")
        remedy = "pass 0 for the best candidates, or a positive number"
        temperature = check.number("Top.temperature", self.temperature, 0, 1e6, remedy)
        object.__setattr__(self, "temperature", temperature)

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the share of the chosen, and mean scores."""
        return ("acceptance", CHOSEN, ALL)

    @property
    def most_rows(self) -> int:
        """Return the number of candidates."""
        return self.num_candidates

    def candidates(self, capacity: int) -> int:
        """Return the number of candidates, whatever the capacity is."""
        return self.num_candidates

    def translated(self, shift: Float[Array, " dim"]) -> Self:
        """Return the selection whose score gets rows without a shift."""
        return replace_fields(self, score=lambda rows: self.score(rows - shift))

    def rows(self, keys: Keys, draw: DrawRows, size: Size, capacity: int) -> Samples:
        """Draw all candidates and return the chosen ones in the order in which they were drawn."""
        count = self.num_candidates
        drawn = draw(keys, count)
        scores = once(keys, lambda: scores_of("Top.score", self.score, drawn.absolute_rows, count))
        values, ties = perturbed(keys, scores, self.temperature, (count,))
        chosen = largest(values, size, ties)
        corpus = drawn.with_rows(
            drawn.rows[slots_of(chosen, capacity)], prefix_weights(size, capacity)
        )
        scores = real(scores)
        total = jnp.sum(jnp.where(chosen, scores, 0))
        info = self._info(total, jnp.mean(scores), size)
        return corpus.with_info(**info, **{UNDEFINED: jnp.any(jnp.isnan(scores))})

    def _info(self, total: Array, mean: Array, size: Size) -> dict[str, Array]:
        number = real(jnp.asarray(size))
        return {"acceptance": number / self.num_candidates, CHOSEN: total / number, ALL: mean}

    def counts(self, keys: Keys, law: Float[Array, " state"], size: Size) -> SelectedCounts:
        """Draw multinomial counts of candidates and take from the top."""
        given = scores_of_states("Top.score", self.score, len(law))
        counts = multinomial(keys, Purpose.DRAW, self.num_candidates, law)
        size = jnp.asarray(size, jnp.int32)
        if self.temperature == 0:
            taken = _from_the_top(keys, law, counts, size, given)
        else:
            taken = self._drawn(keys, counts, size, given)
        scores = jnp.asarray(given, law.dtype)

        def total(numbers: Array) -> Array:
            return jnp.sum(jnp.where(numbers > 0, scores * numbers, 0))

        return SelectedCounts(
            taken, self._info(total(taken), total(counts) / self.num_candidates, size)
        )

    def _drawn(self, keys: Keys, counts: Array, size: Array, given: np.ndarray) -> Array:
        """Choose among the candidates, one label each, without replacement."""
        count = self.num_candidates
        labels = expand(counts, count)
        scores = jnp.asarray(given, jnp.result_type(float))[labels]
        values, ties = perturbed(keys, scores, self.temperature, (count,))
        before = running_count(largest(values, size, ties))  # labels are in order
        ends = jnp.cumsum(counts)
        upto = jnp.where(ends > 0, before[jnp.maximum(ends - 1, 0)], 0)
        return jnp.diff(upto, prepend=0)


def _from_the_top(
    keys: Keys,
    law: Float[Array, " state"],
    counts: Int[Array, " state"],
    size: Int[Array, ""],
    given: np.ndarray,
) -> Int[Array, " state"]:
    """Return the counts of the `size` best candidates.

    Candidates of one score are exchangeable, so given how many of them are taken these are
    independent draws from the law restricted to their states.
    """
    levels, level = np.unique(-given, return_inverse=True)  # best first
    if len(levels) == len(given):
        order = np.argsort(level)
        best_first = counts[order]
        before = jnp.cumsum(best_first) - best_first
        return jnp.clip(size - before, 0, best_first)[level]
    numbers = jax.ops.segment_sum(counts, level, len(levels))
    taken = jnp.clip(size - (jnp.cumsum(numbers) - numbers), 0, numbers)
    is_split = (taken > 0) & (taken < numbers)  # of one level at most
    inside = jnp.where(is_split[level], law, 0)
    some: Any = jnp.where(jnp.any(is_split), inside, law)
    split = multinomial(keys, Purpose.SELECT, jnp.sum(jnp.where(is_split, taken, 0)), some)
    return jnp.where(is_split[level], split, jnp.where(taken[level] > 0, counts, 0))

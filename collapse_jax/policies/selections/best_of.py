"""Train on rows that raters chose among a few candidates each."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Samples, prefix_weights
from collapse_jax.core.selection import (
    UNDEFINED,
    AbstractSelection,
    DrawRows,
    RowFunction,
    SelectedCounts,
    check_function,
)
from collapse_jax.policies.selections.best_of_law import levels_of, preference
from collapse_jax.policies.selections.scores import (
    ALL,
    CHOSEN,
    perturbed,
    real,
    scores_of,
    scores_of_states,
)
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.once import once
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

_MOST_CANDIDATES = 2**20


@config
class BestOf(AbstractSelection):
    """Train on rows each of which a rater chose among num_candidates rows of the newest model.

    Candidate k is chosen with probability softmax(reward / temperature)_k. Several rewards with
    shares are several populations of raters: the rater of each row is drawn from them (Ferbach et
    al., arXiv 2407.09499; arXiv 2605.07724). On finitely many states the chosen rows are
    independent draws from one law, which is computed exactly for every number of candidates; for
    two of them it is p'_i = p_i sum_j 2 p_j e^{r_i} / (e^{r_i} + e^{r_j}) at temperature 1.

    Recorded: `acceptance` = 1 / num_candidates, and the mean rewards `chosen_score` of the chosen
    rows and `candidate_score` of all candidates, each by the rater of its row; on finitely many
    states expectations given the model and the corpus.

    Args:
      num_candidates: K, in [1, 2^20].
      rewards: reward(rows), rows [n, dim] in data units, or reward(states), int32 [n] for
        `Discrete`, returns a number for each, [n]; one function, or one for each population.
      shares: of the populations, >= 0 with sum 1; None for equal ones.
      temperature: in [0, 1e6], in the unit of the rewards; 0 takes the best, ties at random.

    Raises:
      ValueError: for any other value. A chain of rows ends with status NON_FINITE if a reward is
        NaN.

    >>> import collapse_jax as cj
    >>> raters = cj.BestOf(2, [lambda states: states, lambda states: -states], shares=[0.7, 0.3])
    >>> policy = cj.Replace(100, selection=raters)
    >>> policy.selection.population_shares.tolist(), policy.selection.temperature
    ([0.7, 0.3], 1.0)
    """

    num_candidates: int = static()
    rewards: RowFunction | Sequence[RowFunction] = static()
    shares: Sequence[float] | None = static(default=None)
    temperature: float = static(default=1.0)

    def __post_init__(self) -> None:
        number = check.integer("BestOf.num_candidates", self.num_candidates, 1, _MOST_CANDIDATES)
        object.__setattr__(self, "num_candidates", number)
        remedy = "pass a positive number, or 0 for the best candidate"
        temperature = check.number("BestOf.temperature", self.temperature, 0, 1e6, remedy)
        object.__setattr__(self, "temperature", temperature)
        if isinstance(self.rewards, (list, tuple)):
            check.not_empty("BestOf.rewards", self.rewards)
            for index, reward in enumerate(self.rewards):
                check_function(f"BestOf.rewards[{index}]", reward, "a number")
            object.__setattr__(self, "rewards", tuple(self.rewards))
        else:
            check_function("BestOf.rewards", self.rewards, "a number")
        if self.shares is not None:
            object.__setattr__(self, "shares", _checked_shares(self.shares, self.populations))

    @property
    def populations(self) -> tuple[RowFunction, ...]:
        """Return the reward of each population of raters."""
        return self.rewards if isinstance(self.rewards, tuple) else (self.rewards,)  # pyright: ignore

    @property
    def population_shares(self) -> np.ndarray:
        """Return the share of each population, float64 [population]."""
        number = len(self.populations)
        return np.full(number, 1 / number) if self.shares is None else np.asarray(self.shares)

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the share of the chosen, and mean rewards."""
        return ("acceptance", CHOSEN, ALL)

    def candidates(self, capacity: int) -> int:
        """Return the number of candidates of all rows."""
        return self.num_candidates * capacity

    def translated(self, shift: Float[Array, " dim"]) -> Self:
        """Return the selection whose rewards get rows without a shift."""

        def of_rows(reward: RowFunction) -> Callable[[Array], Array]:
            return lambda rows: reward(rows - shift)

        return replace_fields(self, rewards=tuple(map(of_rows, self.populations)))

    def _info(self, chosen: Array, mean: Array) -> dict[str, Array]:
        return {"acceptance": real(jnp.asarray(1 / self.num_candidates)), CHOSEN: chosen, ALL: mean}

    def rows(self, keys: Keys, draw: DrawRows, size: Size, capacity: int) -> Samples:
        """Draw all candidates; candidate k of row i is number k * capacity + i of them.

        A language model continues its prompts in this order: with as many rows as prompts, the
        candidates of a row continue the same prompt.
        """
        count = self.num_candidates
        drawn = draw(keys, count * capacity)

        def rate() -> Array:
            absolute = drawn.absolute_rows
            rewards = [
                real(scores_of("BestOf.rewards", reward, absolute, count * capacity))
                for reward in self.populations
            ]
            return self._by_rater(keys, jnp.stack(rewards).reshape(-1, count, capacity))

        scores = once(keys, rate)
        values, ties = perturbed(keys, scores, self.temperature, (count, capacity))
        best = jnp.argmax(jnp.where(values == jnp.max(values, axis=0), ties(0), 0), axis=0)
        row = jnp.arange(capacity)
        weights = prefix_weights(size, capacity)
        corpus = drawn.with_rows(drawn.rows[best * capacity + row], weights)
        used = jnp.ones(capacity, bool) if weights is None else weights > 0
        number = real(jnp.asarray(size))
        chosen = jnp.sum(jnp.where(used, scores[best, row], 0)) / number
        mean = jnp.sum(jnp.where(used, scores, 0)) / (number * count)
        undefined = jnp.any(jnp.isnan(scores) & used)
        return corpus.with_info(**self._info(chosen, mean), **{UNDEFINED: undefined})

    def _by_rater(
        self, keys: Keys, rewards: Float[Array, "population candidate row"]
    ) -> Float[Array, "candidate row"]:
        """Return the rewards of each row's candidates by its rater, whose population is drawn."""
        if len(rewards) == 1:
            return rewards[0]
        word, _ = keys.bits(Purpose.COMPONENT_COUNTS, rewards.shape[2:])
        scores = rewards[0]
        for index, edge in enumerate(np.cumsum(self.population_shares)[:-1], 1):
            if edge >= 1:  # the populations from here on have no share
                break
            # A word of 32 bits is below the edge with probability `edge`.
            is_later = word >= np.uint32(min(round(edge * 2**32), 2**32 - 1))
            scores = jnp.where(is_later, rewards[index], scores)
        return scores

    def counts(self, keys: Keys, law: Float[Array, " state"], size: Size) -> SelectedCounts:
        """Draw from the law of chosen rows."""
        law = law / jnp.sum(law)
        chosen_law, scored, mean = (
            jnp.zeros_like(law),
            jnp.zeros_like(law),
            jnp.zeros((), law.dtype),
        )
        for share, reward in zip(self.population_shares, self.populations, strict=True):
            given = scores_of_states("BestOf.rewards", reward, len(law))
            if np.any(given == np.inf):
                state, remedy = int(np.argmax(given == np.inf)), "give the best a large number"
                name = f"result of BestOf.rewards for state {state}"
                raise check.fail(name, np.inf, "softmax of inf is not a number", remedy)
            factor = preference(law, levels_of(given), self.num_candidates, self.temperature)
            part = float(share) * law * factor
            values = jnp.asarray(given, law.dtype)
            chosen_law = chosen_law + part
            scored = scored + jnp.where(part > 0, part * values, 0)
            mean = mean + float(share) * jnp.sum(jnp.where(law > 0, law * values, 0))
        counts = multinomial(keys, Purpose.DRAW, size, chosen_law)
        score: Any = scored / jnp.where(chosen_law > 0, chosen_law, 1)
        total = jnp.sum(jnp.where(counts > 0, counts * score, 0))
        return SelectedCounts(counts, self._info(total / real(jnp.asarray(size)), mean))


def _checked_shares(shares: Any, populations: Sequence[Any]) -> tuple[float, ...]:
    """Return the shares of the populations as floats with sum 1."""
    remedy = "pass one share >= 0 for each reward, with sum 1, or None for equal ones"
    given = check.array("BestOf.shares", shares, 1, remedy)
    if len(given) != len(populations):
        allowed = f"there are {counted(len(populations), 'reward')}"
        raise check.fail("len(BestOf.shares)", len(given), allowed, remedy)
    if np.any(given < 0):
        index = int(np.argmax(given < 0))
        raise check.fail(f"BestOf.shares[{index}]", float(given[index]), "it must be >= 0", remedy)
    if abs(given.sum() - 1) > 1e-6:
        total = float(given.sum())
        raise check.fail("sum of BestOf.shares", total, "it must be 1 to within 1e-6", remedy)
    return tuple((given / given.sum()).tolist())

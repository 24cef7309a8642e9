"""Treat chains of counts as Markov chains on all their states: exact for small M and K.

No closed form is needed for the law of the counts of every generation, the probability of
absorption in each state, and the time to absorption. Two states are possible up to M = 1,000,
three or four as long as the C(M + K - 1, K - 1) vectors of counts fit in a matrix. Nothing is
computed through logarithms: the relative error of an entry is at most 1e-14.

Source: the haploid Wright-Fisher model, Ewens, Mathematical Population Genetics, chapter 3.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from collapse_jax.theory.checks import Law, law_of
from collapse_jax.utils import check

_MOST_VECTORS = 3000  # vectors of counts: the matrix then takes 72 MB
_MOST_ROWS = 1000  # rows of a corpus: binomial coefficients must fit in a float64


class EnumeratedChain:
    """Chain of counts of D_0, D_1, ... under Replace or with a fresh share, as a Markov chain.

    Each row of D_{g+1} is drawn independently from (1 - gamma) q + gamma p_0, with model g
    q = (counts + smoothing) / (M + K smoothing). D_0 is drawn from p_0.

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      num_samples: M, rows of every corpus, 1 .. 1,000.
      gamma: share of rows drawn from p_0, in [0, 1], dimensionless.
      smoothing: count that the fit adds to every state, in rows, at least 0.

    Attributes:
      counts: [vector, state], the vectors of counts, in rows.
      transition: [from, to], transition probabilities between vectors of counts.
      start: [vector], probabilities of the vectors of D_0.

    Raises:
      ValueError: if an argument is outside its range, or there are more than 3,000 vectors.

    >>> from collapse_jax.theory.enumeration import EnumeratedChain
    >>> chain = EnumeratedChain([0.75, 0.25], 2)
    >>> chain.counts.tolist()
    [[0, 2], [1, 1], [2, 0]]
    >>> chain.laws(1).round(4).tolist()
    [[0.0625, 0.375, 0.5625], [0.1562, 0.1875, 0.6562]]
    >>> chain.absorption_probabilities.round(4).tolist(), round(chain.mean_absorption_time, 4)
    ([0.75, 0.25], 1.75)
    """

    def __init__(
        self,
        probabilities: Law,
        num_samples: int,
        gamma: float = 0.0,
        smoothing: float = 0.0,
    ) -> None:
        law = law_of(probabilities)
        remedy = "use theory.ancestors for more"
        size = check.integer("num_samples", num_samples, 1, _MOST_ROWS, remedy)
        gamma = check.number("gamma", gamma, 0, 1, "pass a share of rows")
        smoothing = check.number("smoothing", smoothing, 0, 1e6, "pass a small count")
        vectors = math.comb(size + len(law) - 1, len(law) - 1)
        if vectors > _MOST_VECTORS:
            allowed = (
                f"{len(law):,} states give {vectors:,} vectors of counts, {_MOST_VECTORS:,} fit"
            )
            raise check.fail("num_samples", size, allowed, f"lower it, or {remedy}")
        self.counts = _compositions(size, len(law))
        model = (self.counts + smoothing) / (size + len(law) * smoothing)
        self.transition = _multinomial(self.counts, (1 - gamma) * model + gamma * law)
        self.start = _multinomial(self.counts, law[None])[0]

    def laws(self, num_generations: int) -> np.ndarray:
        """Return P(counts of D_g), g = 0 .. G.

        Args:
          num_generations: G, number of generations after D_0, at least 0.

        Returns:
          [G + 1, vector] float64, probabilities; each row sums to 1.

        Raises:
          ValueError: if `num_generations` is no integer, or negative.
        """
        laws = [self.start]
        for _ in range(check.integer("num_generations", num_generations, 0)):
            laws.append(laws[-1] @ self.transition)
        return np.stack(laws)

    def expectation(
        self, function: Callable[[np.ndarray], np.ndarray], num_generations: int
    ) -> np.ndarray:
        """Return E f(D_g), g = 0 .. G.

        Args:
          function: f, maps counts [vector, state] to values [vector] or [vector, ...].
          num_generations: G, number of generations after D_0, at least 0.

        Returns:
          [G + 1] or [G + 1, ...] float64, in the unit of f.
        """
        return self.laws(num_generations) @ function(self.counts)

    @functools.cached_property
    def _absorbing(self) -> np.ndarray:
        return np.isclose(np.diagonal(self.transition), 1, rtol=0, atol=1e-14)

    @functools.cached_property
    def _transient(self) -> np.ndarray:
        """Return I - Q, [from, to], of the vectors that are not absorbing."""
        is_transient = ~self._absorbing
        if not np.any(self._absorbing):
            allowed = "with fresh rows or smoothing the chain is never absorbed"
            raise check.fail("chain", check.Shown("EnumeratedChain"), allowed, "use laws() instead")
        moves = self.transition[np.ix_(is_transient, is_transient)]
        np.fill_diagonal(moves, 0)
        # The probability of leaving is a sum: 1 - P(stay) would lose its digits.
        leaves = moves.sum(axis=1) + self.transition[np.ix_(is_transient, ~is_transient)].sum(
            axis=1
        )
        return np.diag(leaves) - moves

    @property
    def absorption_probabilities(self) -> np.ndarray:
        """Return P(the chain ends in state i), [state], probabilities; equal to p_0 under Replace.

        Raises:
          ValueError: if no state is absorbing.
        """
        is_transient = ~self._absorbing
        ends = np.linalg.solve(
            self._transient, self.transition[np.ix_(is_transient, ~is_transient)]
        )
        reached = self.start[is_transient] @ ends + self.start[~is_transient]
        return reached @ (self.counts[~is_transient] > 0)

    @property
    def mean_absorption_time(self) -> float:
        """Return the mean number n of fits until a single state is left, at least 1.

        Raises:
          ValueError: if no state is absorbing.
        """
        steps = np.linalg.solve(self._transient, np.ones(len(self._transient)))
        return float(1 + self.start[~self._absorbing] @ steps)


def _compositions(total: int, parts: int) -> np.ndarray:
    """Return all vectors of `parts` counts with sum `total`, [vector, part]."""
    if parts == 1:
        return np.array([[total]])
    smaller = [_compositions(total - first, parts - 1) for first in range(total + 1)]
    return np.concatenate([np.insert(rest, 0, first, axis=1) for first, rest in enumerate(smaller)])


def _multinomial(counts: np.ndarray, laws: np.ndarray) -> np.ndarray:
    """Return P(counts) under each of the laws, [law, vector]."""
    factorial = [math.factorial(n) for n in range(int(counts[0].sum()) + 1)]
    orders = [factorial[-1] // math.prod(factorial[n] for n in row) for row in counts.tolist()]
    chances = np.array(orders, np.float64) * np.ones((len(laws), 1))
    for state in range(counts.shape[1]):
        chances *= laws[:, state, None] ** counts[:, state]
    return chances

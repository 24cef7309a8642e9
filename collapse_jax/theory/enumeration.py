"""Chains of counts as Markov chains on all their states: exact for small M and K.

Everything that a discrete chain can do, with no closed form needed: the law of the counts
of every generation, the chance of absorption in each state, and how long it takes. For two
states up to M = 1,000, for three or four as long as the C(M + K - 1, K - 1) vectors of counts
fit in a matrix. Nothing is computed through logarithms: entries are right to 1e-14 of
themselves.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from collapse_jax.theory.checks import Law, law_of
from collapse_jax.utils import check

_MOST_VECTORS = 3000
_MOST_ROWS = 1000  # so that binomial coefficients are floats


class EnumeratedChain:
    """The chain of counts of D_0, D_1, ... under Replace, or with a fresh share.

    Row by row, D_{g+1} is drawn from (1 - gamma) q + gamma p_0, with q = (counts +
    smoothing) / (M + K smoothing) model g. D_0 is drawn from p_0.

    Args:
      probabilities: p_0, [state].
      num_samples: M, of every corpus.
      gamma: share of original rows, drawn anew, in [0, 1].
      smoothing: added to every count by the fit.

    Attributes:
      counts: the states, [vector, state].
      transition: [from, to].
      start: the law of D_0, [vector].

    Raises:
      ValueError: for more than 3,000 vectors of counts, or 1,000 rows.

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
            allowed = f"{len(law)} states make {vectors} vectors of counts, {_MOST_VECTORS} fit"
            raise check.fail("num_samples", size, allowed, f"lower it, or {remedy}")
        self.counts = _compositions(size, len(law))
        model = (self.counts + smoothing) / (size + len(law) * smoothing)
        self.transition = _multinomial(self.counts, (1 - gamma) * model + gamma * law)
        self.start = _multinomial(self.counts, law[None])[0]

    def laws(self, num_generations: int) -> np.ndarray:
        """P(counts of D_g), [generation, vector], g = 0 .. G."""
        laws = [self.start]
        for _ in range(num_generations):
            laws.append(laws[-1] @ self.transition)
        return np.stack(laws)

    def expectation(
        self, function: Callable[[np.ndarray], np.ndarray], num_generations: int
    ) -> np.ndarray:
        """E f(D_g), g = 0 .. G; `function` maps [vector, state] counts to [vector] or more."""
        return self.laws(num_generations) @ function(self.counts)

    @functools.cached_property
    def _absorbing(self) -> np.ndarray:
        return np.isclose(np.diagonal(self.transition), 1, rtol=0, atol=1e-14)

    @functools.cached_property
    def _transient(self) -> np.ndarray:
        """I - Q of the vectors from which the chain goes on."""
        go_on = ~self._absorbing
        if not np.any(self._absorbing):
            allowed = "with fresh rows or smoothing the chain is never absorbed"
            raise check.fail("chain", check.Shown("EnumeratedChain"), allowed, "ask for its laws")
        moves = self.transition[np.ix_(go_on, go_on)]
        np.fill_diagonal(moves, 0)
        # The chance to leave as a sum: 1 - P(stay) would lose its digits.
        leaves = moves.sum(axis=1) + self.transition[np.ix_(go_on, ~go_on)].sum(axis=1)
        return np.diag(leaves) - moves

    @property
    def absorption_probabilities(self) -> np.ndarray:
        """P(the chain ends in state i), [state]; p_0 itself under Replace."""
        go_on = ~self._absorbing
        ends = np.linalg.solve(self._transient, self.transition[np.ix_(go_on, ~go_on)])
        reached = self.start[go_on] @ ends + self.start[~go_on]
        return reached @ (self.counts[~go_on] > 0)

    @property
    def mean_absorption_time(self) -> float:
        """Mean number n of fits until a single state is left."""
        steps = np.linalg.solve(self._transient, np.ones(len(self._transient)))
        return float(1 + self.start[~self._absorbing] @ steps)


def _compositions(total: int, parts: int) -> np.ndarray:
    """All vectors of `parts` counts with this sum, [vector, part]."""
    if parts == 1:
        return np.array([[total]])
    smaller = [_compositions(total - first, parts - 1) for first in range(total + 1)]
    return np.concatenate([np.insert(rest, 0, first, axis=1) for first, rest in enumerate(smaller)])


def _multinomial(counts: np.ndarray, laws: np.ndarray) -> np.ndarray:
    """P(counts) under each of the laws, [law, vector]."""
    factorial = [math.factorial(n) for n in range(int(counts[0].sum()) + 1)]
    orders = [factorial[-1] // math.prod(factorial[n] for n in row) for row in counts.tolist()]
    chances = np.array(orders, np.float64) * np.ones((len(laws), 1))
    for state in range(counts.shape[1]):
        chances *= laws[:, state, None] ** counts[:, state]
    return chances

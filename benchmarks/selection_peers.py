"""Select rows in NumPy, all chains at once, as a careful user would without this library."""

from collections.abc import Callable

import numpy as np

Score = Callable[[np.ndarray], np.ndarray]
"""score(rows [..., dim] or states [...]) -> a number for each, [...]."""
Select = Callable[[Callable[[tuple[int, ...]], np.ndarray]], tuple[np.ndarray, np.ndarray | None]]
"""select(draw) -> rows [chain, row, dim] and which of them are taken [chain, row], None for all."""


def gaussian(generations: int, chains: int, dim: int, rng: np.random.Generator, select: Select):
    """Fit normal laws to selected rows of the one before, batched over chains.

    Args:
      generations: how many.
      chains: how many.
      dim: of the rows.
      rng: random numbers.
      select: makes the corpora of all chains from a function that draws rows.

    Returns:
      The last means, float32 [chain, dim].
    """
    mean = np.zeros((chains, 1, dim), np.float32)
    root = np.broadcast_to(np.eye(dim, dtype=np.float32), (chains, dim, dim))

    def draw(number: int) -> np.ndarray:
        scores = rng.standard_normal((chains, number, dim), dtype=np.float32)
        if dim == 1:
            return mean + root * scores
        return mean + scores @ root.transpose(0, 2, 1)

    for _ in range(generations):
        rows, taken = select(draw)
        if taken is None:
            number = rows.shape[1]
            mean = rows.mean(axis=1, keepdims=True)
            left = rows - mean
        else:
            weights = taken[..., None]
            number = taken.sum(axis=1)[:, None, None]
            mean = (weights * rows).sum(axis=1, keepdims=True) / number.astype(np.float32)
            left = weights * (rows - mean)
        if dim == 1:
            scatter = (left**2).sum(axis=1, keepdims=True)
            root = np.sqrt(scatter / np.float32(number - 1))
        else:
            root = np.linalg.cholesky(left.transpose(0, 2, 1) @ left / np.float32(number - 1))
    return mean[:, 0]


def accept(size: int, share: float, accepts: Score) -> Select:
    """Draw until every chain has `size` accepted rows.

    Args:
      size: rows of a corpus.
      share: of rows that are accepted, by which the first draw is sized.
      accepts: returns which rows are.
    """
    spare = int(size / share + 5 * np.sqrt(size * (1 - share)) / share) + 1

    def select(draw):
        rows = draw(spare)
        order = np.cumsum(accepts(rows), axis=1)
        while np.any(order[:, -1] < size):
            rows = np.concatenate([rows, draw(spare)], axis=1)
            order = np.cumsum(accepts(rows), axis=1)
        return rows, (order <= size) & accepts(rows)

    return select


def top(size: int, candidates: int, score: Score) -> Select:
    """Take the rows of the largest scores, by `argpartition`."""

    def select(draw):
        rows = draw(candidates)
        best = np.argpartition(score(rows), -size, axis=1)[:, -size:]
        return np.take_along_axis(rows, best[..., None], axis=1), None

    return select


def best_of(size: int, candidates: int, reward: Score, rng: np.random.Generator) -> Select:
    """Choose one of the candidates of each row by softmax, with Gumbel numbers."""

    def select(draw):
        rows = draw(size * candidates)
        chains, dim = len(rows), rows.shape[-1]
        noise = -np.log(rng.standard_exponential((chains, size * candidates), dtype=np.float32))
        scores = (reward(rows) + noise).reshape(chains, size, candidates)
        best = scores.argmax(axis=2)[..., None, None]
        rows = rows.reshape(chains, size, candidates, dim)
        return np.take_along_axis(rows, best, axis=2)[:, :, 0], None

    return select


def edit(size: int, change: Score) -> Select:
    """Change all rows."""
    return lambda draw: (change(draw(size)), None)


def discrete(generations: int, law: np.ndarray, chains: int, size: int, draw) -> np.ndarray:
    """Draw the selected counts of all chains from their laws, generation by generation.

    Args:
      generations: how many.
      law: of the truth, [state].
      chains: how many.
      size: rows of a corpus.
      draw: returns selected counts [chain, state] of laws [chain, state].
    """
    laws = np.broadcast_to(law, (chains, len(law)))
    for _ in range(generations):
        counts = draw(laws)
        laws = counts / size
    return counts


def top_counts(
    candidates: int, size: int, scores: np.ndarray, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a draw of the best of multinomial counts, for scores that are all different."""
    order = np.argsort(-scores)

    def draw(laws: np.ndarray) -> np.ndarray:
        counts = rng.multinomial(candidates, laws)[:, order]
        before = np.cumsum(counts, axis=1) - counts
        taken = np.empty_like(counts)
        taken[:, order] = np.clip(size - before, 0, counts)
        return taken

    return draw


def pair_counts(
    size: int, rewards: np.ndarray, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a draw of the better of two, from the closed form of its law."""
    weights = np.exp(rewards)
    matrix = 2 * weights / (weights + weights[:, None])

    def draw(laws: np.ndarray) -> np.ndarray:
        chosen = laws * (laws @ matrix)
        return rng.multinomial(size, chosen / chosen.sum(axis=1, keepdims=True))

    return draw

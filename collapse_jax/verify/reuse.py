"""Compute laws of chains that reuse rows by brute force: enumerate states or hold every row."""

import numpy as np


def _binomial(n: int, p: float) -> np.ndarray:
    """Return the binomial law [n + 1]."""
    from scipy import stats

    return stats.binom.pmf(np.arange(n + 1), n, p)


def _subset(count: int, population: int, size: int, most: int) -> np.ndarray:
    """Return the law [most + 1] of the number of rows in state 0 of a random subset."""
    from scipy import stats

    return stats.hypergeom.pmf(np.arange(most + 1), population, count, size)


def accumulate_subsample(p: float, size: int, num_generations: int) -> np.ndarray:
    """Return the joint law of the counts of state 0 in D_0 and the last corpus.

    Each corpus is a random subset of the pool of all rows so far.

    Args:
      p: probability of state 0.
      size: rows of every corpus.
      num_generations: index g of the last corpus.

    Returns:
      P(D_0 = i, D_g = j), [size + 1, size + 1].
    """
    result = np.zeros((size + 1, size + 1))
    for initial, chance in enumerate(_binomial(size, p)):
        pool, corpus = {initial: 1.0}, {(initial, initial): 1.0}  # (pool, corpus)
        for generation in range(num_generations):
            pool = {}
            for (pooled, current), weight in corpus.items():
                for new, likely in enumerate(_binomial(size, current / size)):
                    pool[pooled + new] = pool.get(pooled + new, 0) + weight * likely
            population = (generation + 2) * size
            corpus = {
                (pooled, current): weight * likely
                for pooled, weight in pool.items()
                for current, likely in enumerate(_subset(pooled, population, size, size))
            }
        for (_, current), weight in corpus.items():
            result[initial, current] += chance * weight
    return result


def mixing(
    p: float,
    size: int,
    num_generations: int,
    beta: float = 0.0,
    gamma: float = 0.0,
    is_fixed: bool = True,
) -> np.ndarray:
    """Return the joint law of the counts of state 0 where corpora reuse rows of D_g and D_0.

    Args:
      p: probability of state 0.
      size: rows M of every corpus.
      num_generations: index g of the last corpus.
      beta: share of rows reused from the previous corpus.
      gamma: share of rows reused from D_0.
      is_fixed: whether exactly beta M and gamma M rows are reused; otherwise each row is reused
        with that probability, and one of beta and gamma must be 0.

    Returns:
      P(D_0 = i, D_g = j), [size + 1, size + 1].
    """
    if is_fixed:
        parts = {(round(beta * size), round(gamma * size)): 1.0}
    else:
        chances = enumerate(_binomial(size, beta + gamma))
        parts = {(n, 0) if beta else (0, n): chance for n, chance in chances}
    result = np.zeros((size + 1, size + 1))
    for initial, chance in enumerate(_binomial(size, p)):
        law = np.zeros(size + 1)
        law[initial] = 1
        for _ in range(num_generations):
            after = np.zeros(size + 1)
            for (num_previous, num_original), likely in parts.items():
                original = _subset(initial, size, num_original, num_original)
                for current, weight in enumerate(law):
                    new = _binomial(size - num_previous - num_original, current / size)
                    previous = _subset(current, size, num_previous, num_previous)
                    rows = np.convolve(np.convolve(new, previous), original)
                    after += likely * weight * rows
            law = after
        result[initial] = chance * law
    return result


def gaussian_rows(
    policy: str, num_chains: int, size: int, num_generations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate Gaussian chains in NumPy, with every row in memory.

    Args:
      policy: "AccumulateSubsample"; any other name reuses half of the previous corpus.
      num_chains: number of chains.
      size: rows of every corpus.
      num_generations: index of the last model.
      rng: source of the rows.

    Returns:
      ln sigma (MLE) and mean of all models, [generation, chain] each.
    """
    corpus = rng.normal(size=(num_chains, size))
    pool, logs, means = corpus, [np.log(corpus.std(axis=1))], [corpus.mean(axis=1)]
    for _ in range(num_generations):
        mean, std = corpus.mean(axis=1, keepdims=True), corpus.std(axis=1, keepdims=True)
        if policy == "AccumulateSubsample":
            pool = np.concatenate([pool, rng.normal(mean, std, (num_chains, size))], axis=1)
            order = np.argsort(rng.random(pool.shape), axis=1)[:, :size]
            corpus = np.take_along_axis(pool, order, axis=1)
        else:
            num_reused = size // 2
            order = np.argsort(rng.random(corpus.shape), axis=1)[:, :num_reused]
            rows = rng.normal(mean, std, (num_chains, size - num_reused))
            corpus = np.concatenate([np.take_along_axis(corpus, order, axis=1), rows], axis=1)
        logs.append(np.log(corpus.std(axis=1)))
        means.append(corpus.mean(axis=1))
    return np.stack(logs), np.stack(means)

"""Chains that reuse rows, on the longest way: every state enumerated, every row kept."""

import numpy as np


def _binomial(n: int, p: float) -> np.ndarray:
    from scipy import stats

    return stats.binom.pmf(np.arange(n + 1), n, p)


def _subset(count: int, population: int, size: int, most: int) -> np.ndarray:
    """P(so many of a random subset are in state 0), padded to most + 1."""
    from scipy import stats

    return stats.hypergeom.pmf(np.arange(most + 1), population, count, size)


def accumulate_subsample(p: float, size: int, num_generations: int) -> np.ndarray:
    """P(D_0 = i, D_g = j) of the counts of state 0, g = num_generations, one size."""
    result = np.zeros((size + 1, size + 1))
    for first, chance in enumerate(_binomial(size, p)):
        pool, corpus = {first: 1.0}, {(first, first): 1.0}  # (pool, corpus)
        for generation in range(num_generations):
            pool = {}
            for (kept, current), weight in corpus.items():
                for new, likely in enumerate(_binomial(size, current / size)):
                    pool[kept + new] = pool.get(kept + new, 0) + weight * likely
            population = (generation + 2) * size
            corpus = {
                (kept, current): weight * likely
                for kept, weight in pool.items()
                for current, likely in enumerate(_subset(kept, population, size, size))
            }
        for (_, current), weight in corpus.items():
            result[first, current] += chance * weight
    return result


def mixing(
    p: float,
    size: int,
    num_generations: int,
    beta: float = 0.0,
    gamma: float = 0.0,
    is_fixed: bool = True,
) -> np.ndarray:
    """P(D_0 = i, D_g = j) where a share beta of D_g and gamma of D_0 are trained on again.

    Exactly beta M or gamma M rows, or each row with that chance: then one of the two only.
    """
    if is_fixed:
        parts = {(round(beta * size), round(gamma * size)): 1.0}
    else:
        chances = enumerate(_binomial(size, beta + gamma))
        parts = {(n, 0) if beta else (0, n): chance for n, chance in chances}
    result = np.zeros((size + 1, size + 1))
    for first, chance in enumerate(_binomial(size, p)):
        law = np.zeros(size + 1)
        law[first] = 1
        for _ in range(num_generations):
            after = np.zeros(size + 1)
            for (again, kept), likely in parts.items():
                original = _subset(first, size, kept, kept)
                for current, weight in enumerate(law):
                    new = _binomial(size - again - kept, current / size)
                    previous = _subset(current, size, again, again)
                    rows = np.convolve(np.convolve(new, previous), original)
                    after += likely * weight * rows
            law = after
        result[first] = chance * law
    return result


def gaussian_rows(
    policy: str, num_chains: int, size: int, num_generations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """ln sigma (MLE) and mean of all models, [generation, chain], where every row is held."""
    corpus = rng.normal(size=(num_chains, size))
    pool, logs, means = corpus, [np.log(corpus.std(axis=1))], [corpus.mean(axis=1)]
    for _ in range(num_generations):
        mean, std = corpus.mean(axis=1, keepdims=True), corpus.std(axis=1, keepdims=True)
        if policy == "AccumulateSubsample":
            pool = np.concatenate([pool, rng.normal(mean, std, (num_chains, size))], axis=1)
            order = np.argsort(rng.random(pool.shape), axis=1)[:, :size]
            corpus = np.take_along_axis(pool, order, axis=1)
        else:
            again = size // 2
            order = np.argsort(rng.random(corpus.shape), axis=1)[:, :again]
            rows = rng.normal(mean, std, (num_chains, size - again))
            corpus = np.concatenate([np.take_along_axis(corpus, order, axis=1), rows], axis=1)
        logs.append(np.log(corpus.std(axis=1)))
        means.append(corpus.mean(axis=1))
    return np.stack(logs), np.stack(means)

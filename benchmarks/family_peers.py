"""Simulate rates, kernel densities and regressions in NumPy and scikit-learn."""

import numpy as np


def poisson(generations: int, chains: int, size: int, rng: np.random.Generator, is_reduced=False):
    """Draw the sums of all chains' rows, and take their means as the next rates."""
    rate = np.ones(chains)
    for _ in range(generations):
        rate = rng.poisson(size * rate) / size
        if is_reduced:
            _ = rate.mean(), rate.std(), (rate == 0).mean()
    return rate


def exponential(
    generations: int, chains: int, size: int, rng: np.random.Generator, is_reduced=False
):
    """Draw the sums of all chains' rows, and take their means as the next scales."""
    mean = np.ones(chains, np.float32)
    for _ in range(generations):
        mean = mean * rng.standard_gamma(size, chains, dtype=np.float32) * np.float32(1 / size)
        if is_reduced:
            rate = 1 / mean
            log_rate = np.log(rate)
            _ = rate.mean(), rate.std(), log_rate.mean(), log_rate.std()
    return mean


def kernel_density(
    generations: int,
    chains: int,
    dim: int,
    size: int,
    width: float | str,
    rng: np.random.Generator,
) -> np.ndarray:
    """Resample the rows of all chains with noise; width "scott" is for one dimension."""
    rows = rng.standard_normal((chains, size, dim), dtype=np.float32)
    step = np.float32(0 if width == "scott" else width)
    for _ in range(generations):
        if width == "scott":
            step = rows.std(axis=1, ddof=1, keepdims=True) * np.float32(size**-0.2)
        index = rng.integers(size, size=(chains, size), dtype=np.int32)
        rows = np.take_along_axis(rows, index[..., None], axis=1)
        rows = rows + step * rng.standard_normal(rows.shape, dtype=np.float32)
        _ = rows.mean(axis=1), rows.std(axis=1)
    return rows


def linear(
    generations: int, chains: int, dim: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw rows, label them by the predecessor, and solve the normal equations of all chains."""
    b = np.broadcast_to(np.linspace(-1, 1, dim, dtype=np.float32), (chains, dim))
    for _ in range(generations):
        x = rng.standard_normal((chains, size, dim), dtype=np.float32)
        noise = rng.standard_normal((chains, size, 1), dtype=np.float32)
        y = x @ b[..., None] + noise
        columns = x.transpose(0, 2, 1)
        b = np.linalg.solve(columns @ x, columns @ y)[..., 0]
    return b


def logistic(
    generations: int, chains: int, dim: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw rows, label them by the predecessor, and fit one chain after the other."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    b = np.tile(np.linspace(-1, 1, dim), (chains, 1))
    with threadpool_limits(1):  # the fits are too small for two threads
        for _ in range(generations):
            x = rng.standard_normal((chains, size, dim))
            chance = 1 / (1 + np.exp(-(x @ b[..., None])[..., 0]))
            y = rng.random(chance.shape) < chance
            for chain in range(chains):
                fitted = LogisticRegression(C=np.inf, fit_intercept=False)
                b[chain] = fitted.fit(x[chain], y[chain]).coef_[0]
    return b

"""The same laws in NumPy: what a careful user would write without this library."""

import numpy as np


def gaussian_1d(generations: int, chains: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Exact chain of moments with the same reductions: means and stds of three variables."""
    mean, std = np.zeros(chains, np.float32), np.ones(chains, np.float32)
    reduced = np.empty((generations, 3, 2))
    root = np.float32(1 / np.sqrt(size))
    for generation in range(generations):
        mean = mean + std * root * rng.standard_normal(chains, dtype=np.float32)
        chi_square = 2 * rng.standard_gamma((size - 1) / 2, chains, dtype=np.float32)
        std = std * np.sqrt(chi_square / np.float32(size - 1))
        log_std = np.log(std)
        distance = mean**2 + (std - 1) ** 2
        for place, variable in enumerate((mean, log_std, distance)):
            reduced[generation, place] = variable.mean(), variable.std()
    return reduced


def gaussian_sampling_loop(
    generations: int, chains: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """The loop of the paper's notebook: draw the rows, take mean and std, one chain at a time."""
    result = np.empty((chains, 2))
    for chain in range(chains):
        mean, std = 0.0, 1.0
        for _ in range(generations):
            rows = rng.normal(mean, std, size)
            mean, std = np.mean(rows), np.std(rows)
        result[chain] = mean, std
    return result


def gaussian_bartlett(
    generations: int, chains: int, size: int, dim: int, rng: np.random.Generator
) -> np.ndarray:
    """Exact chain in several dimensions with Bartlett factors, batched over chains."""
    mean = np.zeros((chains, dim), np.float32)
    factor = np.broadcast_to(np.eye(dim, dtype=np.float32), (chains, dim, dim)).copy()
    below = np.tril_indices(dim, -1)
    dof = (size - 1 - np.arange(dim)) / 2
    bartlett = np.zeros((chains, dim, dim), np.float32)
    for _ in range(generations):
        scores = rng.standard_normal((chains, dim, 1), dtype=np.float32)
        mean = mean + (factor @ scores)[..., 0] / np.float32(np.sqrt(size))
        bartlett[:, below[0], below[1]] = rng.standard_normal(
            (chains, len(below[0])), dtype=np.float32
        )
        chi_square = 2 * rng.standard_gamma(dof, (chains, dim)).astype(np.float32)
        bartlett[:, np.arange(dim), np.arange(dim)] = np.sqrt(chi_square)
        factor = factor @ bartlett / np.float32(np.sqrt(size - 1))
    return factor


def discrete(
    generations: int, chains: int, size: int, probabilities: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Counts of all chains by `Generator.multinomial`."""
    law = np.broadcast_to(probabilities, (chains, len(probabilities)))
    counts = rng.multinomial(size, law)
    for _ in range(generations):
        counts = rng.multinomial(size, counts / size)
    return counts

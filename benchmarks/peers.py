"""Simulate the same laws in NumPy, as a careful user would without this library."""

import numpy as np


def gaussian_1d(generations: int, chains: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Simulate exact moments with the same reductions: means and stds of three variables."""
    mean, std = np.zeros(chains, np.float32), np.ones(chains, np.float32)
    reduced = np.empty((generations, 3, 2))
    root = np.float32(1 / np.sqrt(size))
    for generation in range(generations):
        mean = mean + std * root * rng.standard_normal(chains, dtype=np.float32)
        chi_square = 2 * rng.standard_gamma((size - 1) / 2, chains, dtype=np.float32)
        std = std * np.sqrt(chi_square / np.float32(size - 1))
        log_std = np.log(std)
        distance = mean**2 + (std - 1) ** 2
        for index, variable in enumerate((mean, log_std, distance)):
            reduced[generation, index] = variable.mean(), variable.std()
    return reduced


def gaussian_sampling_loop(
    generations: int, chains: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw rows, and take mean and std, one chain at a time, as in the paper's notebook."""
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
    """Simulate exact chains in several dimensions with Bartlett factors, batched over chains."""
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
    """Draw the counts of all chains by `Generator.multinomial`."""
    law = np.broadcast_to(probabilities, (chains, len(probabilities)))
    counts = rng.multinomial(size, law)
    for _ in range(generations):
        counts = rng.multinomial(size, counts / size)
    return counts


def gaussian_mixing(
    generations: int, chains: int, size: int, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Pool moments of new and of original rows (fixed numbers); reduce as in `gaussian_1d`."""
    original = round(size * share)
    new = size - original
    mean, variance = np.zeros(chains, np.float32), np.ones(chains, np.float32)
    reduced = np.empty((generations, 3, 2))
    for generation in range(generations):
        z = rng.standard_normal((2, chains), dtype=np.float32)
        new_mean = mean + np.sqrt(variance) * z[0] * np.float32(1 / np.sqrt(new))
        original_mean = z[1] * np.float32(1 / np.sqrt(original))
        scatter = variance * rng.standard_gamma((new - 1) / 2, chains, dtype=np.float32)
        scatter += rng.standard_gamma((original - 1) / 2, chains, dtype=np.float32)
        gap = new_mean - original_mean
        mean = new_mean * np.float32(new / size) + original_mean * np.float32(original / size)
        variance = 2 * scatter + gap * gap * np.float32(new * original / size)
        variance /= np.float32(size - 1)
        std = np.sqrt(variance)
        distance = mean**2 + (std - 1) ** 2
        for index, variable in enumerate((mean, np.log(std), distance)):
            reduced[generation, index] = variable.mean(), variable.std()
    return reduced


def gaussian_mixing_drawn(
    generations: int, chains: int, size: int, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Pool moments of new and of original rows, whose numbers are drawn."""
    mean, variance = np.zeros(chains, np.float32), np.ones(chains, np.float32)
    for _ in range(generations):
        original = rng.binomial(size, share, chains).astype(np.float32)
        new = size - original
        z = rng.standard_normal((2, chains), dtype=np.float32)
        new_mean = mean + np.sqrt(variance / np.maximum(new, 1)) * z[0]
        gap = z[1] / np.sqrt(np.maximum(original, 1)) - new_mean
        both = rng.standard_gamma(np.maximum((new - 1) / 2, 0), dtype=np.float32) * variance
        both += rng.standard_gamma(np.maximum((original - 1) / 2, 0), dtype=np.float32)
        mean = new_mean + original / np.float32(size) * gap
        variance = (2 * both + new * original / np.float32(size) * gap**2) / np.float32(size - 1)
    return variance


def gaussian_pool(generations: int, chains: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Simulate `AccumulateSubsample` with a stored pool, of which a subset is fitted."""
    pool = np.empty((chains, (generations + 1) * size))
    rows = pool[:, :size]
    rows[...] = rng.standard_normal(rows.shape)
    mean, std = rows.mean(axis=1), rows.std(axis=1, ddof=1)
    for g in range(1, generations + 1):
        new = mean[:, None] + std[:, None] * rng.standard_normal((chains, size))
        pool[:, g * size : (g + 1) * size] = new
        for c in range(chains):
            chosen = rng.choice((g + 1) * size, size, replace=False, shuffle=False)
            fitted = pool[c, chosen]
            mean[c], std[c] = fitted.mean(), fitted.std(ddof=1)
    return std


def mixture_loop(generations: int, source, num_components: int, size: int, rng) -> None:
    """Run a chain of scikit-learn's mixtures: fit, sample, fit the sample, and so on."""
    from sklearn.mixture import GaussianMixture

    component = rng.choice(len(source.weights), size, p=source.weights)
    scores = rng.standard_normal((size, source.row_dim))
    roots = np.linalg.cholesky(source.covariances)
    rows = source.means[component] + np.einsum("rij,rj->ri", roots[component], scores)
    for _ in range(generations):
        mixture = GaussianMixture(num_components, tol=1e-5, max_iter=2000, random_state=rng)
        rows = mixture.fit(rows).sample(size)[0]

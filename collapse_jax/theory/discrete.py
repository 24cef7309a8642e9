"""Exact laws of discrete chains under Replace: haploid Wright-Fisher.

Model g is the result of n = g + 1 draws of M rows. Sources: Ewens, Mathematical Population
Genetics, chapter 3; Cannings, Adv. Appl. Probab. 6 (1974), for the ancestral dual.
"""

import numpy as np


def expected_heterozygosity(
    probabilities: np.ndarray, num_samples: int, num_generations: int
) -> np.ndarray:
    """E (1 - sum p^2) of models 0 .. G: H_0 (1 - 1/M)^n."""
    start = 1 - np.sum(np.asarray(probabilities, np.float64) ** 2)
    return start * (1 - 1 / num_samples) ** np.arange(1, num_generations + 2)


def variance_of_probability(
    probabilities: np.ndarray, num_samples: int, num_generations: int
) -> np.ndarray:
    """Var p_i of models 0 .. G, [generation, state]: p_i (1 - p_i) (1 - (1 - 1/M)^n)."""
    law = np.asarray(probabilities, np.float64)
    fits = np.arange(1, num_generations + 2)[:, None]
    return law * (1 - law) * (1 - (1 - 1 / num_samples) ** fits)


def fresh_share_expected_heterozygosity(
    probabilities: np.ndarray,
    num_samples: int,
    gamma: float,
    num_generations: int,
    allocation: str = "multinomial",
) -> np.ndarray:
    """E (1 - sum p^2) of models 0 .. G where a share gamma of each corpus is drawn from p_0.

    With F = sum p^2, multinomial: E F' = 1/M + (1 - 1/M) [(1-gamma)^2 E F +
    (1 - (1-gamma)^2) F_0]. Fixed (exactly gamma M original rows): E F' = 1/M +
    (1-gamma) (1-gamma-1/M) E F + [gamma (gamma-1/M) + 2 gamma (1-gamma)] F_0: two rows are
    distinct with chance 1 - 1/M, and agree by the laws that they were drawn from. Neither
    holds where rows of D_0 are kept.
    """
    first, single = float(np.sum(np.asarray(probabilities, np.float64) ** 2)), 1 / num_samples
    if allocation == "fixed":
        same = (1 - gamma) * (1 - gamma - single)
        other = gamma * (gamma - single) + 2 * gamma * (1 - gamma)
    else:
        same = (1 - single) * (1 - gamma) ** 2
        other = (1 - single) - same
    squares = [single + (1 - single) * first]
    for _ in range(num_generations):
        squares.append(single + same * squares[-1] + other * first)
    return 1 - np.array(squares)


def ancestors(num_samples: int, num_generations: int) -> np.ndarray:
    """P(A_g = a), [generation, a], of the number of ancestors in D_0 of the rows of D_g.

    A_0 = M. The rows of one corpus have j distinct parents with the occupancy law
    P(j | a), built by P(j | a+1) = P(j | a) j/M + P(j-1 | a) (1 - (j-1)/M). Exact; the
    table takes M^2 numbers, so M is at most 5,000.

    Raises:
      ValueError: if num_samples is above 5,000.
    """
    if not 1 <= num_samples <= 5000:
        raise ValueError(
            f"num_samples={num_samples} is not allowed: it must lie in [1, 5000]; "
            "use the chain itself for more"
        )
    size = num_samples
    parents = np.zeros((size + 1, size + 1))  # [a, j]
    parents[0, 0] = 1
    place = np.arange(size + 1)
    for a in range(size):
        parents[a + 1] = parents[a] * place / size
        parents[a + 1, 1:] += parents[a, :-1] * (1 - place[:-1] / size)
    law = np.zeros((num_generations + 1, size + 1))
    law[0, size] = 1
    for generation in range(num_generations):
        law[generation + 1] = law[generation] @ parents
    return law


def _powers(probabilities: np.ndarray, num_samples: int) -> np.ndarray:
    law = np.asarray(probabilities, np.float64)
    return law[:, None] ** np.arange(num_samples + 1)


def expected_support_size(
    probabilities: np.ndarray, num_samples: int, num_generations: int
) -> np.ndarray:
    """E (states present in D_g), g = 0 .. G: sum_i 1 - E (1 - p_i)^{A_g}."""
    missing = _powers(1 - np.asarray(probabilities), num_samples)
    lost = ancestors(num_samples, num_generations) @ missing.T
    return np.sum(1 - lost, axis=1)


def absorption_probability(
    probabilities: np.ndarray, num_samples: int, num_generations: int
) -> np.ndarray:
    """P(one state is left in D_g), g = 0 .. G: E sum_i p_i^{A_g}."""
    alone = _powers(probabilities, num_samples)
    return np.sum(ancestors(num_samples, num_generations) @ alone.T, axis=1)

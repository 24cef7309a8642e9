"""Compute expected similarities of models that train on each other's rows.

Model i has frequencies p_i on finitely many states. Of the M rows of its next corpus, each is drawn
with probability W_ij from model j, and with the rest 1 - sum_j W_ij from the original law p_0.

Source: the coalescent of two rows, one step at a time.
"""

from collections.abc import Sequence

import numpy as np

from collapse_jax.theory.checks import Law, Sizes, law_of, sizes_of
from collapse_jax.utils.row_shares import square_shares

Weights = Sequence[Sequence[float]] | np.ndarray


def expected_similarity(weights: Weights, probabilities: Law, sizes: Sizes) -> np.ndarray:
    """Return J_g = E sum_k p_ik p_jk, the probability that rows of models i and j are equal.

    With r = 1 - W 1 and c_i = E sum_k p_ik p_0k = sum_k p_0k^2 for every model: S = W J W^T +
    (1 - (1 - r)(1 - r)^T) c, and J' = S off the diagonal, 1/M + (1 - 1/M) S_ii on it. D_0 of every
    model is M_0 original rows. 1 - J_ii is the expected heterozygosity of a model.

    Source: two rows of a corpus are distinct with probability 1 - 1/M, and then equal by the laws
    that they were drawn from.

    Args:
      weights: W, [model, model], shares of the rows of each model by origin, dimensionless.
      probabilities: p_0, [state], probabilities with sum 1.
      sizes: M_0 .. M_G, [generation], rows of each model's corpus, at least 1.

    Returns:
      [G + 1, model, model] float64, probabilities.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import ecosystem
    >>> exchange = [[0.5, 0.5], [0.5, 0.5]]
    >>> ecosystem.expected_similarity(exchange, [0.5, 0.5], [10] * 2)[-1].round(5).tolist()
    [[0.5725, 0.525], [0.525, 0.5725]]
    """
    shares, law, values = square_shares("weights", weights), law_of(probabilities), sizes_of(sizes)
    truth = float(law @ law)
    models = np.arange(len(shares))
    original = np.maximum(1 - shares.sum(axis=1), 0)
    others = 1 - np.outer(1 - original, 1 - original)  # at least one of two rows is original
    similarity, results = np.full(shares.shape, truth), []
    for generation, size in enumerate(values):
        if generation:
            similarity = shares @ similarity @ shares.T + others * truth
        own = similarity[models, models]
        similarity[models, models] = 1 / size + (1 - 1 / size) * own
        results.append(similarity.copy())
    return np.array(results)

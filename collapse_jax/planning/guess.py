"""Guess how many states survive, to know where to look first.

The descendants of few rows among many are a branching process: a row of generation g - 1 has a
Poisson number of copies in generation g with mean (1 - gamma_g) M_g / M_{g-1}. With t_g the
probability that a row of generation g has descendants in the last one,

    t_{g-1} = 1 - exp(-(1 - gamma_g) M_g / M_{g-1} t_g),
    P(state i missing) = exp(-p_i S),    S = M_0 t_0 + sum over g of gamma_g M_g t_g.

Source: Galton & Watson, J. Anthropol. Inst. 4 (1875); nothing is proved with it here.
"""

from typing import Any

import numpy as np
from scipy import special

from collapse_jax.core.chain import Chain
from collapse_jax.planning.demand import Demand
from collapse_jax.planning.expectation import fresh_states


def guessed_margin(chain: Chain, demand: Demand) -> float | None:
    """Return about how far a quantity is beyond its limit, see `Demand.margin_of`.

    Args:
      chain: the process.
      demand: of states that survive.

    Returns:
      The margin in the unit of the quantity; None for other quantities and chains.
    """
    if demand.weights is None or demand.throughout:
        return None
    generations = demand.last
    fresh, source = fresh_states(chain, generations), chain.source
    if fresh is None:
        return None
    sizes, shares = chain.policy.sizes(generations).astype(float), np.asarray(fresh.shares)
    reached, rows = 1.0, 0.0
    for generation in range(generations, 0, -1):
        share = shares[generation - 1]
        rows += share * sizes[generation] * reached
        copies = (1 - share) * sizes[generation] / sizes[generation - 1] * reached
        reached = -np.expm1(-copies)
    law: Any = np.asarray(source.law, np.float64)  # pyright: ignore[reportAttributeAccessIssue]
    missing = np.exp(-law / law.sum() * (rows + sizes[0] * reached))
    mean = float(np.sum(demand.weights * (1 - missing)))
    variance = float(np.sum(demand.weights**2 * missing * (1 - missing)))
    certain = 0.0 if demand.probability is None else float(special.ndtri(demand.probability))
    return demand.margin(mean) - certain * variance**0.5

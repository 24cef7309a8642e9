"""Compute the law of the best of K candidates on finitely many states.

A candidate of reward r waits an exponential time of rate w = exp(r / temperature), and the first
one is taken: this is softmax. Candidate i is first at time t if it waits t and the K - 1 others
longer, so that with q_j the mass of reward level j

    p'_i = p_i K int_0^inf w_i e^{-t w_i} phi(t)^{K-1} dt,   phi(t) = sum_j q_j e^{-t w_j}.

In x = ln t the integrand is analytic and decays on both sides, so the trapezoidal rule converges
geometrically: with steps of 0.4 its error is below 1e-8. For K = 2 the law is the closed form
p'_i = p_i sum_j 2 p_j w_i / (w_i + w_j) (Ferbach et al., arXiv 2407.09499).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.utils import check

_STEP = 0.4  # of x = ln t
_LEFT, _RIGHT = -19.0, 4.2  # of ln(t w), where the integrand falls below 1e-8 and 1e-28
_MOST_ENTRIES = 2**23  # of a matrix within a program: 32 MiB


class Levels(NamedTuple):
    """The different rewards of states, in increasing order.

    Attributes:
      values: float64 [level], -inf allowed.
      level: index of each state's reward, [state].
    """

    values: np.ndarray
    level: np.ndarray


def levels_of(rewards: np.ndarray) -> Levels:
    """Return the different rewards.

    Args:
      rewards: [state].
    """
    values, level = np.unique(np.asarray(rewards, np.float64), return_inverse=True)
    return Levels(values, level)


def preference(
    law: Float[Array, " state"], levels: Levels, num_candidates: int, temperature: float
) -> Float[Array, " state"]:
    """Return p'_i / p_i, the factor by which the choice of raters changes the mass of a state.

    Args:
      law: p, normalised, [state].
      levels: of the rewards.
      num_candidates: K >= 1.
      temperature: >= 0, in the unit of the rewards; 0 takes the best, ties at random.

    Returns:
      Factors >= 0, [state].

    Raises:
      ValueError: for more different rewards than a program can hold.
    """
    if num_candidates == 1:
        return jnp.ones_like(law)
    values, level = levels
    mass = jax.ops.segment_sum(law, level, len(values))
    if temperature == 0:
        return _of_the_best(mass, num_candidates)[level]
    finite = np.isfinite(values)
    density, lost = _quadrature(_exponents(values, temperature, num_candidates), num_candidates)
    ended = jnp.minimum(jnp.asarray(lost, law.dtype) @ mass, 1)  # 1 - phi
    longer = jnp.exp((num_candidates - 1) * jnp.log1p(-ended))
    factor = num_candidates * (longer @ jnp.asarray(density, law.dtype))
    # Rewards of -inf are chosen among themselves, where no candidate has another.
    never = jnp.where(finite, 0, mass) ** (num_candidates - 1)
    return jnp.where(finite, factor, never)[level]


def _exponents(values: np.ndarray, temperature: float, num_candidates: int) -> np.ndarray:
    """Return ln of rates up to a constant, [level]; -inf for rewards of -inf.

    A level that is e^60 K^2 times as likely to be chosen as the next is always chosen: larger gaps
    are cut.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = np.diff(values) / temperature
    gaps = np.minimum(gaps, 60.0 + 2 * math.log(num_candidates))
    return np.where(np.isfinite(values), np.concatenate([[0.0], np.cumsum(gaps)]), -np.inf)


def _of_the_best(mass: Float[Array, " level"], num_candidates: int) -> Float[Array, " level"]:
    """Return [F^K - (F - q)^K] / q with F the mass up to a level and q its own."""
    upto = jnp.minimum(jnp.cumsum(mass), 1)
    above = jnp.where(upto > 0, upto, 1)
    share = jnp.clip(mass / above, 0, 1)
    gained = -jnp.expm1(num_candidates * jnp.log1p(-share)) * above**num_candidates
    return jnp.where(mass > 0, gained / jnp.where(mass > 0, mass, 1), 0)


def _quadrature(exponents: np.ndarray, num_candidates: int) -> tuple[np.ndarray, np.ndarray]:
    """Return step * t w e^{-t w} and 1 - e^{-t w} at nodes t and rates w = exp(exponents).

    Returns:
      float64 [node, level] each.
    """
    known = exponents[np.isfinite(exponents)]
    ends = np.stack([_LEFT - math.log(num_candidates) - known, _RIGHT - known]) / _STEP
    low, high = np.floor(ends[0]).astype(np.int64), np.ceil(ends[1]).astype(np.int64)
    width = int(np.max(high - low)) + 1
    nodes = np.unique(low[:, None] + np.arange(width))
    if nodes.size * exponents.size > _MOST_ENTRIES:
        shown = check.Shown(f"{exponents.size:,} different rewards")
        allowed = f"with {nodes.size:,} nodes at most {_MOST_ENTRIES // nodes.size:,} are possible"
        remedy = "round them, e.g. jnp.round(reward, 2), or pass temperature=0"
        raise check.fail("result of BestOf.rewards", shown, allowed, remedy)
    with np.errstate(over="ignore"):
        waited = np.exp(np.minimum(nodes[:, None] * _STEP + exponents, 700.0))
    return _STEP * waited * np.exp(-waited), -np.expm1(-waited)

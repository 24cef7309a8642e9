"""Exact laws of discrete chains under Replace, by the ancestors of their rows.

Trace the rows of D_g back to D_0: a lineages have j distinct parents with the law of
`parents`, and A_g, the number of ancestors in D_0, knows nothing of the states. The
ancestors are independent rows of p_0, so that for every p_0

    P(state i missing from D_g) = E (1 - p_i)^A_g,    P(D_g holds state i only) = E p_i^A_g.

With a share gamma of each corpus drawn anew from p_0 (row by row), a lineage ends in p_0
with probability gamma in each generation, and A counts the ended ones too. Sizes M_0 .. M_G
may differ. Model g is fitted to D_g, which is n = g + 1 draws away from p_0.

Source: Cannings, Adv. Appl. Probab. 6 (1974); Ewens, Mathematical Population Genetics,
section 3.2. Rounding and truncation leave errors below 1e-12 of the largest value.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from collapse_jax.theory.checks import Law, Share, Sizes, counts_of, law_of, share_of
from collapse_jax.theory.occupancy import binomial_rows, rows_of
from collapse_jax.utils import check

_Add = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

_BLOCK = 2**14  # states at a time: a block stays in the cache
_COLUMNS = 128  # generations, or probabilities, in one sweep over the lineages
_LARGEST = 5000


def expected_support_size(probabilities: Law, sizes: Sizes, gamma: Share = 0.0) -> np.ndarray:
    """E (states present in D_g), g = 0 .. G: sum_i 1 - E (1 - p_i)^A_g.

    Args:
      probabilities: p_0, up to about 10^6 states.
      sizes: M_0 .. M_G; with `gamma` at most 5,000 each.
      gamma: share of D_1 .. D_G that is drawn anew from p_0, one number or G.

    >>> import numpy as np
    >>> from collapse_jax.theory import ancestors
    >>> ancestors.expected_support_size([0.5, 0.5], [2] * 3).round(4).tolist()
    [1.5, 1.25, 1.125]
    >>> ancestors.expected_support_size(np.full(1000, 1e-3), [1000] * 3).round(1).tolist()
    [632.3, 468.8, 374.3]
    """
    law = law_of(probabilities)
    return _present(law, np.ones(len(law)), counts_of(sizes), gamma)


def expected_surviving_mass(
    probabilities: Law,
    sizes: Sizes,
    gamma: Share = 0.0,
    within: np.ndarray | None = None,
) -> np.ndarray:
    """E (mass under p_0 of the states present in D_g), g = 0 .. G.

    1 minus it is what can never return under Replace. The models' own mass of a set of
    states, such as the variable `tail_mass`, keeps its expectation instead.

    Args:
      probabilities: p_0.
      sizes: M_0 .. M_G; with `gamma` at most 5,000 each.
      gamma: share of D_1 .. D_G that is drawn anew from p_0, one number or G.
      within: a mask of states to which the mass is restricted, e.g. a tail of p_0.

    >>> from collapse_jax.theory import ancestors
    >>> ancestors.expected_surviving_mass([0.9, 0.1], [10] * 3).round(4).tolist()
    [0.9651, 0.9494, 0.9401]
    """
    law = law_of(probabilities)
    mask = np.ones(len(law), bool) if within is None else np.asarray(within)
    if mask.shape != law.shape or mask.dtype != bool:
        allowed = f"it must be a mask of shape {law.shape}"
        raise check.fail("within", check.Shown(f"shape {mask.shape}"), allowed, "pass booleans")
    return _present(law, law * mask, counts_of(sizes), gamma)


def absorption_probability(probabilities: Law, sizes: Sizes, gamma: Share = 0.0) -> np.ndarray:
    """P(D_g holds a single state), g = 0 .. G: E sum_i p_i^A_g.

    Args:
      probabilities: p_0.
      sizes: M_0 .. M_G; with `gamma` at most 5,000 each.
      gamma: share of D_1 .. D_G that is drawn anew from p_0, one number or G.

    >>> from collapse_jax.theory import ancestors
    >>> ancestors.absorption_probability([0.5, 0.5], [2] * 4).tolist()
    [0.5, 0.75, 0.875, 0.9375]
    """
    law, number = _distinct(law_of(probabilities))
    counts = counts_of(sizes)
    shares = share_of("gamma", gamma, len(counts) - 1)
    if np.any(shares > 0):
        return number @ _founders(law, counts, shares)
    return _expectation(_power_sums(law, number, counts[0]), counts)


def mean_absorption_time(probabilities: Law, num_samples: int) -> float:
    """Mean number n of fits until a single state is left, every corpus of `num_samples` rows.

    E T = 1 + sum over g >= 0 of P(D_g holds several states), by one triangular solve.

    >>> from collapse_jax.theory import ancestors
    >>> ancestors.mean_absorption_time([0.5, 0.5], 2)
    2.0
    >>> round(ancestors.mean_absorption_time([0.5, 0.5], 1000), 1)
    1383.5
    """
    size = check.integer("num_samples", num_samples, 1)
    several = 1 - _power_sums(*_distinct(law_of(probabilities)), size)
    times = np.zeros(size + 1)
    for lineages, row in enumerate(rows_of(size, size)):
        if lineages < 2:
            continue
        fewer = row.probabilities[: lineages - row.first]
        later = fewer @ times[row.first : row.first + len(fewer)]
        times[lineages] = (several[lineages] + later) / np.sum(fewer)
    return float(1 + times[size])


class AncestorLaw(NamedTuple):
    """P(A_g = a) as probabilities[g, a], and a bound on the mass that a row lacks."""

    probabilities: np.ndarray
    truncation: float


def ancestor_law(num_samples: int, num_generations: int) -> AncestorLaw:
    """The law of the number of ancestors in D_0 of the rows of D_g, g = 0 .. G.

    Raises:
      ValueError: if num_samples is above 5,000.

    >>> from collapse_jax.theory import ancestors
    >>> ancestors.ancestor_law(2, 3).probabilities.tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.5, 0.5], [0.0, 0.75, 0.25], [0.0, 0.875, 0.125]]
    """
    remedy = "use expected_support_size, which needs no table, or the chain itself"
    size = check.integer("num_samples", num_samples, 1, _LARGEST, remedy=remedy)
    generations = check.integer("num_generations", num_generations, 0)
    rows = [(row.first, row.probabilities.copy()) for row in rows_of(size, size)]
    law = np.zeros((generations + 1, size + 1))
    law[0, size] = 1
    for generation in range(generations):
        for lineages in np.flatnonzero(law[generation] > 0):
            first, row = rows[lineages]
            law[generation + 1, first : first + len(row)] += law[generation, lineages] * row
        # What is left out of all generations together stays below 1e-13.
        law[generation + 1, law[generation + 1] < 1e-25] = 0
    return AncestorLaw(law, float(np.max(np.abs(1 - law.sum(axis=1)))))


def _distinct(law: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different probabilities of p_0, and how many states have each."""
    values, number = np.unique(law[law > 0], return_counts=True)
    return values, number.astype(np.float64)


def _present(law: np.ndarray, weights: np.ndarray, sizes: np.ndarray, gamma: Share) -> np.ndarray:
    """E sum of the weights of the states present."""
    values, place = np.unique(law, return_inverse=True)
    total = np.bincount(place, weights)
    values, total = values[total > 0], total[total > 0]
    shares = share_of("gamma", gamma, len(sizes) - 1)
    if np.any(shares > 0):
        return total @ (1 - _founders(1 - values, sizes, shares))
    return _expectation(_presence(values, total, sizes[0]), sizes)


def _presence(law: np.ndarray, weights: np.ndarray, most: int) -> np.ndarray:
    """sum_i w_i (1 - (1 - p_i)^a) for a = 0 .. most, as sums of positive terms.

    With a = s b + c it is sum_i w_i (1 - q_i^{s b}) + sum_i w_i q_i^{s b} (1 - q_i^c),
    q = 1 - p: two products of tables with about sqrt(most) rows.
    """

    def add(coarse: np.ndarray, fine: np.ndarray, w: np.ndarray) -> np.ndarray:
        return -(np.expm1(coarse) @ w)[:, None] - (np.exp(coarse) * w) @ np.expm1(fine).T

    with np.errstate(divide="ignore"):
        return _sums(np.log1p(-law), weights, most, add)


def _power_sums(law: np.ndarray, weights: np.ndarray, most: int) -> np.ndarray:
    """sum_i w_i p_i^a for a = 0 .. most."""

    def add(coarse: np.ndarray, fine: np.ndarray, w: np.ndarray) -> np.ndarray:
        return (np.exp(coarse) * w) @ np.exp(fine).T

    return _sums(np.log(law), weights, most, add)


def _sums(logs: np.ndarray, weights: np.ndarray, most: int, add: _Add) -> np.ndarray:
    """Sums over states for a = 0 .. most, with a ln x made from coarse and fine multiples."""
    stride = math.isqrt(most) + 1
    table = np.zeros((stride, stride))
    steps = np.arange(stride)[:, None]
    for start in range(0, len(logs), _BLOCK):
        part = logs[start : start + _BLOCK]
        with np.errstate(invalid="ignore"):
            coarse, fine = (np.nan_to_num(k * part, nan=0) for k in (steps * stride, steps))
        table += add(coarse, fine, weights[start : start + _BLOCK])
    return table.ravel()[: most + 1]


def _expectation(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """E f(A_g), g = 0 .. G, of f(a) = values[a], a = 0 .. M_0.

    h_0 = f, and h_{g+1}(a) = sum_j P(j | a) h_g(j) with the M_g rows of D_g as parents, is
    the expectation given a rows of D_{g+1}. Generations with equally many parents share
    one sweep over a.
    """
    results, column, generation = [values[sizes[0]]], values, 0
    while generation < len(sizes) - 1:
        parents = sizes[generation]
        end = generation + 1
        while end < min(len(sizes) - 1, generation + _COLUMNS) and sizes[end] == parents:
            end += 1
        children = sizes[generation + 1 : end + 1]
        table = _sweep(column, parents, int(np.max(children)), len(children))
        results.extend(table[children, np.arange(1, len(children) + 1)])
        column, generation = table[:, -1], end
    return np.array(results)


def _sweep(column: np.ndarray, parents: int, children: int, generations: int) -> np.ndarray:
    """h [a, k] for k = 0 .. generations steps, each from `parents` rows."""
    from scipy.signal import lfilter

    table = np.zeros((max(parents, children) + 1, generations + 1))
    table[: parents + 1, 0] = column[: parents + 1]
    for lineages, (first, row) in enumerate(rows_of(parents, children)):
        end = first + len(row)
        if end <= lineages:
            table[lineages, 1:] = row @ table[first:end, :-1]
            continue
        # All lineages may have parents of their own, and h_k(a) needs h_{k-1}(a).
        fewer, stay = row[:-1] @ table[first : end - 1, :-1], row[-1]
        start = [stay * table[lineages, 0]]
        table[lineages, 1:], _ = lfilter([1.0], [1.0, -stay], fewer, zi=start)
    return table


def _founders(x: np.ndarray, sizes: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """E x^A_g, [x, g], where lineages end in p_0 with probability gamma per generation."""
    remedy = "simulate the chain itself for more"
    check.integer("largest of sizes with gamma > 0", int(np.max(sizes)), 1, _LARGEST, remedy=remedy)
    return np.concatenate(
        [
            _founders_of_block(x[start : start + _COLUMNS], sizes, gamma)
            for start in range(0, len(x), _COLUMNS)
        ]
    )


def _founders_of_block(x: np.ndarray, sizes: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    powers = x ** np.arange(np.max(sizes) + 1)[:, None]  # [a, x]
    results, table = [powers[sizes[0]]], powers
    for parents, children, share in zip(sizes[:-1], sizes[1:], gamma, strict=True):
        alive = np.empty((children + 1, len(x)))
        for lineages, (first, row) in enumerate(rows_of(int(parents), int(children))):
            alive[lineages] = row @ table[first : first + len(row)]
        table = np.empty_like(alive)
        for lineages, (first, row) in enumerate(binomial_rows(1 - share, int(children))):
            last = first + len(row) - 1  # of the lineages that go on
            ended = powers[lineages - last : lineages - first + 1][::-1]
            table[lineages] = row @ (ended * alive[first : last + 1])
        results.append(table[children])
    return np.stack(results, axis=-1)

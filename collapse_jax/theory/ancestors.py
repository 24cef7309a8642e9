"""Compute exact laws of discrete chains under Replace by the ancestors of their rows.

Trace the rows of D_g back to D_0: the number of distinct parents of a lineages has the law of
`occupancy`, and the number of ancestors A_g in D_0 is independent of the states. The ancestors
are independent rows of p_0, so for every p_0

    P(state i missing from D_g) = E (1 - p_i)^A_g,    P(D_g holds state i only) = E p_i^A_g.

If a share gamma of each corpus is drawn from p_0 (row by row), a lineage ends in p_0 with
probability gamma in each generation, and A counts the ended lineages too. Sizes M_0 .. M_G
may differ. Model g is fitted to D_g and is the result of n = g + 1 fits.

Source: Cannings, Adv. Appl. Probab. 6 (1974); Ewens, Mathematical Population Genetics,
section 3.2. Rounding and truncation leave errors below 1e-12 of the largest value.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from collapse_jax.theory.checks import Law, Share, Sizes, counts_of, law_of, share_of
from collapse_jax.theory.occupancy import binomial_rows, rows_of
from collapse_jax.utils import check
from collapse_jax.utils.equal import different_fields, equal_fields

_Rows = list[tuple[int, np.ndarray]]  # by number of lineages: the first probability, and all
_Add = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

_BLOCK = 2**14  # states at a time: a block stays in the cache
_COLUMNS = 128  # generations, or probabilities, in one sweep over the lineages
_MOST_ROWS = 10**7  # of D_0: a table of so many entries takes 80 MB
_LARGEST = 5000  # rows of a corpus: bounds the time and the memory of tables


def expected_support_size(probabilities: Law, sizes: Sizes, gamma: Share = 0.0) -> np.ndarray:
    """Return E (states present in D_g), g = 0 .. G: sum_i 1 - E (1 - p_i)^A_g.

    Source: the ancestral dual, Cannings, Adv. Appl. Probab. 6 (1974).

    Args:
      probabilities: p_0, [state], probabilities with sum 1; up to about 10^6 states.
      sizes: M_0 .. M_G, [generation], rows; at most 5,000 each where `gamma` > 0.
      gamma: share of D_1 .. D_G drawn from p_0, one number or [G], in [0, 1], dimensionless.

    Returns:
      [G + 1] float64, expected number of states, 1 .. K.

    Raises:
      ValueError: if an argument is outside its range.

    >>> import numpy as np
    >>> from collapse_jax.theory import ancestors
    >>> ancestors.expected_support_size([0.5, 0.5], [2] * 3).round(4).tolist()
    [1.5, 1.25, 1.125]
    >>> ancestors.expected_support_size(np.full(1000, 1e-3), [1000] * 3).round(1).tolist()
    [632.3, 468.8, 374.3]
    """
    law = law_of(probabilities)
    return expected_present(law, sizes, np.ones(len(law)), gamma)


def expected_surviving_mass(
    probabilities: Law,
    sizes: Sizes,
    gamma: Share = 0.0,
    within: np.ndarray | None = None,
) -> np.ndarray:
    """Return E (mass under p_0 of the states present in D_g), g = 0 .. G.

    The expectation is sum_i p_i (1 - E (1 - p_i)^A_g). The rest of p_0 is lost for ever under
    Replace. In contrast, the models' own mass of a set of states, such as the variable
    `tail_mass`, has a constant expectation.

    Source: the ancestral dual, Cannings, Adv. Appl. Probab. 6 (1974).

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      sizes: M_0 .. M_G, [generation], rows; at most 5,000 each where `gamma` > 0.
      gamma: share of D_1 .. D_G drawn from p_0, one number or [G], in [0, 1], dimensionless.
      within: [state] bool, the states to which the mass is restricted, such as a tail of p_0;
        None for all.

    Returns:
      [G + 1] float64, expected probability mass in [0, 1].

    Raises:
      ValueError: if an argument is outside its range, or `within` is not a mask of the states.

    >>> from collapse_jax.theory import ancestors
    >>> ancestors.expected_surviving_mass([0.9, 0.1], [10] * 3).round(4).tolist()
    [0.9651, 0.9494, 0.9401]
    """
    law = law_of(probabilities)
    mask = np.ones(len(law), bool) if within is None else np.asarray(within)
    if mask.shape != law.shape or mask.dtype != bool:
        allowed = f"it must be a mask of shape {law.shape}"
        raise check.fail(
            "within", check.Shown(f"shape {mask.shape}"), allowed, "pass one bool for each state"
        )
    return expected_present(law, sizes, law * mask, gamma)


def expected_present(
    probabilities: Law, sizes: Sizes, weights: np.ndarray, gamma: Share = 0.0
) -> np.ndarray:
    """Return E (sum of the weights of the states present in D_g), g = 0 .. G.

    Source: the ancestral dual, Cannings, Adv. Appl. Probab. 6 (1974).

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      sizes: M_0 .. M_G, [generation], rows; at most 5,000 each where `gamma` > 0.
      weights: [state], at least 0, such as the share of the rare states that a state is.
      gamma: share of D_1 .. D_G drawn from p_0, one number or [G], in [0, 1], dimensionless.

    Returns:
      [G + 1] float64, in the unit of the weights.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import ancestors
    >>> ancestors.expected_present([0.9, 0.1], [10] * 3, [0.0, 1.0], 0.1).round(4).tolist()
    [0.6513, 0.5238, 0.4618]
    """
    law, counts = law_of(probabilities), counts_of(sizes)
    values, index = np.unique(law, return_inverse=True)
    total = np.bincount(index, np.asarray(weights, np.float64))
    values, total = values[total > 0], total[total > 0]
    shares = share_of("gamma", gamma, len(counts) - 1)
    if np.any(shares > 0):
        return total @ (1 - _founders(1 - values, counts, shares))
    return _expectation(_presence(values, total, counts[0]), counts)


def absorption_probability(probabilities: Law, sizes: Sizes, gamma: Share = 0.0) -> np.ndarray:
    """Return P(D_g holds a single state), g = 0 .. G: E sum_i p_i^A_g.

    Source: the ancestral dual, Cannings, Adv. Appl. Probab. 6 (1974).

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      sizes: M_0 .. M_G, [generation], rows; at most 5,000 each where `gamma` > 0.
      gamma: share of D_1 .. D_G drawn from p_0, one number or [G], in [0, 1], dimensionless.

    Returns:
      [G + 1] float64, probabilities.

    Raises:
      ValueError: if an argument is outside its range.

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
    """Return the mean number of fits until a single state is left, with M rows in every corpus.

    E T = 1 + sum over g >= 0 of P(D_g holds several states), by one triangular solve.

    Source: the ancestral dual, Cannings, Adv. Appl. Probab. 6 (1974).

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      num_samples: M, rows of every corpus, at least 1.

    Returns:
      Mean number of fits, at least 1.

    Raises:
      ValueError: if an argument is outside its range.

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
    """Law of the number of ancestors of D_g, for every generation.

    Attributes:
      probabilities: [g, a], P(A_g = a) for g = 0 .. G and a = 0 .. M.
      truncation: largest probability mass that a row lacks.
    """

    probabilities: np.ndarray
    truncation: float

    __eq__ = equal_fields
    __ne__ = different_fields


def ancestor_law(num_samples: int, num_generations: int) -> AncestorLaw:
    """Return the law of the number of ancestors in D_0 of the rows of D_g, g = 0 .. G.

    A_0 = M, and A_{g+1} given A_g has the occupancy law of `occupancy.rows_of`.

    Source: Cannings, Adv. Appl. Probab. 6 (1974).

    Args:
      num_samples: M, rows of every corpus, 1 .. 5,000.
      num_generations: G, number of generations after D_0, at least 0.

    Returns:
      An `AncestorLaw`: probabilities [G + 1, M + 1], and the probability mass left out.

    Raises:
      ValueError: if an argument is outside its range.

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
        # The mass left out of all generations together stays below 1e-13.
        law[generation + 1, law[generation + 1] < 1e-25] = 0
    return AncestorLaw(law, float(np.max(np.abs(1 - law.sum(axis=1)))))


def _distinct(law: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different probabilities of p_0, and the number of states with each."""
    values, number = np.unique(law[law > 0], return_counts=True)
    return values, number.astype(np.float64)


def _presence(law: np.ndarray, weights: np.ndarray, most: int) -> np.ndarray:
    """Return sum_i w_i (1 - (1 - p_i)^a) for a = 0 .. most, as sums of positive terms.

    With a = s b + c it is sum_i w_i (1 - q_i^{s b}) + sum_i w_i q_i^{s b} (1 - q_i^c),
    q = 1 - p: two products of tables with about sqrt(most) rows.
    """

    def add(coarse: np.ndarray, fine: np.ndarray, w: np.ndarray) -> np.ndarray:
        return -(np.expm1(coarse) @ w)[:, None] - (np.exp(coarse) * w) @ np.expm1(fine).T

    with np.errstate(divide="ignore"):
        return _sums(np.log1p(-law), weights, most, add)


def _power_sums(law: np.ndarray, weights: np.ndarray, most: int) -> np.ndarray:
    """Return sum_i w_i p_i^a for a = 0 .. most."""

    def add(coarse: np.ndarray, fine: np.ndarray, w: np.ndarray) -> np.ndarray:
        return (np.exp(coarse) * w) @ np.exp(fine).T

    return _sums(np.log(law), weights, most, add)


def _sums(logs: np.ndarray, weights: np.ndarray, most: int, add: _Add) -> np.ndarray:
    """Return sums over states for a = 0 .. most: a ln x is a coarse plus a fine multiple."""
    if most > _MOST_ROWS:
        allowed = f"the table of ancestors has an entry for each row, at most {_MOST_ROWS:,}"
        raise check.fail("sizes", most, allowed, "pass smaller sizes")
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
    """Return E f(A_g), g = 0 .. G, of f(a) = values[a], a = 0 .. M_0.

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
    """Return h [a, k] for k = 0 .. generations steps, each from `parents` rows."""
    from scipy.signal import lfilter

    table = np.zeros((max(parents, children) + 1, generations + 1))
    table[: parents + 1, 0] = column[: parents + 1]
    for lineages, (first, row) in enumerate(rows_of(parents, children)):
        end = first + len(row)
        if end <= lineages:
            table[lineages, 1:] = row @ table[first:end, :-1]
            continue
        # All lineages may have distinct parents, so h_k(a) needs h_{k-1}(a).
        fewer, stay = row[:-1] @ table[first : end - 1, :-1], row[-1]
        start = [stay * table[lineages, 0]]
        table[lineages, 1:], _ = lfilter([1.0], [1.0, -stay], fewer, zi=start)
    return table


def _founders(x: np.ndarray, sizes: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Return E x^A_g, [x, g], where lineages end in p_0 with probability gamma a generation."""
    remedy = "simulate the chain itself for more"
    check.integer("largest of sizes with gamma > 0", int(np.max(sizes)), 1, _LARGEST, remedy=remedy)

    @functools.lru_cache(maxsize=2)  # generations are mostly alike, and blocks of x always
    def steps(parents: int, children: int, share: float) -> tuple[_Rows, _Rows]:
        found = rows_of(parents, children), binomial_rows(1 - share, children)
        occupied, continued = ([(one.first, one.probabilities.copy()) for one in f] for f in found)
        return occupied, continued

    blocks = range(0, len(x), _COLUMNS)
    return np.concatenate(
        [_founders_of_block(x[start : start + _COLUMNS], sizes, gamma, steps) for start in blocks]
    )


def _founders_of_block(
    x: np.ndarray,
    sizes: np.ndarray,
    gamma: np.ndarray,
    steps: Callable[[int, int, float], tuple[_Rows, _Rows]],
) -> np.ndarray:
    powers = x ** np.arange(np.max(sizes) + 1)[:, None]  # [a, x]
    results, table = [powers[sizes[0]]], powers
    for parents, children, share in zip(sizes[:-1], sizes[1:], gamma, strict=True):
        occupied, continued = steps(int(parents), int(children), float(share))
        alive = np.empty((children + 1, len(x)))
        for lineages, (first, row) in enumerate(occupied):
            alive[lineages] = row @ table[first : first + len(row)]
        table = np.empty_like(alive)
        for lineages, (first, row) in enumerate(continued):
            last = first + len(row) - 1  # most lineages that may continue
            ended = powers[lineages - last : lineages - first + 1][::-1]
            table[lineages] = row @ (ended * alive[first : last + 1])
        results.append(table[children])
    return np.stack(results, axis=-1)

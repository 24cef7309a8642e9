"""Compute exact moments of chains of regularised series densities on the circle.

Basis and model are those of `SeriesDensity`. The estimate is linear in the rows' law, and products
of the basis are in its span, so that first and second moments close. All of this holds while no
estimate is negative; `SeriesMoments.margin` tells how far from that a chain is.
"""

import math
from typing import NamedTuple

import numpy as np

from collapse_jax.theory.checks import Share, Sizes, allocation_of, numbers_of, share_of, sizes_of
from collapse_jax.utils import check
from collapse_jax.utils.equal import different_fields, equal_fields

_POSITIONS = 8  # per period of the highest frequency, where the density is checked


class SeriesMoments(NamedTuple):
    """Moments over chains, by generation.

    Attributes:
      coefficients: E c_j of model g, [G + 1, term].
      variance: Var c_j, [G + 1, term].
      energy: E sum_j c_j^2, [G + 1].
      margin: the least expected density over all angles, in its standard deviations, [G + 1].
    """

    coefficients: np.ndarray
    variance: np.ndarray
    energy: np.ndarray
    margin: np.ndarray

    __eq__ = equal_fields
    __ne__ = different_fields


def term_weights(num_terms: int, penalty: float, smoothness: float) -> np.ndarray:
    """Return s_j / (s_j + lambda) with s_j = k^(-2 smoothness), k the frequency of phi_j.

    Source: derived, from the minimum of |f|^2 / 2 - mean f(x_i) + lambda |f|_H^2 / 2 with Mercer
    pairs (s_j, phi_j); frequencies 1, 1, 2, 2, ...

    Args:
      num_terms: J, at least 1.
      penalty: lambda >= 0, dimensionless.
      smoothness: half the power of the eigenvalues' decay, > 0.

    Returns:
      [J], in (0, 1], dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> from collapse_jax.theory import series_density
    >>> series_density.term_weights(4, 0.25, 1.0).tolist()
    [0.8, 0.8, 0.5, 0.5]
    """
    terms = check.integer("num_terms", num_terms, 1)
    strength = check.number("penalty", penalty, 0, np.inf, "pass a number >= 0")
    remedy = "pass half the power of the eigenvalues' decay"
    power = check.number("smoothness", smoothness, 0, np.inf, remedy, open_low=True)
    frequency = (np.arange(terms) + 2.0) // 2
    with np.errstate(over="ignore"):
        return 1 / (1 + strength * frequency ** (2 * power))


def expected_moments(
    characteristic: np.ndarray,
    weights: np.ndarray,
    sizes: Sizes,
    gamma: Share = 0.0,
    allocation: str = "multinomial",
    *,
    is_pooled: bool = False,
) -> SeriesMoments:
    """Return expected coefficients of series densities, and their variances.

    After n fits under Replace E c_j = w_j^n c_j(0), w_j the weight. With complex coefficients
    z_k = mean e^{ikx} of the rows and q the law that M rows are drawn from,
    E z_k conj(z_l) = E q_{k-l} / M + (1 - 1/M) E q_k conj(q_l).

    Source: derived.

    Args:
      characteristic: E e^{ikX} of the truth for k = 1 .. J + 1, [J + 1] complex.
      weights: w_j as `term_weights` returns them, [J].
      sizes: M_0 .. M_G, [generation], rows, at least 1.
      gamma: shares of new original rows in D_1 .. D_G, one number or [G], in [0, 1].
      allocation: "multinomial", row by row, or "fixed", exact numbers.
      is_pooled: whether M_g rows are added to all earlier ones (Accumulate); gamma must be 0.

    Returns:
      Moments [G + 1, ...], dimensionless.

    Raises:
      ValueError: if an argument is outside its range.

    >>> import numpy as np
    >>> from collapse_jax.theory import series_density
    >>> normal = np.exp(-np.arange(1, 6) ** 2 / 2)  # N(0, 1), wrapped
    >>> weights = series_density.term_weights(4, 1.0, 1.0)
    >>> series_density.expected_moments(normal, weights, [100] * 3).coefficients[:, 0].round(3)
    array([0.429, 0.214, 0.107])
    """
    new = sizes_of(sizes, 1)
    weight = numbers_of("weights", weights, "pass weights [J]")
    terms, shares = len(weight), share_of("gamma", gamma, len(new) - 1)
    top = (terms + 1) // 2
    given = np.asarray(characteristic, complex)
    if given.ndim != 1 or len(given) < 2 * top:
        shown = check.Shown(f"array of shape {given.shape}")
        allowed = f"it must hold E e^(ikX) for k = 1 .. {2 * top}"
        raise check.fail("characteristic", shown, allowed, "pass [2 * ((J + 1) // 2)] numbers")
    law = np.concatenate([given[: 2 * top][::-1].conj(), [1.0], given[: 2 * top]])
    truth, fit = law[top : 3 * top + 1], _fit_matrix(weight)
    is_fixed = allocation_of(allocation) == "fixed"
    mean, square = truth, _pairs(law, truth, new[0])
    found, rows = [], float(new[0])
    for i in range(len(new)):
        model, second = fit @ mean, fit @ square @ fit.conj().T
        found.append(_measured(model, second, terms))
        if i + 1 == len(new):
            break
        size, share = float(new[i + 1]), shares[i]
        drawn = np.pad(model, top)  # of a model, which has no higher frequencies
        if is_pooled:
            fresh = _outer(drawn) / size + (1 - 1 / size) * second
            cross = square @ fit.conj().T
            old, part = rows / (rows + size), size / (rows + size)
            square = old**2 * square + part**2 * fresh + old * part * (cross + cross.conj().T)
            mean, rows = old * mean + part * model, rows + size
            continue
        both = share * size * (share * size - 1) / size**2, (1 - share) * ((1 - share) - 1 / size)
        mixed = share * (1 - share)
        if not is_fixed:
            both = (1 - 1 / size) * share**2, (1 - 1 / size) * (1 - share) ** 2
            mixed *= 1 - 1 / size
        cross = np.outer(truth, model.conj())
        square = _outer(share * law + (1 - share) * drawn) / size + mixed * (cross + cross.conj().T)
        square = square + both[0] * np.outer(truth, truth.conj()) + both[1] * second
        mean = share * truth + (1 - share) * model
    return SeriesMoments(*(np.array(values) for values in zip(*found, strict=True)))


def _fit_matrix(weight: np.ndarray) -> np.ndarray:
    """Return the map from z_-K .. z_K of the rows to those of the model."""
    top = (len(weight) + 1) // 2
    cosines = np.concatenate([[1.0], weight[0::2]])
    sines = np.concatenate([[1.0], np.pad(weight[1::2], (0, top - len(weight) // 2))])
    even, odd = (np.concatenate([half[:0:-1], half]) for half in (cosines, sines))
    mirrored = np.eye(2 * top + 1)[::-1]
    # Cosines are the real part, sines the imaginary one; conj(z_k) = z_-k.
    matrix = np.diag((even + odd) / 2) + np.diag((even - odd) / 2) @ mirrored
    matrix[top] = np.eye(2 * top + 1)[top]
    return matrix


def _outer(law: np.ndarray) -> np.ndarray:
    """Return E e^{ikx} e^{-ilx} = law_{k-l} of one row, from law_-2K .. law_2K."""
    top = (len(law) - 1) // 4
    index = np.arange(2 * top + 1)
    return law[index[:, None] - index + 2 * top]


def _pairs(law: np.ndarray, truth: np.ndarray, size: int) -> np.ndarray:
    return _outer(law) / size + (1 - 1 / size) * np.outer(truth, truth.conj())


def _measured(
    model: np.ndarray, second: np.ndarray, terms: int
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return coefficients, variances, energy and margin of a law of models."""
    top = (len(model) - 1) // 2
    # c_{2k-1} = (z_k + z_-k) / sqrt(2), c_{2k} = (z_k - z_-k) / (i sqrt(2))
    to_real = np.zeros((terms, 2 * top + 1), complex)
    for j in range(terms):
        k = j // 2 + 1
        signs = (1, 1) if j % 2 == 0 else (-1j, 1j)
        to_real[j, top + k], to_real[j, top - k] = (sign / math.sqrt(2) for sign in signs)
    covariance = second - np.outer(model, model.conj())
    squares = np.real(np.einsum("jk,kl,jl->j", to_real, second, to_real.conj()))
    spreads = np.real(np.einsum("jk,kl,jl->j", to_real, covariance, to_real.conj()))
    angles = 2 * np.pi * np.arange(_POSITIONS * 2 * top) / (_POSITIONS * 2 * top)
    waves = np.exp(-1j * angles[:, None] * np.arange(-top, top + 1))
    density = np.real(waves @ model)
    variance = np.real(np.einsum("xk,kl,xl->x", waves, covariance, waves.conj()))
    margin = float(np.min(density / np.sqrt(np.maximum(variance, 1e-300))))
    coefficients = np.real(to_real @ model)
    return coefficients, np.maximum(spreads, 0), float(np.sum(squares)), margin

"""Draw chi-square variates on the log scale, as an explicit function of one normal score.

For X ~ chi2_k and a standard normal score Z, ln(X / k) has the law of f_k(Z),
f_k = ln(F_k^{-1}(Phi(.)) / k). f_k is smooth, so a polynomial of moderate degree
is exact to rounding: no rejection, no branch, one normal score for each draw. f_k bends most for
k = 1 and k = 2, which have closed forms, and in float32 k = 2 a polynomial of its own.

The degrees of freedom may be an int, known when the program is traced (the
shortest sufficient polynomial is used), or an array with one value per lane
(coefficients come from a table for k < 64 and from a polynomial in k^{-1/2} above).
Quantiles: DiDonato and Morris, ACM TOMS 12 (1986), as in ``scipy.special``.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.random.normal import horner

_TABLE_END = 64  # below: one row of coefficients per k; from here on: a series in k^-1/2
_DEGREE_OF_TWO = 30  # of the polynomial in the score for k = 2: within 2e-7, like float32
_SERIES_DEGREE = 11  # of the polynomial in k^-1/2


class _Precision(NamedTuple):
    """Range of scores and precision of a polynomial, for one float type.

    Attributes:
      reach: largest absolute score, in standard deviations.
      table_degree: degree in the score, for k < 64.
      series_degree: degree in the score, for k >= 64.
      tolerance: absolute error of ln(X / k) relative to sqrt(2 / k).
    """

    reach: float
    table_degree: int
    series_degree: int
    tolerance: float


_SINGLE = _Precision(reach=6.4, table_degree=18, series_degree=10, tolerance=3e-8)
_DOUBLE = _Precision(reach=9.2, table_degree=64, series_degree=24, tolerance=1e-13)


def _precision(dtype) -> _Precision:
    return _DOUBLE if dtype == jnp.float64 else _SINGLE


def _quantile(score: np.ndarray, dof: float) -> np.ndarray:
    """Return f_k at `score`, from the tail that preserves precision."""
    from scipy import special

    lower = special.gammaincinv(dof / 2, special.ndtr(score))
    upper = special.gammainccinv(dof / 2, special.ndtr(-score))
    return np.log(np.where(score < 0, lower, upper) / (dof / 2))


def _nodes(count: int) -> np.ndarray:
    return np.cos(np.pi * (np.arange(count) + 0.5) / count)


@functools.cache
def _series(precision: _Precision) -> np.ndarray:
    """Return coefficients c[i, j] of f_k(z) = s sum_ij c[i, j] T_j(z / reach) s^i, s = k^-1/2.

    The row s = 0 is known, f_k(z) / s -> sqrt(2) z, so k beyond the resolution of the inverse
    incomplete gamma function is interpolated, not extrapolated.
    """
    nodes = _nodes(precision.series_degree + 1)
    scores = precision.reach * nodes
    roots = np.linspace(0.0, _TABLE_END**-0.5, 3 * _SERIES_DEGREE)
    roots = roots[(roots == 0) | (roots > 0.01)]
    values = [
        np.sqrt(2.0) * scores if root == 0 else _quantile(scores, root**-2) / root for root in roots
    ]
    in_score = np.polynomial.chebyshev.chebfit(nodes, np.array(values).T, precision.series_degree).T
    scaled = roots / roots[-1]
    # f_k(z) / s - sqrt(2) z vanishes at s = 0: fit it divided by s, so that it does.
    powers = scaled[1:, None] ** np.arange(_SERIES_DEGREE)
    rest = np.linalg.lstsq(powers, (in_score[1:] - in_score[0]) / scaled[1:, None], rcond=None)[0]
    scale = roots[-1] ** -np.arange(_SERIES_DEGREE + 1.0)
    return np.concatenate([in_score[:1], rest]) * scale[:, None]


@functools.cache
def _table(precision: _Precision) -> np.ndarray:
    """Return Chebyshev coefficients of f_k for k = 0 .. 63; rows 0, 1 and 2 are not used."""
    nodes = _nodes(precision.table_degree + 1)
    rows = np.zeros((_TABLE_END, precision.table_degree + 1))
    for dof in range(3, _TABLE_END):
        values = _quantile(precision.reach * nodes, dof)
        rows[dof] = np.polynomial.chebyshev.chebfit(nodes, values, precision.table_degree)
    return rows


def _coefficients(dof: int, precision: _Precision) -> np.ndarray:
    """Return the shortest sufficient Chebyshev row for a known k >= 3."""
    if dof < _TABLE_END:
        row = _table(precision)[dof]
    else:
        root = dof**-0.5
        series = _series(precision)
        row = root * (root ** np.arange(len(series)) @ series)
    dropped = np.cumsum(np.abs(row[::-1]))[::-1]  # largest change by dropping j, j + 1, ...
    needed = np.flatnonzero(dropped > precision.tolerance * np.sqrt(2 / dof))
    return row[: needed[-1] + 1].copy()


def _traced_coefficients(dof: Array, precision: _Precision, dtype) -> list[Array]:
    """Return Chebyshev rows for k known only at run time: one array per coefficient."""
    table = jnp.asarray(_table(precision), dtype)[jnp.clip(dof, 0, _TABLE_END - 1)]
    root = jnp.maximum(dof, 1).astype(dtype) ** -0.5
    series = _series(precision)
    large = []
    for column in series.T:
        value = jnp.full_like(root, column[-1])
        for coefficient in column[-2::-1]:
            value = value * root + dtype.type(coefficient)
        large.append(value * root)
    large += [jnp.zeros_like(root)] * (table.shape[-1] - len(large))
    return [jnp.where(dof < _TABLE_END, table[..., j], row) for j, row in enumerate(large)]


def _clenshaw(coefficients, x: Array) -> Array:
    """Return the Chebyshev series with `coefficients`, lowest degree first, at `x`."""
    later = latest = jnp.zeros_like(x)
    for coefficient in coefficients[:0:-1]:
        later, latest = coefficient + 2 * x * later - latest, later
    return coefficients[0] + x * later - latest


@functools.cache
def _quantile_of_two() -> np.ndarray:
    """Return f_2 as a Chebyshev series in score / reach for float32, lowest degree first."""
    from scipy import special

    nodes = _nodes(_DEGREE_OF_TWO + 1)
    values = np.log(-special.log_ndtr(-_SINGLE.reach * nodes))
    series = np.polynomial.chebyshev.chebfit(nodes, values, _DEGREE_OF_TWO)
    return series.astype(np.float32)


def _log_small(score: Array, dof: Array | np.ndarray) -> Array:
    """Return f_1 and f_2: Z^2 is chi2_1, and -2 ln Phi(Z) is chi2_2."""
    from jax.scipy.special import log_ndtr

    one = 2 * jnp.log(jnp.abs(score))
    if score.dtype == jnp.float32:
        two = _clenshaw(_quantile_of_two(), score * np.float32(1 / _SINGLE.reach))
        return jnp.where(jnp.asarray(dof) == 1, one, two)
    log_tail = log_ndtr(-jnp.abs(score))
    log_upper = jnp.where(score > 0, log_tail, jnp.log1p(-jnp.exp(log_tail)))
    return jnp.where(jnp.asarray(dof) == 1, one, jnp.log(-log_upper))


def _known_coefficients(
    dof: np.ndarray, shift: np.ndarray, precision: _Precision, convert: Callable
) -> np.ndarray:
    """Return coefficients of f_k + shift where k is known when the program is traced.

    One leading row per degree, lowest first, after `convert`ing each Chebyshev series.
    """
    columns = []
    for degrees, constant in zip(dof.flat, shift.flat, strict=True):
        row = _coefficients(max(int(degrees), 3), precision)
        row[0] += constant  # in the constant term: a second sum would round again
        columns.append(convert(row))
    padded = np.zeros((max(len(column) for column in columns), dof.size))
    for index, column in enumerate(columns):
        padded[: len(column), index] = column
    return padded.reshape(-1, *dof.shape)


def log_chi_square(
    score: Float[Array, "*lanes"],
    dof: int | np.ndarray | Int[Array, "*lanes"],
    divisor: float | Float[Array, "*lanes"] | None = None,
) -> Float[Array, "*lanes"]:
    """Return ln(X / divisor) for X ~ chi2_k, given a standard normal score.

    Args:
      score: [*lanes], standard normal scores.
      dof: k >= 1, degrees of freedom, broadcasts against `score`: an int or a NumPy array if
        known when the program is traced, otherwise a jax array.
      divisor: positive, known when `dof` is; None for k. Dimensionless.

    Returns:
      ln(X / divisor) of the broadcast shape, nats: increasing in the score for k >= 2, even in the
      score for k = 1. The law of X is chi2_k to within total variation 2e-6 in float32, 1e-11
      with x64.
    """
    precision = _precision(score.dtype)
    x = score * score.dtype.type(1 / precision.reach)
    if isinstance(dof, jax.Array):
        series = _clenshaw(_traced_coefficients(dof, precision, score.dtype), x)
        value = jnp.where(dof < 3, _log_small(score, dof), series)
        return value if divisor is None else value + jnp.log(dof / divisor)
    known = np.asarray(dof)
    shift = np.zeros(known.shape) if divisor is None else np.log(known / np.asarray(divisor))
    if score.dtype == jnp.float64:
        series = _clenshaw(_known_coefficients(known, shift, precision, np.asarray), x)
    else:
        to_powers = np.polynomial.chebyshev.cheb2poly
        powers = _known_coefficients(known, shift, precision, to_powers)[::-1]
        series = horner(powers.astype(np.float32), x)
    if not np.any(known < 3):
        return series
    return jnp.where(known < 3, _log_small(score, known) + shift.astype(score.dtype), series)

"""Fit the polynomials of the Poisson sampler, whose coefficients are written there."""

import numpy as np
from scipy import special

from collapse_jax.random import poisson
from collapse_jax.random.poisson import LEAST_OF_SCORE, heads

REACH = 6.4  # largest absolute normal score in float32
MOST = 2.0**20  # mean; the terms that are fitted vanish for larger ones
DEGREES = (11, 11, 10, 9, 8)  # in score times mean^-1/2, of the factor of each head


def points(num_means: int, num_scores: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean^-1/2, score, and the rest of the solution x of P(N < x) = Phi(score), [point].

    Args:
      num_means: number of Chebyshev nodes in mean^-1/2.
      num_scores: number of Chebyshev nodes in the score.

    Returns:
      The rest is (x - mean - score / s - 1/3 - score^2 / 6) / s with s = mean^-1/2.
    """
    low, high = (mean**-0.5 for mean in (MOST, 0.95 * LEAST_OF_SCORE))
    nodes = [np.cos(np.pi * (np.arange(n) + 0.5) / n) for n in (num_means, num_scores)]
    s, score = np.meshgrid((low + high) / 2 + (high - low) / 2 * nodes[0], REACH * nodes[1])
    mean = s**-2
    below, above = np.zeros_like(mean), mean + 8 / s + 40
    for _ in range(60):
        middle = (below + above) / 2
        lower = special.gammaincc(middle, mean) < special.ndtr(score)
        upper = special.gammainc(middle, mean) > special.ndtr(-score)
        is_less = np.where(score < 0, lower, upper)
        below, above = np.where(is_less, middle, below), np.where(is_less, above, middle)
    is_needed = below > 0.97  # below, the number is 0, and the solution no polynomial
    rest = (below - (mean + score / s + 1 / 3 + score**2 / 6)) / s
    return s[is_needed], score[is_needed], rest[is_needed]


def fitted() -> list[np.ndarray]:
    """Return the coefficients, highest powers first, with weights near the root of the density."""
    s, score, rest = points(40, 90)
    weight, ratio = np.exp(-(score**2) / 4) + 3e-3, score * s / REACH
    terms = [
        head[:, None] * np.polynomial.polynomial.polyvander(ratio, degree)
        for head, degree in zip(heads(score, s), DEGREES, strict=True)
    ]
    design = np.concatenate(terms, axis=1) * weight[:, None]
    found = np.linalg.lstsq(design, rest * weight, rcond=1e-14)[0]
    parts = np.split(found, np.cumsum([degree + 1 for degree in DEGREES])[:-1])
    return [(part / REACH ** np.arange(len(part)))[::-1] for part in parts]


def rest_of(coefficients, s: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the fit at points.

    Args:
      coefficients: as `fitted` returns them.
      s: mean^-1/2, [point].
      score: [point].
    """
    terms = [np.polyval(one, score * s) for one in coefficients]
    return sum(head * one for head, one in zip(heads(score, s), terms, strict=True))


def test_the_coefficients_are_those_of_the_fit():
    s, score, rest = points(57, 131)  # other points than those of the fit
    ours, again = (
        np.max(np.abs(rest_of(coefficients, s, score) - rest) * s * np.exp(-(score**2) / 2))
        for coefficients in (poisson._COEFFICIENTS, fitted())
    )
    printed = [[float(f"{x:.9g}") for x in one] for one in fitted()]
    assert ours < 1.01 * again < 3e-6, printed  # errors of x, weighted by the density

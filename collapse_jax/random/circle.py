"""Compute trigonometric functions of angles, and draw angles from trigonometric densities.

A density sum_j c_j phi_j relative to the uniform law on the circle has the orthonormal basis
phi_0 = 1, phi_{2k-1} = sqrt(2) cos kx, phi_{2k} = sqrt(2) sin kx. Its distribution function, its
values and its slopes at 16 or more nodes per period of the highest frequency determine a
polynomial of degree five in each cell, which differs from the distribution function by less than
rounding; an angle is found by comparison with all nodes and Halley's method within a cell.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.random.keys import Keys
from collapse_jax.random.once import once

MOST_TERMS = 64
"""Most terms of a density: a limit of compile time and of rounding."""

_NODES_PER_PERIOD = 16  # of the highest frequency: the polynomial's error is 1e-8 of a density
_PART = 64  # nodes that one loop over rows compares with
_STEPS = 6  # of Halley's method; at a double zero of the density each halves the distance
_DEGREE = 7  # of the polynomials of sine and cosine in y^2, |y| <= pi: errors below 1e-7
_TURN = 2 * math.pi


def frequencies(num_terms: int) -> np.ndarray:
    """Return the frequency k of phi_1 .. phi_J.

    Args:
      num_terms: J.

    Returns:
      [J] integers 1, 1, 2, 2, ...
    """
    return (np.arange(num_terms) + 2) // 2


def wrap(angle: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return angles in [0, 2 pi), modulo a turn.

    Args:
      angle: [...], radians.
    """
    turn = angle.dtype.type(_TURN)
    wrapped = angle - turn * jnp.floor(angle / turn)
    return jnp.maximum(jnp.where(wrapped >= turn, 0, wrapped), 0)  # NaN stays


@functools.cache
def _polynomials() -> tuple[np.ndarray, np.ndarray]:
    """Return sin(y) / y and cos(y) as polynomials in y^2, highest power first."""
    squares = math.pi**2 * 0.5 * (1 + np.cos(np.pi * (np.arange(64) + 0.5) / 64))
    roots = np.sqrt(squares)
    sine = np.polyfit(squares, np.sinc(roots / np.pi), _DEGREE)
    return sine, np.polyfit(squares, np.cos(roots), _DEGREE)


def cos_sin(angle: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return cosine and sine of angles, to 3e-7 in float32, in the vectors of a CPU.

    Args:
      angle: [...], radians in [0, 2 pi).
    """
    if angle.dtype == jnp.float64:
        return jnp.cos(angle), jnp.sin(angle)
    y = angle - np.float32(math.pi)
    square = y * y
    sine, cosine = (polynomial.astype(np.float32) for polynomial in _polynomials())
    value = []
    for coefficients in (cosine, sine):
        found = jnp.full_like(square, coefficients[0])
        for coefficient in coefficients[1:]:
            found = found * square + coefficient
        value.append(found)
    return -value[0], -value[1] * y


def basis(angle: Float[Array, "..."], num_terms: int) -> list[Float[Array, "..."]]:
    """Return phi_1 .. phi_J of angles.

    Args:
      angle: [...], radians in [0, 2 pi).
      num_terms: J, static.

    Returns:
      J arrays [...].
    """
    cosine, sine = cos_sin(angle)
    root = angle.dtype.type(math.sqrt(2))
    real, imaginary, terms = cosine, sine, []
    for _ in range((num_terms + 1) // 2):
        terms += [root * real, root * imaginary]
        real, imaginary = real * cosine - imaginary * sine, real * sine + imaginary * cosine
    return terms[:num_terms]


def num_nodes(num_terms: int) -> int:
    """Return the number of nodes around the circle, a power of two.

    Args:
      num_terms: J.
    """
    periods = max((num_terms + 1) // 2, 2)
    return 1 << (_NODES_PER_PERIOD * periods - 1).bit_length()


@functools.cache
def _node_matrix(num_terms: int) -> np.ndarray:
    """Return distribution function, density and slope of every phi_j at the nodes, [3, node, J]."""
    x = _TURN * np.arange(num_nodes(num_terms)) / num_nodes(num_terms)
    k = frequencies(num_terms)
    phase = x[:, None] * k - np.where(np.arange(num_terms) % 2, np.pi / 2, 0.0)
    start = np.where(np.arange(num_terms) % 2, -1 / k, 0.0)  # of the integral, at x = 0
    integral = (np.sin(phase) / k - start) / _TURN
    return math.sqrt(2) * np.stack([integral, np.cos(phase), -k * np.sin(phase)])


def node_values(
    coefficients: Float[Array, " term"],
) -> tuple[Float[Array, " node"], Float[Array, " node"], Float[Array, " node"]]:
    """Return distribution function, density and slope at equidistant nodes from 0 on.

    Args:
      coefficients: c_1 .. c_J; c_0 = 1.

    Returns:
      The distribution function, in [0, 1] for a density; the density relative to the uniform law;
      its derivative per radian; [node] each.
    """
    terms = len(coefficients)
    matrix = _node_matrix(terms).astype(coefficients.dtype)
    number = num_nodes(terms)
    uniform = np.arange(number) / number
    sums = [
        jnp.asarray(start, coefficients.dtype) for start in (uniform, np.ones(number), 0 * uniform)
    ]
    for j in range(terms):
        sums = [
            value + row[:, j] * coefficients[j] for value, row in zip(sums, matrix, strict=True)
        ]
    return sums[0], sums[1], sums[2]


def lowest_value(density: Float[Array, " node"], slope: Float[Array, " node"]) -> Float[Array, ""]:
    """Return the minimum of a trigonometric density, from its values at the nodes.

    In each cell with a minimum of the cubic through values and slopes, that of the cubic counts.

    Args:
      density: at the nodes, as `node_values` returns it.
      slope: its derivative there.
    """
    step = density.dtype.type(_TURN / len(density))
    rise = jnp.roll(density, -1) - density
    left, right = slope * step, jnp.roll(slope, -1) * step
    # The cubic is density + left t + bend t^2 + twist t^3.
    twist = left + right - 2 * rise
    bend = 3 * rise - 2 * left - right
    root = jnp.sqrt(jnp.maximum(bend * bend - 3 * twist * left, 0))
    t = jnp.clip(-left / jnp.where(bend + root == 0, 1, bend + root), 0, 1)
    inside = density + t * (left + t * (bend + t * twist))
    return jnp.minimum(jnp.min(density), jnp.min(inside))


def angle_quantile(
    coefficients: Float[Array, " term"], uniform: Float[Array, "*row"]
) -> Float[Array, "*row"]:
    """Return the angle at which the distribution function has a given value.

    Args:
      coefficients: c_1 .. c_J of a density that is nowhere negative; c_0 = 1.
      uniform: [*row], in [0, 1].

    Returns:
      [*row], radians in [0, 2 pi).
    """
    function, density, slope = node_values(coefficients)
    number, dtype = len(function), function.dtype
    step, radian = dtype.type(1 / number), dtype.type(_TURN / number)
    ends = jnp.roll(function, -1).at[-1].set(1)
    rises, tilts = density * step, slope * (step * radian)
    tables = [function, rises, tilts, ends, jnp.roll(rises, -1), jnp.roll(tilts, -1)]
    cell, start, first, bend, end, last, turn = _look_up(function, tables, uniform)
    # Within the cell, with t in [0, 1]: the polynomial with these values, slopes and curvatures.
    rest = end - start - first - bend / 2
    tilt, curve = last - first - bend, turn - bend
    cubic = 10 * rest - 4 * tilt + curve / 2
    quartic = -15 * rest + 7 * tilt - curve
    quintic = 6 * rest - 3 * tilt + curve / 2
    goal = uniform - start
    total = jnp.maximum(end - start, jnp.finfo(dtype).tiny)
    t = jnp.clip(goal / total, 0, 1)
    low, high = jnp.zeros_like(t), jnp.ones_like(t)
    for _ in range(_STEPS):
        value = t * (first + t * (bend / 2 + t * (cubic + t * (quartic + t * quintic))))
        rate = first + t * (bend + t * (3 * cubic + t * (4 * quartic + 5 * t * quintic)))
        excess = value - goal
        low, high = jnp.where(excess > 0, low, t), jnp.where(excess > 0, t, high)
        change = bend + t * (6 * cubic + t * (12 * quartic + 20 * t * quintic))
        slope = rate - excess * change / (2 * jnp.where(rate > 0, rate, 1))  # Halley
        guess = t - excess / jnp.where(slope > 0, slope, 1)
        is_inside = (rate > 0) & (slope > 0) & (guess >= low) & (guess <= high)
        t = jnp.where(is_inside, guess, 0.5 * (low + high))
    return jnp.minimum(radian * (cell + t), np.nextafter(dtype.type(_TURN), dtype.type(0)))


def _look_up(
    function: Float[Array, " node"], tables: list[Array], uniform: Float[Array, "*row"]
) -> list[Array]:
    """Return for every row the last node at which a function is not above it, and values there.

    Comparisons with every node fill the vectors of a CPU, which gathers do not.

    Args:
      function: increasing.
      tables: values at the nodes, [node] each.
      uniform: [*row].

    Returns:
      The index of the node, as a float, and the value of every table, [*row] each.
    """
    indices = jnp.arange(len(function), dtype=function.dtype)
    columns = jnp.stack([function, indices, *tables], axis=1)
    found = [jnp.broadcast_to(value, uniform.shape) for value in columns[0, 1:]]

    def compare(found: list[Array], part: Array) -> tuple[list[Array], None]:
        for row in part:
            is_below = row[0] <= uniform
            found = [jnp.where(is_below, new, old) for new, old in zip(row[1:], found, strict=True)]
        return found, None

    if len(function) <= _PART:
        return compare(found, columns[1:])[0]
    return jax.lax.scan(compare, found, columns.reshape(-1, _PART, columns.shape[1]))[0]


def draw_angles(
    keys: Keys, purpose: int, coefficients: Float[Array, " term"], num_rows: int
) -> Float[Array, " row"]:
    """Draw angles from a trigonometric density.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      coefficients: c_1 .. c_J of a density that is nowhere negative; c_0 = 1.
      num_rows: static; more rows leave the earlier ones unchanged.

    Returns:
      [row], radians in [0, 2 pi).
    """
    dtype = coefficients.dtype

    def make() -> Array:
        high, low = keys.bits(purpose, (num_rows,))
        rest = (low.astype(dtype) + 0.5) * dtype.type(2.0**-32)
        return angle_quantile(coefficients, (high.astype(dtype) + rest) * dtype.type(2.0**-32))

    return once(keys, make)

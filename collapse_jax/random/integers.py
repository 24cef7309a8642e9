"""Uniform integers by multiplying a 64-bit fraction with their number.

The integer part of fraction * bound is the draw, and what is left is the fraction of the
next one: while bound^draws <= 2^34 two to four draws share a block. The probability of any of
them is off by a factor of at most 1 + 2^-30, and 1 + 2^-33 with one draw to a block.

Source: D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29 (2019).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from collapse_jax.random.keys import Keys
from collapse_jax.random.once import materialize, once

_GROUP = 256  # blocks whose first draws lie side by side, then their second ones, and so on
_VECTOR = 16  # blocks: no odd ones at the end of a loop
_HALF = np.uint32(0xFFFF)


def _limbs(high: Array, low: Array) -> list[Array]:
    """A 64-bit fraction as four limbs of 16 bits, lowest first."""
    return [low & _HALF, low >> np.uint32(16), high & _HALF, high >> np.uint32(16)]


def _next(limbs: list[Array], bound: int) -> tuple[Array, list[Array]]:
    """The integer part of fraction * bound, and the fraction; bound <= 2^16."""
    rest, carry = [], np.uint32(0)
    for limb in limbs:
        product = limb * np.uint32(bound) + carry
        rest.append(product & _HALF)
        carry = product >> np.uint32(16)
    return jnp.asarray(carry), rest


def _multiply_high(x: Array, y: Array) -> tuple[Array, Array]:
    """The 64-bit product of two uint32 arrays, as two words."""
    x_low, x_high, y_low, y_high = x & _HALF, x >> np.uint32(16), y & _HALF, y >> np.uint32(16)
    cross = x_high * y_low + (x_low * y_low >> np.uint32(16))
    middle = x_low * y_high + (cross & _HALF)
    return x_high * y_high + (cross >> np.uint32(16)) + (middle >> np.uint32(16)), x * y


def integer_from_block(
    high: UInt32[Array, "..."], low: UInt32[Array, "..."], bound: Int[Array, "..."]
) -> Int[Array, "..."]:
    """floor(fraction * bound) for the 64-bit fraction of a block; 1 <= bound < 2^31."""
    bound = jnp.asarray(bound).astype(jnp.uint32)
    upper, lower = _multiply_high(high, bound)
    carry, _ = _multiply_high(low, bound)
    return (upper + (lower + carry < lower)).astype(jnp.int32)


def _draws_per_block(bound: int) -> int:
    for draws, largest in ((4, 362), (3, 2**11), (2, 2**16)):  # bound^draws <= 2^34
        if bound <= largest:
            return draws
    return 1


def uniform_integers(
    keys: Keys, purpose: int, bound: int | Int[Array, "..."], shape: tuple[int, ...]
) -> Int[Array, "..."]:
    """Uniform draws from 0 .. bound - 1.

    A draw depends on its row-major index only: a longer first axis leaves the earlier rows
    as they were.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: whose stream to use.
      bound: 1 <= bound < 2^31. An int up to 2^16 puts two to four draws in a block; an array
        that broadcasts against `shape` takes a block for each draw, with other values.
      shape: static.

    Returns:
      int32 draws.

    Raises:
      ValueError: if `bound` is an int outside [1, 2^31).
    """
    if not isinstance(bound, (int, np.integer)):
        return once(
            keys, lambda: integer_from_block(*keys.bits(purpose, shape), jnp.asarray(bound))
        )
    if not 1 <= bound < 2**31:
        raise ValueError(f"bound={bound} is outside [1, 2^31)")
    draws = _draws_per_block(int(bound))
    if draws == 1:
        return once(keys, lambda: integer_from_block(*keys.bits(purpose, shape), jnp.uint32(bound)))
    size = math.prod(shape)
    groups = -(-size // (draws * _GROUP))
    columns = _columns(keys, purpose, int(bound), draws, (groups, _GROUP))
    return jnp.stack(columns, axis=1).reshape(-1)[:size].reshape(shape)


def _columns(
    keys: Keys, purpose: int, bound: int, draws: int, shape: tuple[int, ...]
) -> list[Array]:
    """The first, second, ... draw of each block.

    One or two draws make a number below 2^23, exact as a float32; two numbers make one
    complex array, which `once` computes a single time for all its readers.
    """
    halves = ((draws + 1) // 2, draws // 2)

    def pack() -> Array:
        limbs = _limbs(*keys.bits(purpose, shape))
        parts = []
        for count in halves:
            number = jnp.zeros(shape, jnp.int32)
            for _ in range(count):
                draw, limbs = _next(limbs, bound)
                number = number * bound + draw.astype(jnp.int32)
            parts.append(number.astype(jnp.float32))
        return jax.lax.complex(*parts)

    packed = once(keys, pack)
    columns = []
    for count, part in zip(halves, (packed.real, packed.imag), strict=True):
        number = part.astype(jnp.int32)
        if count == 2:
            quotient = number // bound
            columns += [quotient, number - quotient * bound]
        else:
            columns.append(number)
    return columns


def choose(
    keys: Keys, purpose: int, values: Array, bound: int | Int[Array, ""], num_draws: int
) -> Array:
    """`num_draws` of the first `bound` values, uniformly and with replacement.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: whose stream to use.
      values: [value, ...].
      bound: how many of them to choose from; an int is faster.
      num_draws: static.
    """
    draws = _draws_per_block(bound) if isinstance(bound, int) else 1
    if not isinstance(bound, int) or draws == 1:
        index = uniform_integers(keys, purpose, bound, (num_draws,))
        return values.at[index].get(mode="promise_in_bounds")
    # Column by column: indices that are pieced together first would be read one by one.
    blocks = -(-num_draws // (draws * _VECTOR)) * _VECTOR
    columns = _columns(keys, purpose, bound, draws, (blocks,))
    chosen = [
        values.at[column].get(mode="promise_in_bounds") for column in materialize(keys, *columns)
    ]
    return jnp.concatenate(materialize(keys, *chosen))[:num_draws]

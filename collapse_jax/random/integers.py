"""Draw uniform integers by multiplying a 64-bit fraction by their number.

The integer part of fraction * bound is the draw, and the rest is the fraction of the next draw:
while bound^draws <= 2^40, up to six draws share a block. The relative error of a probability is
at most 2^-24, and 2^-33 with one draw per block.

Source: D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29 (2019).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from collapse_jax.random.keys import Keys, whole_vectors
from collapse_jax.random.once import once, once_in_vectors
from collapse_jax.utils.check import ArgumentError

_HALF = np.uint32(0xFFFF)


def _limbs(high: Array, low: Array) -> list[Array]:
    """Return a 64-bit fraction as four limbs of 16 bits, lowest first."""
    return [low & _HALF, low >> np.uint32(16), high & _HALF, high >> np.uint32(16)]


def _next(limbs: list[Array], bound: int) -> tuple[Array, list[Array]]:
    """Return the integer part of fraction * bound, and the fraction; bound <= 2^16."""
    rest, carry = [], np.uint32(0)
    for limb in limbs:
        product = limb * np.uint32(bound) + carry
        rest.append(product & _HALF)
        carry = product >> np.uint32(16)
    return jnp.asarray(carry), rest


def _multiply_high(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the 64-bit product of two uint32 arrays, as two words."""
    x_low, x_high, y_low, y_high = x & _HALF, x >> np.uint32(16), y & _HALF, y >> np.uint32(16)
    cross = x_high * y_low + (x_low * y_low >> np.uint32(16))
    middle = x_low * y_high + (cross & _HALF)
    return x_high * y_high + (cross >> np.uint32(16)) + (middle >> np.uint32(16)), x * y


def integer_from_block(
    high: UInt32[Array, "..."], low: UInt32[Array, "..."], bound: Int[Array, "..."]
) -> Int[Array, "..."]:
    """Return floor(fraction * bound) for the 64-bit fraction of a block.

    Source: D. Lemire, ACM TOMACS 29 (2019).

    Args:
      high: [...] uint32, upper words of the blocks.
      low: [...] uint32, lower words of the blocks.
      bound: [...], number of values, 1 <= bound < 2^31; broadcasts against the words.

    Returns:
      int32 draws of the broadcast shape, 0 .. bound - 1.
    """
    return integer_and_rest(high, low, bound)[0]


def integer_and_rest(
    high: UInt32[Array, "..."], low: UInt32[Array, "..."], bound: Int[Array, "..."] | int
) -> tuple[Int[Array, "..."], UInt32[Array, "..."]]:
    """Return `integer_from_block`, and the upper word of the fraction that it leaves.

    Args:
      high: [...] uint32, upper words of the blocks.
      low: [...] uint32, lower words of the blocks.
      bound: [...], number of values, 1 <= bound < 2^31; broadcasts against the words.

    Returns:
      int32 draws and uint32 words of the broadcast shape.
    """
    bound = jnp.asarray(bound).astype(jnp.uint32)
    upper, lower = _multiply_high(high, bound)
    carry, _ = _multiply_high(low, bound)
    rest = lower + carry
    return (upper + (rest < lower)).astype(jnp.int32), rest


def _draws_per_block(bound: int) -> int:
    """Return how many draws share a block: all that satisfy bound^draws <= 2^40, at most six."""
    if bound > 2**16:
        return 1
    return next(draws for draws in range(6, 0, -1) if bound**draws <= 2**40)


def uniform_integers(
    keys: Keys, purpose: int, bound: int | Int[Array, "..."], shape: tuple[int, ...]
) -> Int[Array, "..."]:
    """Draw uniform integers from 0 .. bound - 1.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      bound: number of values, 1 <= bound < 2^31. An int up to 2^16 puts two to six draws in
        a block. An array that broadcasts against `shape` uses a block for each draw, and gives
        other draws; these depend on their row-major index only: a longer axis 0 leaves the
        earlier rows unchanged.
      shape: shape of the draws, static.

    Returns:
      int32 draws of `shape`, 0 .. bound - 1.

    Raises:
      ValueError: if `bound` is an int outside [1, 2^31).
    """
    if not isinstance(bound, (int, np.integer)):
        return _one_per_block(keys, purpose, shape, jnp.asarray(bound))
    if not 1 <= bound < 2**31:
        raise ArgumentError(f"bound={bound} is outside [1, 2^31)")
    draws = _draws_per_block(int(bound))
    if draws == 1:
        return _one_per_block(keys, purpose, shape, jnp.uint32(bound))
    size = math.prod(shape)
    blocks = whole_vectors(-(-size // draws))
    columns = _columns(keys, purpose, int(bound), draws, blocks)
    return jnp.concatenate(columns)[:size].reshape(shape)


def _one_per_block(keys: Keys, purpose: int, shape: tuple[int, ...], bound: Array) -> Array:
    return once_in_vectors(
        keys, shape, lambda blocks: integer_from_block(*keys.bits(purpose, blocks), bound)
    )


def _columns(keys: Keys, purpose: int, bound: int, draws: int, blocks: int) -> list[Array]:
    """Return draw number 0, 1, ... of each block, one array each.

    They are adjacent in two words, which make one complex number: `once` computes a single array
    once for all its readers.
    """
    counts = ((draws + 1) // 2, draws // 2)
    width = 32 // counts[0]  # bits

    def pack() -> Array:
        limbs = _limbs(*keys.bits(purpose, (blocks,)))
        words = []
        for count in counts:
            word = jnp.zeros(blocks, jnp.uint32)
            for position in range(count):
                draw, limbs = _next(limbs, bound)
                word = word | draw << np.uint32(position * width)
            words.append(jax.lax.bitcast_convert_type(word, jnp.float32))
        return jax.lax.complex(*words)

    packed = once(keys, pack)
    columns = []
    for count, part in zip(counts, (packed.real, packed.imag), strict=True):
        word = jax.lax.bitcast_convert_type(part, jnp.uint32)
        for position in range(count):
            draw = word >> np.uint32(position * width) & np.uint32(2**width - 1)
            columns.append(draw.astype(jnp.int32))
    return columns

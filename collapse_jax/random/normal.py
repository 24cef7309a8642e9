"""Draw standard normal numbers by inversion of the tail probability.

A word of 32 bits chooses a sign and one of 2^31 equally likely tail probabilities
q = (r + 1/2) / 2^32, r = 0 .. 2^31 - 1; the draw is the normal quantile of q. Inversion from the
tail uses every bit: draws reach 6.34 standard deviations in float32, where inverting 2u - 1 stops
at 5.42. With x64 a 64-bit block is used and draws reach 9.1.

Source: M. Giles, "Approximating the erfinv function", GPU Computing Gems, 2011.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex64, Float, Int, UInt32

from collapse_jax.random.keys import Keys, whole_vectors
from collapse_jax.random.once import once
from collapse_jax.random.threefry import key_from_words
from collapse_jax.utils.vmap import chains_last

_MANY = 8  # blocks of a draw that are worth storing
# Giles' single-precision coefficients, highest power first, times sqrt(2).
_CENTRAL = np.sqrt(2.0) * np.array(
    [
        2.81022636e-08,
        3.43273939e-07,
        -3.5233877e-06,
        -4.39150654e-06,
        0.00021858087,
        -0.00125372503,
        -0.00417768164,
        0.246640727,
        1.50140941,
    ]
)
_TAIL = np.sqrt(2.0) * np.array(
    [
        -0.000200214257,
        0.000100950558,
        0.00134934322,
        -0.00367342844,
        0.00573950773,
        -0.0076224613,
        0.00943887047,
        1.00167406,
        2.83297682,
    ]
)


def horner(coefficients, x: Array) -> Array:
    """Evaluate a polynomial by Horner's method.

    Args:
      coefficients: [degree + 1], highest power first; entries are numbers or arrays.
      x: [...], where to evaluate.

    Returns:
      Values of the polynomial, [...].
    """
    value = jnp.broadcast_to(coefficients[0], x.shape).astype(x.dtype)
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def normal_from_bits(word: UInt32[Array, "..."]) -> Float[Array, "..."]:
    """Return the float32 normal quantile of a 32-bit word.

    Source: M. Giles, GPU Computing Gems, 2011.

    Args:
      word: [...] uint32; the top bit is the sign, the other 31 bits choose the tail probability.

    Returns:
      [...] float32, standard normal, within 6.34 of 0.
    """
    signed = word.astype(jnp.int32)
    magnitude = signed ^ (signed >> 31)
    near = (magnitude.astype(jnp.float32) + 0.5) * np.float32(2.0**-31)  # 1 - 2q
    far = ((np.int32(2**31 - 1) - magnitude).astype(jnp.float32) + 0.5) * np.float32(2.0**-31)
    depth = -jnp.log(far * (1 + near))
    ratio = jnp.where(
        depth < 5,
        horner(_CENTRAL.astype(np.float32), depth - np.float32(2.5)),
        horner(_TAIL.astype(np.float32), jnp.sqrt(depth) - np.float32(3)),
    )
    return jnp.where(signed < 0, -near, near) * ratio


def normal_from_block(high: UInt32[Array, "..."], low: UInt32[Array, "..."]) -> Float[Array, "..."]:
    """Return the float64 normal quantile of a 64-bit block; needs x64.

    Args:
      high: [...] uint32; the top bit is the sign.
      low: [...] uint32.

    Returns:
      [...] float64, standard normal, within 9.2 of 0.
    """
    from jax.scipy.special import ndtri

    magnitude = (high & np.uint32(2**31 - 1)).astype(jnp.float64)
    tail = ((low.astype(jnp.float64) + 0.5) * 2.0**-32 + magnitude) * 2.0**-32
    score = -ndtri(tail)
    return jnp.where(high >> np.uint32(31) == 1, -score, score)


def normal(keys: Keys, purpose: int, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Draw independent N(0, 1) numbers in the default float type.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      shape: static, with at least one axis. A longer axis 0 leaves the earlier rows unchanged; the
        last axis takes two draws from a block in float32.

    Returns:
      Draws of `shape`, dimensionless.
    """
    *rows, width = shape
    if jnp.result_type(float) == jnp.float64:
        return normal_from_block(*keys.bits(purpose, shape))
    blocks = (*rows, -(-width // 2))
    # Loops along a short last axis would not fill the vectors of a CPU.
    number = math.prod(blocks)
    flat = (1, whole_vectors(number)) if rows else blocks

    def packed() -> Array:  # as one complex number for `once`
        pairs = once(keys, lambda: _draw(_complex, keys, purpose, flat))
        pairs = pairs.reshape(-1)[:number].reshape(blocks)
        return jnp.concatenate([pairs.real, pairs.imag], axis=-1)[..., :width]

    def apart() -> Array:  # complex numbers would end the compiler's loop
        axis = -1 if rows else 0
        return _draw(functools.partial(_joined, axis, width), keys, purpose, blocks)

    return jax.lax.platform_dependent(cpu=packed, default=apart)


def _draw(
    convert: Callable[[Array, Array], Array], keys: Keys, purpose: int, shape: tuple[int, ...]
) -> Array:
    """Draw two float32 numbers from each block and return them as one array."""
    if len(shape) > 1:
        return convert(*keys.bits(purpose, shape))
    words = jax.random.key_data(keys.chain)
    return chains_last(functools.partial(_few, convert, purpose, *shape))(words, keys.generation)


def _few(
    convert: Callable[[Array, Array], Array],
    purpose: int,
    blocks: int,
    words: UInt32[Array, "2 ..."],
    generation: Int[Array, "..."],
) -> Array:
    """Draw from blocks 0 .. blocks - 1 of a stream, also for arrays with the chain as last axis."""
    chain = key_from_words(jnp.moveaxis(words, 0, -1))
    index = jnp.arange(blocks).reshape(-1, *[1] * (words.ndim - 1))
    bits = Keys(chain, generation).bits_at(purpose, index)
    if blocks < _MANY:
        return convert(*bits)
    # Otherwise a TPU computes every block twice, for either word.
    barrier = jax.lax.optimization_barrier
    return convert(*jax.lax.platform_dependent(bits, cpu=lambda bits: bits, default=barrier))


def _complex(high: UInt32[Array, "..."], low: UInt32[Array, "..."]) -> Complex64[Array, "..."]:
    return jax.lax.complex(normal_from_bits(high), normal_from_bits(low))


def _joined(axis: int, width: int, high: UInt32[Array, "..."], low: UInt32[Array, "..."]) -> Array:
    rest = jax.lax.slice_in_dim(low, 0, width - high.shape[axis], axis=axis)
    return jnp.concatenate([normal_from_bits(high), normal_from_bits(rest)], axis)


def normal_rows(
    keys: Keys, purpose: int, generation: Int[Array, " row"], row: Int[Array, " row"], width: int
) -> Float[Array, "row width"]:
    """Return rows of `normal(keys, purpose, (capacity, width))` of any generations again.

    Args:
      keys: the chain's random numbers.
      purpose: stream to use, a `Purpose`.
      generation: [row], generation of each row.
      row: [row], index of each row in that draw.
      width: numbers in a row, static.

    Returns:
      [row, width], the same N(0, 1) numbers, dimensionless.
    """
    past = Keys(keys.chain, generation[:, None])
    if jnp.result_type(float) == jnp.float64:
        return normal_from_block(*past.bits_at(purpose, row[:, None] * width + jnp.arange(width)))
    half = -(-width // 2)
    high, low = past.bits_at(purpose, row[:, None] * half + jnp.arange(half))
    both = [normal_from_bits(high), normal_from_bits(low)]
    return jnp.concatenate(both, axis=-1)[:, :width]

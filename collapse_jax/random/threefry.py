"""Implement Threefry-2x32 with its twenty rounds written out, as a jax PRNG.

The bits are those of jax's default generator (``jax.random.key(seed)``). On CPU jax compiles
that generator as a rolled loop which the compiler cannot fuse or vectorise across; written out,
the same function is several times faster and becomes part of the kernel that consumes its bits.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32

from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.fork import check_fork

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))  # bits, of Salmon et al.
_PARITY = np.uint32(0x1BD11BDA)  # constant of Salmon et al.
_WORD = 2**32  # values of a word
_HALF = np.uint32(2**16 - 1)  # the lower half of a word


def _rotate_left(x: Array, distance: int) -> Array:
    return (x << np.uint32(distance)) | (x >> np.uint32(32 - distance))


def threefry_2x32(
    key: tuple[Array, Array], counter: tuple[Array, Array]
) -> tuple[UInt32[Array, "..."], UInt32[Array, "..."]]:
    """Compute twenty rounds of Threefry-2x32: a bijection of 64-bit counters for every key.

    Source: Salmon et al., SC11.

    Args:
      key: two uint32 words, broadcast against the counter.
      counter: two uint32 words of any shape.

    Returns:
      Two uint32 arrays of the broadcast shape, 64 random bits per counter.
    """
    schedule = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
    x, y = counter[0] + schedule[0], counter[1] + schedule[1]
    for group in range(5):
        for distance in _ROTATIONS[group % 2]:
            x = x + y
            y = _rotate_left(y, distance) ^ x
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def _multiply_wide(x: Array, constant: int) -> tuple[Array, Array]:
    """Return the 64-bit product of a uint32 array and a constant below 2^32, as two words."""
    low, high = np.uint32(constant & 0xFFFF), np.uint32(constant >> 16)
    x_low, x_high = x & np.uint32(0xFFFF), x >> np.uint32(16)
    cross = x_low * high
    middle = (x_low * low >> np.uint32(16)) + x_high * low
    carry = ((middle & np.uint32(0xFFFF)) + (cross & np.uint32(0xFFFF))) >> np.uint32(16)
    upper = x_high * high + (middle >> np.uint32(16)) + (cross >> np.uint32(16)) + carry
    return upper, x * np.uint32(constant)


def _row_major(index: list[Array], shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the 64-bit row-major index of elements `index` of an array, as two words."""
    high = low = jnp.zeros_like(index[0]) if index else jnp.zeros((), jnp.uint32)
    wide = math.prod(shape) > _WORD
    for axis, position in enumerate(index):
        stride = math.prod(shape[axis + 1 :])
        upper, lower = _multiply_wide(position, stride % _WORD)
        low = low + lower
        if wide:
            carry = (low < lower).astype(jnp.uint32)
            high = high + upper + position * np.uint32(stride // _WORD) + carry
    return high, low


def _counters(shape: tuple[int, ...]) -> tuple[Array, Array]:
    index = [jax.lax.broadcasted_iota(jnp.uint32, shape, axis) for axis in range(len(shape))]
    return _row_major(index, shape)


def random_halves(key: UInt32[Array, "2"], shape: tuple[int, ...]) -> UInt32[Array, "..."]:
    """Return 16 random bits for each element, four elements from a block.

    Args:
      key: two words.
      shape: of the result, at least one axis.

    Returns:
      uint32 values below 2^16 of this shape.
    """
    rows = -(-shape[0] // 4)
    # The barrier keeps the compiler from computing a block again for each of its four elements.
    high, low = jax.lax.optimization_barrier(
        threefry_2x32((key[0], key[1]), _counters((rows, *shape[1:])))
    )
    halves = [half for word in (high, low) for half in (word & _HALF, word >> np.uint32(16))]
    return jnp.concatenate(halves)[: shape[0]]


@jax.jit
def _seed(seed: Array) -> Array:
    high = jax.lax.shift_right_logical(seed, jnp.asarray(32, seed.dtype))
    return jnp.stack([high.astype(jnp.uint32), seed.astype(jnp.uint32)])


@functools.partial(jax.jit, static_argnums=1)
def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.stack(threefry_2x32((key[0], key[1]), _counters(shape)), axis=-1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    high, low = threefry_2x32((key[0], key[1]), _counters(shape))
    if bit_width == 64:
        return (high.astype(jnp.uint64) << np.uint64(32)) | low.astype(jnp.uint64)
    return (high ^ low).astype(f"uint{bit_width}")


@jax.jit
def _fold_in(key: Array, data: Array) -> Array:
    counter = jnp.uint32(0), jnp.asarray(data).astype(jnp.uint32)
    return jnp.stack(threefry_2x32((key[0], key[1]), counter))


@functools.cache
def _generator() -> Any:
    """Return the generator for jax; the import is late, for it loads Pallas."""
    from jax.extend.random import define_prng_impl

    return define_prng_impl(
        key_shape=(2,),
        seed=_seed,
        split=_split,
        random_bits=_random_bits,
        fold_in=_fold_in,
        name="unrolled_threefry2x32",
        tag="ufry",
    )


def ordinary_key(words: UInt32[Array, "... 2"]) -> Key[Array, "..."]:
    """Return typed keys of jax's own threefry, which every function of ``jax.random`` takes.

    Args:
      words: the upper and the lower word of every key, along the last axis.

    Returns:
      An array of keys, of the leading axes of `words`.
    """
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def key_from_words(words: UInt32[Array, "... 2"]) -> Key[Array, "..."]:
    """Return typed keys of the unrolled generator, whose stream is that of jax's own threefry.

    They are for the library's own draws: some functions of ``jax.random``, such as `poisson`,
    refuse every generator that is not jax's own.

    Args:
      words: the upper and the lower word of every key, along the last axis.

    Returns:
      An array of keys, of the leading axes of `words`.

    Raises:
      RuntimeError: in a process that was forked after jax had started.
    """
    check_fork()
    return jax.random.wrap_key_data(words, impl=_generator())


def key_words(key: int | Key[Array, ""]) -> tuple[int, int]:
    """Return the two 32-bit words of a key, from an int or a typed threefry key; compiles nothing.

    Args:
      key: an int in [0, 2^64), or the scalar result of ``jax.random.key``.

    Returns:
      The upper and the lower word, ints in [0, 2^32).

    Raises:
      ValueError: for a float, a bool, a batch of keys, a raw uint32 array, or a
        key of another implementation, which is named.
    """
    remedy = "pass an int such as key=0 or a scalar key from jax.random.key"
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        if not 0 <= key < 2**64:
            raise ArgumentError(f"key={key} is outside [0, 2^64); {remedy}")
        return int(key) >> 32, int(key) & 0xFFFFFFFF
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise ArgumentError(f"key={key!r} is not a random key; {remedy}")
    if key.shape != ():
        raise ArgumentError(f"key has shape {key.shape}; one chain study takes one key: {remedy}")
    name = str(jax.random.key_impl(key))
    if name not in ("fry", "ufry", "threefry2x32", "unrolled_threefry2x32"):
        raise ArgumentError(f"key uses the generator {name!r}, not 'threefry2x32'; {remedy}")
    high, low = np.asarray(jax.random.key_data(key)).tolist()
    return high, low


def as_key(key: int | Key[Array, ""]) -> Key[Array, ""]:
    """Return a typed key of the unrolled generator, with the bits of `key_words`.

    The stream is that of jax's own threefry under the same bits.

    Args:
      key: an int in [0, 2^64), or the scalar result of ``jax.random.key``.

    Returns:
      A scalar typed key.

    Raises:
      ValueError: if `key` is neither, see `key_words`.
    """
    check_fork()
    words = jnp.asarray(np.array(key_words(key), np.uint32))
    return key_from_words(words)

"""Derive the random numbers of a chain from (chain key, generation, purpose, lane).

No random state is carried from one generation to the next. Two requests get the same bits only
if all four coordinates agree, because a threefry block is a bijection of its counter and chain
keys are distinct.

Counter of a block::

    word 0 = round (8 bits)   | generation (24 bits)
    word 1 = purpose (6 bits) | lane (26 bits)
"""

import dataclasses
import enum
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, UInt32

from collapse_jax.random.threefry import key_from_words, ordinary_key, threefry_2x32
from collapse_jax.utils.check import ArgumentError

MAX_GENERATIONS = 2**24  # generations: bits of the counter
_LANES = 2**26  # lanes of a round: bits of the counter
_VECTOR = 16  # blocks: a multiple of the vector width of every CPU
_KEY_LANE = _LANES - 1  # lane of `key`, in the last round; `branch` uses those below


def whole_vectors(blocks: int) -> int:
    """Return a number of blocks that leaves no remainder in the vector loops of a CPU.

    A remainder is computed number by number: of 30 blocks, 14 would take longer than the others.

    Args:
      blocks: how many are needed.

    Returns:
      The least such number that is not below.
    """
    return -(-blocks // _VECTOR) * _VECTOR


class Purpose(enum.IntEnum):
    """Purpose of a request for random numbers; each has a stream of its own.

    >>> import collapse_jax as cj
    >>> cj.Purpose.DRAW, cj.Purpose(2).name
    (<Purpose.DRAW: 1>, 'FIT')
    """

    SOURCE = 0
    DRAW = 1
    FIT = 2
    POLICY = 3
    METRIC = 4
    VERIFY = 5
    REUSE = 6
    REUSE_ORIGINAL = 7
    HISTORY = 8
    COMPONENT = 9
    PROMPT = 10
    START = 11
    SELECT = 12
    MODEL = 13
    COMPONENT_COUNTS = 63


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Keys:
    """Random numbers of one chain in one generation.

    Attributes:
      chain: the chain's typed key (threefry), scalar.
      generation: index g of the corpus or model being made, scalar in [0, 2^24).

    >>> import jax
    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> bits = jax.jit(lambda keys: keys.bits(cj.Purpose.FIT, (5,))[0])
    >>> generations = [cj.Keys(jax.random.key(0), jnp.int32(g)) for g in (3, 3, 4)]
    >>> third, again, fourth = map(bits, generations)
    >>> bool(jnp.all(third == again)), bool(jnp.any(third == fourth))
    (True, False)
    """

    chain: Key[Array, ""]
    generation: Int[Array, ""]

    def _block(self, purpose: int, lane: Array, rounds: Array) -> tuple[Array, Array]:
        words = jnp.moveaxis(jax.random.key_data(self.chain), -1, 0)  # of one chain or of many
        generation = jnp.asarray(self.generation).astype(jnp.uint32)
        counter = (
            generation | (rounds << np.uint32(24)),
            lane | np.uint32(purpose * _LANES),
        )
        return threefry_2x32((words[0], words[1]), counter)

    def bits(
        self, purpose: int, shape: tuple[int, ...], round: int | Int[Array, "..."] = 0
    ) -> tuple[UInt32[Array, "..."], UInt32[Array, "..."]]:
        """Return 64 random bits for every element of `shape`, as two uint32 arrays.

        The bits of an element depend on its row-major index only, so a longer axis 0 leaves
        those of the earlier rows unchanged.

        Args:
          purpose: a `Purpose`, or any int in [0, 64).
          shape: static shape with fewer than 2^26 elements for each round in use.
          round: one of up to 256 independent repetitions, for example of a rejection loop.

        Returns:
          The upper and the lower words, uint32 of `shape`.

        Raises:
          ValueError: if `shape` has 2^34 elements or more.
        """
        size = math.prod(shape)
        if size >= _LANES * 256:
            raise ArgumentError(
                f"shape={shape} asks for {size} blocks; fewer than 2^34 are allowed"
            )
        index = jnp.zeros(shape, jnp.uint32)
        for axis in range(len(shape)):
            stride = np.uint32(math.prod(shape[axis + 1 :]))
            index = index + jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * stride
        rounds = jnp.asarray(round).astype(jnp.uint32)
        if size >= _LANES:
            return self._block(purpose, *_lane(index, rounds))
        return self._block(purpose, index, rounds)

    def bits_at(
        self, purpose: int, index: Int[Array, "..."]
    ) -> tuple[UInt32[Array, "..."], UInt32[Array, "..."]]:
        """Return the bits that `bits` gives to the elements with these row-major indices.

        Args:
          purpose: a `Purpose`, or any int in [0, 64).
          index: [...], indices in [0, 2^32); broadcasts against the generation, which may be an
            array here.

        Returns:
          The upper and the lower words, uint32 of the broadcast shape.
        """
        return self._block(purpose, *_lane(jnp.asarray(index).astype(jnp.uint32), jnp.uint32(0)))

    def key(self, purpose: int) -> Key[Array, ""]:
        """Return an ordinary typed key for ``jax.random`` and user code.

        Args:
          purpose: a `Purpose`, or any int in [0, 64).

        Returns:
          A scalar typed key of jax's own threefry.
        """
        return ordinary_key(self._words(purpose))

    def unrolled_key(self, purpose: int) -> Key[Array, ""]:
        """Return the key whose draws are those of `key`, several times faster on a CPU.

        Args:
          purpose: a `Purpose`, or any int in [0, 64).

        Returns:
          A scalar typed key of the unrolled generator, which `jax.random.poisson` and other
          functions for jax's own generators refuse.
        """
        return key_from_words(self._words(purpose))

    def _words(self, purpose: int) -> UInt32[Array, "2"]:
        return jnp.stack(self._block(purpose, jnp.uint32(_KEY_LANE), jnp.uint32(255)))

    def branch(self, purpose: int, number: int | Int[Array, ""]) -> "Keys":
        """Return the keys of one part of a draw that is made in parts, in the same generation.

        Args:
          purpose: a `Purpose`, or any int in [0, 64).
          number: index of the part, in [0, 2^20).

        Returns:
          `Keys` of the part, with a chain key of its own.
        """
        lane = np.uint32(_KEY_LANE - 1) - jnp.asarray(number).astype(jnp.uint32)
        block = self._block(purpose, lane, jnp.uint32(255))
        chain = key_from_words(jnp.stack(block))
        return Keys(chain, self.generation)


def _lane(index: Array, rounds: Array) -> tuple[Array, Array]:
    """Return lane and round of an element: beyond 2^26 elements the round increases."""
    return index & np.uint32(_LANES - 1), rounds + (index >> np.uint32(26))


def chain_key(key: Key[Array, ""], chain: Int[Array, ""]) -> Key[Array, ""]:
    """Return the key of one chain of a study, distinct for every chain.

    Args:
      key: the key of the study.
      chain: number of the chain, in [0, 2^32).

    Returns:
      A scalar typed key.
    """
    return jax.random.fold_in(key, chain)

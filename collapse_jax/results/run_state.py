"""What continues a run: the chains as they were after a generation."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from collapse_jax.store.arrays import pieces_of, read_arrays
from collapse_jax.store.files import STATE, Content, content_of, damaged

_NAME = re.compile(rf"{STATE}/(\d{{6,}})-(\d{{6,}})-[0-9a-f]{{16}}\.npy")


@dataclasses.dataclass(frozen=True, eq=False)
class RunState:
    """Chains between two generations; made by `simulate`, taken by ``simulate(state=...)``.

    Attributes:
      generation: the last generation made.
      first_chain: id of the first chain.
      key: the two 32-bit words of the run's key.
      leaves: arrays with the chain as first axis.

    A file of it is several arrays saved by NumPy, one after the other: generation, id of the
    first chain, the key and the number of leaves; the leaves; and records of these chains
    that fill no file of their own yet.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> first = cj.simulate(chain, key=0, num_chains=64, num_generations=20)
    >>> rest = cj.simulate(chain, key=0, num_chains=64, num_generations=40, state=first.state)
    >>> isinstance(first.state, cj.RunState), first.state.generation, rest["generation"][0].tolist()
    (True, 20, 21)
    """

    generation: int
    first_chain: int
    key: tuple[int, int]
    leaves: tuple[np.ndarray, ...]

    def contents(self, kept: Sequence[np.ndarray] = ()) -> Content:
        """What a file of it holds, with records that no other file has."""
        numbers = [self.generation, self.first_chain, *self.key, len(self.leaves)]
        arrays = [np.array(numbers, np.int64), *self.leaves, *kept]
        return content_of(pieces_of(arrays))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The chains in a file.

        Raises:
          StoreError: if it is no such file.
        """
        with _arrays(path) as arrays:
            generation, first_chain, first, second, number = next(arrays).tolist()
            leaves = tuple([next(arrays) for _ in range(number)])
        return cls(generation, first_chain, (first, second), leaves)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Self:
        """The chains of one or more files, in the order of their ids."""
        parts = sorted(map(cls.read, paths), key=lambda one: one.first_chain)
        leaves = zip(*(part.leaves for part in parts), strict=True)
        joined = tuple(np.concatenate(leaf) for leaf in leaves)
        return dataclasses.replace(parts[0], leaves=joined)


def read_pending(path: Path) -> list[np.ndarray]:
    """The records beside the chains in a file."""
    with _arrays(path) as arrays:
        number = int(next(arrays)[-1])
        return list(arrays)[number:]


@contextlib.contextmanager
def _arrays(path: Path) -> Iterator[Iterator[np.ndarray]]:
    """The arrays in a file, one after the other; nothing is unpickled."""
    try:
        with path.open("rb") as file:
            yield read_arrays(file)
    except (ValueError, TypeError, EOFError, StopIteration) as error:
        reason = f"it is no state of a run ({' '.join(str(error).split())[:100]})"
        raise damaged(path, reason, "do not use this run: somebody made it up") from error


class StateFile(NamedTuple):
    """What the name of a file of a state says."""

    batch: int
    generation: int
    name: str

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Of a relative name, if it is that of a state."""
        found = _NAME.fullmatch(name)
        return found and cls(int(found[1]), int(found[2]), name)

    @staticmethod
    def pattern(batch: int, generation: int) -> str:
        """Relative name, with a place for the checksum."""
        return f"{STATE}/{batch:06d}-{generation:06d}-{{crc}}.npy"

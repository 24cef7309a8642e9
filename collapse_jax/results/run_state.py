"""What continues a run: the chains as they were after a generation."""

import contextlib
import dataclasses
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import numpy as np

from collapse_jax.store import files
from collapse_jax.store.files import STATE, damaged

_NAME = re.compile(rf"{STATE}/(\d{{6,}})-(\d{{6,}})-[0-9a-f]{{16}}\.npz")
_ABOUT = "about"  # generation, id of the first chain, two words of the key, number of leaves


@dataclasses.dataclass(frozen=True, eq=False)
class RunState:
    """Chains between two generations; made by `simulate`, taken by ``simulate(state=...)``.

    Attributes:
      generation: the last generation made.
      first_chain: id of the first chain.
      key: the two 32-bit words of the run's key.
      leaves: arrays with the chain as first axis.
    """

    generation: int
    first_chain: int
    key: tuple[int, int]
    leaves: tuple[np.ndarray, ...]

    def save(self, root: Path) -> None:
        """Write it into a run directory, as one batch."""
        (root / STATE).mkdir(exist_ok=True)
        files.write(root, StateFile.pattern(0, self.generation), self.fill())

    def fill(self, kept: Sequence[np.ndarray] = ()) -> Callable[[IO[bytes]], None]:
        """What writes it to an open file, with records that no other file has."""
        numbers = [self.generation, self.first_chain, *self.key, len(self.leaves)]
        arrays = {_ABOUT: np.array(numbers, np.int64)}
        arrays |= {f"{place:04d}": leaf for place, leaf in enumerate([*self.leaves, *kept])}
        return lambda file: np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The chains in a file.

        Raises:
          StoreError: if it is no such file.
        """
        with _arrays(path) as arrays:
            generation, first_chain, first, second, number = arrays[_ABOUT].tolist()
            leaves = tuple(arrays[f"{place:04d}"] for place in range(number))
        return cls(generation, first_chain, (first, second), leaves)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Self:
        """The chains of one or more files, in the order of their ids."""
        parts = sorted(map(cls.read, paths), key=lambda one: one.first_chain)
        leaves = zip(*(part.leaves for part in parts), strict=True)
        joined = tuple(np.concatenate(leaf) for leaf in leaves)
        return dataclasses.replace(parts[0], leaves=joined)


def read_kept(path: Path) -> list[np.ndarray]:
    """The records beside the chains in a file."""
    with _arrays(path) as arrays:
        begin = int(arrays[_ABOUT][-1])
        return [arrays[f"{place:04d}"] for place in range(begin, len(arrays.files) - 1)]


@contextlib.contextmanager
def _arrays(path: Path) -> Iterator[Any]:
    """The arrays in a file; nothing is unpickled."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
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
        return f"{STATE}/{batch:06d}-{generation:06d}-{{crc}}.npz"

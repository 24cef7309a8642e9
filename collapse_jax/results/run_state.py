"""Hold the chains after a generation, from which a run is resumed."""

import contextlib
import dataclasses
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, cast

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
      chain: family, source and policy of the run as `describe` returns them, None if unknown.
      metrics: names of the metrics of the run, None if unknown.

    The file of a state has several arrays saved by NumPy, one after the other: generation, id
    of the first chain, the key and the number of leaves; the leaves; and records of these
    chains that fill no file of records yet.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> begun = cj.simulate(chain, key=0, num_chains=64, num_generations=20)
    >>> rest = cj.simulate(chain, key=0, num_chains=64, num_generations=40, state=begun.state)
    >>> isinstance(begun.state, cj.RunState), begun.state.generation, rest["generation"][0].tolist()
    (True, 20, 21)
    """

    generation: int
    first_chain: int
    key: tuple[int, int]
    leaves: tuple[np.ndarray, ...]
    chain: Mapping[str, Any] | None = None
    metrics: Sequence[str] | None = None

    def contents(self, pending: Sequence[np.ndarray] = ()) -> Content:
        """Return the contents of a file of this state.

        Args:
          pending: arrays of records that fill no file of records yet.
        """
        numbers = [self.generation, self.first_chain, *self.key, len(self.leaves)]
        arrays = [np.array(numbers, np.int64), *self.leaves, *pending]
        return content_of(pieces_of(arrays))

    @classmethod
    def read(cls, path: Path | zipfile.Path) -> Self:
        """Read the chains from a file.

        Args:
          path: the file of a state.

        Raises:
          StoreError: if the file holds no state.
        """
        with _arrays(path) as arrays:
            generation, first_chain, high, low, number = next(arrays).tolist()
            leaves = tuple([next(arrays) for _ in range(number)])
        return cls(generation, first_chain, (high, low), leaves)

    @classmethod
    def load(cls, paths: Sequence[Path] | Sequence[zipfile.Path]) -> Self:
        """Read the chains of one or more files, in the order of their ids.

        Args:
          paths: files of states of the same generation, in any order.

        Raises:
          StoreError: if a file holds no state.
        """
        parts = sorted(map(cls.read, paths), key=lambda one: one.first_chain)
        leaves = zip(*(part.leaves for part in parts), strict=True)
        joined = tuple(np.concatenate(leaf) for leaf in leaves)
        return dataclasses.replace(parts[0], leaves=joined)


def read_pending(path: Path) -> list[np.ndarray]:
    """Read the pending records from the file of a state.

    Args:
      path: the file.

    Returns:
      Arrays as they were given to `RunState.contents`.

    Raises:
      StoreError: if the file holds no state.
    """
    with _arrays(path) as arrays:
        number = int(next(arrays)[-1])
        return list(arrays)[number:]


@contextlib.contextmanager
def _arrays(path: Path | zipfile.Path) -> Iterator[Iterator[np.ndarray]]:
    """Open a file for reading its arrays one after the other, without unpickling."""
    try:
        with path.open("rb") as file:
            yield read_arrays(cast(BinaryIO, file))
    except (ValueError, TypeError, EOFError, StopIteration) as error:
        reason = f"it is no state of a run ({' '.join(str(error).split())[:100]})"
        remedy = "do not use this run: no run writes such a file"
        raise damaged(Path(str(path)), reason, remedy) from error


class StateFile(NamedTuple):
    """The parts of the name of a file of a state.

    Attributes:
      batch: number of the batch.
      generation: the generation of the chains.
      name: the relative name.
    """

    batch: int
    generation: int
    name: str

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Parse the relative name of a file; return None if it is not the name of a state.

        Args:
          name: relative name of a file in a run directory.
        """
        found = _NAME.fullmatch(name)
        return found and cls(int(found[1]), int(found[2]), name)

    @staticmethod
    def pattern(batch: int, generation: int) -> str:
        """Return a relative name with the field {crc} for the checksum.

        Args:
          batch: number of the batch.
          generation: the generation of the chains.
        """
        return f"{STATE}/{batch:06d}-{generation:06d}-{{crc}}.npy"

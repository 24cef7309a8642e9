"""Unfinished work of a chain: files that a crash leaves whole, each replaced by the next."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collapse_jax.store import files
from collapse_jax.store.arrays import pieces_of, read_arrays

WORK = "work"
_NAME = re.compile(r"(\d{6,})-(\w+)-([0-9a-f]{16})\.npy")


class UnfinishedWork:
    """A folder of the unfinished work of one chain.

    A file has generation, name and checksum in its name. One that does not agree with its
    checksum is removed, and its work is done again. Work of the generation before is kept:
    the state after it may not be on the disk yet.

    Args:
      folder: made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, generation: int, name: str) -> Sequence[np.ndarray] | None:
        """The arrays kept under a name, None if there are none."""
        found = None
        for path in self._paths():
            parts = _NAME.fullmatch(path.name)
            if parts is None or int(parts[1]) < generation - 1:
                path.unlink()
            elif (int(parts[1]), parts[2]) == (generation, name):
                if found is None and files.entry_of(path).crc == parts[3]:
                    found = path
                else:
                    path.unlink()
        if found is None:
            return None
        with found.open("rb") as file:
            return list(read_arrays(file))

    def keep(self, generation: int, name: str, arrays: Sequence[np.ndarray]) -> None:
        """Write arrays, then remove what was kept under that name before.

        Raises:
          StoreError: if the disk is full, say.
        """
        kind = f"{generation:06d}-{name}-"
        before = [path for path in self._paths() if path.name.startswith(kind)]
        content = files.content_of(pieces_of(arrays))
        path = self._folder / f"{kind}{content.entry.crc}.npy"
        if path in before:
            return
        temporary = self._folder / files.temporary_name()
        with files.store_errors(path):
            files.sync(files.make_directories(self._folder))
            files.write_new(temporary, content)
            files.sync([temporary])
            temporary.rename(path)
            files.sync([self._folder])
        for one in before:
            one.unlink()

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []

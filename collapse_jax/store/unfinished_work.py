"""Checkpoint the unfinished work of a chain, such as training, in files that survive a crash."""

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
    """A folder with checkpoints of the unfinished work of one chain.

    The name of a file holds generation, name of the work and checksum. A file that disagrees
    with its checksum is removed, and the work is done again. Files of the previous generation
    stay, since the chain's state after that generation may not be on disk yet.

    Args:
      folder: created by the first `save`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, generation: int, name: str) -> Sequence[np.ndarray] | None:
        """Read the last checkpoint of a piece of work; remove damaged and outdated files.

        Args:
          generation: of the work.
          name: of the work.

        Returns:
          The arrays of the last `save`, or None without an undamaged one.

        Raises:
          StoreError: if a file cannot be read.
        """
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

    def save(self, generation: int, name: str, arrays: Sequence[np.ndarray]) -> None:
        """Write a checkpoint, then remove the earlier one of the same work.

        Args:
          generation: of the work.
          name: of the work, in letters, digits and underscores.
          arrays: the checkpoint.

        Raises:
          StoreError: if it cannot be written, for example because the disk is full.
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
        """Remove the folder with all checkpoints."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []

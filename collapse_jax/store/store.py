"""Describe where a run is stored and which part of it this process simulates."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from collapse_jax.utils import check
from collapse_jax.utils.paths import user_path

_MOST_PROCESSES = 2**20  # far more than any cluster has; refuses a mistyped count


@dataclasses.dataclass(frozen=True)
class Store:
    """A run directory, for ``simulate(store=...)``; a plain path stands for the defaults.

    Args:
      path: the directory; created if it does not exist, resumed if it does. `~` is the home
        directory.
      process: index and number of the processes that share the run, (0, 1) for one process.
        Each simulates its own range of chains.
      extend: whether the run may get more chains or generations than it was made with.
      notes: JSON-able values, added to the run's config.
      seconds: longest time between two checkpoints, in seconds; a crash loses at most that.
      is_part: whether the run is one of those that make up a study, see `part`.

    Raises:
      ValueError: if an argument is out of range or of another type.

    >>> import collapse_jax as cj
    >>> cj.Store("runs/large", process=(0, 4)).process
    (0, 4)
    """

    path: str | Path
    process: tuple[int, int] = (0, 1)
    extend: bool = False
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seconds: float = 30.0
    is_part: bool = dataclasses.field(default=False, repr=False)

    def __post_init__(self) -> None:
        check.instance(
            "store", self.path, (str, Path), "it must be a path", "pass a path such as 'runs/a'"
        )
        remedy = "pass (index, count) such as process=(0, 2)"
        if not isinstance(self.process, (tuple, list)) or len(self.process) != 2:
            raise check.fail("Store.process", self.process, "it must be a pair", remedy)
        count = check.integer("Store.process[1]", self.process[1], 1, _MOST_PROCESSES, remedy)
        index = check.integer("Store.process[0]", self.process[0], 0, count - 1, remedy)
        check.instance("Store.extend", self.extend, bool, "it must be True or False", "pass a bool")
        check.number("Store.seconds", self.seconds, 0, 1e9, "pass seconds=30")
        if self.extend and count > 1:
            remedy = "extend with one process, stop it, then resume with several"
            raise check.fail("Store.extend", True, "several processes cannot extend", remedy)
        object.__setattr__(self, "path", user_path(self.path, "store"))
        object.__setattr__(self, "process", (index, count))

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """Convert the argument ``store=`` of `simulate`.

        Args:
          value: a `Store`, a path or None.

        Returns:
          The store of a path; a `Store` and None are returned unchanged.

        Raises:
          ValueError: if it is none of these.
        """
        return value if value is None or isinstance(value, cls) else cls(value)

    @property
    def directory(self) -> Path:
        """Return the path as a `Path`."""
        return Path(self.path)

    def part(self, name: str) -> Self:
        """Return the store of one of the runs that make up a study, and that the study joins.

        Its directory has fewer files: no theory, and the metadata of all arrays in one file.

        Args:
          name: of the run within the study.

        Returns:
          The store, in the directory parts/name of this one.
        """
        return dataclasses.replace(self, path=self.directory / "parts" / name, is_part=True)

"""`Store`: where a run goes and which part of it this process makes."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from collapse_jax.utils import check

_MOST_PROCESSES = 2**20


@dataclasses.dataclass(frozen=True)
class Store:
    """A run directory, for ``simulate(store=...)``; a plain path is one with nothing else said.

    Args:
      path: the directory; made if it is not there, continued if it is.
      process: index and number of the processes that share the run, (0, 1) if there is one.
        Each runs a range of chains of its own.
      extend: whether more chains or generations than the run was made for are allowed.
      notes: JSON-able values, added to the run's config.
      seconds: the longest time between two states on disk; a crash costs no more than that.

    Raises:
      ValueError: for a bad argument.

    >>> import collapse_jax as cj
    >>> cj.Store("runs/large", process=(0, 4)).process
    (0, 4)
    """

    path: str | Path
    process: tuple[int, int] = (0, 1)
    extend: bool = False
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seconds: float = 30.0

    def __post_init__(self) -> None:
        check.instance("store", self.path, (str, Path), "it must be a path", "pass 'runs/a', say")
        remedy = "pass (index, count) such as process=(0, 2)"
        if not isinstance(self.process, (tuple, list)) or len(self.process) != 2:
            raise check.fail("Store.process", self.process, "it must be a pair", remedy)
        count = check.integer("Store.process[1]", self.process[1], 1, _MOST_PROCESSES, remedy)
        index = check.integer("Store.process[0]", self.process[0], 0, count - 1, remedy)
        check.instance("Store.extend", self.extend, bool, "it must be True or False", "pass a bool")
        check.number("Store.seconds", self.seconds, 0, 1e9, "pass seconds=30")
        if self.extend and count > 1:
            remedy = "extend with one process, stop it, and go on with many"
            raise check.fail("Store.extend", True, "several processes cannot do it", remedy)
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "process", (index, count))

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """None, a store, or the store that a path stands for."""
        return value if value is None or isinstance(value, cls) else cls(value)

    @property
    def directory(self) -> Path:
        """The path as a `Path`."""
        return Path(self.path)

    def part(self, name: str) -> Self:
        """The store of one of several runs that make up a study."""
        return dataclasses.replace(self, path=self.directory / "parts" / name)

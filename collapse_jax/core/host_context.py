"""What a family that works on the host has at hand: devices, and a place for unfinished work."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]
_SHARE = 20  # keeping work takes at most one part in so many of the time


class Stopped(Exception):  # noqa: N818  an answer to a request, no error
    """Raised where work ends because that was asked for; what there is of it is kept."""


class HostContext:
    """Of one chain, in memory: work that is not finished is lost with the process.

    Attributes:
      devices: that share the work, None for the default one.
      stopping: set by whoever wants the work to end at the next chance.
    """

    def __init__(
        self, devices: Sequence[Any] | None = None, stopping: threading.Event | None = None
    ) -> None:
        self.devices = devices
        self.stopping = threading.Event() if stopping is None else stopping

    def restore(self, generation: int, name: str) -> Arrays | None:
        """The unfinished work of that name in a generation; work of others is dropped."""
        del generation, name
        return None

    def checkpoint(self, generation: int, name: str, arrays: Callable[[], Arrays]) -> None:
        """A chance to keep unfinished work, taken if it is time, and to stop.

        Args:
          generation: that the work is for.
          name: of the work; what was kept under it is replaced.
          arrays: makes what `restore` is to return.

        Raises:
          Stopped: if that was asked for.
        """
        del generation, name, arrays
        if self.stopping.is_set():
            raise Stopped


class DurableHostContext(HostContext):
    """A workplace whose unfinished work outlives the process.

    At most `seconds` of work are lost, or twenty times the time it takes to keep it.

    Args:
      shelf: where it is kept.
      seconds: the longest time between two states.
      devices: see `HostContext`.
      stopping: see `HostContext`.
    """

    def __init__(
        self,
        shelf: Any,
        seconds: float,
        devices: Sequence[Any] | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        super().__init__(devices, stopping)
        self._shelf = shelf
        self._seconds = self._wait = seconds
        self._kept = time.monotonic()

    def restore(self, generation: int, name: str) -> Arrays | None:
        """Read the last checkpoint, if it is of this generation and undamaged."""
        self._kept = time.monotonic()
        return self._shelf.load(generation, name)

    def checkpoint(self, generation: int, name: str, arrays: Callable[[], Arrays]) -> None:
        """Write the work if the last checkpoint is old or the run is to stop; see `HostContext`."""
        is_last, began = self.stopping.is_set(), time.monotonic()
        if is_last or began - self._kept >= self._wait:
            self._shelf.save(generation, name, arrays())
            self._kept = time.monotonic()
            self._wait = max(self._seconds, _SHARE * (self._kept - began))
        if is_last:
            raise Stopped

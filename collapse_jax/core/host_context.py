"""Give a family on the host its devices and checkpoints of its unfinished work."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]
_SHARE = 20  # writing checkpoints takes at most 1/20 of the time


class Stopped(Exception):  # noqa: N818  an answer to a request, no error
    """The end of work on request; the unfinished part has been checkpointed."""


class HostContext:
    """The context of one chain in memory: unfinished work is lost with the process.

    Attributes:
      devices: devices that share the work; None for the default device.
      stopping: an event, set to end the work at the next checkpoint.
    """

    def __init__(
        self, devices: Sequence[Any] | None = None, stopping: threading.Event | None = None
    ) -> None:
        self.devices = devices
        self.stopping = threading.Event() if stopping is None else stopping

    def restore(self, generation: int, name: str) -> Arrays | None:
        """Return the unfinished work of a generation; work of another one is discarded.

        Args:
          generation: the generation that is worked on.
          name: name of the work.

        Returns:
          The arrays of the last checkpoint, or None if there is none.
        """
        del generation, name
        return None

    def checkpoint(self, generation: int, name: str, arrays: Callable[[], Arrays]) -> None:
        """Write unfinished work if a checkpoint is due, and stop if that was requested.

        Args:
          generation: the generation that is worked on.
          name: name of the work; its last checkpoint is replaced.
          arrays: makes the arrays that `restore` is to return.

        Raises:
          Stopped: if the run is to end.
        """
        del generation, name, arrays
        if self.stopping.is_set():
            raise Stopped


class DurableHostContext(HostContext):
    """The context of one chain whose unfinished work outlives the process.

    A crash loses at most `seconds` of work, or twenty times the duration of a checkpoint.

    Args:
      shelf: an `UnfinishedWork`, which holds the checkpoints on disk.
      seconds: the longest time between two checkpoints.
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
        self._written = time.monotonic()

    def restore(self, generation: int, name: str) -> Arrays | None:
        """Read the last checkpoint, if it is of this generation and undamaged.

        Args:
          generation: the generation that is worked on.
          name: name of the work.

        Returns:
          The arrays of the checkpoint, or None if there is none.
        """
        self._written = time.monotonic()
        return self._shelf.load(generation, name)

    def checkpoint(self, generation: int, name: str, arrays: Callable[[], Arrays]) -> None:
        """Write the work if the last checkpoint is old or the run is to stop.

        Args:
          generation: the generation that is worked on.
          name: name of the work; its last checkpoint is replaced.
          arrays: makes the arrays that `restore` is to return.

        Raises:
          Stopped: if the run is to end.
        """
        is_last, began = self.stopping.is_set(), time.monotonic()
        if is_last or began - self._written >= self._wait:
            self._shelf.save(generation, name, arrays())
            self._written = time.monotonic()
            self._wait = max(self._seconds, _SHARE * (self._written - began))
        if is_last:
            raise Stopped

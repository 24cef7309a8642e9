"""Keep the buffers for records from run to run: fresh memory costs more than what is written to it.

An operating system makes memory page by page when it is first written, at up to ten times the cost
of writing it again.
"""

import threading
from collections.abc import Hashable

from collapse_jax.utils import memory

_MOST_BYTES = 2**26  # on a device: what the last few runs of a few devices need


class Buffers:
    """Buffers by program, those given last; whoever takes some owns them.

    >>> import numpy as np
    >>> buffers = Buffers()
    >>> buffers.give("a program", {"blocks": np.zeros(3)})
    >>> buffers.take("a program")
    {'blocks': array([0., 0., 0.])}
    >>> buffers.take("a program") is None
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: list[tuple[Hashable, dict, int]] = []  # with their bytes

    def take(self, program: Hashable) -> dict | None:
        """Return buffers of a program that nobody uses, None if there are none.

        Args:
          program: what the shapes of the buffers and their device depend on.
        """
        with self._lock:
            for index, (name, *_) in enumerate(self._spare):
                if name == program:
                    return self._spare.pop(index)[1]
        return None

    def give(self, program: Hashable, records: dict) -> None:
        """Keep buffers for the next run, and forget the oldest ones beyond 64 MiB.

        Args:
          program: what the shapes of the buffers and their device depend on.
          records: the buffers.
        """
        nbytes = memory.size_of(records)
        with self._lock:
            self._spare.append((program, records, nbytes))
            while sum(size for *_, size in self._spare) > _MOST_BYTES:
                del self._spare[0]

    def clear(self) -> None:
        """Forget all buffers."""
        with self._lock:
            self._spare.clear()

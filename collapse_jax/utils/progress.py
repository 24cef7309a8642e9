"""Show the progress of a run on stderr: rate and time left, without compile time."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Self


class Progress:
    """Counter of work done, which draws a bar if it is shown.

    Args:
      total: amount of work, in `unit`.
      show: whether to draw a bar on stderr.
      unit: name of what is counted, such as "generations" (of chains) or "points" (of a grid).

    Attributes:
      compile_seconds: seconds spent in `compiling`.
    """

    def __init__(self, total: int, show: bool, unit: str = "generations") -> None:
        self._total = total
        self._show = show
        self._unit = unit
        self._bar: Any = None
        self._task: Any = None
        self._began = 0.0
        self._done = 0
        self.compile_seconds = 0.0

    @property
    def run_seconds(self) -> float:
        """Return the seconds since the start, without compilation."""
        return time.perf_counter() - self._began - self.compile_seconds

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        if self._show:
            self._bar = _bar()
            self._bar.start()
            label = "compiling" if self._unit == "generations" else self._unit
            self._task = self._bar.add_task(label, total=self._total, rate="")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """Count the time inside as compilation (including generation 0)."""
        began = time.perf_counter()
        yield
        self.compile_seconds += time.perf_counter() - began

    def advance(self, number: int) -> None:
        """Add work done and update the bar.

        Args:
          number: amount of work, in `unit`.
        """
        self._done += number
        if self._bar is not None:
            rate = self._done / max(self.run_seconds, 1e-9)
            shown = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
            if self.compile_seconds:
                shown += f", compiled in {self.compile_seconds:.1f} s"
            self._bar.update(self._task, completed=self._done, description=self._unit, rate=shown)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
        console=Console(stderr=True),
    )

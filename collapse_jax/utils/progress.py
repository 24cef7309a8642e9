"""Progress of a run on stderr: rate, time left, and compile time apart."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Self


class Progress:
    """Counts chain generations, or points of a grid; draws a bar if it is shown."""

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
        """Seconds since the start, compilation left out."""
        return time.perf_counter() - self._began - self.compile_seconds

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        if self._show:
            self._bar = _bar()
            self._bar.start()
            first = "compiling" if self._unit == "generations" else self._unit
            self._task = self._bar.add_task(first, total=self._total, rate="")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """Time that goes to compiling a program (and to generation 0)."""
        began = time.perf_counter()
        yield
        self.compile_seconds += time.perf_counter() - began

    def advance(self, number: int) -> None:
        """Note chain generations or points done."""
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

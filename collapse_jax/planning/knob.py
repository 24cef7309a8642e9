"""Set a setting of a chain to numbers of rows, or to steps of a range, from worst to best."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import check_path, with_settings
from collapse_jax.utils import check

_SHARES = ("gamma", "beta", "alpha")  # of a policy's rows
_STEPS = 10_000  # of a range that counts no rows
_PARTS = 10  # of a row: a test next to the answer would never end
_RANGES = {"true_pass": (0.0, 1.0), "false_pass": (1.0, 0.0)}  # of a detector, from the worst value
_MOST = 2**20  # rows or other whole numbers that are tried, unless `bounds` says otherwise


@dataclasses.dataclass(frozen=True)
class Knob:
    """A setting with ordered values, numbered by whole levels.

    Attributes:
      chain: the process.
      path: of the setting, such as "policy.gamma".
      low: lowest level, whose value is expected to be the worst.
      high: highest level.
      steps: levels by unit of the value: the rows of a corpus for a share, 1 for whole numbers;
        negative where the smallest value is the best.
      parts: levels by row; of a range that counts no rows, by hundredth.
      origin: value of level 0.
      is_open: whether the highest level is a guess, so that lower ones are tried first.
    """

    chain: Chain
    path: str
    low: int
    high: int
    steps: float
    origin: float = 0.0
    is_open: bool = False
    parts: int = 1

    @property
    def current(self) -> Any:
        """Return the chain's own value."""
        return _value_at(self.chain, self.path)

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rsplit(".", maxsplit=1)[-1]

    @property
    def counts_rows(self) -> bool:
        """Tell whether values are whole numbers, the larger the better."""
        return self.steps == 1

    @property
    def is_share(self) -> bool:
        """Tell whether levels are rows, or parts of them, as shares of a corpus."""
        return self.name in _SHARES and self.steps > 1

    def value(self, level: int) -> int | float:
        """Return the value of a level.

        Args:
          level: from `low` to `high`.
        """
        if abs(self.steps) == 1:
            return int(self.origin) + level * int(self.steps)
        return self.origin + level / self.steps

    def level(self, value: float) -> int:
        """Return the level of the nearest value at or below one, which may be out of range.

        Args:
          value: of the setting.
        """
        return math.floor((value - self.origin) * self.steps + 1e-6)

    def divided(self) -> "Knob":
        """Return the same with levels between rows, if a share of a row is possible on average."""
        if not self.is_share or getattr(self.chain.policy, "allocation", None) != "multinomial":
            return self
        low, high, steps = (_PARTS * one for one in (self.low, self.high, self.steps))
        return dataclasses.replace(self, low=int(low), high=int(high), steps=steps, parts=_PARTS)

    def at(self, level: int) -> Chain:
        """Return the chain with the setting at a level.

        Args:
          level: from `low` to `high`.

        Raises:
          ArgumentError: if the chain refuses the value.
        """
        return with_settings(self.chain, {self.path: self.value(level)})


def make_knob(chain: Chain, path: Any, bounds: Sequence[float] | None, generations: int) -> Knob:
    """Return a checked knob.

    Args:
      chain: the process.
      path: of a setting that is one number.
      bounds: the value that is expected to be the worst, and the best one; None for what is known.
      generations: last generation, for the size of a corpus.

    Raises:
      ArgumentError: for a path that names no number, or bad bounds.
    """
    remedy = 'pass a path such as "policy.gamma" or "policy.num_samples"'
    check.instance("knob", path, str, "it must be the path of a setting", remedy)
    check_path(chain, path, "knob")
    current = _value_at(chain, path)
    is_number = np.ndim(current) == 0 and np.issubdtype(np.asarray(current).dtype, np.number)
    if not is_number or isinstance(current, bool):
        shown = check.Shown(f"{path!r} ({current!r})")
        raise check.fail("knob", shown, "its value must be one number", remedy)
    ends = None if bounds is None else _checked(bounds)
    name = path.rsplit(".", maxsplit=1)[-1]
    if isinstance(current, (int, np.integer)):
        low, high = (0, _MOST) if ends is None else (round(ends[0]), round(ends[1]))
        if low > high:
            return Knob(chain, path, 0, low - high, -1, low)
        return Knob(chain, path, _lowest(chain, path, low, high), high, 1, is_open=ends is None)
    if name in _SHARES:
        rows = int(np.max(chain.policy.sizes(generations)))
        low, high = (0.0, 1.0) if ends is None else ends
        check.number("bounds[0]", low, 0, 1, "pass shares")
        check.number("bounds[1]", high, 0, 1, "pass shares")
        if low < high:
            return Knob(chain, path, round(low * rows), round(high * rows), rows)
        return Knob(chain, path, 0, round((low - high) * rows), -rows, low)
    ends = ends or _RANGES.get(name)
    if ends is None:
        allowed = f"the range of {path} is not known"
        raise check.fail("bounds", None, allowed, "pass bounds=(worst, best)")
    steps = _STEPS / (ends[1] - ends[0])
    return Knob(chain, path, 0, _STEPS, steps, ends[0], parts=_STEPS // 100)


def _checked(bounds: Any) -> tuple[float, float]:
    values = check.array("bounds", bounds, 1, "pass bounds=(worst, best)")
    if len(values) != 2 or values[0] == values[1] or not np.all(np.isfinite(values)):
        allowed = "they must be two different numbers"
        raise check.fail("bounds", bounds, allowed, "pass bounds=(worst, best)")
    return float(values[0]), float(values[1])


def _value_at(chain: Chain, path: str) -> Any:
    value: Any = chain
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _lowest(chain: Chain, path: str, low: int, high: int) -> int:
    """Return the least whole number that the chain takes, of the first few."""
    for level in range(low, min(low + 4, high)):
        try:
            with_settings(chain, {path: level})
        except check.ArgumentError:
            continue
        return level
    return low

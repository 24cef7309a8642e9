"""Set a setting of a chain to whole numbers of rows, or to steps of a range."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import check_path, with_settings
from collapse_jax.utils import check

_STEPS = 10_000  # of a range that counts no rows
_MOST = 2**20  # rows or other whole numbers that are tried, unless `bounds` says otherwise


@dataclasses.dataclass(frozen=True)
class Knob:
    """A setting with ordered values, numbered by whole levels.

    Attributes:
      chain: the process.
      path: of the setting, such as "policy.gamma".
      low: lowest level.
      high: highest level.
      steps: levels by unit of the value: the rows of a corpus for a share, 1 for whole numbers.
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
        """Tell whether values are whole numbers."""
        return self.steps == 1 and self.origin == 0

    @property
    def is_share(self) -> bool:
        """Tell whether a level is a row, as a share of a corpus."""
        return self.steps > 1 and self.origin == 0

    def value(self, level: int) -> int | float:
        """Return the value of a level.

        Args:
          level: from `low` to `high`.
        """
        return level if self.counts_rows else self.origin + level / self.steps

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
      bounds: least and largest value; None for [0, 1] of shares, and for all that whole numbers
        may be.
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
    if isinstance(current, (int, np.integer)):
        low, high = (0, _MOST) if ends is None else (round(ends[0]), round(ends[1]))
        return Knob(chain, path, _lowest(chain, path, low, high), high, 1, is_open=ends is None)
    name = path.rsplit(".", maxsplit=1)[-1]
    if name in ("gamma", "beta", "alpha"):
        rows = int(np.max(chain.policy.sizes(generations)))
        low, high = (0.0, 1.0) if ends is None else ends
        check.number("bounds[0]", low, 0, 1, "pass shares")
        check.number("bounds[1]", high, 0, 1, "pass shares")
        first, last = round(low * rows), round(high * rows)
        return Knob(chain, path, first, last, rows)
    if ends is None:
        allowed = f"the range of {path} is not known"
        raise check.fail("bounds", None, allowed, "pass bounds=(low, high)")
    return Knob(chain, path, 0, _STEPS, _STEPS / (ends[1] - ends[0]), ends[0])


def _checked(bounds: Any) -> tuple[float, float]:
    values = check.array("bounds", bounds, 1, "pass bounds=(low, high)")
    if len(values) != 2 or not values[0] < values[1]:
        raise check.fail("bounds", bounds, "they must be two increasing numbers", "swap them")
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

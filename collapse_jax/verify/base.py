"""What a check is, what it finds, and how a suite shares its false alarms among them."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Literal

from collapse_jax.testing import Evidence

Layer = Literal["deterministic", "monte carlo", "metamorphic"]
LANES = ("quick", "full")


@dataclasses.dataclass(frozen=True)
class Exact:
    """A claim without chance: the largest error, and what is allowed."""

    error: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the error is allowed; a NaN never is."""
        return self.error <= self.allowed


@dataclasses.dataclass(frozen=True)
class Draw:
    """What a check may depend on.

    Attributes:
      seed: of the run.
      lane: "quick", or "full" with more chains.
      false_alarm: of each statistical claim of the check.
    """

    seed: int
    lane: str
    false_alarm: float

    def chains(self, quick: int, full: int) -> int:
        """The number for this lane."""
        return quick if self.lane == "quick" else full


Claims = Iterator[tuple[str, Exact | Evidence]]


@dataclasses.dataclass(frozen=True)
class Check:
    """One law that is held against a simulation, or one identity.

    Attributes:
      name: what is checked.
      layer: how.
      law: the claim, with its formula or reference.
      claims: number of statistical claims; 0 for an identity.
      lanes: where it runs.
      run: makes the claims one by one.
    """

    name: str
    layer: Layer
    law: str
    claims: int
    lanes: tuple[str, ...]
    run: Callable[[Draw], Claims]


class Registry(list[Check]):
    """Checks in the order in which they are written."""

    def add(
        self, layer: Layer, *, claims: int = 0, lanes: tuple[str, ...] = LANES
    ) -> Callable[[Callable[[Draw], Claims]], Callable[[Draw], Claims]]:
        """Make a check of a function, whose name says what and whose docstring which law."""

        def register(function: Callable[[Draw], Claims]) -> Callable[[Draw], Claims]:
            name = function.__name__.replace("_", " ")
            law = " ".join((function.__doc__ or "").split()).rstrip(".")
            self.append(Check(name, layer, law, claims, lanes, function))
            return function

        return register


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a check.

    Attributes:
      check: the check.
      passed: whether every claim held.
      findings: by claim.
      seconds: wall time.
      error: why it could not be run, or None.
    """

    check: Check
    passed: bool
    findings: dict[str, Exact | Evidence]
    seconds: float
    error: str | None = None

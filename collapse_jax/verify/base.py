"""Define checks, their claims and their results."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Literal

from collapse_jax.testing import Evidence

Layer = Literal["deterministic", "monte carlo", "metamorphic"]
LANES = ("quick", "full")


@dataclasses.dataclass(frozen=True)
class Exact:
    """A deterministic claim.

    Attributes:
      error: the largest error that was found.
      allowed: the largest error that passes, in the unit of `error`.
    """

    error: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Tell whether the error is allowed; a NaN never is."""
        return self.error <= self.allowed


@dataclasses.dataclass(frozen=True)
class Note:
    """A fact about the machine or its software that passes in any case.

    Attributes:
      text: the fact.
    """

    text: str

    @property
    def passed(self) -> bool:
        """Return True: nothing is claimed."""
        return True


@dataclasses.dataclass(frozen=True)
class Draw:
    """The settings that a check receives.

    Attributes:
      seed: of every random number.
      lane: "quick", or "full" with more chains.
      false_alarm: probability that a true statistical claim is refused, per claim.
    """

    seed: int
    lane: str
    false_alarm: float

    def chains(self, quick: int, full: int) -> int:
        """Choose the number of chains.

        Args:
          quick: chains in the quick lane.
          full: chains in the full lane.

        Returns:
          The number for this lane.
        """
        return quick if self.lane == "quick" else full


Claims = Iterator[tuple[str, Exact | Evidence | Note]]


@dataclasses.dataclass(frozen=True)
class Check:
    """A law or an identity that simulations or formulas are compared with.

    Attributes:
      name: the subject, in words.
      layer: kind of evidence.
      law: the statement that is checked, with its formula or reference.
      claims: number of statistical claims; 0 for an identity.
      lanes: the lanes in which the check runs.
      run: yields the claims with their names.
    """

    name: str
    layer: Layer
    law: str
    claims: int
    lanes: tuple[str, ...]
    run: Callable[[Draw], Claims]


class Registry(list[Check]):
    """The checks of a module, in the order of its functions."""

    def add(
        self, layer: Layer, *, claims: int = 0, lanes: tuple[str, ...] = LANES
    ) -> Callable[[Callable[[Draw], Claims]], Callable[[Draw], Claims]]:
        """Return a decorator that registers a function as a check.

        The function's name becomes the name of the check, and its docstring, without
        "Check that", the law. It takes a `Draw` and yields named claims.

        Args:
          layer: kind of evidence.
          claims: number of statistical claims that the function yields.
          lanes: the lanes in which the check runs.

        Returns:
          The decorator, which returns the function unchanged.
        """

        def register(function: Callable[[Draw], Claims]) -> Callable[[Draw], Claims]:
            name = function.__name__.replace("_", " ")
            words = " ".join((function.__doc__ or "").split())
            law = words.removeprefix("Check that ").rstrip(".")
            self.append(Check(name, layer, law, claims, lanes, function))
            return function

        return register


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a check.

    Attributes:
      check: the check.
      passed: whether every claim holds.
      findings: evidence by name of the claim.
      seconds: wall time.
      error: type and message of the exception that ended the check, or None.
    """

    check: Check
    passed: bool
    findings: dict[str, Exact | Evidence | Note]
    seconds: float
    error: str | None = None

"""What a fault is; the modules `faults_of_...` are full of them."""

import dataclasses
from collections.abc import Callable

import pytest


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    checks: tuple[str, ...]
    plant: Callable[[pytest.MonkeyPatch], None]


def fault(*checks):
    """Make a fault of its planter and the checks that must catch it."""
    return lambda plant: Fault(plant.__name__.replace("_", " "), checks, plant)


def wrap(patch, where, name, wrong):
    """Replace a function by wrong(right, *arguments)."""
    right = getattr(where, name)
    patch.setattr(where, name, lambda *given, **named: wrong(right, *given, **named))

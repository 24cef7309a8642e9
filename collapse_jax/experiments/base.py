"""The seam of experiments to the command line and to reports."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from collapse_jax.results.records import Records
from collapse_jax.results.statements import Statement
from collapse_jax.store.store import Store
from collapse_jax.utils import check

Scales = Mapping[str, Mapping[str, Any]]
SCALES = ("smoke", "laptop", "paper")


@dataclasses.dataclass(frozen=True)
class Summary:
    """The findings of a run.

    Attributes:
      title: headline.
      sentences: what was run, and what came out.
      table: rows of cells, the first row being the header.
      statements: of the literature, beside what was found.
    """

    title: str
    sentences: Sequence[str]
    table: Sequence[Sequence[str]]
    statements: Sequence[Statement] = ()


class AbstractExperiment(abc.ABC):
    """A frozen config that can run itself and show what came out.

    A subclass with a `name` of its own registers itself: `collapse list` shows it, and
    `collapse run NAME` takes its fields as options.

    Attributes:
      name: on the command line.
      topic: the family it is about.
      scales: settings that differ from the defaults, by scale: "smoke" ends within seconds,
        "laptop" (the defaults) within minutes, "paper" has the paper's sizes and may take
        an hour.
      hours: that a scale takes on two cores, compilation included: measured for smoke and
        laptop, and estimated from measured rates for paper.
      presets: settings that `--preset` of the command line starts from, by its name.
    """

    name: ClassVar[str]
    topic: ClassVar[str]
    scales: ClassVar[Scales]
    hours: ClassVar[Mapping[str, float]]
    presets: ClassVar[Scales] = {}

    def __init_subclass__(cls, **settings: Any) -> None:
        """Register experiments that have a name of their own.

        Raises:
          ValueError: if an experiment of another module has the name.
        """
        super().__init_subclass__(**settings)
        if "name" not in cls.__dict__:
            return
        known = EXPERIMENTS.get(cls.name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            allowed = f"{known.__module__}.{known.__qualname__} has this name"
            raise check.fail(f"{cls.__qualname__}.name", cls.name, allowed, "choose another name")
        EXPERIMENTS[cls.name] = cls

    @classmethod
    def at_scale(cls, scale: str) -> Self:
        """The experiment with the settings of a scale."""
        check.choice("scale", scale, SCALES)
        return cls(**cls.scales.get(scale, {}))

    @classmethod
    def of_preset(cls, name: str) -> Self:
        """The experiment with the settings of a preset."""
        check.choice("preset", name, tuple(cls.presets))
        return cls(**{"preset": name, **cls.presets[name]})

    @property
    def joins_processes(self) -> bool:
        """Whether processes work at the same chains, and do not share them among each other."""
        return False

    @abc.abstractmethod
    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Simulate everything, then put it together.

        Args:
          seed: of every random number.
          progress: whether to show it on stderr.
          store: where to keep the run, or the parts it is made of, and to go on with them.

        Raises:
          IncompleteError: if other processes have not made their chains yet.
        """

    @staticmethod
    @abc.abstractmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Caption and figure by file name."""

    @staticmethod
    @abc.abstractmethod
    def summarize(records: Records) -> Summary:
        """The findings in words and numbers."""


EXPERIMENTS: dict[str, type[AbstractExperiment]] = {}
"""Experiments by name, in the order in which they were registered."""

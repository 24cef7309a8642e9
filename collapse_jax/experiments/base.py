"""Define the interface of experiments to the command line and to reports."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from collapse_jax.engine.check_only import check_only
from collapse_jax.plots.views import View
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
      sentences: settings and results in words.
      table: rows of cells; the first row is the header.
      statements: statements of the literature with the findings.
      finding: the answer of the run in one sentence; "" for none.
    """

    title: str
    sentences: Sequence[str]
    table: Sequence[Sequence[str]]
    statements: Sequence[Statement] = ()
    finding: str = ""


class AbstractExperiment(abc.ABC):
    """A frozen config that runs itself and reports its results.

    A subclass with a `name` of its own registers itself: `collapse list` shows the experiment,
    and `collapse run NAME` takes its fields as options.

    Attributes:
      name: name on the command line.
      topic: the family; `collapse reproduce` selects experiments by name or by topic.
      scales: settings that differ from the defaults, by scale: "smoke" ends within seconds,
        "laptop" (the defaults) within minutes, "paper" has the paper's sizes and may take
        an hour.
      hours: duration of a scale on two cores, compilation included: measured for smoke and
        laptop, and estimated from measured rates for paper.
      presets: settings of `--preset NAME` on the command line, by name.
      former: names of settings in earlier versions, with their successors; they are refused.
      arguments: settings by the names that the library gives them where it has another one, for
        messages.
      size_meaning: meaning of the policy's `num_samples` where it is one number for all
        generations; "" where it may be one for each.
    """

    name: ClassVar[str]
    topic: ClassVar[str]
    scales: ClassVar[Scales]
    hours: ClassVar[Mapping[str, float]]
    presets: ClassVar[Scales] = {}
    former: ClassVar[Mapping[str, str]] = {}
    arguments: ClassVar[Mapping[str, str]] = {}
    size_meaning: ClassVar[str] = ""

    def __new__(cls, *arguments: Any, **settings: Any) -> Self:
        """Refuse former names of settings.

        Raises:
          TypeError: naming the successor.
        """
        del arguments
        for old in cls.former.keys() & settings.keys():
            new = cls.former[old]
            raise TypeError(f"{cls.__name__}({old}=...) is now {cls.__name__}({new}=...)")
        return super().__new__(cls)

    def __init_subclass__(cls, **settings: Any) -> None:
        """Register experiments that have a name of their own.

        Raises:
          ArgumentError: if another class has the name.
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
        """Return the experiment with the settings of a scale.

        Args:
          scale: "smoke", "laptop" or "paper".

        Raises:
          ArgumentError: for another scale.
        """
        check.choice("scale", scale, SCALES)
        return cls(**cls.scales.get(scale, {}))

    @classmethod
    def of_preset(cls, name: str) -> Self:
        """Return the experiment with the settings of a preset.

        Args:
          name: name of a preset.

        Raises:
          ArgumentError: for another name.
        """
        check.choice("preset", name, tuple(cls.presets))
        return cls(**{"preset": name, **cls.presets[name]})

    @property
    def work(self) -> float:
        """Return a number that the duration of the run is about proportional to.

        By default the generations of all chains, times the values of every setting that has
        several.
        """
        work = float(getattr(self, "num_chains", 1)) * (getattr(self, "num_generations", 0) + 1)
        for field in dataclasses.fields(self):  # pyright: ignore
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                work *= max(1, len(value))
        return work

    @property
    def expected_hours(self) -> float:
        """Return the expected duration on two cores, from those of the scales.

        Between scales the duration is a power of the work; beyond the largest it grows as the work.
        """
        known = sorted({(self.at_scale(scale).work, self.hours[scale]) for scale in SCALES})
        works, hours = map(np.array, zip(*known, strict=True))
        if self.work > works[-1]:
            return float(hours[-1] * self.work / works[-1])
        return float(np.exp(np.interp(np.log(max(self.work, 1e-9)), np.log(works), np.log(hours))))

    @property
    def joins_processes(self) -> bool:
        """Tell whether all processes work at the same chains, and do not divide them."""
        return False

    def check(self, seed: int) -> None:
        """Refuse what `run` would refuse, before anything is compiled or written.

        `run` is called up to its first call of `simulate` or `sweep`. A study whose later calls
        may be refused, or that has work to do before the first, overrides this method.

        Args:
          seed: see `run`.

        Raises:
          ArgumentError: for a bad setting, a bad source, or a run that needs too much memory.
        """
        with check_only():
            self.run(seed, False)

    @abc.abstractmethod
    def run(self, seed: int, progress: bool, store: Store | None = None) -> Records:
        """Simulate all chains, and join their records.

        Args:
          seed: key of the run, which decides all random numbers.
          progress: whether to show progress on stderr.
          store: a directory for the run, or for its parts; an earlier run in the directory is
            resumed.

        Returns:
          The records of all parts.

        Raises:
          IncompleteError: if other processes have not made their chains yet.
        """

    @staticmethod
    @abc.abstractmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Draw the figures.

        Args:
          records: the result of `run`.

        Returns:
          Caption and matplotlib Figure by name of the file.
        """

    @staticmethod
    def views(records: Records) -> Mapping[str, View | None]:
        """Describe interactive figures that show more than the curves of the pictures.

        Args:
          records: the result of `run`.

        Returns:
          Views of `plots.views` by name of the figure; the others are made of the figure's curves.
        """
        del records
        return {}

    @staticmethod
    @abc.abstractmethod
    def summarize(records: Records) -> Summary:
        """Return the findings in words and numbers.

        Args:
          records: the result of `run`.
        """


EXPERIMENTS: dict[str, type[AbstractExperiment]] = {}
"""Experiments by name, in the order in which they were registered."""

"""What an experiment is to the command line and to reports."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from collapse_jax.policies import Accumulate, Replace
from collapse_jax.results.records import Records

PolicyConfig = Replace | Accumulate


@dataclasses.dataclass(frozen=True)
class Summary:
    """The findings of a run: sentences, and a table whose first row is its header."""

    title: str
    sentences: Sequence[str]
    table: Sequence[Sequence[str]]


class AbstractExperiment(abc.ABC):
    """A frozen config that can run itself and show what came out."""

    @abc.abstractmethod
    def run(self, seed: int, progress: bool) -> Records:
        """Simulate."""

    @staticmethod
    @abc.abstractmethod
    def figures(records: Records) -> Mapping[str, tuple[str, Any]]:
        """Caption and figure by file name."""

    @staticmethod
    @abc.abstractmethod
    def summarize(records: Records) -> Summary:
        """The findings in words and numbers."""

"""Try levels of a knob: by theory where it knows the mean, else chain after chain."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.engine.simulate import simulate
from collapse_jax.planning.demand import Demand
from collapse_jax.planning.expectation import exact_mean
from collapse_jax.planning.knob import Knob
from collapse_jax.store.files import store_errors, temporary_name
from collapse_jax.utils import check

_CHAINS = 256  # of a call: a batch on CPU
_SLOW_CHAINS = 8  # where every chain is a network
_SHARE = 6 / math.pi**2  # the errors of trials 1, 2, .. are this over n^2: together one


class Effort(NamedTuple):
    """How much is spent on an answer.

    Attributes:
      confidence: probability that both ends of a bracket are right.
      precision: width of a simulated bracket relative to the answer.
      max_chains: most chains of a trial.
    """

    confidence: float
    precision: float
    max_chains: int


def make_effort(confidence: Any, precision: Any, max_chains: Any) -> Effort:
    """Return a checked effort, see `plan`.

    Raises:
      ArgumentError: naming the bad argument.
    """
    remedy = "pass a number such as 0.99"
    confidence = check.number("confidence", confidence, 0, 1 - 1e-9, remedy, open_low=True)
    precision = check.number("precision", precision, 0, 1, "pass a relative width such as 0.05")
    return Effort(confidence, precision, check.integer("max_chains", max_chains, 1))


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is known of one value of the knob.

    Attributes:
      level: number of the value.
      value: of the knob.
      holds: whether the demand holds there; None if the chains did not tell.
      estimate: of the mean of the quantity over chains.
      standard_error: of the estimate, 0 if it is exact.
      share: of chains for which the demand holds; NaN if no chain was simulated.
      num_chains: number of simulated chains, 0 for theory.
    """

    level: int
    value: float
    holds: bool | None
    estimate: float
    standard_error: float
    share: float
    num_chains: int


class Trials:
    """The trials of a question, each made once; all simulate the same chain keys.

    Args:
      knob: what is varied.
      demand: what is demanded.
      key: of the run.
      effort: confidence, precision and most chains.
      path: of a file that remembers trials, so that a killed plan resumes; None for none.
      question: what the file must be about.
      notify: told of each new trial.
    """

    def __init__(
        self,
        knob: Knob,
        demand: Demand,
        key: Any,
        effort: Effort,
        path: Path | None = None,
        question: Any = None,
        notify: Callable[[Trial], None] = lambda trial: None,
    ) -> None:
        self.knob, self.demand, self._key, self._effort = knob, demand, key, effort
        self._path, self._question, self._notify = path, question, notify
        self.made: dict[int, Trial] = {}
        self._first: dict[int, np.ndarray] = {}
        if path is not None and path.exists():
            self._read(path)

    def verdict(self, level: int) -> bool | None:
        """Return whether the demand holds at a level; None if that stays unknown.

        Args:
          level: of the knob.
        """
        return self.at(level).holds

    def at(self, level: int) -> Trial:
        """Return the trial of a level.

        Args:
          level: of the knob.
        """
        if level not in self.made:
            self.made[level] = self._try(level)
            self._write()
            self._notify(self.made[level])
        return self.made[level]

    def width(self, level: int) -> float:
        """Return how wide a bracket that ends at a level may be, in levels.

        Args:
          level: that holds.
        """
        return 1 if self.at(level).num_chains == 0 else max(1, self._effort.precision * level)

    def _try(self, level: int) -> Trial:
        knob, demand, value = self.knob, self.demand, self.knob.value(level)
        chain = knob.at(level)
        if demand.probability is None:
            mean = exact_mean(chain, demand, demand.generations)
            if mean is not None:
                holds = bool(demand.holds(np.array(mean)))
                return Trial(level, value, holds, mean, 0.0, math.nan, 0)
        if demand.generations == math.inf:
            raise check.fail(
                "generations",
                math.inf,
                "the stationary state is not known for this chain and quantity",
                "pass a last generation",
            )
        error = (1 - self._effort.confidence) / 2 * _SHARE / (len(self.made) + 1) ** 2
        test, values = demand.make_test(), np.empty(0)
        while len(values) < self._effort.max_chains:
            more = self.values(chain, len(values))
            values = np.concatenate([values, more])
            if demand.probability is None and not np.all(np.isfinite(more)):
                return self._simulated(level, values, holds=False)
            test.add(demand.evidence(more))
            verdict = demand.answer(test.verdict(error))
            if verdict is not None:
                return self._simulated(level, values, holds=verdict)
        return self._simulated(level, values, holds=None)

    def _simulated(self, level: int, values: np.ndarray, holds: bool | None) -> Trial:
        self._first[level] = values[:_CHAINS]
        known = values[np.isfinite(values)]
        mean = float(np.mean(known)) if len(known) else math.nan
        error = float(np.std(known) / math.sqrt(len(known))) if len(known) else math.nan
        share = float(np.mean(self.demand.holds(values)))
        return Trial(level, self.knob.value(level), holds, mean, error, share, len(values))

    def first_values(self, level: int) -> np.ndarray:
        """Return the quantity of the first chains at a level, equal keys at every level.

        Args:
          level: of the knob.
        """
        if level not in self._first:
            self._first[level] = self.values(self.knob.at(level), 0)
        return self._first[level]

    def values(self, chain: Chain, first: int) -> np.ndarray:
        """Return the quantity of the next chains.

        Args:
          chain: the process.
          first: number of the first chain.
        """
        demand, generations = self.demand, int(self.demand.generations)
        is_slow = chain.schedule.on_host or chain.schedule.exclusive
        records = simulate(
            chain,
            key=self._key,
            num_chains=min(_SLOW_CHAINS if is_slow else _CHAINS, self._effort.max_chains),
            num_generations=generations,
            every=1 if demand.throughout else max(1, generations),
            metrics=demand.metrics,
            first_chain=first,
        )
        return demand.of_chains(records[demand.variable])

    def _read(self, path: Path) -> None:
        found = json.loads(path.read_text())
        if found["question"] != self._question:
            allowed = "it answers another question"
            raise check.fail("store", str(path), allowed, "name another file, or delete this one")
        self.made = {one["level"]: Trial(**one) for one in found["trials"]}

    def _write(self) -> None:
        if self._path is not None:
            trials = [dataclasses.asdict(one) for one in self.made.values()]
            content = json.dumps({"question": self._question, "trials": trials})
            with store_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                temporary = self._path.with_name(temporary_name())
                temporary.write_text(content)
                temporary.replace(self._path)

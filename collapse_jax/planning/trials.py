"""Try levels of a knob: by theory where it knows the mean, else chain after chain.

A *look* at a level is a first batch of chains, the same at every level: differences between looks
are less noisy than looks, which decide where to test. A *test* goes on until its verdict is known.
It has chains of its own, so that what was seen before, which decides what is tested, says nothing
about them: the errors of all tests add up to no more than the error that is allowed.
"""

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
_FEW_CHAINS = 32  # where a chain takes long
_SLOW_CHAINS = 8  # where every chain is a network
_LONG = 10**6  # rows of all generations of a chain, from which on it takes long
_APART = 2**20  # chains from one test to the next: no test has more
_MOST = (4096, 2**16)  # chains of a test, unless `max_chains` says otherwise
_ROWS = 2**33  # rows of the chains of a test, with the same exception: minutes
_MANY_LEVELS, _FEWER = 2, 4  # as many levels in a bracket: a fourth of the chains
_SHARE = 6 / math.pi**2  # the errors of tests 1, 2, .. are this over n^2: together one


class Effort(NamedTuple):
    """How much is spent on an answer.

    Attributes:
      confidence: probability that both ends of a bracket are right.
      precision: width of a simulated bracket relative to the answer.
      max_chains: most chains of a test.
    """

    confidence: float
    precision: float
    max_chains: int


def make_effort(
    confidence: Any, precision: Any, max_chains: Any, chain: Chain, generations: int
) -> Effort:
    """Return a checked effort, see `plan`.

    Raises:
      ArgumentError: naming the bad argument.
    """
    remedy = "pass a number such as 0.99"
    confidence = check.number("confidence", confidence, 0, 1 - 1e-9, remedy, open_low=True)
    precision = check.number("precision", precision, 0, 1, "pass a relative width such as 0.05")
    if max_chains is None:
        most = min(max(_ROWS // rows_of(chain, generations), _MOST[0]), _MOST[1])
    else:
        most = check.integer("max_chains", max_chains, 1, _APART)
    return Effort(confidence, precision, most)


def rows_of(chain: Chain, generations: int) -> int:
    """Return the rows of all corpora of a chain, which say how long it takes.

    Args:
      chain: the process.
      generations: the last one.
    """
    return int(np.sum(chain.policy.sizes(generations)))


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is known of one value of the knob.

    Attributes:
      level: number of the value.
      value: of the knob.
      holds: whether the demand holds there; None if that is not known.
      estimate: of the mean of the quantity over chains.
      standard_error: of the estimate, 0 if it is exact.
      share: of chains for which the demand holds; None if no chain was simulated.
      num_chains: number of simulated chains, 0 for theory.
      first_chain: number of the first one.
      is_tested: whether a verdict was asked for; otherwise it is a look.
      margin: how far the mean, or the quantile that `probability` asks for, is beyond the limit.
    """

    level: int
    value: float
    holds: bool | None
    estimate: float
    standard_error: float
    share: float | None
    num_chains: int
    first_chain: int
    is_tested: bool
    margin: float

    @property
    def margin_error(self) -> float:
        """Return about the standard error of the margin."""
        return 1.5 * self.standard_error


class Trials:
    """The looks and tests of a question, each made once.

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
        self.tests: dict[int, Trial] = {}
        self.looks: dict[int, Trial] = {}
        self._values: dict[int, np.ndarray] = {}
        if path is not None and path.exists():
            self._read(path)

    @property
    def made(self) -> tuple[Trial, ...]:
        """Return what is known of every level that was tried, by level."""
        known = self.looks | self.tests
        return tuple(known[level] for level in sorted(known))

    def verdict(self, level: int) -> bool | None:
        """Return whether the demand holds at a level; None if that stays unknown.

        Args:
          level: of the knob.
        """
        return self.test(level).holds

    def test(self, level: int) -> Trial:
        """Return the trial of a level with a verdict, unless its chains did not tell.

        Args:
          level: of the knob.
        """
        if level not in self.tests:
            self.tests[level] = self._known(level) or self._test(level)
            self._made(self.tests[level])
        return self.tests[level]

    def insist(self, level: int) -> bool | None:
        """Go on with a test whose verdict stayed unknown, up to the most chains.

        Args:
          level: that was tested.
        """
        known = self.tests[level]
        if known.holds is None and known.num_chains < self._effort.max_chains:
            self.tests[level] = self._test(level, known)
            self._made(self.tests[level])
        return self.tests[level].holds

    def look(self, level: int) -> Trial:
        """Return what is known of a level, at least from the first chains.

        Args:
          level: of the knob.
        """
        if level in self.tests:
            return self.tests[level]
        if level not in self.looks:
            exact = self._known(level)
            if exact is not None:
                return self.test(level)
            values = self.first_values(level)
            self.looks[level] = self._trial(level, values, 0, holds=None, is_tested=False)
            self._made(self.looks[level])
        return self.looks[level]

    def width(self, level: int) -> float:
        """Return how wide a bracket that ends at a level may be, relative to its smaller value.

        Args:
          level: that holds.

        Returns:
          The width in levels: of one row, if the precision is less.
        """
        if level in self.tests and self.tests[level].num_chains == 0:
            return 1
        knob, precision = self.knob, self._effort.precision
        if knob.steps > 0:  # the value that fails is smaller
            precision /= 1 + precision
        return max(knob.parts, precision * abs(knob.value(level) * knob.steps))

    def _known(self, level: int) -> Trial | None:
        """Return the verdict of theory."""
        demand, value = self.demand, self.knob.value(level)
        if demand.probability is None:
            mean = exact_mean(self.knob.at(level), demand, demand.generations)
            if mean is not None:
                holds, margin = bool(demand.holds(np.array(mean))), demand.margin(mean)
                return Trial(level, value, holds, mean, 0.0, None, 0, 0, True, margin)
        if demand.generations == math.inf:
            raise check.fail(
                "generations",
                math.inf,
                "the stationary state is not known for this chain and quantity",
                "pass a last generation",
            )
        return None

    def _test(self, level: int, known: Trial | None = None) -> Trial:
        """Simulate chains until the verdict is known; for one that is not, the same and more."""
        number = 1 + sum(one.num_chains > 0 for one in self.tests.values())
        most = self._most(level)
        if known is not None:
            number, most = known.first_chain // _APART, self._effort.max_chains
        error = (1 - self._effort.confidence) / 2 * _SHARE / number**2
        demand, chain, first = self.demand, self.knob.at(level), number * _APART
        test, values, verdict = demand.make_test(), np.empty(0), None
        while verdict is None and len(values) < most:
            more = self._simulated(chain, first + len(values))
            values = np.concatenate([values, more])
            if demand.probability is None and not np.all(np.isfinite(more)):
                verdict = False
                break
            test.add(demand.evidence(more))
            verdict = demand.answer(test.verdict(error))
        return self._trial(level, values, first, holds=verdict, is_tested=True)

    def _most(self, level: int) -> int:
        """Return the most chains of a test: fewer where another level does as well."""
        most = self._effort.max_chains
        return most if self.width(level) < _MANY_LEVELS else max(most // _FEWER, min(most, _CHAINS))

    def _trial(
        self, level: int, values: np.ndarray, first: int, *, holds: bool | None, is_tested: bool
    ) -> Trial:
        known = values[np.isfinite(values)]
        mean = float(np.mean(known)) if len(known) else math.nan
        error = float(np.std(known) / math.sqrt(len(known))) if len(known) else math.nan
        share = float(np.mean(self.demand.holds(values)))
        margin = self.demand.margin_of(values)
        value = self.knob.value(level)
        return Trial(level, value, holds, mean, error, share, len(values), first, is_tested, margin)

    def first_values(self, level: int) -> np.ndarray:
        """Return the quantity of the first chains at a level, equal keys at every level.

        Args:
          level: of the knob.
        """
        if level not in self._values:
            self._values[level] = self._simulated(self.knob.at(level), 0)
        return self._values[level]

    def _simulated(self, chain: Chain, first: int) -> np.ndarray:
        """Return the quantity of the next chains."""
        demand, generations = self.demand, int(self.demand.generations)
        records = simulate(
            chain,
            key=self._key,
            num_chains=min(self._call, self._effort.max_chains),
            num_generations=generations,
            every=1 if demand.throughout else max(1, generations),
            metrics=demand.metrics,
            first_chain=first,
        )
        return demand.of_chains(records[demand.variable])

    @property
    def _call(self) -> int:
        """Return the chains of a call, the same for all levels: they share compilations."""
        chain = self.knob.chain
        if chain.schedule.on_host or chain.schedule.exclusive:
            return _SLOW_CHAINS
        return _CHAINS if rows_of(chain, self.demand.last) < _LONG else _FEW_CHAINS

    def _made(self, trial: Trial) -> None:
        self._write()
        self._notify(trial)

    def _read(self, path: Path) -> None:
        found = json.loads(path.read_text())
        if found["question"] != self._question:
            allowed = "it answers another question"
            raise check.fail("store", str(path), allowed, "name another file, or delete this one")
        self.tests = {one["level"]: Trial(**one) for one in found["tests"]}
        self.looks = {one["level"]: Trial(**one) for one in found["looks"]}

    def _write(self) -> None:
        if self._path is not None:
            kinds = {"tests": self.tests, "looks": self.looks}
            trials = {
                name: [dataclasses.asdict(one) for one in kind.values()]
                for name, kind in kinds.items()
            }
            content = json.dumps({"question": self._question, **trials})
            with store_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                temporary = self._path.with_name(temporary_name())
                temporary.write_text(content)
                temporary.replace(self._path)

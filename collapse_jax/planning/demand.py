"""Say what is demanded of a chain: a quantity, its limit, and how surely it is to hold."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import special

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.core.source import CountsSource
from collapse_jax.planning.sequential import BoundedTest, MeanTest, ShareTest, Test
from collapse_jax.sources import Normal
from collapse_jax.sources.empirical import EmpiricalRows
from collapse_jax.utils import check

RARE = 0.01  # states with less than this probability are rare, unless told otherwise
_MANY = 8  # chains that meet a demand, or do not: their share is known well enough
NAMED = ("tail_survival", "variance_ratio")
"""Quantities that are no variables of a family."""


@dataclasses.dataclass(frozen=True)
class Demand:
    """A checked demand.

    Attributes:
      name: of the quantity.
      metrics: what `simulate` is to record for it.
      variable: the recorded variable.
      unit: value of the variable that counts as one.
      limit: of the quantity.
      is_least: whether the quantity is to be at least the limit, else at most.
      generations: the last generation, `math.inf` for the stationary state.
      throughout: whether the demand holds in all earlier generations too.
      probability: share of chains for which it is to hold; None for the mean over chains.
      range: numbers between which every chain's quantity lies.
      weights: for `tail_survival` and `support_size` what each state adds, [state].
    """

    name: str
    metrics: tuple[Any, ...]
    variable: str
    unit: float
    limit: float
    is_least: bool
    generations: int | float
    throughout: bool
    probability: float | None
    range: tuple[float, float] = (-math.inf, math.inf)
    weights: np.ndarray | None = None

    @property
    def last(self) -> int:
        """Return the last generation, 1 for the stationary state."""
        return 1 if self.generations == math.inf else int(self.generations)

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Tell for which values the demand holds; NaN, of a chain that has ended, does not.

        Args:
          values: of the quantity.
        """
        with np.errstate(invalid="ignore"):
            return values >= self.limit if self.is_least else values <= self.limit

    def of_chains(self, recorded: np.ndarray) -> np.ndarray:
        """Return the quantity of each chain: of the last generation, or the worst one.

        Args:
          recorded: the variable, [generation, chain].
        """
        values = np.asarray(recorded, np.float64) / self.unit
        if not self.throughout:
            return values[-1]
        return np.min(values, axis=0) if self.is_least else np.max(values, axis=0)

    def margin(self, value: float) -> float:
        """Return how far a value is beyond the limit, positive where the demand holds.

        Args:
          value: of the quantity.
        """
        return value - self.limit if self.is_least else self.limit - value

    def margin_of(self, values: np.ndarray) -> float:
        """Return how far the mean, or the quantile that the probability asks for, is beyond it.

        Args:
          values: the quantity, [chain]; too many chains that have ended make it minus infinity.
        """
        known = values[np.isfinite(values)]
        share = len(known) / len(values)
        if share < (1 if self.probability is None else self.probability):
            return -math.inf
        mean, spread = self.margin(float(np.mean(known))), float(np.std(known))
        if self.probability is None or spread == 0:
            return mean
        hits = np.count_nonzero(self.holds(values))
        if min(hits, len(values) - hits) >= _MANY:  # enough to know the share of chains
            above = special.ndtri(hits / len(values))
            return float(above - special.ndtri(self.probability)) * spread
        return mean - float(special.ndtri(self.probability)) * spread

    def make_test(self) -> Test:
        """Return a test of what is simulated of the demand: a share of chains, or a mean."""
        if self.probability is not None:
            return ShareTest(self.probability)
        low, high = self.range
        if math.isfinite(low) and math.isfinite(high) and low <= self.limit <= high:
            return BoundedTest(self.limit, low, high)
        return MeanTest(self.limit)

    def evidence(self, values: np.ndarray) -> np.ndarray:
        """Return what the test is given of the chains' quantities.

        Args:
          values: the quantity, [chain].
        """
        return self.holds(values) if self.probability is not None else values

    def answer(self, verdict: bool | None) -> bool | None:
        """Return whether the demand holds, from the verdict of its test.

        Args:
          verdict: whether the share of chains, or the mean, is at least the limit.
        """
        if verdict is None or self.probability is not None or self.is_least:
            return verdict
        return not verdict

    def __str__(self) -> str:
        """Return the demand in words."""
        side = "at least" if self.is_least else "at most"
        when = "for ever" if self.generations == math.inf else f"in generation {self.generations}"
        if self.throughout:
            when = f"in every generation up to {self.generations}"
        who = "on average over chains"
        if self.probability is not None:
            who = f"with probability {self.probability:g}"
        return f"{self.name.replace('_', ' ')} {side} {self.limit:g} {when}, {who}"


def make_demand(
    chain: Chain,
    quantity: Any,
    at_least: float | None,
    at_most: float | None,
    generations: Any,
    *,
    throughout: bool,
    probability: float | None,
    rare: float | Sequence[Any],
) -> Demand:
    """Return a checked demand, see `plan`.

    Raises:
      ArgumentError: naming the argument that is bad or missing.
    """
    if (at_least is None) == (at_most is None):
        given = "both" if at_least is not None else "neither"
        shown = check.Shown(given)
        raise check.fail("at_least, at_most", shown, "one of them must be given", "pass one")
    is_least = at_least is not None
    label, value = ("at_least", at_least) if is_least else ("at_most", at_most)
    limit = check.number(label, value, -math.inf, math.inf, "pass a number")
    remedy = "pass True for all generations up to the last"
    check.instance("throughout", throughout, bool, "it must be True or False", remedy)
    if generations != math.inf:
        generations = check.integer("generations", generations, 0)
    if probability is not None:
        remedy = "pass a share of chains such as 0.95, or None for the mean"
        probability = check.number("probability", probability, 0, 1, remedy, open_low=True)
        if probability == 1:
            allowed = "no number of chains shows that all of them meet a demand"
            raise check.fail("probability", 1.0, allowed, "pass 0.99, for example")
    metrics, variable, unit, ends, weights = _quantity(chain, quantity, rare)
    name = quantity if isinstance(quantity, str) else variable
    if ends[0] > limit or limit > ends[1]:
        allowed = f"{name} lies in [{ends[0]:g}, {ends[1]:g}]"
        raise check.fail(label, limit, allowed, "pass a limit within")
    common = (generations, throughout, probability)
    return Demand(name, metrics, variable, unit, limit, is_least, *common, ends, weights)


@dataclasses.dataclass(frozen=True)
class TailSurvival:
    """The number of rare states that a model has; equal ones share compilations.

    Attributes:
      rare: whether each state is rare, a byte for each.
    """

    rare: bytes

    def __call__(self, key, family, params, corpus, source, generation0):
        """Return the number, see `Metric`."""
        rare = np.frombuffer(self.rare, bool)
        alive = family.probabilities(params)[: len(rare)] > 0
        return jnp.sum(alive & jnp.asarray(rare), dtype=jnp.int32)


def variance_of(source: Any) -> float | None:
    """Return the variance of a source of rows, the trace in several dimensions; None if unknown.

    Args:
      source: of a chain.
    """
    if isinstance(source, Normal):
        return float(np.trace(np.atleast_2d(np.asarray(source.covariance, np.float64))))
    if isinstance(source, EmpiricalRows):
        rows = np.exp(np.float64(source.top)) * np.asarray(source.rows, np.float64)
        return float(np.sum(np.var(rows, axis=0)))
    return None


_Parts = tuple[tuple[Any, ...], str, float, tuple[float, float], np.ndarray | None]


def _quantity(chain: Chain, quantity: Any, rare: Any) -> _Parts:
    """Return metrics, variable, unit, range and weights of states of a quantity."""
    if quantity == "tail_survival":
        return _tail_survival(chain, rare)
    if quantity == "variance_ratio":
        truth = variance_of(chain.source)
        name = "variance" if chain.source.row_dim == 1 else "trace_covariance"
        name = name if name in _variables(chain) else None
        if name is None or truth is None:
            shown = check.Shown(f"{quantity!r} of {type(chain.family).__name__}")
            allowed = "it needs a family with a variance and a source of rows"
            raise check.fail("quantity", shown, allowed, "name one of its variables")
        if truth == 0:
            allowed = "the source has no variance: all of its rows are equal"
            remedy = "pass rows that differ, or another quantity"
            raise check.fail("quantity", quantity, allowed, remedy)
        return _recorded(chain, name), name, truth, (0.0, math.inf), None
    if isinstance(quantity, str):
        known = _variables(chain)
        check.choice("quantity", quantity, (*NAMED, *known))
        if known[quantity].dims:
            allowed = f"{quantity} has the axes {', '.join(known[quantity].dims)}"
            raise check.fail("quantity", quantity, allowed, "pass a Metric of one number")
        return (
            _recorded(chain, quantity),
            quantity,
            1.0,
            _range(chain, quantity),
            _all(chain, quantity),
        )
    metric = Metric.of(quantity)
    if metric.dims:
        allowed = f"it has the axes {', '.join(metric.dims)}"
        raise check.fail("quantity", metric.name, allowed, "pass a Metric of one number")
    return (metric,), str(metric.name), 1.0, (-math.inf, math.inf), None


def _variables(chain: Chain) -> dict[str, Any]:
    optional = {name: one.quantity for name, one in chain.family.optional_metrics.items()}
    return {**chain.family.quantities, **optional}


def _recorded(chain: Chain, name: str) -> tuple[str, ...]:
    return (name,) if name in chain.family.optional_metrics else ()


def _all(chain: Chain, name: str) -> np.ndarray | None:
    """Return what each state adds to the support."""
    if name != "support_size" or not isinstance(chain.source, CountsSource):
        return None
    return np.ones(len(chain.source.law))


def _range(chain: Chain, name: str) -> tuple[float, float]:
    """Return numbers between which a variable lies."""
    if name in ("heterozygosity", "tail_mass", "total_variation", "is_absorbed", "acceptance"):
        return 0.0, 1.0
    states = chain.source.num_states
    if states is not None and name == "support_size":
        return 1.0, float(states)
    if states is not None and name == "entropy":
        return 0.0, math.log(states) * (1 + 1e-6) + 1e-6
    return -math.inf, math.inf


def _tail_survival(chain: Chain, rare: Any) -> _Parts:
    """Return the share of rare states that a model has."""
    source, family = chain.source, chain.family
    if not isinstance(source, CountsSource) or not hasattr(family, "probabilities"):
        shown = check.Shown(f"'tail_survival' of {type(family).__name__}")
        allowed = "it counts states, which Discrete has"
        raise check.fail("quantity", shown, allowed, "name one of the family's variables")
    law = np.asarray(source.law, np.float64)
    counted = _rare_states(source, law, rare)
    survival = TailSurvival(counted.tobytes())
    reads, words = ("family", "params"), "surviving rare states"
    metric = Metric(survival, "tail_survival", reads=reads, long_name=words)
    number = np.count_nonzero(counted)
    return (metric,), "tail_survival", float(number), (0.0, 1.0), counted / number


def _rare_states(source: Any, law: np.ndarray, rare: Any) -> np.ndarray:
    """Mark states below a probability, or those that are named, [state]."""
    if isinstance(rare, str) or not np.iterable(rare):
        limit = check.number("rare", rare, 0, 1, "pass a probability such as 0.01", open_low=True)
        counted = (law > 0) & (law < limit)
        if not counted.any():
            allowed = f"no state is that rare; the rarest has {np.min(law[law > 0]):.3g}"
            raise check.fail(
                "rare", limit, allowed, "pass a larger probability, or names of states"
            )
        return counted
    names = list(getattr(source, "names", ()))
    counted = np.zeros(len(law), bool)
    for index, one in enumerate(rare):
        label = f"rare[{index}]"
        if isinstance(one, str):
            if one not in names:
                raise check.fail(
                    label, one, "the source has no such state", "pass one of its names"
                )
            counted[names.index(one)] = True
        else:
            counted[check.integer(label, one, 0, len(law) - 1)] = True
    check.not_empty("rare", list(rare))
    return counted

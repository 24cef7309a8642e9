"""Answer how much original data a chain needs, with a bracket and its error."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.planning.aim import aim
from collapse_jax.planning.answer import Plan, shown
from collapse_jax.planning.budget import Budget, cheapest_of, check_budget, offers
from collapse_jax.planning.demand import RARE, Demand, make_demand
from collapse_jax.planning.expectation import exact_mean
from collapse_jax.planning.knob import Knob, make_knob
from collapse_jax.planning.question import command_of, question_of
from collapse_jax.planning.rows import equivalent_rows, original_rows
from collapse_jax.planning.search import Found, find
from collapse_jax.planning.trials import Trial, Trials, make_effort
from collapse_jax.store.files import StoreError
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.fork import check_fork
from collapse_jax.utils.paths import user_path

_MORE = 1000  # rows of the sensitivity
_MORE_CHAINS = "raise max_chains to know"
_SURE = 4  # standard errors: looks that differ by more are tested
_ROUNDING = 1e-9  # of an exact mean
_SPREAD = 9  # levels that are compared where theory has every mean


def plan(
    chain: Chain,
    *,
    quantity: str | Metric | Callable[..., Any],
    generations: int | float,
    key: int | Key[Array, ""],
    at_least: float | None = None,
    at_most: float | None = None,
    knob: str = "policy.gamma",
    probability: float | None = 0.95,
    confidence: float = 0.99,
    throughout: bool = False,
    rare: float | Sequence[Any] = RARE,
    bounds: Sequence[float] | None = None,
    precision: float = 0.1,
    max_chains: int | None = None,
    budget: Budget | None = None,
    store: str | Path | None = None,
    progress: Callable[[str], Any] | None = None,
) -> Plan:
    """Find the smallest value of a setting for which a quantity is preserved, as a bracket.

    Where theory knows the mean and `probability` is None, both ends are certain. Elsewhere looks at
    a few chains, the same for every value, say where the answer is about. Values below and above it
    are tested on chains of their own until a test that may end at any time knows; each end is wrong
    with probability at most (1 - confidence) / 2, however many values were tested.

    Main arguments:
      chain: the process; its own value of the setting does not matter.
      quantity: "tail_survival" (share of rare states that the model has), "variance_ratio" (fitted
        over true variance), a variable of the family, a `Metric` of one number, or a function.
      generations: the last one, or `math.inf` for the stationary state where theory has it.
      key: an int or a typed threefry key.
      at_least: limit that the quantity must reach; give this or `at_most`.
      at_most: limit that the quantity must not exceed.
      knob: path of the setting, whose larger values are expected to help.
      probability: share of chains for which the demand is to hold; None for the mean over chains.
      confidence: probability that both ends of a simulated bracket are right.

    Other arguments:
      throughout: whether the demand is to hold in all earlier generations too.
      rare: for "tail_survival", a probability below which states are rare, or their names.
      bounds: the value that is expected to be worst and the best one, which may be the smaller;
        None for what is known of shares, error rates of a `Detector` and whole numbers.
      precision: most width of a simulated bracket relative to the answer, if not a row; exact ones
        are a row wide.
      max_chains: chains of a test, after which a value stays undecided and others around it are
        tested. None for 4,096 or, if chains are short, more.
      budget: prices of rows, to find the cheapest size of the corpora.
      store: a file that remembers trials, so that a killed plan resumes.
      progress: told of every trial in words, for example `print`.

    Returns:
      A `Plan`.

    Raises:
      ArgumentError: for a bad argument, before anything compiles.
      StoreError: if the store cannot be read or written.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1, "mle"), cj.Normal(0.0, 1.0), cj.Mixing(1000))
    >>> demand = {"quantity": "variance_ratio", "at_least": 0.95, "probability": None}
    >>> cj.plan(chain, **demand, generations=float("inf"), key=0).bracket
    (0.009, 0.01)
    """
    arguments = dict(locals())
    check_fork()
    check.instance("chain", chain, Chain, "it must be a Chain", "pass collapse_jax.Chain(...)")
    check_budget(budget, chain, knob, generations)
    made = _planned(**arguments)
    return made if budget is None else _priced(made, budget, arguments)


def _priced(made: Plan, budget: Budget, arguments: dict[str, Any]) -> Plan:
    """Return a plan with what other sizes of the corpora cost."""
    chain, store = arguments["chain"], arguments["store"]

    def solve(sized: Chain) -> Plan:
        """Return the plan of a size, with a file of its own."""
        size = sized.policy.num_samples
        if size == chain.policy.num_samples:
            return made
        return _planned(**{**arguments, "chain": sized, "store": _part_of(store, size)})

    offered = offers(chain, budget, int(arguments["generations"]), solve)
    return dataclasses.replace(made, offers=offered, cheapest=cheapest_of(offered))


def _planned(chain: Chain, **given: Any) -> Plan:
    """Return the plan of one size of corpora; the arguments are those of `plan`."""
    names = ("quantity", "at_least", "at_most", "generations", "throughout", "probability", "rare")
    demand = make_demand(chain, **{name: given[name] for name in names})
    setting = _setting(make_knob(chain, given["knob"], given["bounds"], demand.last), demand)
    spent = {name: given[name] for name in ("confidence", "precision", "max_chains")}
    effort = make_effort(**spent, chain=chain, generations=demand.last)
    key, store, bounds, budget = (given[one] for one in ("key", "store", "bounds", "budget"))
    question = question_of(chain, demand, setting, effort, key, given["rare"])
    path = None if store is None else _file(store)
    notify = _notifier(given["knob"], given["progress"])
    trials = Trials(setting, demand, key, effort, path, question, notify)
    written = {} if bounds is None else {"bounds": tuple(bounds)}
    written |= {"rare": given["rare"]} if demand.name == "tail_survival" else {}
    written |= {} if budget is None else {"budget": budget}
    return _made(trials, question, command_of(question, chain, given["quantity"], written))


def _setting(knob: Knob, demand: Demand) -> Knob:
    """Return a knob with levels between rows unless theory knows the mean at whole ones."""
    is_asked = demand.probability is None  # of theory
    if is_asked and exact_mean(knob.at(knob.high), demand, demand.generations) is not None:
        return knob
    return knob.divided()


def _part_of(store: str | Path | None, size: int) -> Path | None:
    """Return the file of the plan for corpora of another size."""
    path = None if store is None else _file(store)
    return None if path is None else path.with_name(f"{path.stem}-{size}{path.suffix}")


def _notifier(knob: str, progress: Callable[[str], Any] | None) -> Callable[[Trial], None]:
    """Return what is called with every trial."""

    def notify(trial: Trial) -> None:
        if progress is not None:
            progress(f"{knob} = {trial.value:.6g}: {shown(trial)}")

    return notify


def _file(store: str | Path) -> Path:
    path = user_path(store)
    if path.is_dir():
        raise StoreError(f"{path} is a directory; name a file such as plan.json")
    return path


def _made(trials: Trials, question: dict[str, Any], command: str) -> Plan:
    """Search, and return the bracket with what is known around it."""
    knob, demand = trials.knob, trials.demand
    ends = knob.low, knob.high
    found = find(trials.verdict, *ends, aim(trials), trials.width, trials.insist)
    level = found.holds
    half = double = sensitivity = limit = rows = equivalent = None
    if level is not None:
        half, double = (_near(trials, ratio, level) for ratio in (0.5, 2))
        sensitivity = _sensitivity(trials, level)
        chain = knob.at(level)
        limit = exact_mean(chain, demand, math.inf)
        rows = original_rows(chain, demand.generations)
        equivalent = equivalent_rows(chain, demand, trials.test(level).estimate)
    reason = _reason(trials, found)
    return Plan(
        question=question,
        demand=str(demand),
        knob=knob.path,
        bracket=(
            None if found.fails is None else knob.value(found.fails),
            None if level is None else knob.value(level),
        ),
        is_feasible=level is not None,
        reason=reason,
        is_exact=all(one.num_chains == 0 for one in trials.made),
        confidence=question["confidence"],
        original_rows=rows,
        equivalent_rows=equivalent,
        sensitivity=sensitivity,
        half=half,
        double=double,
        limit=limit,
        trials=trials.made,
        command=command,
    )


def _near(trials: Trials, ratio: float, answer: int) -> Trial | None:
    """Return what is known of a multiple of the answer, or the best value if that is nearer."""
    knob = trials.knob
    level = min(knob.level(ratio * knob.value(answer)), knob.high)
    return trials.look(level) if knob.low <= level != answer else None


def _sensitivity(trials: Trials, level: int) -> tuple[float, float] | None:
    """Return the change of the mean quantity by 1,000 more rows, with its standard error."""
    knob, more = trials.knob, level + _MORE * trials.knob.parts
    if not (knob.is_share or knob.counts_rows) or more > knob.high:
        return None
    if trials.test(level).num_chains == 0:
        return trials.look(more).estimate - trials.test(level).estimate, 0.0
    gaps = trials.first_values(more) - trials.first_values(level)
    return float(np.mean(gaps)), float(np.std(gaps) / math.sqrt(len(gaps)))


def _reason(trials: Trials, found: Found) -> str:
    """Return why there is no bracket, or what is odd about it; empty if nothing is."""
    knob, high = trials.knob, trials.knob.high
    parts = []
    odd = _out_of_order(trials)
    if (found.fails is None or found.holds is None) and _has_no_effect(trials):
        parts.append(f"{knob.path} has no effect on {trials.demand.name}")
    elif found.holds is None:
        parts.append(f"its best value, {knob.value(high):.6g}, {shown(trials.test(high))}")
        parts += [_better(trials), _remedy(trials)]
    elif found.fails is None and found.holds > knob.low:
        parts.append(f"smaller values stay undecided ({_MORE_CHAINS})")
    elif found.fails is None and not knob.is_open and trials.test(high).holds is False:
        parts.append(f"its other end, {knob.value(high):.6g}, fails: more of it does harm")
    if odd is not None:
        parts.append(f"the demand is not monotone in {knob.path}: {odd}")
    if found.holds is not None and found.fails is not None:
        inside = [one for one in trials.tests.values() if found.fails < one.level < found.holds]
        if inside:
            values = counted(len(inside), "value")
            parts.append(f"{values} inside the bracket stayed undecided ({_MORE_CHAINS})")
    return "; ".join(part for part in parts if part)


def _has_no_effect(trials: Trials) -> bool:
    """Tell whether the quantity is the same at the lowest value and the highest one looked at."""
    low = trials.knob.low
    ends = [trials.look(level) for level in (low, _highest(trials))]
    if ends[0].level == ends[1].level:
        return False
    if all(one.num_chains == 0 for one in ends):
        return ends[0].estimate == ends[1].estimate
    if any(one.num_chains == 0 for one in ends):
        return False
    values = [trials.first_values(one.level) for one in ends]
    return bool(np.array_equal(*values, equal_nan=True))


def _highest(trials: Trials) -> int:
    """Return the highest level, or of those tried where the highest one is a guess."""
    return trials.made[-1].level if trials.knob.is_open else trials.knob.high


def _better(trials: Trials) -> str:
    """Return that another value is better than the best one; empty if none is known."""
    known = {one.level: one for one in trials.made if math.isfinite(one.margin)}
    last = known.get(trials.knob.high)
    if last is None:
        return ""
    best = max(known.values(), key=lambda one: one.margin)
    error = _SURE * math.hypot(best.margin_error, last.margin_error)
    if best.margin - last.margin <= error + _ROUNDING * abs(last.margin):
        return ""
    setting = f"{trials.knob.path} = {best.value:.6g}"
    if best.level == trials.knob.low:
        return f"more of it does harm: {setting} is better"
    return f"the quantity is not monotone: {setting} is better; pass bounds around it"


def _remedy(trials: Trials) -> str:
    """Return what would help where no value is enough."""
    knob, demand = trials.knob, trials.demand
    if trials.test(knob.high).holds is None:
        return "raise max_chains, or demand less"
    if knob.is_share:
        return "with original rows alone corpora are too small; raise policy.num_samples"
    ways = ["demand less"]
    if demand.generations != math.inf and int(demand.generations) > 0:
        ways.append("pass fewer generations")
    if knob.name != "gamma" and hasattr(knob.chain.policy, "gamma"):
        ways.append("raise policy.gamma")
    return " or ".join(ways)


def _out_of_order(trials: Trials) -> str | None:
    """Return which verdicts contradict that larger values help; None if none does."""
    knob = trials.knob
    if all(one.num_chains == 0 for one in trials.made):  # theory costs little: look around
        for level in np.linspace(knob.low, _highest(trials), _SPREAD).round().astype(int):
            trials.look(int(level))
    while (pair := _suspicious(trials)) is not None:  # its looks, not yet tested
        for level in pair:
            trials.test(level)
    known = [one for one in trials.made if one.holds is not None]
    holding = [one for one in known if one.holds]
    if not holding:
        return None
    least = holding[0]
    above = [one for one in known if one.holds is False and one.level > least.level]
    return None if not above else f"{least.value:.6g} holds and {above[0].value:.6g} fails"


def _suspicious(trials: Trials) -> tuple[int, int] | None:
    """Return levels of which the lower one seems to hold and the higher one to fail, by looks."""
    clear = [one for one in trials.made if abs(one.margin) > _SURE * one.margin_error]
    for one in clear:
        for other in clear:
            if one.level < other.level and one.margin > 0 > other.margin:
                pair = one.level, other.level
                if not all(level in trials.tests for level in pair):
                    return pair
    return None

"""Find the cheapest size of a corpus and share of original rows that meet a demand."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from collapse_jax.core.chain import Chain
from collapse_jax.engine.sweep import with_settings
from collapse_jax.planning.rows import OriginalRows
from collapse_jax.utils import check

_RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of sizes to the chain's own, unless told otherwise
_ROUNDS = 5  # of sizes between the cheapest one and its neighbours, where theory knows
_SIZE = "policy.num_samples"


@dataclasses.dataclass(frozen=True)
class Budget:
    """Prices of rows, and sizes of a corpus among which the cheapest is wanted.

    An original row is paid when it is first read; one that is used again costs nothing. A row of a
    model costs `synthetic`, and `verified` as well where a verifier, a selection or a detector
    decides on it.

    Args:
      original: price of an original row, in any currency.
      synthetic: price of a row of a model.
      verified: price of deciding on a row of a model.
      sizes: rows of a corpus; None for 1/4, 1/2, 1, 2 and 4 times the chain's own.

    Raises:
      ArgumentError: for a negative price, no price at all, or a bad size.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1, "mle"), cj.Normal(0.0, 1.0), cj.Mixing(1000))
    >>> demand = {"quantity": "variance_ratio", "at_least": 0.95, "probability": None}
    >>> budget = cj.Budget(original=1.0, synthetic=0.01)
    >>> cj.plan(chain, **demand, generations=50, budget=budget, key=0).cheapest.size
    52
    """

    original: float
    synthetic: float = 0.0
    verified: float = 0.0
    sizes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        for name in ("original", "synthetic", "verified"):
            remedy = "pass a price such as 1.0"
            price = check.number(f"Budget.{name}", getattr(self, name), 0, math.inf, remedy)
            object.__setattr__(self, name, price)
        if self.original == self.synthetic == self.verified == 0:
            raise check.fail("Budget.original", 0.0, "some row must cost something", "pass a price")
        if self.sizes is not None:
            check.not_empty("Budget.sizes", list(self.sizes))
            sizes = [check.integer("Budget.sizes", one, 1) for one in self.sizes]
            object.__setattr__(self, "sizes", tuple(sorted(set(sizes))))


class Offer(NamedTuple):
    """What a size of the corpus costs, with the smallest setting that is enough.

    Attributes:
      size: M, rows of a corpus.
      value: of the setting; None if no value is known to be enough.
      original: original rows that have to exist.
      synthetic: rows of models in all generations.
      cost: of these rows; infinite if no value is enough.

    >>> import collapse_jax as cj
    >>> cj.Offer(size=100, value=0.1, original=120.0, synthetic=180.0, cost=300.0).cost
    300.0
    """

    size: int
    value: float | None
    original: float
    synthetic: float
    cost: float


def check_budget(budget: Any, chain: Chain, knob: str, generations: int | float) -> Budget | None:
    """Return the budget, checked against the question.

    Args:
      budget: as given.
      chain: the process.
      knob: path of the setting.
      generations: the last one.

    Raises:
      ArgumentError: for a budget of another class, or a question without sizes to choose.
    """
    if budget is None:
        return None
    remedy = "pass Budget(original=1.0, synthetic=0.01)"
    check.instance("budget", budget, Budget, "it must be a Budget", remedy)
    if knob == _SIZE:
        allowed = "a budget chooses the size of the corpus itself"
        raise check.fail("knob", knob, allowed, "name the setting that is to suffice")
    if generations == math.inf:
        allowed = "for ever costs any sum"
        raise check.fail("generations", generations, allowed, "pass a last generation")
    if not isinstance(getattr(chain.policy, "num_samples", None), int):
        allowed = "a budget needs corpora of one size"
        raise check.fail("budget", budget, allowed, "pass one number as num_samples")
    return budget


def offers(
    chain: Chain, budget: Budget, generations: int, solve: Callable[[Chain], Any]
) -> tuple[Offer, ...]:
    """Return what each size costs, by size.

    Args:
      chain: the process.
      budget: prices and sizes.
      generations: the last one.
      solve: chain -> its `Plan`.
    """
    own = int(chain.policy.num_samples)
    sizes = budget.sizes or sorted({max(round(ratio * own), 2) for ratio in _RATIOS})
    made = {size: _offer(chain, budget, generations, solve, size) for size in sizes}
    if budget.sizes is None and all(is_exact for _, is_exact in made.values()):
        for _ in range(_ROUNDS):
            for size in _nearby({size: offer for size, (offer, _) in made.items()}):
                made[size] = _offer(chain, budget, generations, solve, size)
    return tuple(made[size][0] for size in sorted(made))


def cheapest_of(offered: Sequence[Offer]) -> Offer | None:
    """Return the cheapest offer, the smallest corpus of equal ones; None if there is none.

    Args:
      offered: by size.
    """
    possible = [one for one in offered if one.value is not None]
    return min(possible, key=lambda one: one.cost, default=None)


def _nearby(known: dict[int, Offer]) -> list[int]:
    """Return new sizes between the cheapest one and its neighbours, or beyond an end."""
    best = cheapest_of([known[size] for size in sorted(known)])
    if best is None:
        return []
    sizes = sorted(known)
    index = sizes.index(best.size)
    lower = sizes[index - 1] if index else max(best.size // 4, 2)
    upper = sizes[index + 1] if index + 1 < len(sizes) else 4 * best.size
    between = {round(math.sqrt(one * best.size)) for one in (lower, upper)}
    return sorted(between - set(sizes))


def _offer(
    chain: Chain, budget: Budget, generations: int, solve: Callable[[Chain], Any], size: int
) -> tuple[Offer, bool]:
    """Return what a size costs, and whether theory knows."""
    sized = with_settings(chain, {_SIZE: size})
    found = solve(sized)
    if found.bracket[1] is None:
        return Offer(size, None, math.nan, math.nan, math.inf), found.is_exact
    rows: OriginalRows = found.original_rows
    total = float(
        sum(with_settings(sized, {found.knob: found.bracket[1]}).policy.sizes(generations))
    )
    synthetic = total - rows.first - rows.per_generation * generations
    policy: Any = sized.policy
    is_verified = policy.selected_by is not None or getattr(policy, "detector", None) is not None
    each = budget.synthetic + (budget.verified if is_verified else 0.0)
    cost = budget.original * rows.total + each * synthetic
    return Offer(size, found.bracket[1], rows.total, synthetic, cost), found.is_exact

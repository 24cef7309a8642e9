"""Hold the answer of a plan: the bracket, its proof, and what is known around it."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from collapse_jax.planning.budget import Offer
from collapse_jax.planning.rows import OriginalRows
from collapse_jax.planning.trials import Trial
from collapse_jax.utils.paths import user_path


@dataclasses.dataclass(frozen=True)
class Plan:
    """The smallest value of a setting for which a demand holds.

    Attributes:
      question: what was asked, JSON-able.
      demand: the demand in words.
      knob: path of the setting.
      bracket: a value that fails and one that holds; None where there is none.
      is_feasible: whether some value holds.
      reason: why there is no bracket, or what is odd; empty if nothing is.
      is_exact: whether every verdict is by theory.
      confidence: probability that both ends of the bracket are right.
      original_rows: original rows that the chain reads at the value that holds; None if none does.
      equivalent_rows: how many original rows alone give a model as good as the last one at that
        value; None where theory does not know.
      sensitivity: change of the mean quantity by 1,000 more rows, and its standard error; None if
        the setting counts no rows, or has not as many more.
      half: what is known at half of the value that holds, or at the best value before it; None if
        that is no other value.
      double: the same at twice the value.
      limit: mean quantity after infinitely many generations at that value, None if unknown.
      trials: all that was tried, by level.
      command: code or command that repeats the plan.
      offers: what each size of the corpora costs, where a budget was given.
      cheapest: of them; None if there is none.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> question = {"quantity": "variance_ratio", "at_most": 0.0, "generations": 5}
    >>> plan = cj.plan(chain, **question, knob="policy.num_samples", probability=None, key=0)
    >>> plan.is_feasible, plan.bracket
    (False, (1048576, None))
    """

    question: dict[str, Any]
    demand: str
    knob: str
    bracket: tuple[float | None, float | None]
    is_feasible: bool
    reason: str
    is_exact: bool
    confidence: float
    original_rows: OriginalRows | None
    equivalent_rows: int | None
    sensitivity: tuple[float, float] | None
    half: Trial | None
    double: Trial | None
    limit: float | None
    trials: tuple[Trial, ...]
    command: str
    offers: tuple[Offer, ...] = ()
    cheapest: Offer | None = None

    @property
    def answer(self) -> str:
        """Return the answer in one sentence."""
        fails, holds = self.bracket
        if holds is None:
            return f"No value of {self.knob} is known to be enough: {self.reason}."
        if fails is None and self.reason.startswith("smaller values"):
            return f"{self.knob} = {holds:.6g} is enough; less may be enough, too."
        if fails is None:
            worst, best = self.question["bounds"]
            end = "smallest" if worst < best else "largest"
            return f"{self.knob} = {holds:.6g} is enough, the {end} value there is."
        return f"{self.knob} = {holds:.6g} is enough, and {fails:.6g} is not."

    @property
    def assumption(self) -> str:
        """Return what the answer assumes, in one sentence."""
        proof = "exact theory" if self.is_exact else f"simulation, confidence {self.confidence:g}"
        settings = self.question["chain"]
        names = ", ".join(settings[part]["type"] for part in ("family", "source", "policy"))
        ends = "" if self.is_exact else " Tests end early, so that their means lean to the verdict."
        return f"Demanded: {self.demand}. Assumed: {names}; by {proof}.{ends}"

    def __str__(self) -> str:
        """Return the answer, what it assumes, and what it costs, a line each."""
        lines = [self.answer, self.assumption]
        if self.reason and self.is_feasible:
            lines.append(f"Note: {self.reason}.")
        if self.original_rows is not None:
            rows = self.original_rows
            lines.append(
                f"Original rows: {rows.first:,} first, {rows.per_generation:,.6g} per generation, "
                f"{rows.total:,.6g} in all."
            )
        if self.equivalent_rows is not None:
            lines.append(
                f"The last model is as good as one of {self.equivalent_rows:,} original rows."
            )
        answer, best = self.bracket[1] or 0, self.question["bounds"][1]
        for name, ratio, trial in (("half", 0.5, self.half), ("twice", 2, self.double)):
            if trial is not None:
                is_cut = trial.value == best != ratio * answer
                name = "the best value" if is_cut else f"{name} the value"
                lines.append(f"At {name}, {trial.value:.6g}: {shown(trial)}.")
        if self.sensitivity is not None:
            change, error = self.sensitivity
            lines.append(f"1,000 more rows change the quantity by {change:.3g} ± {error:.1g}.")
        if self.limit is not None:
            lines.append(f"After infinitely many generations the quantity is {self.limit:.6g}.")
        if self.offers:
            lines.append(self._cheapest_line)
        return "\n".join(lines)

    @property
    def _cheapest_line(self) -> str:
        """Return the cheapest offer in one sentence."""
        best = self.cheapest
        if best is None:
            return "No size of the corpora that was tried is enough."
        return (
            f"Cheapest of {len(self.offers)} sizes: corpora of {best.size:,} rows with {self.knob} "
            f"= {best.value:.6g} cost {best.cost:,.6g}, for {best.original:,.6g} original rows and "
            f"{best.synthetic:,.6g} of models."
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        content = dataclasses.asdict(self)
        rows = self.original_rows
        content["original_rows"] = None if rows is None else rows._asdict()
        content["offers"] = [one._asdict() for one in self.offers]
        content["cheapest"] = None if self.cheapest is None else self.cheapest._asdict()
        return _strict({"answer": self.answer, "assumption": self.assumption, **content})

    def report(self, path: str | Path) -> Path:
        """Write a page with the answer, the figure and all trials; next to it a file of JSON.

        Args:
          path: of the HTML file, or a directory for report.html.

        Returns:
          The path of the page.

        Raises:
          StoreError: if it cannot be written.
        """
        from collapse_jax.planning.page import write_page

        return write_page(self, user_path(path))


def _strict(value: Any) -> Any:
    """Return values that every reader of JSON takes: text for infinite numbers."""
    if isinstance(value, dict):
        return {name: _strict(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def shown(trial: Trial) -> str:
    """Return a trial in words.

    Args:
      trial: of a plan.
    """
    if trial.num_chains == 0:
        return f"{'holds' if trial.holds else 'fails'}, mean {trial.estimate:.6g} by theory"
    verdict = {True: "holds, ", False: "fails, ", None: "stays undecided, "}[trial.holds]
    return (
        f"{verdict if trial.is_tested else ''}mean {trial.estimate:.4g} ± "
        f"{trial.standard_error:.1g}, "
        f"demand met by {trial.share:.1%} of {trial.num_chains:,} chains"
    )

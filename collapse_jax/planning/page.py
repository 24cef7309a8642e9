"""Write the page of a plan: the answer, what it assumes, the figure, all trials."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.plots.data import save_with_numbers
from collapse_jax.plots.style import new_figure, scale_logarithmically, styled
from collapse_jax.report import write_report
from collapse_jax.store.files import store_errors

_COLOURS = {True: "#009E73", False: "#D55E00", None: "#999999"}
_WORDS = {True: "holds", False: "fails", None: "undecided"}
_FAR = 50  # ratio of the highest to the lowest value, beyond which the axis is logarithmic


def write_page(plan: Any, path: Path) -> Path:
    """Write report.html and the same as JSON.

    Args:
      plan: a `Plan`.
      path: of the HTML file, or a directory for report.html.

    Returns:
      The path of the page.
    """
    page = path if path.suffix == ".html" else path / "report.html"
    with store_errors(page):
        page.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            figures = {_caption(plan): figure_plan(plan)}
            if plan.cheapest is not None:
                figures["Cost by size of the corpora"] = figure_offers(plan)
            pictures = {
                caption: save_with_numbers(figure, Path(folder), f"plan-{index}")
                for index, (caption, figure) in enumerate(figures.items())
            }
            write_report(
                page,
                title=plan.answer,
                finding=plan.assumption,  # the second line, below the answer
                sentences=str(plan).split("\n")[2:],
                table=table_of(plan),
                figures=pictures,
                config=plan.question,
                command=plan.command,
                provenance={"command": plan.command},
            )
        page.with_suffix(".json").write_text(json.dumps(plan.to_json(), indent=1))
    return page


@styled
def figure_offers(plan: Any) -> Any:
    """Draw the cost by size of the corpora, with the smallest value of the setting that is enough.

    Args:
      plan: a `Plan` with offers.

    Returns:
      A matplotlib Figure.
    """
    figure, axes = new_figure(7.0, 4.2, 1, 1)
    axis, possible = axes[0][0], [one for one in plan.offers if one.value is not None]
    axis.plot([one.size for one in possible], [one.cost for one in possible], "o-", color="#0072B2")
    for one in possible:
        axis.annotate(
            f"{one.value:.3g}", (one.size, one.cost), (0, 6), textcoords="offset points", fontsize=8
        )
    axis.plot(plan.cheapest.size, plan.cheapest.cost, "o", color="#009E73", label="cheapest")
    axis.set_xscale("log")
    axis.set_xlabel(f"rows of a corpus; at the points {plan.knob}")
    axis.set_ylabel("cost")
    axis.legend(fontsize=8)
    return figure


def _caption(plan: Any) -> str:
    quantity = str(plan.question["quantity"]).replace("_", " ")
    return f"{quantity.capitalize()} by {plan.knob}: {plan.answer}"


def table_of(plan: Any) -> list[list[str]]:
    """Return all trials as rows of cells, the first row is the header.

    Args:
      plan: a `Plan`.
    """
    header = [plan.knob, "demand", "mean", "±", "chains that meet it", "chains"]
    rows = [
        [
            f"{one.value:.6g}",
            _WORDS[one.holds] if one.is_tested else "looked at",
            f"{one.estimate:.5g}",
            f"{one.standard_error:.1g}" if one.num_chains else "exact",
            f"{one.share:.1%}" if one.num_chains else "",
            f"{one.num_chains:,}" if one.num_chains else "theory",
        ]
        for one in plan.trials
    ]
    return [header, *rows]


@styled
def figure_plan(plan: Any) -> Any:
    """Draw the quantity, and the share of chains that meet the demand, by value of the setting.

    Args:
      plan: a `Plan`.

    Returns:
      A matplotlib Figure.
    """
    is_simulated = any(one.num_chains for one in plan.trials)
    has_shares = is_simulated and plan.question["probability"] is not None
    figure, axes = new_figure(11.5 if has_shares else 7.0, 4.2, 1, 2 if has_shares else 1)
    limit = plan.question.get("at_least", plan.question.get("at_most"))
    quantity = str(plan.question["quantity"]).replace("_", " ")
    means = [one.estimate for one in plan.trials]
    errors = [2 * one.standard_error for one in plan.trials]
    _draw(axes[0][0], plan, means, errors, limit, f"mean {quantity}")
    if has_shares:
        simulated = [one.share for one in plan.trials]
        spreads = [2 * _spread(one) for one in plan.trials]
        label = "chains that meet the demand"
        _draw(axes[0][1], plan, simulated, spreads, plan.question["probability"], label)
    return figure


def _spread(trial: Any) -> float:
    return float(np.sqrt(trial.share * (1 - trial.share) / max(trial.num_chains, 1)))


def _draw(
    axis: Any, plan: Any, values: list, errors: list, limit: float | None, label: str
) -> None:
    """Draw values by setting, the limit as a line and the bracket as a band."""
    settings = np.array([one.value for one in plan.trials], float)
    for verdict, colour in _COLOURS.items():
        chosen = [index for index, one in enumerate(plan.trials) if one.holds is verdict]
        if chosen:
            axis.errorbar(
                settings[chosen],
                np.array(values)[chosen],
                np.array(errors)[chosen],
                fmt="o",
                color=colour,
                label="no verdict" if verdict is None else _WORDS[verdict],
            )
    if limit is not None:
        axis.axhline(limit, color="#444444", linewidth=1, linestyle="--", label="limit")
    fails, holds = plan.bracket
    if fails is not None and holds is not None:
        axis.axvspan(fails, holds, color="#0072B2", alpha=0.2, label="bracket")
    positive = settings[settings > 0]
    if positive.size and positive.max() > _FAR * positive.min():
        if np.all(settings > 0):
            scale_logarithmically(axis, "x")
        else:
            axis.set_xscale("symlog", linthresh=float(positive.min()))
    axis.set_xlabel(plan.knob)
    axis.set_ylabel(label)
    axis.legend(fontsize=8)

"""State claims of the literature about chains on finitely many states, and test them in a run."""

import math

import numpy as np

from collapse_jax.results.claims import Claim
from collapse_jax.results.setting import Regime, Setting
from collapse_jax.results.statements import (
    FEWEST_CHAINS,
    Finding,
    agreement,
    exceeds,
    few_chains,
)

_PAPER = "Shumailov et al. 2024, discrete distributions with exact approximation"
_LEFT = math.exp(-1)  # share of the initial diversity below which a few chains decide the mean
_RATIO = 1.5  # least ratio of mean probabilities at which states are called rarer than others


def _is_replacing(setting: Setting) -> bool:
    return setting.is_plain_under(Regime.REPLACE)


def _is_redrawing(setting: Setting) -> bool:
    return setting.is_plain_under(Regime.REDRAWN)


def _is_accumulating(setting: Setting) -> bool:
    adds_original = setting.policy.get("num_original")
    return setting.is_plain_under(Regime.ACCUMULATE) and not adds_original


def _survival(setting: Setting) -> Finding:
    """Compare rare with frequent states of model 0 in the first model that has lost half of all."""
    probabilities = setting.records["probabilities"]
    counts = np.sum(probabilities > 0, axis=(1, 2))
    halved = np.flatnonzero(counts <= counts[0] / 2)
    index = int(halved[0]) if halved.size else -1
    alive, initial = probabilities[[0, index]] > 0, np.asarray(np.mean(probabilities[0], axis=0))
    order = np.argsort(initial, kind="stable")
    order = order[initial[order] > 0]
    rare, common = order[: max(1, len(order) // 2)], order[-max(1, len(order) // 10) :]
    with np.errstate(invalid="ignore"):
        left = [
            np.sum(alive[0] & alive[1] & mask, axis=1) / np.sum(alive[0] & mask, axis=1)
            for mask in (np.isin(np.arange(len(initial)), states) for states in (rare, common))
        ]
    words = (
        f"of the states in model 0, alive in model {setting.records['generation'][index]:,}: "
        f"{np.nanmean(left[0]):.1%} of the rarer half, {np.nanmean(left[1]):.1%} of the most "
        "frequent tenth"
    )
    if len(order) < 2:
        return Finding(words, None, "there is a single state")
    if np.mean(initial[common]) < _RATIO * np.mean(initial[rare]):
        return Finding(words, None, "all states are about equally likely")
    if not np.any(alive[0] & ~alive[1]):
        return Finding(words, None, "no state was lost")
    differences = left[1] - left[0]
    differences = differences[np.isfinite(differences)]
    number = len(differences)
    if number < FEWEST_CHAINS:
        return Finding(words, None, few_chains(number))
    error = np.std(differences, ddof=1) / math.sqrt(number)
    holds = exceeds(np.array([np.mean(differences)]), np.array([error]), number)
    return Finding(words, holds, "the difference may be chance")


def _diversity(setting: Setting) -> Finding:
    """Compare 1 - sum p^2 with its expectation while a third of the diversity is left."""
    records = setting.records
    means = np.asarray(np.mean(records["heterozygosity"], axis=1, dtype=np.float64))
    if "heterozygosity" not in records.theory:
        words = f"model {setting.num_generations:,}: {means[-1]:.4g}"
        return Finding(words, None, "its expectation is not known for this source")
    exact = records.theory["heterozygosity"].values
    if exact[0] == 0:
        return Finding("the original rows are a single state", None, "nothing can be lost")
    index = int(np.flatnonzero(exact >= _LEFT * exact[0])[-1])
    chains = setting.num_chains
    spread = np.std(records["heterozygosity"][index], dtype=np.float64)
    name = f"model {records['generation'][index]:,}"
    at = slice(index, index + 1)
    error = setting.standard_errors(np.array([spread]))
    found = agreement([name], means[at], error, exact[at], chains)
    if index == 0:
        return Finding(found.words, None, "no later model that has a third of its diversity")
    return found


def _loss_text(setting: Setting) -> str:
    size = "M" if setting.size else "M_g"
    return (
        "Diversity is lost until a single state is left: E(1 - sum p^2) falls by the factor "
        f"1 - 1/{size} per generation."
    )


CLAIMS = (
    Claim(
        "States of low probability are lost first: early collapse.",
        _PAPER,
        _is_replacing,
        _survival,
    ),
    Claim(_loss_text, f"{_PAPER}; Wright-Fisher chains", _is_replacing, _diversity),
    Claim(
        "Redrawn original rows in every corpus bound the loss of diversity: E(1 - sum p^2) tends "
        "to a positive limit.",
        "Shumailov et al. 2024, equation (1) with beta = 0; Wright-Fisher chains",
        _is_redrawing,
        _diversity,
    ),
    Claim(
        "If data accumulate, diversity is not lost: E(1 - sum p^2) is multiplied by "
        "1 - M_g / N_g^2, N_g the rows up to generation g, and tends to a positive limit.",
        "Gerstgrasser et al. 2024, arXiv 2404.01413; Kazdan et al. 2024, arXiv 2410.16713",
        _is_accumulating,
        _diversity,
    ),
)
"""Claims of the study `discrete`, each with the settings that it is made for."""

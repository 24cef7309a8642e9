"""State claims of the literature about Gaussian mixtures, and test them in a run."""

import numpy as np

from collapse_jax.results.claims import Claim
from collapse_jax.results.setting import Regime, Setting
from collapse_jax.results.statements import FEWEST_CHAINS, Finding, exceeds, few_chains, plus_minus
from collapse_jax.utils.counted import counted

_PAPER = "Shumailov et al. 2024, Gaussian mixtures"
_ALMOST = 0.05  # share of the variance: less is called almost none
_OF_MEDIAN = 1.2533 / 3.29  # standard error of a normal median over the 5 to 95 % range
_LONG = 4  # generations over rows: replacing rows loses almost all variance well before


def _is_replacing(setting: Setting) -> bool:
    return setting.is_plain_under(Regime.REPLACE) and setting.num_generations >= 2


def _text(setting: Setting) -> str:
    several = ", faster for fewer rows" if len(setting.records["num_samples"]) > 1 else ""
    return f"Models drift away from the original{several}."


def _drift(setting: Setting) -> Finding:
    """Compare distances from model 0 of the next and of the last model, and of sizes."""
    records = setting.records
    sizes, chains = records["num_samples"], records["num_chains"]
    quantiles = records["log_l2_squared_quantile"][1:]  # model 0 has no distance from itself
    low, middle, high = np.moveaxis(quantiles, 1, 0)
    errors = _OF_MEDIAN * (high - low) / np.sqrt(chains)
    shown = "; ".join(
        f"M = {size:,}: {begin:.3g} to {final:.3g}{plus_minus(error)}"
        for size, begin, final, error in zip(sizes, middle[0], middle[-1], errors[-1], strict=True)
    )
    following, last = records["generation"][1], setting.num_generations
    words = f"median of ln L2 distance^2 from model 0, model {following} to {last:,}: {shown}"
    use = np.argsort(sizes)[chains[np.argsort(sizes)] >= FEWEST_CHAINS]
    if not use.size:
        return Finding(words, None, few_chains(int(np.max(chains))))
    differences = np.append(middle[-1, use] - middle[0, use], -np.diff(middle[-1, use]))
    both = errors[-1, use[1:]] + errors[-1, use[:-1]]
    allowed = np.append(errors[-1, use] + errors[0, use], both)
    holds = exceeds(differences, allowed, int(np.min(chains[use])))
    return Finding(words, holds, "the differences may be chance")


def _loss(setting: Setting) -> Finding:
    """Compare the spread of the smallest size at both ends of the run."""
    records = setting.records
    k = int(np.argmin(records["num_samples"]))
    size, chains = int(records["num_samples"][k]), int(records["num_chains"][k])
    low, middle, high = records["log_spread_quantile"][:, :, k].T
    words = (
        f"M = {size:,}: ln std of a component, median and 5 to 95 % of chains, from "
        f"{middle[0]:.3g} ({low[0]:.3g} to {high[0]:.3g}) "
        f"to {middle[-1]:.3g} ({low[-1]:.3g} to {high[-1]:.3g})"
    )
    if chains < FEWEST_CHAINS:
        return Finding(words, None, few_chains(chains))
    if 2 * (high[-1] - middle[0]) < np.log(_ALMOST):
        return Finding(words, True)
    if setting.num_generations >= _LONG * size:
        return Finding(words, False)
    reason = f"{counted(setting.num_generations, 'generation')} may be too few for M = {size:,}"
    return Finding(words, None, reason)


CLAIMS = (
    Claim(_text, _PAPER, _is_replacing, _drift),
    Claim("In the end almost all variance is lost.", _PAPER, _is_replacing, _loss),
)
"""Claims of the studies `gmm` and `gmm-pair`, each with the settings that it is made for."""

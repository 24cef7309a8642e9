"""State claims of the literature about one-dimensional Gaussian chains, and test them in a run."""

import math

import numpy as np

from collapse_jax.results.claims import Claim
from collapse_jax.results.policy_words import one_if_constant
from collapse_jax.results.setting import Regime, Setting, entries
from collapse_jax.results.statements import (
    FEWEST_CHAINS,
    Finding,
    agreement,
    cannot_tell,
    exceeds,
    few_chains,
    most_errors,
    plus_minus,
)

_PAPER = "Shumailov et al. 2024, one-dimensional Gaussian"
_LIMIT = math.pi**2 / 6  # sum of 1 / i^2: growth of the squared error if data accumulate
_EARLY = 0.25  # generations over rows up to which the mean over chains is nearly normal


def _is_replacing(setting: Setting) -> bool:
    return setting.is_plain_under(Regime.REPLACE)


def is_exact(setting: Setting) -> bool:
    """Tell whether ln sigma and the distance have known expectations.

    Args:
      setting: what was run.
    """
    return _is_replacing(setting) and setting.source.get("type") == "Normal"


def _is_accumulating(setting: Setting) -> bool:
    is_known = setting.source.get("type") == "Normal" and not setting.policy.get("num_original")
    return is_known and setting.is_plain_under(Regime.ACCUMULATE)


def _is_redrawing(setting: Setting) -> bool:
    is_known = setting.source.get("type") == "Normal"
    return is_known and setting.is_plain_under(Regime.REDRAWN)


def names_of(setting: Setting) -> list[str]:
    """Return the sizes in words.

    Args:
      setting: what was run.
    """
    return [f"M = {size:,}" for size in setting.records["num_samples"]]


def _last_before(setting: Setting, most: float) -> int:
    """Return the index of the last recorded generation that is at most `most`."""
    return int(np.searchsorted(setting.records["generation"], most, "right")) - 1


def _standard_errors(setting: Setting, name: str) -> np.ndarray:
    """Return standard errors of the mean over chains of a variable, [generation, num_samples]."""
    return setting.standard_errors(setting.records[f"{name}_std"])


def _growth_text(setting: Setting) -> str:
    several = ", faster for fewer rows" if len(setting.records["num_samples"]) > 1 else ""
    return f"The error of the mean grows with the generations{several}."


def _growth(setting: Setting) -> Finding:
    """Compare the errors of models 0 and g, and of sizes; g <= M, before any error saturates."""
    records = setting.records
    index = _last_before(setting, float(np.min(records["num_samples"])))
    means, errors = records["mean_error_mean"], _standard_errors(setting, "mean_error")
    at = f"model {records['generation'][index]:,}"
    words = "; ".join(
        f"{name}: {first:.3g} to {last:.3g}{plus_minus(error)}"
        for name, first, last, error in zip(
            names_of(setting), means[0], means[index], errors[index], strict=True
        )
    )
    words = f"mean of |mu error|, model 0 to {at}: {words}"
    if index == 0:
        return Finding(words, None, "no model from 1 to M was recorded")
    if setting.num_chains < FEWEST_CHAINS:
        return Finding(words, None, few_chains(setting.num_chains))
    if not np.all(np.isfinite(means[[0, index]])):
        return Finding("no chain is left", None, "all rows of a corpus were equal")
    differences = np.append(means[index] - means[0], -np.diff(means[index]))
    both = errors[index, 1:] + errors[index, :-1]
    holds = exceeds(differences, np.append(errors[index] + errors[0], both), setting.num_chains)
    return Finding(words, holds, "the differences may be chance")


def _squared_errors(setting: Setting, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean square of the mean's error and its standard error for a nearly normal law."""
    means, stds = (setting.records[f"mean_error_{part}"][index] for part in ("mean", "std"))
    squares = np.asarray(means, np.float64) ** 2 + np.asarray(stds, np.float64) ** 2
    return squares, setting.standard_errors(squares * math.sqrt(2))


def _bounded(setting: Setting) -> Finding:
    """Compare the error of the last model with its bound under accumulation."""
    variance = float(np.ravel(setting.source["covariance"])[0])
    bounds = _LIMIT * variance / setting.records["num_samples"]
    squares, errors = _squared_errors(setting, -1)
    words = "; ".join(
        f"{name}: {square:.3g}{plus_minus(error)} (bound {bound:.3g})"
        for name, square, error, bound in zip(
            names_of(setting), squares, errors, bounds, strict=True
        )
    )
    words = f"model {setting.num_generations:,}: {words}"
    if setting.num_chains < FEWEST_CHAINS:
        return Finding(words, None, few_chains(setting.num_chains))
    allowed = bounds + most_errors(setting.num_chains) * errors
    if not np.all(squares <= allowed):
        return Finding(words, False)
    reason = cannot_tell(errors, bounds, setting.num_chains)
    return Finding(words, None if reason else True, reason)


def _redrawn_text(setting: Setting) -> str:
    original = one_if_constant(setting.policy.get("num_original") or 0)
    rows = "(M + N_g)" if not isinstance(original, int) else f"(M + {original:,})"
    return (
        "New original rows in every corpus bound the error of the mean: from its expected square V "
        f"in one model follows that in the next, c V + s/{rows if original else 'M'} with c < 1. c "
        "is the mean square of the share of rows that the model makes, s the expected variance of "
        "a row about the mean of the law that it is drawn from."
    )


def _corpus_name(setting: Setting, size: int, generation: int) -> str:
    """Return the rows of a corpus, those of the policy that are original included, and its model.

    Args:
      setting: what was run.
      size: M, of the rows that the model makes.
      generation: of the corpus.
    """
    given = one_if_constant(setting.policy.get("num_original") or 0)
    name, original = f"M = {size:,}", entries(given)
    if original is None:  # the config has only a digest
        return f"{name}, model {generation:,}"
    is_schedule = len(original) > 1
    rows = original[generation if is_schedule else 0]
    if is_schedule or rows:
        more = f"N_{generation}" if is_schedule else f"{rows:,}"
        name = f"M + {more} = {size + rows:,}"
    return f"{name}, model {generation:,}"


def _redrawn(setting: Setting) -> Finding:
    """Compare the error of an early model with its expectation."""
    exact, sizes = setting.records.theory["mean_variance"].values[:, 0], []
    for size in setting.records["num_samples"]:
        sizes.append(_last_before(setting, max(1.0, _EARLY * size)))
    columns = list(enumerate(sizes))
    pairs = [[part[k] for part in _squared_errors(setting, at)] for k, at in columns]
    means, errors = np.array(pairs).T
    names = [
        _corpus_name(setting, size, int(setting.records["generation"][at]))
        for size, at in zip(setting.records["num_samples"], sizes, strict=True)
    ]
    expected = np.array([exact[at, k] for k, at in columns])
    return agreement(names, means, errors, expected, setting.num_chains)


def _spread_text(setting: Setting) -> str:
    divisor = "M - 1" if setting.family["estimator"] == "unbiased" else "M"
    return (
        f"The spread is lost at a constant rate: with the divisor {divisor} of the variance, "
        f"E ln(sigma_n / sigma) = n/2 [psi((M - 1)/2) - ln(({divisor})/2)] after n fits."
    )


def _spread(setting: Setting) -> Finding:
    """Compare losses with their expectations; that of the smallest size must exceed chance."""
    records, sizes = setting.records, setting.records["num_samples"]
    exact = records.theory["log_std"].values[-1]
    return agreement(
        names_of(setting),
        records["log_std_mean"][-1],
        _standard_errors(setting, "log_std")[-1],
        exact,
        setting.num_chains,
        np.where(sizes == np.min(sizes), np.abs(exact), np.inf),
    )


def _distance_text(setting: Setting) -> str:
    if setting.family["estimator"] == "unbiased":
        return (
            "The expected squared Wasserstein distance from the truth grows without bound, at "
            "first as 3n/(2M): n/M + 2 (1 - a(M)^n) in units of sigma^2, a(M) = E sigma_hat/sigma."
        )
    return (
        "The expected squared Wasserstein distance from the truth grows towards 2 sigma^2, at "
        "first as 3n/(2M): 2 (1 - a(M)^n) in units of sigma^2, a(M) = E sigma_hat/sigma."
    )


def _distance(setting: Setting) -> Finding:
    """Compare distances after at most M generations: later a few chains decide the mean."""
    records, sizes = setting.records, setting.records["num_samples"]
    indices = np.array([_last_before(setting, float(size)) for size in sizes])
    at = (indices, np.arange(len(sizes)))
    names = [
        f"{name}, model {records['generation'][index]:,}"
        for name, index in zip(names_of(setting), indices, strict=True)
    ]
    means = records["wasserstein2_squared_mean"][at]
    errors = _standard_errors(setting, "wasserstein2_squared")[at]
    exact = records.theory["wasserstein2_squared"].values[at]
    found = agreement(names, means, errors, exact, setting.num_chains)
    if not np.all(indices > 0):
        return Finding(found.words, None, "no model from 1 to M was recorded")
    return found


CLAIMS = (
    Claim(_growth_text, _PAPER, _is_replacing, _growth),
    Claim(
        _spread_text,
        "Shumailov et al. 2024, theorem on Gaussian models; law of chi-square",
        is_exact,
        _spread,
    ),
    Claim(
        _distance_text,
        "Shumailov et al. 2024, theorem on Gaussian models and supplement",
        is_exact,
        _distance,
    ),
    Claim(
        "If data accumulate, the squared error of the mean stays below pi^2/6 = 1.64 times "
        "sigma^2/M.",
        "Shumailov et al. 2024, supplement; Gerstgrasser et al. 2024, arXiv 2404.01413",
        _is_accumulating,
        _bounded,
    ),
    Claim(
        _redrawn_text,
        "Alemohammad et al. 2023, arXiv 2307.01850; Shumailov et al. 2024, equation (1)",
        _is_redrawing,
        _redrawn,
    ),
)
"""Claims of the study `gaussian`, each with the settings that it is made for."""

"""Summarise runs of language models, and compare them with the paper's statements."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.experiments.base import Summary
from collapse_jax.results.claims import Claim, statements_of
from collapse_jax.results.findings import ONE_MODEL, after, listed, mean_of
from collapse_jax.results.policy_words import percent, policy_name, training_sentence
from collapse_jax.results.records import Records
from collapse_jax.results.setting import Regime, Setting
from collapse_jax.results.statements import (
    LEAST_EFFECT,
    NO_EFFECT,
    Finding,
    Statement,
    diverged_chains,
    mean_with_interval,
)
from collapse_jax.utils.counted import counted
from collapse_jax.utils.interval import has_intervals, mean_over_chains

ACCUMULATE = "accumulate"
"""Name of the study whose corpora grow by the text of every model."""
_PAPER = "Shumailov et al. 2024, OPT-125m"
_ACCUMULATED = "Gerstgrasser et al. 2024"
_OPT = "facebook/opt-125m"
_THOUSAND = 1000  # blocks: with fewer, the 99.9 % quantile is the largest block
_TENTH = 0.1  # share of kept blocks in the paper
_POINTS = (20.0, 28.0)  # rise of the perplexity in the paper, which begins at 34

Studies = Mapping[str, Records]


def summarize(studies: Studies) -> Summary:
    """Summarise test perplexities, the shift of corpora, and the paper's statements.

    Args:
      studies: records by name of the study.
    """
    shifts = {name: _shift(part) for name, part in studies.items()}
    is_large = all(shift.number >= _THOUSAND for shift in shifts.values())
    tail = "99.9 % of blocks below" if is_large else "largest block"
    header = ["study", "model", "test perplexity", "corpus median", tail, "distinct 2-grams"]
    table, sentences = [header], []
    for study, part in studies.items():
        shift, tests = shifts[study], part["test_perplexity"]
        tails = shift.tails if is_large else shift.largest
        for index, generation in enumerate(part["generation"]):
            table.append(
                [
                    study,
                    f"{generation}",
                    _interval(tests[index]),
                    f"{_shown(shift.middles[index])}",
                    f"{_shown(tails[index])}",
                    f"{np.mean(part['distinct_2'][index]):.3g}",
                ]
            )
        sentences.append(f"{study}: {_policy(study, part)}{_results(part, shift)}")
    runs = len(next(iter(studies.values()))["chain"])
    if any(has_intervals(part["test_perplexity"]) for part in studies.values()):
        sentences.append(
            f"Perplexities are exp of the mean loss over {runs} runs; ranges are 95 % t intervals."
        )
    policy = policy_name(Setting.of(next(iter(studies.values()))).policy)
    title = f"Language models, policy {policy}"
    found = [*_statements(studies, "replace")]
    for name in studies:
        found += _statements_of_variant(studies, name)
    return Summary(title, sentences, table, found, _finding(studies))


def _finding(studies: Studies) -> str:
    """Say how the perplexity of original text changes in every study."""
    setting = Setting.of(next(iter(studies.values())))
    if not setting.num_generations:
        return ONE_MODEL
    parts = []
    for name, part in studies.items():
        kind, value = _kind(name)
        tests = part["test_perplexity"].astype(np.float64)
        with np.errstate(invalid="ignore"):  # of runs in which training diverged
            mean, _ = mean_over_chains(np.log(tests[-1] / tests[0]))
        ratio = f"{mean_of(float(np.exp(mean)))} times that of model 0"
        if np.isnan(mean):
            ratio = "unknown, for training diverged,"
        variants = {
            "kept": f" with {percent(value)} kept original blocks",
            "penalty": f" with a repetition penalty of {value:g}",
            ACCUMULATE: " with all earlier blocks",
        }
        parts.append(ratio + variants.get(kind, ""))
    return f"{after(setting)}, the perplexity of original text is {listed(parts)}."


def _policy(study: str, part: Records) -> str:
    """Return the sentence about the corpora of a study, and a blank; nothing if not known."""
    kind, share = _kind(study)
    setting = Setting.of(part)
    policy = setting.policy
    if not policy:
        return ""
    if kind == "kept":
        mixing = {"type": "Mixing", "beta": 0.0, "gamma": share, "original": "data"}
        policy = mixing | {"allocation": "fixed", "num_samples": policy.get("num_samples")}
    if kind == ACCUMULATE:
        policy = {"type": "Accumulate", "num_samples": policy.get("num_samples"), "num_original": 0}
    more = f" A repetition penalty of {share:g} is used." if kind == "penalty" else ""
    more = more if setting.num_generations else ""
    return f"{training_sentence(setting, policy)}{more} "


def _kind(study: str) -> tuple[str, float]:
    """Return kind and number of a variant, such as kept and 0.1; "" and NaN for other studies.

    A growing corpus has a kind, but no number.
    """
    if study == ACCUMULATE:
        return study, np.nan
    kind, _, value = study.partition("-")
    try:
        return (kind, float(value)) if kind in ("kept", "penalty") else ("", np.nan)
    except ValueError:
        return "", np.nan


def _results(part: Records, shift: "_Shift") -> str:
    tests, last = part["test_perplexity"], part["generation"][-1]
    if diverged := _diverged(part):
        total = counted(tests.shape[1], "run")
        words = (
            f"Training diverged in {diverged:,} of {total}: a loss was not finite, or its "
            "perplexity was too large for float32."
        )
        rest = " All numbers leave these runs out from then on."
        return words + rest if diverged < tests.shape[1] else words
    if len(tests) == 1:
        return f"Perplexity of the test text {_interval(tests[0])} for model {last}."
    return (
        f"Perplexity of the test text {_interval(tests[0])} for model 0, {_interval(tests[-1])} "
        f"for model {last}, {_interval(tests[-1] / tests[0])} times as much. {shift.words}"
    )


def _diverged(part: Records) -> int:
    """Return the number of runs in which training diverged."""
    return int(np.sum(Setting.of(part).diverged("test_perplexity")))


def _reason(*parts: Records) -> Finding | None:
    """Return why studies with runs in which training diverged test nothing."""
    most = max(map(_diverged, parts))
    return diverged_chains(most, len(parts[0]["chain"])) if most else None


def _statements(studies: Studies, name: str) -> list[Statement]:
    """Check the paper's statements about models that are trained on their predecessors' text."""
    part = studies.get(name)
    return [] if part is None else statements_of(CLAIMS, Setting.of(part), _reason(part))


def _statements_of_variant(studies: Studies, name: str) -> list[Statement]:
    """Check a statement about original blocks, growing corpora, or a penalty."""
    kind, value = _kind(name)
    plain = studies.get("replace")
    if plain is None or not _is_plain(Setting.of(plain)) or len(plain["generation"]) < 2:
        return []
    setting = Setting.of(plain)
    settings = setting, Setting.of(studies[name])
    told = max(settings, key=lambda one: one.num_stopped)
    reason = _reason(plain, studies[name])
    if kind == "kept" and value == _TENTH:
        claim = "A tenth of the original blocks, kept in every corpus, makes the loss much smaller."
        words, origin = "times less than without", _PAPER
    elif kind == ACCUMULATE:
        claim = "If corpora keep the original blocks and all text so far, models lose much less."
        words, origin = "times less than without", _ACCUMULATED
    elif kind == "penalty" and value > 1:
        doubles = ": perplexities double" if _is_opt(setting) and value == 2 else ""
        claim = f"A repetition penalty makes models worse{doubles}."
        words, origin = "times that without a penalty", _PAPER
    else:
        return []

    def test(_: Setting) -> Finding:
        tests, variant = plain["test_perplexity"], studies[name]["test_perplexity"]
        ratios = variant[-1] / tests[-1] if kind == "penalty" else tests[-1] / variant[-1]
        course = f"perplexity {_interval(variant[0])}, then {_interval(variant[-1])}"
        return _above_one(f"{course}: {_interval(ratios)} {words}", ratios)

    return statements_of([Claim(claim, origin, lambda _: True, test)], told, reason)


def _is_plain(setting: Setting) -> bool:
    """Tell whether models are trained on their predecessors' text, without a penalty."""
    penalty = setting.family.get("decoding", {}).get("repetition_penalty", 1.0)
    return setting.regime is Regime.REPLACE and penalty == 1


def _is_trained(setting: Setting) -> bool:
    return _is_plain(setting) and setting.num_generations >= 1


def is_pretrained(setting: Setting) -> bool:
    """Tell whether training starts from pretrained weights, which have a name.

    Args:
      setting: what was run.
    """
    return isinstance(setting.family.get("model"), str)


def _is_opt(setting: Setting) -> bool:
    """Tell whether the run is that of the paper: OPT-125m on WikiText-2."""
    is_text = setting.records.config.get("experiment", {}).get("source") == "wikitext2"
    return setting.family.get("model") == _OPT and is_text


def _above_one(words: str, ratios: np.ndarray) -> Finding:
    """Tell whether ratios are above one; None if the 95 % t interval over runs includes one."""
    logs = np.log(ratios)
    mean, half = mean_over_chains(logs)
    if np.size(ratios) == 1:
        return Finding(words, None, "a single run")
    if np.all(np.abs(logs) <= LEAST_EFFECT):
        return Finding(words, None, NO_EFFECT)
    holds = bool(mean > 0) if abs(mean) > half else None
    return Finding(words, holds, "the 95 % interval includes 1")


def _worse(setting: Setting) -> Finding:
    tests = setting.records["test_perplexity"]
    ratios = tests[-1] / tests[0]
    words = (
        f"perplexity {_interval(tests[0])}, then {_interval(tests[-1])}: {_interval(ratios)} times "
        "as much"
    )
    return _above_one(words, ratios)


def _points(setting: Setting) -> Finding:
    """Compare the rise of the perplexity with that of the paper."""
    tests = setting.records["test_perplexity"]
    rise, half = mean_over_chains(tests[-1] - tests[0])
    words = f"from {_interval(tests[0])} by {mean_with_interval(tests[-1] - tests[0])} points"
    if np.isnan(half):
        return Finding(words, None, "a single run")
    if rise + half < _POINTS[0] or rise - half > _POINTS[1]:
        return Finding(words, False)
    is_wide = 2 * half > _POINTS[1] - _POINTS[0]
    return Finding(words, None if is_wide else True, "the 95 % interval is wider than the claim's")


def _likelier(setting: Setting) -> Finding:
    shift = _shift(setting.records)
    return _above_one(shift.words, shift.of_runs[0, 0] / shift.of_runs[0, -1])


def _longer(setting: Setting) -> Finding:
    shift = _shift(setting.records)
    middles, tails = shift.of_runs
    if shift.number < _THOUSAND:
        return Finding(shift.words, None, f"too few blocks ({shift.number}) for a far tail")
    ratios = (tails[-1] / middles[-1]) / (tails[0] / middles[0])
    return _above_one(shift.words, ratios)


CLAIMS = (
    Claim(
        "Trained on the text of their predecessors, models get worse on original text.",
        _PAPER,
        _is_trained,
        _worse,
    ),
    Claim(
        "The perplexity of original text, 34 for model 0, rises by 20 to 28 points.",
        _PAPER,
        lambda setting: _is_trained(setting) and _is_opt(setting),
        _points,
    ),
    Claim(
        "The text of models becomes likely under the first model.", _PAPER, _is_trained, _likelier
    ),
    Claim(
        "The text of models gets a longer tail of unlikely blocks.",
        _PAPER,
        lambda setting: _is_trained(setting) and is_pretrained(setting),
        _longer,
    ),
)
"""Claims about the study without original blocks, each with its settings."""


class _Shift(NamedTuple):
    """Perplexities of blocks under model 0, by generation.

    Attributes:
      middles: median of the blocks of all runs, [generation].
      tails: their 99.9 % quantile, [generation].
      largest: the largest of them, [generation].
      of_runs: median and 99.9 % quantile of every run, [2, generation, chain].
      number: the least number of blocks of all runs together.
    """

    middles: np.ndarray
    tails: np.ndarray
    largest: np.ndarray
    of_runs: np.ndarray
    number: int

    @property
    def words(self) -> str:
        """Return the shift of middle and tail as a sentence."""
        if not np.all(np.isfinite(self.middles[[0, -1]])):
            return "Perplexities under model 0 are not known: no run has blocks of the last model."
        level = "shifts lower" if self.middles[-1] < self.middles[0] else "does not shift lower"
        is_large = self.number >= _THOUSAND
        tails = self.tails if is_large else self.largest
        initial, last = tails[[0, -1]] / self.middles[[0, -1]]
        tail = "grows" if last > initial else "does not grow"
        which = f"the largest of {counted(self.number, 'block')}:"
        if is_large:
            which = f"one block in {_THOUSAND:,} above"
        return (
            f"Under model 0 the median block {level} ({_shown(self.middles[0])} to "
            f"{_shown(self.middles[-1])}) and the far tail {tail} ({which} "
            f"{initial:.1f}, then {last:.1f} times the median)."
        )


def _shift(part: Records) -> _Shift:
    values = part["corpus_perplexity"].astype(np.float64)
    logs = np.log(np.where(np.isfinite(values), values, np.nan))
    pooled = logs.reshape(len(logs), -1)
    with warnings.catch_warnings():  # NumPy warns where training diverged in all runs
        warnings.simplefilter("ignore", RuntimeWarning)
        middles, tails, largest = np.exp(np.nanquantile(pooled, [0.5, 0.999, 1], axis=1))
        of_runs = np.exp(np.nanquantile(logs, [0.5, 0.999], axis=2))
    number = int(np.min(np.sum(np.isfinite(pooled), axis=1)))
    return _Shift(middles, tails, largest, of_runs, number)


def _interval(values: np.ndarray) -> str:
    """Return exp of the mean of logarithms over runs, and of its 95 % t interval, as text."""
    mean, half = mean_over_chains(np.log(values))
    middle, low, high = (_shown(np.exp(log)) for log in (mean, mean - half, mean + half))
    if np.isnan(half):
        return "none" if np.isnan(mean) else middle
    return f"{middle} ({low} to {high})"


def _shown(perplexity: Any) -> str:
    return f"{perplexity:.2f}" if perplexity < 100 else f"{perplexity:,.0f}"


def split(records: Records) -> dict[str, Records]:
    """Return the records of every study of a run by name.

    Args:
      records: records with a dimension "study".
    """
    return {
        str(study): dataclasses.replace(
            records, source=records.dataset.isel(study=index, drop=True)
        )
        for index, study in enumerate(records["study"])
    }

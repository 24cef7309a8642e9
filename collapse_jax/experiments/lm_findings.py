"""Summarise runs of language models, and compare them with the paper's statements."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.experiments.base import Summary
from collapse_jax.results.records import Records
from collapse_jax.results.statements import Statement
from collapse_jax.utils.interval import mean_over_chains

_PAPER = "Shumailov et al. 2024, OPT-125m"


def summarize(studies: Mapping[str, Records]) -> Summary:
    """Summarise test perplexities, the shift of corpora, and the paper's statements.

    Args:
      studies: records by name of the study.
    """
    header = [
        "study",
        "model",
        "test perplexity",
        "corpus median",
        "99.9 %",
        "distinct 2-grams",
    ]
    table, sentences = [header], []
    for study, part in studies.items():
        shift = _shift(part)
        tests = part["test_perplexity"]
        for index, generation in enumerate(part["generation"]):
            table.append(
                [
                    study,
                    f"{generation}",
                    _interval(tests[index]),
                    f"{shift.middles[index]:.2f}",
                    f"{shift.tails[index]:.1f}",
                    f"{np.mean(part['distinct_2'][index]):.3f}",
                ]
            )
        sentences += [
            f"{study}: perplexity of the test text {_interval(tests[0])} for model 0, "
            f"{_interval(tests[-1])} for model {part['generation'][-1]}, "
            f"{_interval(tests[-1] / tests[0])} times as much. {shift.words}"
        ]
    if len(next(iter(studies.values()))["chain"]) > 1:
        sentences.append(
            "Perplexities are exp of the mean loss over runs; ranges are 95 % t intervals."
        )
    return Summary("Language models", sentences, table, _statements(studies))


def _statements(studies: Mapping[str, Records]) -> list[Statement]:
    """Check the paper's statements in the studies without and with original blocks or a penalty."""
    by_kind = {name.partition("-")[0]: part for name, part in studies.items()}
    if "replace" not in by_kind:
        return []
    plain = by_kind["replace"]
    tests, shift = plain["test_perplexity"], _shift(plain)
    found = [
        Statement(
            "Trained on the text of their predecessors, models get worse on original text: by "
            "20 to 28 points of a perplexity of 34.",
            _PAPER,
            f"perplexity {_interval(tests[0])}, then {_interval(tests[-1])}: "
            f"{_interval(tests[-1] / tests[0])} times as much",
            _is_above_one(tests[-1] / tests[0]),
        ),
        Statement(
            "The text of models becomes likely under the first model, with a longer tail.",
            _PAPER,
            shift.words,
            shift.is_lower and shift.grows_tail,
        ),
    ]
    if "kept" in by_kind:
        mixed = by_kind["kept"]["test_perplexity"]
        found.append(
            Statement(
                "A tenth of the original blocks makes the loss much smaller.",
                _PAPER,
                f"perplexity {_interval(mixed[0])}, then {_interval(mixed[-1])}: "
                f"{_interval(tests[-1] / mixed[-1])} times less than without",
                _is_above_one(tests[-1] / mixed[-1]),
            )
        )
    if "penalty" in by_kind:
        penalised = by_kind["penalty"]["test_perplexity"]
        found.append(
            Statement(
                "A repetition penalty of 2 makes models worse: perplexities double.",
                _PAPER,
                f"perplexity {_interval(penalised[0])}, then {_interval(penalised[-1])}: "
                f"{_interval(penalised[-1] / tests[-1])} times that without a penalty",
                _is_above_one(penalised[-1] / tests[-1]),
            )
        )
    return found


def _is_above_one(ratios: np.ndarray) -> bool | None:
    """Tell whether ratios are above one; None if the 95 % t interval over runs includes one."""
    mean, half = mean_over_chains(np.log(ratios))
    return bool(mean > 0) if abs(mean) > half else None


class _Shift(NamedTuple):
    """The median and the 99.9 % quantile of perplexities under model 0, by generation."""

    middles: np.ndarray
    tails: np.ndarray

    @property
    def is_lower(self) -> bool:
        """Tell whether blocks become likelier than original ones."""
        return bool(self.middles[-1] < self.middles[0])

    @property
    def grows_tail(self) -> bool:
        """Tell whether the far tail is further from the middle than that of original blocks."""
        return bool(self.tails[-1] / self.middles[-1] > self.tails[0] / self.middles[0])

    @property
    def words(self) -> str:
        """Return the shift of middle and tail as a sentence."""
        level = "shifts lower" if self.is_lower else "does not shift lower"
        tail = "grows" if self.grows_tail else "does not grow"
        initial, last = self.tails[[0, -1]] / self.middles[[0, -1]]
        return (
            f"Under model 0 the median block {level} ({self.middles[0]:.1f} to "
            f"{self.middles[-1]:.1f}) and the far tail {tail} (one block in 1,000 above "
            f"{initial:.1f}, then {last:.1f} times the median)."
        )


def _shift(part: Records) -> _Shift:
    logs = part["corpus_perplexity"].reshape(len(part["generation"]), -1)
    return _Shift(*np.exp(np.nanquantile(np.log(logs), [0.5, 0.999], axis=1)))


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

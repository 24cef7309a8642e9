"""Say in words which rows the models of a run are trained on."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from collapse_jax.results.setting import Setting, entries
from collapse_jax.utils.counted import counted

VARIED = "varied"  # in place of a share that is an axis of a sweep
_IF_SHARED = {"previous": "beta", "original": "gamma"}  # settings that only matter with a share
_DEFAULTS = {"previous": "data", "original": "distribution", "allocation": "multinomial"}


def number(value: Any) -> str:
    """Return a number as typed, without the digits that single precision adds.

    Args:
      value: a number.

    >>> number(0.2), number(float(np.float32(0.2))), number(1000000), number(0.12345678)
    ('0.2', '0.2', '1000000', '0.12345678')
    """
    if isinstance(value, bool | int | str):
        return str(value)
    single = np.float32(value)
    short = str(single) if float(single) == float(value) else repr(float(value))
    return short.removesuffix(".0")


def percent(share: float) -> str:
    """Return a share in percent.

    Args:
      share: in [0, 1].

    >>> percent(0.07), percent(1 / 3), percent(float(np.float32(0.3)))
    ('7 %', '33.33333333 %', '30 %')
    """
    value = float(number(share))
    return f"{100 * value:.10g} %"


def policy_name(policy: Mapping[str, Any]) -> str:
    """Return name and settings of a policy as typed, except sizes.

    Args:
      policy: the described policy of a config: type and fields.

    >>> policy_name({"type": "Mixing", "gamma": 0.2, "beta": 0.0, "original": "distribution"})
    'mixing, gamma = 0.2'
    >>> policy_name({"type": "AccumulateSubsample", "num_samples": 10})
    'accumulate-subsample'
    """
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", str(policy.get("type", "unknown"))).lower()
    shown = [
        f"{field} = {_value(value)}"
        for field, value in policy.items()
        if field not in ("type", "num_samples") and _is_said(policy, field, value)
    ]
    return ", ".join([name, *shown])


def _is_said(policy: Mapping[str, Any], field: str, value: Any) -> bool:
    if value is None or value is False:
        return False
    if field in ("beta", "gamma", "num_original"):
        return entries(value) != [0]
    if field in _DEFAULTS:
        share = policy.get(_IF_SHARED.get(field, ""), 1)
        return value != _DEFAULTS[field] and entries(share) != [0]
    return True


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        if value.get("type") == "Detector":
            return f"{number(value['true_pass'])}:{number(value['false_pass'])}"
        return (
            f"{counted(value['shape'][0], 'value')}" if "shape" in value else str(value.get("type"))
        )
    if isinstance(value, (list, tuple)):
        if value and isinstance(value[0], (list, tuple)):  # a matrix, such as weights of models
            return f"{len(value):,} rows of {counted(len(value[0]), 'number')}"
        shown = [_value(one) for one in value]
        return ", ".join(shown) if len(shown) <= 4 else f"{shown[0]}, {shown[1]}, ..., {shown[-1]}"
    return number(value) if isinstance(value, int | float) else str(value)


def training_sentence(
    setting: Setting, policy: Mapping[str, Any] | None = None, size: str = ""
) -> str:
    """Return the sentence that says what the models of a run are trained on.

    Args:
      setting: what was run.
      policy: a described policy in place of that of the run.
      size: see `policy_sentence`.
    """
    if setting.num_generations == 0:
        return "No model is trained on another: the run ends with model 0."
    return policy_sentence(setting.policy if policy is None else policy, size, setting.noun)


def policy_sentence(policy: Mapping[str, Any], size: str = "", noun: str = "rows") -> str:
    """Return the sentence that says what models after model 0 are trained on.

    Args:
      policy: the described policy of a config: type and fields.
      size: number of rows that a generation makes, in words; by default that of the policy.
      noun: plural of what a corpus consists of.

    >>> policy_sentence({"type": "Replace", "num_samples": 100, "verifier": None})
    'Every model after model 0 is trained on 100 rows drawn from its predecessor.'
    >>> policy = {"type": "Replace", "num_samples": [60, 30]}
    >>> policy_sentence(policy).partition(". ")[2]
    'D_0 has 60 original rows and M_1 = 30.'
    """
    policy = {name: one_if_constant(value) for name, value in policy.items()}
    sizes = size or _sizes(policy.get("num_samples"))
    say = {
        "Replace": _replace,
        "Mixing": _mixing,
        "Accumulate": _accumulate,
        "AccumulateSubsample": _subsample,
        "Fresh": _fresh,
        "WeightedFresh": _fresh,
    }.get(str(policy.get("type")))
    if say is None:
        return f"Corpora are made by the policy {policy_name(policy)}."
    schedule = _schedule(policy, size, noun)
    model = "model g" if _has_schedule(policy) else "model"
    sentence = f"Every {model} after model 0 is trained on {say(policy, sizes, noun)}.{schedule}"
    selected = {"verifier": policy.get("verifier"), "selection": policy.get("selection")}
    for name, value in selected.items():
        if value:
            sentence += f" {selection_sentence(name, value, noun)}"
    return sentence + _detection(policy.get("detector"), noun)


def _detection(detector: Any, noun: str) -> str:
    """Return the sentence about the detector that both kinds of rows pass, or nothing."""
    if not detector:
        return ""
    passed, missed = (
        "a varied share" if detector[name] == VARIED else percent(detector[name])
        for name in ("true_pass", "false_pass")
    )
    return (
        f" These are the shares before a detector, which passes {passed} of the original {noun} "
        f"and {missed} of the others."
    )


def selection_sentence(name: str, value: Any, noun: str = "rows") -> str:
    """Return the sentence that says how rows of the newest model are selected.

    Args:
      name: "verifier" or "selection".
      value: as the config describes it: the name of a function, or type and fields.
      noun: plural of what a corpus consists of.

    >>> selection_sentence("selection", {"type": "Top", "num_candidates": 400, "score": "f"})
    'Of 400 rows of the newest model the best by f are taken.'
    """
    given = value if isinstance(value, Mapping) else {}
    kind, number = given.get("type"), _value(given.get("num_candidates"))
    heat = given.get("temperature") or 0
    if kind == "Accept":
        return f"{noun.capitalize()} of the newest model pass the verifier {given['function']}."
    if kind == "Top":
        how = f"are drawn by {given['score']} at temperature {_value(heat)}"
        how = how if heat else f"the best by {given['score']} are taken"
        return f"Of {number} {noun} of the newest model {how}."
    if kind == "BestOf":
        rewards = given["rewards"] if isinstance(given["rewards"], list) else [given["rewards"]]
        return (
            f"Each of these {noun} is chosen among {number} of the newest model by "
            f"{_joined([str(one) for one in rewards])} at temperature {_value(heat)}."
        )
    if kind == "Edit":
        return f"{noun.capitalize()} of the newest model are changed by {given['function']}."
    return f"{noun.capitalize()} of the newest model pass the {name} {_value(value)}."


def one_if_constant(value: Any) -> Any:
    """Return the number that all entries of a schedule are, and any other value unchanged.

    Args:
      value: of a setting of a described policy.
    """
    listed = list(value) if isinstance(value, (list, tuple)) else []
    return listed[0] if listed and all(one == listed[0] for one in listed) else value


def _is_schedule(value: Any) -> bool:
    """Tell whether a setting differs from generation to generation."""
    return isinstance(value, (list, tuple, Mapping))


def _has_schedule(policy: Mapping[str, Any]) -> bool:
    return any(_is_schedule(policy.get(name)) for name in ("num_samples", "num_original"))


def _adds_rows(policy: Mapping[str, Any]) -> bool:
    """Tell whether corpora have a given number of original rows next to the M of the model."""
    original = policy.get("num_original")
    is_number = isinstance(original, int) and original > 0
    kinds = ("Fresh", "WeightedFresh", "Accumulate", "AccumulateSubsample")
    return is_number and policy.get("type") in kinds


def _sizes(sizes: Any) -> str:
    if _is_schedule(sizes):
        return "M_g"
    return "M" if sizes is None else f"{sizes:,}"


def _schedule(policy: Mapping[str, Any], size: str, noun: str) -> str:
    """Return the sentence about sizes of D_0 and of schedules; nothing if all corpora have M rows.

    The first entry of a schedule belongs to D_0, which is made of both schedules.
    """
    schedules = {"M": size or policy.get("num_samples"), "N": policy.get("num_original") or 0}
    if not (_has_schedule(policy) or _adds_rows(policy)):
        return ""
    initial: list[Any] = []
    later = []
    for letter, sizes in schedules.items():
        listed = entries(sizes) or [f"{letter}_0"]  # the config may have only a digest
        initial.append("M" if listed[0] is None else listed[0])
        if len(listed) > 1:
            last = len(listed) - 1
            shown = f"{letter}_1{', ...' * (last > 2)}{f', {letter}_{last}' * (last > 1)}"
            later.append(f"{shown} = {_value(listed[1:])}")
    numbers = [one for one in initial if isinstance(one, int)]
    terms = [*(one for one in initial if isinstance(one, str)), f"{sum(numbers):,}"]
    terms = terms[:-1] if len(terms) > 1 and not sum(numbers) else terms
    return f" D_0 has {_joined([_many(' + '.join(terms), f'original {noun}'), *later])}."


def _many(size: str, noun: str) -> str:
    """Return a number in words with its noun, whose plural is given."""
    return f"{size} {noun.removesuffix('s') if size == '1' else noun}"


def _replace(policy: Mapping[str, Any], size: str, noun: str) -> str:
    return f"{_many(size, noun)} drawn from its predecessor"


def _mixing(policy: Mapping[str, Any], size: str, noun: str) -> str:
    beta, gamma = policy.get("beta", 0.0), policy.get("gamma", 0.0)
    if entries(beta) == [0] and entries(gamma) == [0]:
        return _replace(policy, size, noun)
    is_kept, is_law = policy.get("original") == "data", policy.get("previous") == "distribution"
    is_fixed = not _is_schedule(policy.get("num_samples"))  # corpora are as large as D_0
    all_kept, all_previous = (is_fixed and entries(share) == [1] for share in (gamma, beta))
    kept = "all of D_0" if all_kept else "a random subset of D_0"
    chosen = "all of them" if all_previous else "a random subset"
    kinds = {
        "gamma": f"kept original {noun}, {kept}"
        if is_kept
        else f"original {noun}, redrawn for each corpus",
        "beta": f"{noun} redrawn from the law of its predecessor's corpus"
        if is_law
        else f"{noun} of its predecessor's corpus, {chosen}",
    }
    given = {"gamma": gamma, "beta": beta}
    parts = [
        f"{_share(share)} {kinds[name]}{_setting(name, share)}"
        for name, share in given.items()
        if entries(share) != [0]
    ]
    rest = _rest(policy, beta, gamma)
    if rest:
        parts.append(f"{rest} drawn from its predecessor")
    if len(parts) == 1:  # of 100 %
        return f"{_many(size, noun)}: {parts[0]}"
    if policy.get("allocation") == "fixed":
        how = "exact numbers, rounded"
    else:
        how = f"on average: the origin of each of the {noun} is drawn"
    return f"{_many(size, noun)}: {_joined(parts)} ({how})"


def _share(share: Any) -> str:
    if share == VARIED:
        return "a varied share of"
    return percent(share) if isinstance(share, int | float) else "a changing share of"


def _setting(name: str, share: Any) -> str:
    return f" ({name})" if share == VARIED else f" ({name} = {_value(share)})"


def _rest(policy: Mapping[str, Any], beta: Any, gamma: Any) -> str:
    """Return the share of the newest model in words, or nothing if there is none."""
    if not (isinstance(beta, int | float) and isinstance(gamma, int | float)):
        return "the rest"
    rest = 1 - float(number(beta)) - float(number(gamma))
    return percent(round(rest, 12)) if rest > 1e-9 else ""


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _accumulate(policy: Mapping[str, Any], size: str, noun: str) -> str:
    which = "D_g" if size == "M_g" else "corpus"
    return (
        f"the original {noun} in D_0 and all that earlier models made: each {which} after D_0 adds "
        f"{_many(size, noun)} of the newest model{_more_original(policy)}"
    )


def _subsample(policy: Mapping[str, Any], size: str, noun: str) -> str:
    more = _more_original(policy)
    chosen = f"as many {noun} as a generation adds," if more else _many(size, noun)
    return (
        f"{chosen} chosen at random, without replacement, among the original {noun} in "
        f"D_0 and all that earlier models made; before that the newest model adds "
        f"{_many(size, noun)}{more}"
    )


def _more_original(policy: Mapping[str, Any]) -> str:
    """Return the new original rows that a generation adds to the pool, or nothing."""
    original = policy.get("num_original") or 0
    if entries(original) == [0]:
        return ""
    shown = "N_g" if _is_schedule(original) else _value(original)
    ones = "one" if original == 1 else "ones"
    return f", and {shown} new original {ones} {'is' if original == 1 else 'are'} added"


def _fresh(policy: Mapping[str, Any], size: str, noun: str) -> str:
    original = policy.get("num_original", 0)
    if entries(original) == [0]:
        return _replace(policy, size, noun)
    shown = "N_g" if _is_schedule(original) else _value(original)
    real = _many(shown, f"original {noun}")
    words = f"{_replace(policy, size, noun)} and on {real}, redrawn for each corpus"
    if (weight := policy.get("weight")) is not None:
        words += f", whose total weight is {number(weight)}"
    return words

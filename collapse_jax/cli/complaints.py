"""Turn complaints of the argument parser into one line: option, value, what is allowed, remedy."""

import dataclasses
import math
import re
import sys
import typing
from collections.abc import Collection, Sequence
from typing import Any

from collapse_jax.utils.suggestions import closest

_LONGEST = 40  # characters of a value in a message
_RANGE = (
    f"float64 holds 0 and absolute values in [{math.ulp(0.0):.2g}, {sys.float_info.max:.2g}]; "
    "pass one of these"
)
_KINDS = {"INT": "an integer", "FLOAT": "a number", "STR": "a text", "PATH": "a path"}


def _field_of(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _successor(option: str, options: Any) -> str:
    """Suggest the option that has another name in the experiment, such as --biases of mad."""
    for field in dataclasses.fields(options):
        if field.name == "experiment":
            names = typing.get_args(field.type)[0].arguments
            if name := names.get(_field_of(option.replace("--policy.", "--"))):
                return f"did you mean --{name.replace('_', '-')}? "
    return ""


def _owners(option: str, options: Any) -> str:
    """Return the experiments that have an option which the given one lacks, in words, or ""."""
    from collapse_jax.experiments import EXPERIMENTS

    if "experiment" not in {field.name for field in dataclasses.fields(options)}:
        return ""
    name, kinds = _field_of(option), dict[str, Any](EXPERIMENTS)
    owners = [
        one
        for one, kind in kinds.items()
        if name in {field.name for field in dataclasses.fields(kind)}
    ]
    return " and ".join([", ".join(owners[:-1]), owners[-1]] if owners[1:] else owners)


def unknown_words(words: Sequence[str], options: Any, program: str, given: Sequence[str]) -> str:
    """Describe the first argument that belongs to no option.

    Args:
      words: the arguments that the parser does not know.
      options: dataclass of the options.
      program: name of the command in messages.
      given: all arguments.

    Returns:
      One line.
    """
    word, known = words[0], known_words(options)
    option = word.partition("=")[0].replace("_", "-")
    if known.get(option, ""):  # an option of another policy
        owners = known[option]
        return f"{option} is not allowed: it belongs to {owners}; pass {owners.split(' or ')[0]}"
    shown = _shown(word)
    if option in known and word.startswith("--"):
        return f"{option} is not allowed: it is given twice; pass it once"
    if word.startswith("-"):
        hint = _successor(option, options) or closest(
            option, [one for one in known if one[0] == "-"]
        )
        owners = "" if hint else _owners(option, options)
        why = f"it is an option of {owners}" if owners else "there is no such option"
        return f"{shown} is not allowed: {why}; {hint}see `{program} --help`"
    if word.startswith("policy:"):
        if word in known:
            return _several_policies([item for item in given if item in known], program)
        names = ", ".join(name for name in known if name.startswith("policy:"))
        if not names:
            return f"{shown} is not allowed: there is no choice of a policy; leave it out"
        hint = closest(word, names.split(", "))
        return f"{shown} is not allowed: it must be one of {names}; {hint}pass at most one"
    place = next((k for k, item in enumerate(given) if item == word), 0)
    before = given[place - 1] if place else ""
    allowed = f"{before} takes no value" if before.startswith("--") else "it belongs to no option"
    hint = closest(word, [one for one in known if one.startswith("--")])
    return f"{shown} is not allowed: {allowed}; {hint}see `{program} --help`"


def _several_policies(chosen: Sequence[str], program: str) -> str:
    """Describe a choice of more than one policy."""
    policies = [word for word in chosen if word.startswith("policy:")]
    different = list(dict.fromkeys(policies))
    shown = " ".join(policies)
    if len(different) == 1:
        return f"{shown} is not allowed: the policy is chosen twice; pass {different[0]} once"
    remedy = f"pass {' or '.join(different)}"
    if program.startswith("collapse sweep"):
        names = [word.removeprefix("policy:") for word in different]
        remedy += f", or policy:{','.join(names)} for one after the other"
    return f"{shown} is not allowed: one policy is chosen, not {len(policies)}; {remedy}"


def known_words(options: Any) -> dict[str, str]:
    """List the options of a command, and the subcommands that choose a policy.

    Args:
      options: dataclass of the options.

    Returns:
      By option, the subcommands that it belongs to, "" if it belongs to the command.
    """
    from collapse_jax.core.policy import POLICIES

    known = {"--help": ""}
    for field in dataclasses.fields(options):
        if field.name == "experiment":
            known |= known_words(typing.get_args(field.type)[0])
        elif field.name == "policy":
            owners: dict[str, list[str]] = {}
            for name, policy in POLICIES.items():
                choice = f"policy:{re.sub(r'(?<=[a-z])(?=[A-Z])', '-', name).lower()}"
                known[choice] = ""
                settings: Any = policy
                for one in dataclasses.fields(settings):
                    if one.init:
                        option = f"--policy.{one.name.replace('_', '-')}"
                        owners.setdefault(option, []).append(choice)
            known |= {option: " or ".join(names) for option, names in owners.items()}
        else:
            known[f"--{field.name.replace('_', '-')}"] = ""
    return known


def bad_value(complaint: str, program: str, given: Sequence[str]) -> str:
    """Describe a value that an option does not take.

    Args:
      complaint: text of the parser, with white space of any kind.
      program: name of the command in messages.
      given: all arguments.

    Returns:
      One line.
    """
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m|[─-╿]|-{5,}", " ", complaint).split())
    text = re.split(r" For full helptext", text)[0]
    help_of = f"see `{program} --help`"
    if found := re.search(r"Error parsing \S+: (.* is not allowed: .*)", text):
        return found[1]
    if found := re.search(r"Missing value for argument '([^']+)'", text):
        return f"{found[1]} is not allowed: its value is missing; {help_of}"
    if found := re.search(r"for argument '([^']+)'\. Expected one of \(([^)]*)\)", text):
        value, choices = _value_of(found[1], given), found[2].rstrip(",")
        hint = closest(" ".join(_words_of(found[1], given)), re.findall(r"'([^']*)'", choices))
        remedy = f"{hint}pass one of these"
        return f"{found[1]}={value} is not allowed: it must be one of {choices}; {remedy}"
    if found := re.search(r"Argument (\S+) is fixed", text):
        value = _value_of(found[1], given)
        return f"{found[1]}={value} is not allowed: it is an option of Python only; leave it out"
    if found := re.search(r"Error parsing (--\S+): .*Argument helptext: (.*)", text):
        beyond = (word for word in _words_of(found[1], given) if exceeds_float(word))
        if (word := next(beyond, None)) is not None:
            return f"{found[1]}={_shown(word)} is not allowed: {_RANGE}"
        if share := _of_percent(_words_of(found[1], given)):
            allowed = "percent are passed as a share of 1"
            value = _value_of(found[1], given)
            return f"{found[1]}={value} is not allowed: {allowed}; pass {found[1]} {share}"
        metavar = re.match(
            r"(?:-\w, )?--\S+ ((?:[A-Z{}\[\]|. ]|None|\{[a-z]+\})+)(?= |$)", found[2]
        )
        default = re.search(r"\(default: ([^)]+)\)", found[2])
        shown = default[1] if default and default[1] != "None" else ""
        remedy = f"pass {found[1]} {shown}, for example, or {help_of}" if shown else help_of
        allowed = _kind(metavar[1] if metavar else "")
        value = _value_of(found[1], given)
        return f"{found[1]}={value} is not allowed: it must be {allowed}; {remedy}"
    return f"arguments are not allowed: {text[:200]}; {help_of}"


def _of_percent(words: Sequence[str]) -> str:
    """Return the share that a text such as 10% stands for, or ""."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+) ?%", " ".join(words))
    return f"{float(found[1]) / 100:g}" if found else ""


def _kind(metavar: str) -> str:
    """Describe the values that a help text abbreviates, such as {None}|INT|{[INT [INT ...]]}."""
    kind = next((words for mark, words in _KINDS.items() if mark in metavar), "of another type")
    is_list, is_one = "[" in metavar, not metavar.startswith("[")
    plural = kind.removeprefix("an ").removeprefix("a ") + "s separated by spaces"
    parts = ["None"] if "None" in metavar else []
    parts += [kind] if is_one else []
    parts += [plural] if is_list else []
    parts += re.findall(r"\{([a-z]+)\}", metavar)
    return " or ".join(parts)


def exceeds_float(text: str) -> bool:
    """Tell whether a decimal number becomes infinite when it is read, or 0 without being 0.

    Args:
      text: as typed.

    >>> [exceeds_float(text) for text in ("1e-400", "-1e400", "0e-400", "5e-324", "inf", "many")]
    [True, True, False, False, False, False]
    """
    try:
        value = float(text)
    except ValueError:
        return False
    digits = [letter for letter in re.split("[eE]", text)[0] if letter.isdecimal()]
    return any(map(int, digits)) if value == 0 else bool(digits) and math.isinf(value)


def _value_of(option: str, given: Sequence[str]) -> str:
    """Return the values of an option as they were given, as one text."""
    return _shown(" ".join(_words_of(option, given)))


def _words_of(option: str, given: Sequence[str]) -> list[str]:
    """Return the values of an option as they were given."""
    values: list[str] = []
    is_open = False
    for item in given:
        if item.startswith("--"):
            name, separator, value = item.partition("=")
            is_open = name.replace("_", "-") == option
            if is_open:
                values = [value] if separator else []
        elif is_open:
            values.append(item)
    return values


def _shown(value: str) -> str:
    return repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}...")


def check_choice(name: str, value: str, known: Collection[str], see: str) -> str:
    """Build the message for a word that is not among known ones, or return "".

    Args:
      name: of the argument.
      value: the word.
      known: the words that are allowed.
      see: what else the user can do, a clause.

    Returns:
      One line, or "" if the word is allowed.
    """
    if value in known:
        return ""
    allowed = f"it must be one of {', '.join(known)}"
    return f"{name}={_shown(value)} is not allowed: {allowed}; {closest(value, known)}{see}"

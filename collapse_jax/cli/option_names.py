"""Name the arguments of a message by the options of the command line."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

LESS_MEMORY = "pass fewer chains or generations, a larger --every, or smaller corpora or batches"
"""Remedy of a command for which the memory is too small."""
_REFUSAL = " is not allowed: "
_START = re.compile(r"(len\()?(?:(\w+)\.)?([\w-]+)(?=[=\[) ])")
_CALL = re.compile(r"[A-Z]\w*\((\w+)=[\"']?([\w.]+)[\"']?\)")  # VAE(corpus="samples")
_WORD = re.compile(
    r"(?<![\w.'\"/(`-])(?:([A-Z]\w*)\.)?([a-z][a-z_-]*)(?:((?:\[\d+\])?=)|(?![\w(-]))"
)
_SCHEDULE = re.compile(  # several values of a policy, at the end of a message
    r", or (?:one per generation(?:, num_generations \+ 1 in all)?"
    r"|one (?:share )?for each of D_1 \.\. D_G|num_generations \+ 1 \w+)$"
)
_GRID = re.compile(r"(every point of the grid failed; at .*?: )ArgumentError: ")
_EVERYWHERE = {"key": "seed"}  # options of every command, by arguments of another name


def as_options(message: str, arguments: Sequence[str]) -> str:
    """Name arguments by the options that give their values.

    Args:
      message: of an `ArgumentError`, which begins with the argument and its value, or with the
        option and a colon if what the option names is refused, such as a file.
      arguments: of the command line; an argument without an option stays.

    Returns:
      The message.

    >>> as_options("every=0 is not allowed: pass every=1", ["run", "gaussian", "--every", "0"])
    '--every=0 is not allowed: pass --every 1'
    >>> refused = "Replace.num_samples=None is not allowed: pass a number, e.g. num_samples=100"
    >>> as_options(refused, ["run", "discrete", "--source", "zipf:9"])
    '--policy.num-samples=None is not allowed: pass a number, e.g. --policy.num-samples 100'
    """
    if grid := _GRID.match(message):
        return grid[1] + as_options(message[grid.end() :], arguments)
    if message.startswith("the run needs "):
        return f"{message.partition('; ')[0]}; {LESS_MEMORY}"
    options = _Options(arguments)
    named = re.match(r"(\w+): ", message)
    if named and options.find("", named[1]):
        return f"--{options.find('', named[1])}{message[named.end(1) :]}"
    start, separator, rest = message.partition(_REFUSAL)
    found = _START.match(start)
    option = options.find(found[2] or "", found[3]) if found and separator else ""
    if found and option:
        words = start[found.end() :]
        if found[1]:
            words = f" with {words.removeprefix(')=')} values"
        elif not words.startswith(("=", "[")):  # of several arguments, such as a sum
            names, equals, value = words.partition("=")
            names = re.sub(
                r"\w+", lambda one: f"--{options.find(found[2] or '', one[0]) or one[0]}", names
            )
            words = names + equals + value
        start = f"--{option}{words}"
    takes_one = options.takes_one_size and option == "policy.num-samples"
    several = "" if takes_one else r"\g<0>, separated by spaces"
    return start + separator + _translated(_SCHEDULE.sub(several, rest), options)


class _Options:
    """The options of a command line."""

    def __init__(self, arguments: Sequence[str]) -> None:
        from collapse_jax.experiments import EXPERIMENTS

        self._experiment: Any = EXPERIMENTS.get(arguments[1]) if len(arguments) > 1 else None
        fields = dataclasses.fields(self._experiment) if self._experiment else ()
        self._fields = {field.name for field in fields}
        self._given = {
            item.split("=")[0].removeprefix("--").replace("_", "-")
            for item in arguments
            if item.startswith("--")
        }

    @property
    def takes_one_size(self) -> bool:
        """Tell whether a policy has the same size in all generations."""
        return bool(getattr(self._experiment, "size_meaning", ""))

    def find(self, owner: str, name: str) -> str:
        """Return the option that gives an argument its value, without dashes.

        Args:
          owner: class of the argument, or "".
          name: of the argument.

        Returns:
          An option, preferably one that is given; "" if none is known.
        """
        from collapse_jax.core.policy import POLICIES

        names = {**_EVERYWHERE, **getattr(self._experiment, "arguments", {})}
        other = names.get(name, "")
        candidates = [one.replace("_", "-") for one in (other, f"policy.{name}", name) if one]
        given = next((one for one in candidates if one in self._given), "")
        if given or other:
            return given or candidates[0]
        is_field = name.replace("-", "_") in self._fields
        if "policy" in self._fields and not is_field:
            owners: Any = (
                [POLICIES[owner]] if owner in POLICIES else [] if owner else POLICIES.values()
            )
            settings = {one.name for policy in owners for one in dataclasses.fields(policy)}
            return candidates[0] if name in settings else ""
        return candidates[-1] if is_field else ""


def _translated(words: str, options: _Options) -> str:
    """Replace arguments by options, as in "pass num_samples=100"."""

    def option(found: re.Match) -> str:
        owner, name, equals = found[1] or "", found[2], found[3]
        if not equals and "_" not in name and not owner:
            return found[0]  # a word of the language, such as every
        known = options.find(owner, name)
        return f"--{known}{' ' if equals else ''}" if known else found[0]

    words = _CALL.sub(lambda found: f"{found[1]}={found[2]}", words)
    return _WORD.sub(option, words)

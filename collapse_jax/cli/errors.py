"""Report every error of a command in one line that says what to do, with an exit code."""

import os
import re
from collections.abc import Sequence

from collapse_jax.cli.streams import discard_output, write_line
from collapse_jax.store.files import explain
from collapse_jax.utils.check import ArgumentError

BAD_INPUT, INTERNAL, INTERRUPTED = 2, 1, 130
BROKEN_PIPE = 128 + 13  # as of a program that SIGPIPE ends

_DEBUG = "COLLAPSE_JAX_DEBUG"  # environment variable: internal errors show their traceback
_LONGEST = 300  # characters of an internal error's message
# Options by arguments in Python that have another name.
_OPTIONS = {
    "key": "seed",
    "Empirical.data": "source",
    "Empirical.column": "source",
    "Empirical.words": "source",
    "images": "source",
    "texts": "source",
}


def report(error: BaseException, arguments: Sequence[str]) -> int:
    """Write one line about an error of a command to stderr.

    Args:
      error: what ended the command.
      arguments: of the command line.

    Returns:
      The exit code.

    Raises:
      Exception: an internal error, if the environment asks for its traceback.
    """
    if isinstance(error, SystemExit):  # of --help
        return int(error.code or 0)
    if isinstance(error, BrokenPipeError):  # the reader has what it wants, as `head` does
        discard_output()
        return BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        write_line(f"collapse: {str(error) or 'interrupted'}")
        return INTERRUPTED
    if isinstance(error, ArgumentError):
        write_line(f"collapse: {as_options(str(error), arguments)}")
        return BAD_INPUT
    if isinstance(error, OSError):
        write_line(f"collapse: {error.filename or 'the output'} cannot be used: {explain(error)}")
        if error.filename is None:
            discard_output()
        return BAD_INPUT
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        remedy = "pass fewer chains or generations, a larger --every, or smaller corpora"
        write_line(f"collapse: the memory is too small for this command; {remedy}")
        return BAD_INPUT
    if os.environ.get(_DEBUG):
        raise error
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}"
    write_line(
        f"collapse: internal error, {reason}; set {_DEBUG}=1 for the traceback and report it"
    )
    return INTERNAL


def as_options(message: str, arguments: Sequence[str]) -> str:
    """Name an argument by the option that gave its value.

    Args:
      message: of an `ArgumentError`, which begins with the argument and its value.
      arguments: of the command line; a name without an option among them stays.

    Returns:
      The message.

    >>> as_options("every=0 is not allowed: pass every=1", ["--every", "0"])
    '--every=0 is not allowed: pass --every 1'
    """
    found = re.match(r"((?:\w+\.)?([\w-]+))(?=[\[=])", message)
    if found is None:
        return message
    given = {item.split("=")[0].replace("_", "-") for item in arguments if item.startswith("--")}
    whole, name = found[1], found[2]
    if (source := f"--{_OPTIONS.get(whole)}") in given and f"--{name}" not in given:
        return f"{source}: {message}"
    for path in (f"policy.{name}", name):
        option = f"--{path.replace('_', '-')}"
        if option in given:
            rest = re.sub(
                rf"(?<![\w.-]){re.escape(name)}(\[\d+\])?=", f"{option} ", message[found.end() :]
            )
            return f"{option}{rest}"
    return message

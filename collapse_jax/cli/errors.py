"""Report every error of a command in one line that says what to do, with an exit code."""

import os
from collections.abc import Sequence

from collapse_jax.cli.option_names import LESS_MEMORY, as_options
from collapse_jax.cli.streams import discard_output, write_line
from collapse_jax.store.files import explain
from collapse_jax.utils.check import ArgumentError

BAD_INPUT, INTERNAL, INTERRUPTED = 2, 1, 130
BROKEN_PIPE = 128 + 13  # as of a program that SIGPIPE ends

_DEBUG = "COLLAPSE_JAX_DEBUG"  # environment variable: internal errors show their traceback
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory")  # words of XLA
_LONGEST = 300  # characters of an internal error's message


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
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        write_line(f"collapse: the memory is too small for this command; {LESS_MEMORY}")
        return BAD_INPUT
    if os.environ.get(_DEBUG):
        raise error
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}"
    write_line(
        f"collapse: internal error, {reason}; set {_DEBUG}=1 for the traceback and report it"
    )
    return INTERNAL

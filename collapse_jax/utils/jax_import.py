"""Import jax, and end the command `collapse` in one line if a variable of jax is wrong.

jax reads the variables JAX_... of the environment when it is imported, before any command runs.
"""

import sys
from pathlib import Path

_COMMAND = "collapse"
_BAD_INPUT = 2  # exit code, as of every command with bad input


def import_jax() -> None:
    """Import jax.

    Raises:
      SystemExit: with code 2, in a process of the command, if a variable has a bad value.
      ValueError: that of jax, in other processes.
    """
    try:
        import jax  # noqa: F401
    except ValueError as error:
        if not _is_command():
            raise
        reason = " ".join(str(error).split())
        sys.stderr.write(
            f"collapse: jax cannot be imported: {reason}; correct or unset the variable JAX_...\n"
        )
        raise SystemExit(_BAD_INPUT) from None


def _is_command() -> bool:
    """Tell whether the process is `collapse`, or `python -m collapse_jax`."""
    pairs = zip(sys.orig_argv[:-1], sys.orig_argv[1:], strict=True)
    is_module = sys.argv[0] == "-m" and ("-m", __name__.partition(".")[0]) in pairs
    return is_module or Path(sys.argv[0]).stem == _COMMAND


import_jax()

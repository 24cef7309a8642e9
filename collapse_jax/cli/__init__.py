"""Run the command line: `collapse list`, `run`, `resume`, `extend`, `sweep`, `reproduce`, ..."""

import importlib
import os
import sys
from collections.abc import Sequence

from collapse_jax.utils import instructions
from collapse_jax.utils.check import ArgumentError

USAGE = """usage: collapse {list,run,resume,extend,sweep,reproduce,verify,plot,report,pack} ...

  collapse list                        list the experiments
  collapse run EXPERIMENT [options]    run an experiment; --help lists its options
  collapse resume RUN                  resume an interrupted run
  collapse extend RUN [options]        extend a run by chains or generations
  collapse sweep EXPERIMENT [options]  run an experiment for several values: --option 1,2,3
  collapse reproduce [--only NAMES]    run the studies; --scale smoke, laptop or paper
  collapse verify [--lane full]        check simulations against exact laws
  collapse plot RUN                    draw a run's figures again
  collapse report RUN                  write a run's report.html again
  collapse pack RUN                    make one file of a run, for quotas of files
"""
COMMANDS = {
    "list": "collapse_jax.cli.run",
    "run": "collapse_jax.cli.run",
    "resume": "collapse_jax.cli.run",
    "extend": "collapse_jax.cli.run",
    "sweep": "collapse_jax.cli.sweep",
    "reproduce": "collapse_jax.cli.reproduce",
    "verify": "collapse_jax.cli.verify",
    "plot": "collapse_jax.cli.show",
    "report": "collapse_jax.cli.show",
    "pack": "collapse_jax.cli.pack",
}

_DEBUG = "COLLAPSE_JAX_DEBUG"  # environment variable: internal errors show their traceback
_LONGEST = 300  # characters of an internal error's message


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
      arguments: of the command line, without the program's name; None for `sys.argv`.

    Returns:
      Exit code: 0 for success, 1 for a failed check or sweep point or an internal error, 2 for
      bad input, 130 for an interrupt. Errors and interrupts write one line to stderr.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if given else 2
    try:
        if given[0] not in COMMANDS:
            known = ", ".join(COMMANDS)
            raise ArgumentError(
                f"command={given[0]!r} is not allowed: it must be one of {known}; see --help"
            )
        limit_instructions(given, is_own_process=arguments is None)
        module = importlib.import_module(COMMANDS[given[0]])
        return getattr(module, f"{given[0]}_command")(given[1:])
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except (ArgumentError, OSError) as error:
        sys.stderr.write(f"collapse: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"collapse: {str(stop) or 'interrupted'}\n")
        return 130
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}"
        sys.stderr.write(
            f"collapse: internal error, {reason}; set {_DEBUG}=1 for the traceback and report it\n"
        )
        return 1


def limit_instructions(arguments: Sequence[str], *, is_own_process: bool) -> None:
    """Start the command again with the instruction sets of --isa, which NumPy and jax choose once.

    Args:
      arguments: of the command line, without the program's name.
      is_own_process: whether the process belongs to the command and may be replaced.

    Raises:
      ArgumentError: if this CPU lacks them, or the process is not that of the command.
    """
    instructions.check_variable()
    found = [
        item.partition("=")[2] if "=" in item else following
        for item, following in zip(arguments, [*arguments[1:], ""], strict=True)
        if item.partition("=")[0] == "--isa"
    ]
    if not found or found[-1] == os.environ.get(instructions.VARIABLE):
        return
    instructions.check_limit("--isa", found[-1])
    if not is_own_process:
        raise ArgumentError(
            f"--isa={found[-1]} is not allowed: this process has begun without; "
            f"set {instructions.VARIABLE}={found[-1]} before it begins"
        )
    environment = os.environ | {instructions.VARIABLE: found[-1]}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)

"""Run the command line: `collapse list`, `run`, `resume`, `extend`, `sweep`, `reproduce`, ..."""

import importlib
import os
import sys
from collections.abc import Sequence

from collapse_jax.cli.complaints import check_choice
from collapse_jax.cli.errors import BAD_INPUT, report
from collapse_jax.cli.streams import interruptible, writable_streams
from collapse_jax.utils import instructions
from collapse_jax.utils.check import ArgumentError

USAGE = """usage: collapse COMMAND ...

  collapse list                        list the experiments
  collapse run EXPERIMENT [options]    run an experiment; --help lists its options
  collapse resume RUN                  resume an interrupted run
  collapse extend RUN [options]        extend a run by chains or generations
  collapse sweep EXPERIMENT [options]  run an experiment for several values: --option 1,2,3
  collapse reproduce [--only NAMES]    run the studies; --scale smoke, laptop or paper
  collapse plan TOPIC [options]        find how much original data must be kept
  collapse explore [--port PORT]       serve a local page with sliders for a chain
  collapse compile EXPERIMENT --topology v5e:2x4    compile it for devices that are not here
  collapse verify [--lane full]        check simulations against exact laws
  collapse plot RUN                    draw a run's figures again
  collapse report RUN                  write a run's report.html again
  collapse pack RUN                    make one file of a run, for quotas of files
  collapse cache [--clear]             show or delete the compiled programs that are kept
  collapse --version                   print the version

`collapse COMMAND --help` describes a command.
"""
COMMANDS = {
    "list": "collapse_jax.cli.run",
    "run": "collapse_jax.cli.run",
    "resume": "collapse_jax.cli.run",
    "extend": "collapse_jax.cli.run",
    "sweep": "collapse_jax.cli.sweep",
    "reproduce": "collapse_jax.cli.reproduce",
    "plan": "collapse_jax.cli.plan",
    "explore": "collapse_jax.cli.explore",
    "compile": "collapse_jax.cli.compile",
    "verify": "collapse_jax.cli.verify",
    "plot": "collapse_jax.cli.show",
    "report": "collapse_jax.cli.show",
    "pack": "collapse_jax.cli.pack",
    "cache": "collapse_jax.cli.cache",
}
_SIMULATING = ("run", "resume", "extend", "sweep", "reproduce", "explore")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
      arguments: of the command line, without the program's name; None for `sys.argv`.

    Returns:
      Exit code: 0 for success, 1 for a failed check or sweep point or an internal error, 2 for
      bad input or a place that cannot be written, 130 for an interrupt, 141 if the reader of
      the output has gone. Errors and interrupts write one line to stderr.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with writable_streams():
        try:
            with interruptible():
                code = _run(given, is_own_process=arguments is None)
                sys.stdout.flush()
                return code
        except BaseException as error:
            return report(error, given)


def _run(given: Sequence[str], *, is_own_process: bool) -> int:
    """Run a command, or print the usage.

    Args:
      given: the arguments.
      is_own_process: whether the process belongs to the command.

    Raises:
      ArgumentError: if there is no such command.
    """
    if given and given[0] == "help":
        given = [*given[1:], "--help"]
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if given else BAD_INPUT
    name, *rest = given
    if name == "version" or {"-V", "--version"} & set(given):
        from collapse_jax import __version__

        sys.stdout.write(f"collapse {__version__}\n")
        return 0
    if complaint := check_choice("command", name, COMMANDS, "see `collapse --help`"):
        raise ArgumentError(complaint)
    if _asks_for_help(name, rest):
        write_usage(name)
        return 0
    limit_instructions(given, is_own_process=is_own_process)
    if is_own_process and name in _SIMULATING:
        importlib.import_module(COMMANDS["cache"]).use_program_cache()
    module = importlib.import_module(COMMANDS[name])
    return getattr(module, f"{name}_command")(rest)


def _asks_for_help(name: str, rest: Sequence[str]) -> bool:
    """Tell whether to print the usage of a command whose options no parser describes."""
    if name in ("run", "sweep", "compile") and rest and not rest[0].startswith("-"):
        return False  # an experiment before --help has options of its own
    is_plain = name in ("run", "sweep", "compile", "list", "plot", "report")
    return is_plain and bool({"-h", "--help"} & set(rest))


def write_usage(name: str) -> None:
    """Print the usage of a command, with the experiments if it takes one.

    Args:
      name: of the command.
    """
    (line,) = (line for line in USAGE.splitlines() if line.startswith(f"  collapse {name} "))
    usage, _, meaning = line.strip().partition("  ")
    sys.stdout.write(f"usage: {usage}\n\n{meaning.strip()}\n")
    if "EXPERIMENT" in usage:
        sys.stdout.write(f"\nOptions: `collapse {name} EXPERIMENT --help`. Experiments:\n\n")
        importlib.import_module(COMMANDS["list"]).list_command([])


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

"""Implement `collapse list`, `collapse run`, `collapse resume` and `collapse extend`."""

import contextlib
import dataclasses
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from collapse_jax.cli.answer import show_answer
from collapse_jax.cli.command import NAME, Command
from collapse_jax.cli.cost import announce
from collapse_jax.cli.options import (
    ProcessOptions,
    RunOptions,
    SharedRunOptions,
    chosen_experiment,
    expect,
    parse,
    parse_plain,
    process_of,
)
from collapse_jax.cli.output import (
    check_environment,
    check_free,
    check_writable,
    chosen_directory,
    fresh_directory,
)
from collapse_jax.cli.show import draw, report_failures, summary_of, write_page
from collapse_jax.store.files import store_errors
from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.interval import no_values_allowed
from collapse_jax.utils.paths import user_path

# A study of several runs is saved into a directory that already holds its command and parts.
_PRESERVED = (NAME, "parts", "corpora", "figures", "report.html", "lock-end", "lock-held-end")


@dataclasses.dataclass(frozen=True)
class ExtendOptions(ProcessOptions):
    """Extend a run by chains or generations; results equal those of a larger run, to the bit."""

    num_chains: int | None = None
    """New number of chains."""
    num_generations: int | None = None
    """New last generation."""


def list_command(arguments: Sequence[str]) -> int:
    """Print every experiment with the first line of its description.

    Args:
      arguments: of the command line, after `list`; there must be none.

    Returns:
      Exit code 0.

    Raises:
      ValueError: if there are arguments.
    """
    from collapse_jax.experiments import EXPERIMENTS

    expect(arguments, 0, "collapse list")
    width = max(len(name) for name in EXPERIMENTS)
    for name, experiment in EXPERIMENTS.items():
        first = (experiment.__doc__ or "").splitlines()[0]
        sys.stdout.write(f"{name:<{width}}  {first}\n")
    return 0


def run_command(arguments: Sequence[str]) -> int:
    """Run an experiment and write its run directory.

    Args:
      arguments: of the command line, after `run`.

    Returns:
      Exit code: 0, or 1 if points of the study failed.

    Raises:
      ValueError: if an argument is not allowed, or the directory exists.
    """
    name, experiment = chosen_experiment(arguments)
    options = parse(SharedRunOptions, experiment, f"collapse run {name}", arguments[1:])
    command = Command(name, list(arguments[1:]), seed=options.seed)
    if not options.distributed:  # which has to come before anything else that jax does
        check_environment()
        options.experiment.check(options.seed)
    is_shared, is_last = bool(options.distributed or options.process), options.overwrite
    is_new = not (is_shared or is_last)
    out = chosen_directory(
        options.out, f"{name}-{options.seed}", is_new=is_new, is_last=is_last and not is_shared
    )
    if is_shared:
        check_writable(out)  # another process may have made it
    else:
        check_free(out, overwrite=options.overwrite)
    _announce(out, options.experiment, options)
    return run_to(out, command, options)


def resume_command(arguments: Sequence[str]) -> int:
    """Resume an interrupted run.

    Args:
      arguments: of the command line, after `resume`.

    Returns:
      Exit code: 0, or 1 if points of the study failed.

    Raises:
      ValueError: if an argument is not allowed, or the directory is no run.
    """
    path, options = _of_run(ProcessOptions, "resume", arguments)
    command = Command.load(path)
    _announce(path, command.config(), options, " as a whole")
    return run_to(path, command, options)


def extend_command(arguments: Sequence[str]) -> int:
    """Extend a run by chains or generations.

    Args:
      arguments: of the command line, after `extend`.

    Returns:
      Exit code: 0, or 1 if points of the study failed.

    Raises:
      ValueError: if an argument is not allowed, or the run cannot be extended.
    """
    path, options = _of_run(ExtendOptions, "extend", arguments)
    earlier = Command.load(path)
    changes = {
        name: getattr(options, name)
        for name in ("num_chains", "num_generations")
        if getattr(options, name) is not None
    }
    if not changes:
        raise ArgumentError("a new size is missing; pass --num-chains or --num-generations")
    command = dataclasses.replace(earlier, changes={**earlier.changes, **changes})
    _check_larger(path, earlier.config(), command.config())
    _announce(path, command.config(), options, " as a whole")
    before = _settings_of(path)
    try:
        return run_to(path, command, options)
    except Exception:
        if _settings_of(path) == before:  # nothing was extended
            earlier.save(path)
        raise


def _announce(path: Path, experiment: Any, options: ProcessOptions, extent: str = "") -> None:
    """Say how long a run is expected to take, unless the command is quiet."""
    if not options.quiet:
        announce(f"{path}{extent}", experiment.expected_hours)


def _check_larger(path: Path, earlier: Any, later: Any) -> None:
    """Refuse to extend a run to fewer chains or generations than it has.

    Raises:
      ArgumentError: naming the option.
    """
    for name, noun in (("num_chains", "chains"), ("num_generations", "generations")):
        before, after = getattr(earlier, name, 0), getattr(later, name, 0)
        if after < before:
            raise ArgumentError(
                f"--{name.replace('_', '-')}={after} is not allowed: {path} is a run of {before:,} "
                f"{noun}, and can only grow; pass {before} or more, or start a new run"
            )


def _settings_of(path: Path) -> dict[Path, bytes]:
    """Return the settings of a run, and of its parts, by path of the file."""
    with store_errors(path):
        return {file: file.read_bytes() for file in sorted(path.rglob("config.json"))}


def _of_run(kind: type, command: str, arguments: Sequence[str]) -> tuple[Path, Any]:
    """Parse the run directory, which comes first, and the options of a command."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        raise ArgumentError(f"RUN is missing: the command is `collapse {command} RUN`; see --help")
    rest = arguments if arguments[0].startswith("-") else arguments[1:]
    options = parse_plain(kind, f"collapse {command} RUN", rest)
    return user_path(arguments[0], "RUN"), options


def run_to(out: Path, command: Command, options: ProcessOptions, remedy: str = "") -> int:
    """Run or resume an experiment, and write its records, figures and report.

    Args:
      out: the run directory.
      command: the experiment with its settings.
      options: share of the chains of this process, whether it shows progress, and, for
        `RunOptions`, whether to replace an earlier run in `out`.
      remedy: a clause that says how to run points again that failed; `collapse resume` if "".

    Returns:
      Exit code: 0, or 1 if points of the study failed.

    Raises:
      ValueError: if the settings are not allowed, or `out` is damaged or holds another run.
      KeyboardInterrupt: after an interrupt or SIGTERM; the run can then be resumed.
    """
    from collapse_jax.engine.multiprocess import is_first
    from collapse_jax.results.provenance import describe
    from collapse_jax.results.records import IncompleteError
    from collapse_jax.results.saved import is_stored
    from collapse_jax.store.lock import exclusive
    from collapse_jax.store.store import Store

    experiment = command.config()
    process = process_of(options, experiment.joins_processes)
    is_silent = experiment.joins_processes and not is_first()
    described = {"name": command.experiment, **describe(experiment)}
    notes = {"experiment": described, "seed": command.seed}
    overwrite = isinstance(options, RunOptions) and options.overwrite
    store = Store(out, process, extend=bool(command.changes), notes=notes)
    check_environment()
    with _resumable(out):
        try:
            with fresh_directory(out, overwrite=overwrite and not is_silent):
                if not is_silent:
                    command.save(out)
                with no_values_allowed():
                    warnings.filterwarnings("ignore", ".*lacks chains? ", RuntimeWarning)
                    warnings.filterwarnings("ignore", ".* of the grid failed", RuntimeWarning)
                    records = experiment.run(command.seed, not options.quiet, store)
        except IncompleteError as error:
            sys.stdout.write(
                f"{out} is not complete yet: {error} after all other processes have ended\n"
            )
            return 0
        if is_silent:
            return 0
        with exclusive(out):
            if not is_stored(out):
                records.config.update(notes)
                records.save(out, overwrite=True, preserve=_PRESERVED)
            draw(records, out)
            page = write_page(records, out)
    show_answer(summary_of(records))
    sys.stdout.write(f"report: {page}\n")
    given = ["run", command.experiment, *command.arguments]
    return report_failures(records, given, remedy or f"run `collapse resume {out}`")


@contextlib.contextmanager
def _resumable(out: Path) -> Iterator[None]:
    """Say how to resume a run if the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; resume it with `collapse resume {out}`") from None

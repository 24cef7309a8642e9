"""Arguments into options, with one line for what is wrong."""

import contextlib
import dataclasses
import functools
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any


@dataclasses.dataclass(frozen=True)
class ProcessOptions:
    """Go on with a run after whatever ended it; the bits are those of a run that nothing did."""

    quiet: bool = False
    """Show no progress."""
    distributed: bool = False
    """Make this process's share of the chains, as jax.distributed numbers the processes."""
    process: str = ""
    """INDEX/COUNT: make this share of the chains, 0/4 to 3/4, say."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What every command that draws and writes takes beside the experiment's own options."""

    seed: int = 0
    """Seed of every random number."""
    out: str = ""
    """Directory to write; under runs/ by default."""
    overwrite: bool = False
    """Replace a run directory of that name."""
    quiet: bool = False
    """Show no progress."""


@dataclasses.dataclass(frozen=True)
class SharedRunOptions(RunOptions, ProcessOptions):
    """What `collapse run` takes."""


@dataclasses.dataclass(frozen=True)
class SweepOptions(RunOptions):
    """What `collapse sweep` takes."""

    retry: bool = False
    """Run the failed points of the sweep in --out again, and only these."""


def parse(base: type[RunOptions], experiment: Any, program: str, arguments: Sequence[str]) -> Any:
    """The options, as `base` with the experiment's config in `experiment`.

    A policy may be named after its options as well as before them.

    Raises:
      ValueError: for what tyro refuses.
    """
    arguments = sorted(arguments, key=lambda item: re.fullmatch(r"policy:[\w-]+", item) is None)
    kind: Any = Annotated[experiment, _name("")]
    field = ("experiment", kind, dataclasses.field(default_factory=_start(experiment, arguments)))
    options = dataclasses.make_dataclass("Options", [field], bases=(base,), frozen=True)
    options.__doc__ = experiment.__doc__
    return parse_plain(options, program, arguments)


def _start(experiment: Any, arguments: Sequence[str]) -> Callable[[], Any]:
    """The experiment that other options change: of the preset that is named, if one is."""
    for place, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--preset" and experiment.presets:
            value = value or (arguments[place + 1] if place + 1 < len(arguments) else "")
            return functools.partial(experiment.of_preset, value)
    return experiment


def parse_plain(options: Any, program: str, arguments: Sequence[str]) -> Any:
    """The options of a command without an experiment's config.

    Raises:
      ValueError: for what tyro refuses.
    """
    import tyro

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                options,
                prog=program,
                args=list(arguments),
                config=(tyro.conf.CascadeSubcommandArgs,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        words = re.sub(r"\x1b\[[0-9;]*m|[─-╿]", " ", complaint.getvalue()).split()
        raise ValueError(f"{' '.join(words)[:400]}") from None


def _name(name: str) -> Any:
    import tyro

    return tyro.conf.arg(name=name)


def chosen_experiment(arguments: Sequence[str]) -> tuple[str, Any]:
    """The experiment that the first argument names.

    Raises:
      ValueError: if there is none of this name.
    """
    from collapse_jax.experiments import EXPERIMENTS

    if not arguments or arguments[0] not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        shown = arguments[0] if arguments else ""
        raise ValueError(
            f"experiment={shown!r} is not allowed: it must be one of {known}; see `collapse list`"
        )
    return arguments[0], EXPERIMENTS[arguments[0]]


def output_directory(options: RunOptions, default: str) -> Path:
    """Where to write; a run that is to be replaced is removed.

    Raises:
      ValueError: if something is there and is not to be replaced.
    """
    from collapse_jax.store.directory import remove

    out = Path(options.out) if options.out else Path("runs") / default
    if isinstance(options, ProcessOptions) and (options.distributed or options.process):
        return out  # others may have made it
    if out.exists() and options.overwrite:
        remove(out)
    elif out.exists():
        raise ValueError(
            f"--out={out} is not allowed: it exists; pass another --out or --overwrite, or go "
            f"on with it by `collapse resume {out}`"
        )
    return out


def process_of(options: ProcessOptions, is_joint: bool) -> tuple[int, int]:
    """Index and number of the processes that share the chains of a run.

    Args:
      options: of the command.
      is_joint: whether they are to work at the same chains: it is one run for all of them.

    Raises:
      ValueError: for what is no such pair, or if jax.distributed finds none.
    """
    if options.process and is_joint:
        raise ValueError(
            f"--process={options.process!r} is not allowed: with --devices all processes work "
            "at the same chains; pass --distributed"
        )
    if options.process:
        found = re.fullmatch(r"(\d+)/(\d+)", options.process)
        if found is None or int(found[1]) >= int(found[2]):
            raise ValueError(
                f"--process={options.process!r} is not allowed: it must be INDEX/COUNT with "
                "INDEX < COUNT; pass 0/4, say"
            )
        return int(found[1]), int(found[2])
    if not options.distributed:
        return 0, 1
    import jax

    try:
        jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"--distributed is not allowed: jax.distributed finds no cluster ({error}); "
            "pass --process INDEX/COUNT"
        ) from None
    if is_joint:
        return 0, 1
    process = jax.process_index(), jax.process_count()
    # Chains never talk: a process that dies is not to take the others with it.
    jax.distributed.shutdown()
    return process


def expect(arguments: Sequence[str], count: int, usage: str) -> None:
    """Refuse another number of plain arguments."""
    if len(arguments) != count or any(item.startswith("-") for item in arguments):
        raise ValueError(
            f"arguments={list(arguments)} is not allowed: the command is `{usage}`; see --help"
        )

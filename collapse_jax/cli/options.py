"""Arguments into options, with one line for what is wrong."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any


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
    field = ("experiment", kind, dataclasses.field(default_factory=experiment))
    options = dataclasses.make_dataclass("Options", [field], bases=(base,), frozen=True)
    options.__doc__ = experiment.__doc__
    return parse_plain(options, program, arguments)


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
    """Where to write.

    Raises:
      ValueError: if something is there and is not to be replaced.
    """
    out = Path(options.out) if options.out else Path("runs") / default
    if out.exists() and not options.overwrite:
        raise ValueError(
            f"--out={out} is not allowed: it exists; pass another --out or --overwrite"
        )
    return out


def expect(arguments: Sequence[str], count: int, usage: str) -> None:
    """Refuse another number of plain arguments."""
    if len(arguments) != count or any(item.startswith("-") for item in arguments):
        raise ValueError(
            f"arguments={list(arguments)} is not allowed: the command is `{usage}`; see --help"
        )

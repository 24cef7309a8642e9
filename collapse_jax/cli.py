"""The command line: `collapse list`, `run`, `plot`, `report`."""

import contextlib
import dataclasses
import io
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

USAGE = """usage: collapse {list,run,plot,report} ...

  collapse list                      the experiments
  collapse run EXPERIMENT [options]  run one; --help lists its options
  collapse plot RUN                  draw a run's figures again
  collapse report RUN                write a run's report.html again
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; bad input prints one line and gives exit code 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"list": _list, "run": _run, "plot": _plot, "report": _report}
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if given else 2
    try:
        if given[0] not in commands:
            known = ", ".join(commands)
            raise ValueError(
                f"command={given[0]!r} is not allowed: it must be one of {known}; see --help"
            )
        return commands[given[0]](given[1:])
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except ValueError as error:
        sys.stderr.write(f"collapse: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("collapse: interrupted\n")
        return 130


def _experiments() -> dict[str, Any]:
    from collapse_jax.experiments import EXPERIMENTS

    return EXPERIMENTS


def _list(arguments: list[str]) -> int:
    _expect(arguments, 0, "collapse list")
    for name, experiment in _experiments().items():
        first = (experiment.__doc__ or "").splitlines()[0]
        sys.stdout.write(f"{name:<10} {first}\n")
    return 0


def _expect(arguments: list[str], count: int, usage: str) -> None:
    if len(arguments) != count or any(item.startswith("-") for item in arguments):
        raise ValueError(
            f"arguments={arguments} is not allowed: the command is `{usage}`; see --help"
        )


def _run(arguments: list[str]) -> int:
    experiments = _experiments()
    if not arguments or arguments[0] not in experiments:
        known = ", ".join(experiments)
        shown = arguments[0] if arguments else ""
        raise ValueError(
            f"experiment={shown!r} is not allowed: it must be one of {known}; see `collapse list`"
        )
    name = arguments[0]
    options = _parse(experiments[name], name, arguments[1:])
    out = Path(options.out) if options.out else Path("runs") / f"{name}-{options.seed}"
    _check_out(out, options.overwrite)
    records = options.experiment.run(seed=options.seed, progress=not options.quiet)
    records.config["experiment"] = {"name": name, **_plain(options.experiment)}
    records.config["seed"] = options.seed
    records.save(out, overwrite=options.overwrite)
    _draw(records, out)
    sys.stdout.write(f"report: {_write_report(records, out)}\n")
    return 0


def _check_out(out: Path, overwrite: bool) -> None:
    if out.exists() and not overwrite:
        raise ValueError(
            f"--out={out} is not allowed: it exists; pass another --out or --overwrite"
        )


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What every `collapse run` takes beside the experiment's own options."""

    seed: int = 0
    """Seed of every random number."""
    out: str = ""
    """Run directory; runs/EXPERIMENT-SEED by default."""
    overwrite: bool = False
    """Replace a run directory of that name."""
    quiet: bool = False
    """Show no progress."""


def _parse(experiment: Any, name: str, arguments: list[str]) -> Any:
    """The options, as a `RunOptions` with the experiment's config in `experiment`."""
    import tyro

    kind: Any = Annotated[experiment, tyro.conf.arg(name="")]
    field = ("experiment", kind, dataclasses.field(default_factory=experiment))
    options = dataclasses.make_dataclass("Options", [field], bases=(RunOptions,), frozen=True)
    options.__doc__ = experiment.__doc__
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                options,
                prog=f"collapse run {name}",
                args=arguments,
                config=(tyro.conf.CascadeSubcommandArgs,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        words = re.sub(r"\x1b\[[0-9;]*m|[─-╿]", " ", complaint.getvalue()).split()
        raise ValueError(f"{' '.join(words)[:400]}") from None


def _plain(config: Any) -> dict[str, Any]:
    from collapse_jax.results.describe import describe

    return describe(config)


def _load(arguments: list[str], command: str) -> tuple[Any, Path]:
    from collapse_jax.results.records import Records

    _expect(arguments, 1, f"collapse {command} RUN")
    path = Path(arguments[0])
    records = Records.load(path)
    if records.config.get("experiment", {}).get("name") not in _experiments():
        raise ValueError(
            f"path={str(path)!r} is not allowed: it was not made by `collapse run`; "
            "draw its records with collapse_jax.plots"
        )
    return records, path


def _draw(records: Any, path: Path) -> None:
    from collapse_jax.plots.style import save_figure

    experiment = _experiments()[records.config["experiment"]["name"]]
    captions = {}
    for name, (caption, figure) in experiment.figures(records).items():
        save_figure(figure, path / "figures", name)
        captions[name] = caption
    (path / "figures" / "captions.json").write_text(json.dumps(captions, indent=1) + "\n")


def _write_report(records: Any, path: Path) -> Path:
    from collapse_jax.report import write_report

    experiment = _experiments()[records.config["experiment"]["name"]]
    summary = experiment.summarize(records)
    captions = json.loads((path / "figures" / "captions.json").read_text())
    return write_report(
        path / "report.html",
        title=summary.title,
        sentences=summary.sentences,
        table=summary.table,
        figures={caption: path / "figures" / f"{name}.png" for name, caption in captions.items()},
        config=records.config,
        provenance=records.provenance,
    )


def _plot(arguments: list[str]) -> int:
    records, path = _load(arguments, "plot")
    _draw(records, path)
    sys.stdout.write(f"figures: {path / 'figures'}\n")
    return 0


def _report(arguments: list[str]) -> int:
    records, path = _load(arguments, "report")
    if not (path / "figures" / "captions.json").exists():
        _draw(records, path)
    sys.stdout.write(f"report: {_write_report(records, path)}\n")
    return 0

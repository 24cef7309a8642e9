"""Implement `collapse plot` and `collapse report`: draw figures and pages of saved runs."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collapse_jax.cli.command import NAME as COMMAND
from collapse_jax.cli.command import Command
from collapse_jax.cli.option_names import as_options
from collapse_jax.cli.options import expect
from collapse_jax.cli.output import check_environment
from collapse_jax.store.files import store_errors
from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.interval import no_values_allowed
from collapse_jax.utils.paths import user_path

_CAPTIONS = "figures/captions.json"


def plot_command(arguments: Sequence[str]) -> int:
    """Draw the figures of a run again.

    Args:
      arguments: the run directory.

    Returns:
      Exit code 0.

    Raises:
      ValueError: if it is no complete run of `collapse`.
    """
    records, path = _load(arguments, "plot")
    draw(records, path)
    sys.stdout.write(f"figures: {path / 'figures'}\n")
    return 0


def report_command(arguments: Sequence[str]) -> int:
    """Write report.html of a run again.

    Args:
      arguments: the run directory.

    Returns:
      Exit code 0.

    Raises:
      ValueError: if it is no complete run of `collapse`.
    """
    records, path = _load(arguments, "report")
    if captions_of(path) is None:
        draw(records, path)
    sys.stdout.write(f"report: {write_page(records, path)}\n")
    return 0


def draw(records: Any, path: Path) -> None:
    """Draw the figures of a run into its directory, with captions.json.

    Args:
      records: of the run.
      path: the run directory.
    """
    from collapse_jax.plots.data import save_with_numbers

    captions, presenter = {}, _presenter(records)
    with no_values_allowed():
        figures, views = presenter.figures(records), presenter.views(records)
    for name, (caption, figure) in figures.items():
        with store_errors(path / "figures" / name):
            save_with_numbers(figure, path / "figures", name, views.get(name))
        captions[name] = caption
    with store_errors(path / _CAPTIONS):
        (path / _CAPTIONS).write_text(json.dumps(captions, indent=1) + "\n")


def captions_of(path: Path) -> dict[str, Path] | None:
    """Return the figures of a run by caption.

    Args:
      path: the run directory.

    Returns:
      PNG files by caption; None if `draw` has not written all of them, or a file is damaged.
    """
    try:
        captions = json.loads((path / _CAPTIONS).read_text())
        files = {
            str(caption): path / "figures" / f"{name}.png" for name, caption in captions.items()
        }
    except (OSError, ValueError, AttributeError):
        return None
    return files if all(file.is_file() for file in files.values()) else None


def write_page(records: Any, path: Path) -> Path:
    """Write report.html of a run, after `draw`.

    Args:
      records: of the run.
      path: the run directory.

    Returns:
      Path of the page.
    """
    from collapse_jax.report import write_report
    from collapse_jax.results.settings_words import settings_of

    summary = summary_of(records)
    with store_errors(path / "report.html"):
        return write_report(
            path / "report.html",
            title=summary.title,
            sentences=summary.sentences,
            statements=summary.statements,
            finding=summary.finding,
            settings=settings_of(records),
            command=command_of(records, path),
            table=summary.table,
            figures=captions_of(path) or {},
            config=records.config,
            provenance=records.provenance,
        )


def summary_of(records: Any) -> Any:
    """Return the findings of a run, and the reason for every point that failed.

    Args:
      records: of the run.

    Returns:
      A `Summary`.
    """
    from collapse_jax.results.grid import failure_sentences

    with no_values_allowed():
        summary = _presenter(records).summarize(records)
    sentences = [*summary.sentences, *failure_sentences(records.config)]
    return dataclasses.replace(summary, sentences=sentences)


def report_failures(records: Any, arguments: Sequence[str], remedy: str) -> int:
    """Write a line to stderr for every point that failed, and what to do.

    Args:
      records: of the run.
      arguments: of the command line.
      remedy: a clause that says how to run these points again.

    Returns:
      Exit code: 0, or 1 if a point failed.
    """
    failures = records.config.get("failures", ())
    for failure in failures:
        kind, separator, message = failure["error"].partition(": ")
        message = as_options(message, arguments)
        sys.stderr.write(f"failed: {failure['label']}: {kind}{separator}{message}\n")
    if failures:
        sys.stderr.write(f"collapse: {remedy} to run only these points\n")
    return 1 if failures else 0


def command_of(records: Any, path: Path) -> str:
    """Return the command that repeats a run, "" if the run has none.

    Args:
      records: of the run.
      path: the run directory.
    """
    from collapse_jax.experiments.sweep import command_words

    if records.config.get("experiment", {}).get("is_sweep"):
        return command_words(records)
    return Command.load(path).words if (path / COMMAND).exists() else ""


def _presenter(records: Any) -> Any:
    """Return the class with the figures and summary of a run: its experiment or `SweepView`."""
    from collapse_jax.experiments import EXPERIMENTS
    from collapse_jax.experiments.sweep import SweepView

    experiment = records.config["experiment"]
    return SweepView if experiment.get("is_sweep") else EXPERIMENTS[experiment["name"]]


def _load(arguments: Sequence[str], command: str) -> tuple[Any, Path]:
    from collapse_jax.experiments import EXPERIMENTS
    from collapse_jax.results.records import Records, check_complete
    from collapse_jax.store.archive import is_archive
    from collapse_jax.store.directory import is_run

    expect(arguments, 1, f"collapse {command} RUN")
    path = user_path(arguments[0], "RUN")
    if path.is_file() and is_archive(path):
        raise ArgumentError(
            f"RUN={str(path)!r} is not allowed: figures and report lie in a run directory; "
            "make one in Python with cj.Records.load(archive).save(path)"
        )
    with store_errors(path):
        is_begun = (path / COMMAND).exists()
    if is_begun and not is_run(path):
        raise ArgumentError(
            f"RUN={str(path)!r} is not allowed: it is not complete; "
            f"resume it with `collapse resume {path}`"
        )
    if not is_run(path):
        raise ArgumentError(
            f"RUN={str(path)!r} is not allowed: it is not a run directory (config.json and "
            "records.zarr are missing); pass the --out of `collapse run`"
        )
    check_environment()
    records = Records.load(path)
    check_complete([records])
    if records.config.get("experiment", {}).get("name") not in EXPERIMENTS:
        raise ArgumentError(
            f"RUN={str(path)!r} is not allowed: it was not made by `collapse`; "
            "draw its records in Python with collapse_jax.plots"
        )
    return records, path

"""Implement `collapse reproduce`: run the studies one by one, and write a page about them."""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from collapse_jax.cli.command import Command
from collapse_jax.cli.cost import duration
from collapse_jax.cli.options import RunOptions, SharedRunOptions, parse_plain
from collapse_jax.cli.output import check_environment, check_ours, chosen_directory
from collapse_jax.cli.run import run_to
from collapse_jax.cli.show import captions_of, command_of, draw, summary_of
from collapse_jax.store.files import store_errors
from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.counted import counted
from collapse_jax.utils.suggestions import closest

if TYPE_CHECKING:
    from collapse_jax.report import Study

COSTS = "costs.json"  # seconds per study, summed over all its starts


@dataclasses.dataclass(frozen=True)
class ReproduceOptions(RunOptions):
    """Run the studies and write one page with statements of the literature, results, verdicts.

    The command first reports the expected times. A complete study is not run again, an
    interrupted one is resumed, and points of a study that failed are run again; --overwrite runs
    all of them again. Each study also has its own directory and page.
    """

    only: str = "all"
    """all, or topics (gaussian, discrete, gmm, vae, lm) and experiments, separated by commas."""
    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    """Size of the studies. smoke: a few minutes in total, a test of the installation; laptop: less
    than an hour on two cores; paper: the paper's sizes, seconds to minutes for Gaussians and words,
    weeks on two cores for networks."""
    images: str = ""
    """Images of the study vae: digits, mnist, FILE.npz (x, y, x_test, y_test) or a folder; by
    default digits, and mnist at scale paper. On two cores, scale laptop takes about 4 minutes for
    digits and 15 to 30 minutes for 10,000 images of MNIST; scale paper takes more than a day for
    MNIST. The standard deviation of latents is expected to fall, by a tenth or more within five
    generations of MNIST."""


def reproduce_command(arguments: Sequence[str]) -> int:
    """Run the chosen studies that are not complete, and write the page.

    Args:
      arguments: of the command line, after `reproduce`.

    Returns:
      Exit code: 0, or 1 if points of a study failed.

    Raises:
      ValueError: if an option is not allowed, or --out has studies of other settings.
      KeyboardInterrupt: after an interrupt or SIGTERM; the command can be repeated.
    """
    options: Any = parse_plain(ReproduceOptions, "collapse reproduce", arguments)
    names = _chosen(options.only)
    out = chosen_directory(options.out, f"reproduce-{options.scale}")
    check_ours(out, _is_ours, "reproduce")
    check_environment()
    commands = {name: _command(name, options) for name in names}
    to_run = [name for name in names if options.overwrite or not _is_done(out, commands[name])]
    for name in names:
        if name not in to_run:
            sys.stderr.write(f"{name}: already complete\n")
    _announce(to_run, options.scale)
    try:
        codes = [_run(out, commands[name], options) for name in to_run]
    except KeyboardInterrupt:
        without = " without --overwrite" if options.overwrite else ""
        reason = f"interrupted; repeat the command{without} to resume the study and run the others"
        raise KeyboardInterrupt(reason) from None
    sys.stdout.write(f"report: {_write_page(out, options.scale)}\n")
    return max(codes, default=0)


def _is_ours(out: Path) -> bool:
    """Tell whether `collapse reproduce` made a directory: it has costs, or studies only."""
    from collapse_jax.experiments import EXPERIMENTS

    names = {one.name for one in out.iterdir()}
    return names <= {*EXPERIMENTS, COSTS, "report.html"} and names != {"report.html"}


def _chosen(only: str) -> list[str]:
    """List the names of the chosen experiments, in the order of `EXPERIMENTS`.

    Raises:
      ValueError: if a name is neither a topic nor an experiment.
    """
    from collapse_jax.experiments import EXPERIMENTS

    if only == "all":
        return list(EXPERIMENTS)
    wanted = set(filter(None, only.split(","))) or {only}
    topics = {experiment.topic for experiment in EXPERIMENTS.values()}
    unknown = sorted(wanted - topics - EXPERIMENTS.keys())
    if unknown:
        known = ", ".join(sorted(topics) + [name for name in EXPERIMENTS if name not in topics])
        raise ArgumentError(
            f"--only={unknown[0]!r} is not allowed: it must be among {known}; "
            f"{closest(unknown[0], {*topics, *EXPERIMENTS})}see --help"
        )
    return [
        name
        for name, experiment in EXPERIMENTS.items()
        if name in wanted or experiment.topic in wanted
    ]


def _command(name: str, options: ReproduceOptions) -> Command:
    from collapse_jax.experiments import EXPERIMENTS

    is_of_images = EXPERIMENTS[name].topic == "vae" and options.images
    settings = {"source": options.images} if is_of_images else {}
    return Command(name, scale=options.scale, seed=options.seed, settings=settings)


def _is_done(out: Path, command: Command) -> bool:
    """Tell whether a study is complete.

    Raises:
      ValueError: if its directory was made with other settings.
    """
    path = out / command.experiment
    if not path.exists():
        return False
    there = Command.load(path)
    if (there.scale, there.seed, there.settings) != (command.scale, command.seed, command.settings):
        raise ArgumentError(
            f"--out={out} is not allowed: {path} was made with scale {there.scale!r}, seed "
            f"{there.seed} and settings {dict(there.settings)}; pass another --out or --overwrite"
        )
    return (path / "report.html").exists() and not _has_failures(path)


def _has_failures(path: Path) -> bool:
    """Tell whether points of a study failed; a damaged file is reported with the page."""
    try:
        return bool(json.loads((path / "config.json").read_text()).get("failures"))
    except (OSError, ValueError, AttributeError):
        return False


def _announce(names: Sequence[str], scale: str) -> None:
    """Write the expected times to stderr."""
    from collapse_jax.experiments import EXPERIMENTS

    if not names:
        return
    hours = {name: EXPERIMENTS[name].hours[scale] for name in names}
    origin = "estimated from measured rates" if scale == "paper" else "as measured"
    each = ", ".join(f"{name} {duration(hours[name])}" for name in names)
    sys.stderr.write(f"on two cores, {origin}: {each}; in total {duration(sum(hours.values()))}\n")


def _run(out: Path, command: Command, options: ReproduceOptions) -> int:
    """Run or resume a study, add its time to `COSTS`, and return its exit code."""
    name, path = command.experiment, out / command.experiment
    costs = _costs(out)
    if options.overwrite:
        costs.pop(name, None)
    begin = time.perf_counter()
    try:
        shared = SharedRunOptions(quiet=options.quiet, overwrite=options.overwrite)
        without = " without --overwrite" if options.overwrite else ""
        code = run_to(path, command, shared, f"repeat the command{without}")
    finally:
        seconds = time.perf_counter() - begin
        costs[name] = costs.get(name, 0.0) + seconds
        if path.exists():
            with store_errors(out / COSTS):
                (out / COSTS).write_text(json.dumps(costs, indent=1) + "\n")
    sys.stderr.write(f"{name}: {seconds:.0f} s\n")
    return code


def _costs(out: Path) -> dict[str, float]:
    """Return the seconds of every study; none if the file is missing or damaged."""
    try:
        costs = json.loads((out / COSTS).read_text())
        return {name: float(seconds) for name, seconds in costs.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_page(out: Path, scale: str) -> Path:
    """Write the page about all studies in `out` that have ended."""
    from collapse_jax.experiments import EXPERIMENTS
    from collapse_jax.report import Study, write_reproduction
    from collapse_jax.results.records import Records
    from collapse_jax.results.settings_words import settings_of

    costs, studies = _costs(out), []
    for name in EXPERIMENTS:
        path = out / name
        if not (path / "report.html").exists():
            continue
        records = Records.load(path)
        summary = summary_of(records)
        if captions_of(path) is None:
            draw(records, path)
        study = Study(
            name,
            summary.title,
            summary.sentences,
            summary.statements,
            summary.table,
            captions_of(path) or {},
            records.config,
            records.provenance,
            costs.get(name),
            summary.finding,
            settings_of(records),
            command_of(records, path),
        )
        studies.append(study)
    sentence = (
        f"{counted(len(studies), 'study', 'studies')} at scale {scale}: statements of the "
        'literature, results of this run, and whether they agree. "not tested" comes '
        "with the reason, which is mostly that the scale is too small to tell."
    )
    with store_errors(out / "report.html"):
        return write_reproduction(
            out / "report.html",
            title="Model collapse, reproduced",
            sentences=[sentence, *_failed_studies(studies)],
            studies=studies,
        )


def _failed_studies(studies: "Sequence[Study]") -> list[str]:
    """Return a sentence about the studies of which points failed; none if there is no such one."""
    failed = [
        f"{study.name} ({counted(study.num_failed, 'point')} failed)"
        for study in studies
        if study.num_failed
    ]
    if not failed:
        return []
    return [
        f"Not complete: {', '.join(failed)}. Repeat the command without --overwrite to run only "
        "these points again."
    ]

"""`collapse reproduce`: the studies of this library, one after the other, and a page of all."""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from collapse_jax.cli.command import Command
from collapse_jax.cli.options import ProcessOptions, RunOptions, parse_plain
from collapse_jax.cli.run import run_to

COSTS = "costs.json"  # seconds that every study took, all starts together
_DAY = 24.0  # hours


@dataclasses.dataclass(frozen=True)
class ReproduceOptions(RunOptions):
    """Run the studies and write one page: what the literature says, what was found, verdicts.

    What the studies will take is said before they start. A study that is there already is not
    run again, and one that was interrupted goes on where it was; --overwrite runs all of them
    anew. Each has a directory and a page of its own, too.
    """

    only: str = ""
    """Topics (gaussian, discrete, gmm, vae, lm) or experiments, separated by commas; all by
    default."""
    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    """smoke: a few minutes in all, to see that everything works; laptop: less than an hour on two
    cores; paper: the paper's sizes, seconds to minutes for Gaussians and words, weeks on two cores
    for networks."""
    images: str = ""
    """Of the study vae: digits, mnist, FILE.npz (x, y) or a folder; by default digits, and at
    scale paper mnist. At scale laptop digits take about 4 minutes on two cores, 10,000 images
    of MNIST a quarter to half an hour; MNIST at scale paper takes more than a day there. Expect
    the std of latents to fall, by a tenth and more within five generations of MNIST."""


def reproduce_command(arguments: Sequence[str]) -> int:
    """Run what is chosen and not there yet."""
    options: Any = parse_plain(ReproduceOptions, "collapse reproduce", arguments)
    names = _chosen(options.only)
    out = Path(options.out) if options.out else Path("runs") / f"reproduce-{options.scale}"
    commands = {name: _command(name, options) for name in names}
    to_run = [name for name in names if options.overwrite or not _is_done(out, commands[name])]
    for name in names:
        if name not in to_run:
            sys.stderr.write(f"{name}: there already\n")
    _announce(to_run, options.scale)
    for name in to_run:
        _run(out, commands[name], options)
    sys.stdout.write(f"report: {_write_page(out, options.scale)}\n")
    return 0


def _chosen(only: str) -> list[str]:
    """Names of experiments, in their order.

    Raises:
      ValueError: for what is neither a topic nor an experiment.
    """
    from collapse_jax.experiments import EXPERIMENTS

    if not only:
        return list(EXPERIMENTS)
    wanted = set(only.split(","))
    topics = {experiment.topic for experiment in EXPERIMENTS.values()}
    unknown = sorted(wanted - topics - EXPERIMENTS.keys())
    if unknown:
        known = ", ".join(sorted(topics) + [name for name in EXPERIMENTS if name not in topics])
        raise ValueError(
            f"--only={unknown[0]!r} is not allowed: it must be among {known}; see --help"
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
    """Whether a study is complete.

    Raises:
      ValueError: if what is there was made by another command.
    """
    place = out / command.experiment
    if not place.exists():
        return False
    there = Command.load(place)
    if (there.scale, there.seed, there.settings) != (command.scale, command.seed, command.settings):
        raise ValueError(
            f"--out={out} is not allowed: {place} was made with scale {there.scale!r}, seed "
            f"{there.seed} and settings {dict(there.settings)}; pass another --out or --overwrite"
        )
    return (place / "report.html").exists()


def _announce(names: Sequence[str], scale: str) -> None:
    """Say what is to be expected."""
    from collapse_jax.experiments import EXPERIMENTS

    if not names:
        return
    hours = {name: EXPERIMENTS[name].hours[scale] for name in names}
    origin = "estimated from measured rates" if scale == "paper" else "as measured"
    each = ", ".join(f"{name} {_duration(hours[name])}" for name in names)
    sys.stderr.write(f"on two cores, {origin}: {each}; in all {_duration(sum(hours.values()))}\n")


def _duration(hours: float) -> str:
    if hours >= 2 * _DAY:
        return f"{hours:,.0f} h ({hours / _DAY:,.0f} days)"
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.0f} min" if hours >= 1 / 40 else f"{3600 * hours:.0f} s"


def _run(out: Path, command: Command, options: ReproduceOptions) -> None:
    """Run a study, or go on with it, and keep account of its cost."""
    from collapse_jax.store.directory import remove

    name, place = command.experiment, out / command.experiment
    costs = _costs(out)
    if place.exists() and options.overwrite:
        remove(place)
        costs.pop(name, None)
    begin = time.perf_counter()
    try:
        run_to(place, command, ProcessOptions(quiet=options.quiet))
    finally:
        seconds = time.perf_counter() - begin
        costs[name] = costs.get(name, 0.0) + seconds
        if out.exists():
            (out / COSTS).write_text(json.dumps(costs, indent=1) + "\n")
    sys.stderr.write(f"{name}: {seconds:.0f} s\n")


def _costs(out: Path) -> dict[str, float]:
    path = out / COSTS
    return json.loads(path.read_text()) if path.exists() else {}


def _write_page(out: Path, scale: str) -> Path:
    """The page of every study that is complete in `out`."""
    from collapse_jax.experiments import EXPERIMENTS
    from collapse_jax.report import Study, write_reproduction
    from collapse_jax.results.records import Records

    costs, studies = _costs(out), []
    for name, experiment in EXPERIMENTS.items():
        place = out / name
        if not (place / "report.html").exists():
            continue
        records = Records.load(place)
        summary = experiment.summarize(records)
        captions = json.loads((place / "figures" / "captions.json").read_text())
        study = Study(
            name,
            summary.title,
            summary.sentences,
            summary.statements,
            summary.table,
            {caption: place / "figures" / f"{file}.png" for file, caption in captions.items()},
            records.config,
            records.provenance,
            costs.get(name),
        )
        studies.append(study)
    return write_reproduction(
        out / "report.html",
        title="Model collapse, reproduced",
        sentences=[
            f"{len(studies)} studies at scale {scale}: what the literature says, what was found, "
            "and whether both agree. Undecided is what this scale is too small to tell.",
        ],
        studies=studies,
    )

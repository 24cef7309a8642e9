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


@dataclasses.dataclass(frozen=True)
class ReproduceOptions(RunOptions):
    """Run the studies and write a page for each and one of all.

    A study that is there already is not run again, and one that was interrupted goes on
    where it was; --overwrite runs all of them anew.
    """

    only: str = ""
    """Topics (gaussian, discrete) or experiments, separated by commas; all by default."""
    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    """smoke: seconds each; laptop: minutes; paper: the paper's sizes."""
    images: str = ""
    """Of the study vae: digits, mnist, FILE.npz (x, y) or a folder; by default digits, and at
    scale paper mnist. At scale laptop digits take about 4 minutes on two cores, 10,000 images
    of MNIST a quarter of an hour; MNIST at scale paper takes more than a day there. Expect
    the std of latents to fall, by a tenth and more within five generations of MNIST."""


def reproduce_command(arguments: Sequence[str]) -> int:
    """Run what is chosen and not there yet."""
    from collapse_jax.experiments import EXPERIMENTS
    from collapse_jax.store.directory import remove

    options: Any = parse_plain(ReproduceOptions, "collapse reproduce", arguments)
    names = _chosen(options.only)
    out = Path(options.out) if options.out else Path("runs") / f"reproduce-{options.scale}"
    for name in names:
        place = out / name
        if (place / "report.html").exists() and not options.overwrite:
            sys.stderr.write(f"{name}: there already\n")
            continue
        begin = time.perf_counter()
        if place.exists() and options.overwrite:
            remove(place)
        is_of_images = EXPERIMENTS[name].topic == "vae" and options.images
        settings = {"source": options.images} if is_of_images else {}
        command = Command(name, scale=options.scale, seed=options.seed, settings=settings)
        run_to(place, command, ProcessOptions(quiet=options.quiet))
        sys.stderr.write(f"{name}: {time.perf_counter() - begin:.0f} s\n")
    sys.stdout.write(f"report: {_index(out, options.scale)}\n")
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


def _index(out: Path, scale: str) -> Path:
    """A page with the figures of every study in `out`."""
    from collapse_jax.experiments import EXPERIMENTS
    from collapse_jax.report import write_report
    from collapse_jax.results.records import Records

    done = [name for name in EXPERIMENTS if (out / name / "report.html").exists()]
    table, figures, provenance = [["study", "finding", "page"]], {}, {}
    for name in done:
        records = Records.load(out / name)
        summary = EXPERIMENTS[name].summarize(records)
        table.append([summary.title, " ".join(summary.sentences), f"{name}/report.html"])
        captions = json.loads((out / name / "figures" / "captions.json").read_text())
        for file, caption in captions.items():
            figures[f"{summary.title}: {caption}"] = out / name / "figures" / f"{file}.png"
        provenance[name] = records.provenance
    return write_report(
        out / "report.html",
        title="Model collapse: studies",
        sentences=[f"{len(done)} studies, scale {scale}; each has a page of its own."],
        table=table,
        figures=figures,
        config={"scale": scale, "studies": done},
        provenance=provenance,
    )

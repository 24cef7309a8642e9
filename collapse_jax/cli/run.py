"""`collapse list` and `collapse run`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collapse_jax.cli.options import (
    RunOptions,
    chosen_experiment,
    expect,
    output_directory,
    parse,
)
from collapse_jax.cli.show import draw, write_page


def list_command(arguments: Sequence[str]) -> int:
    """Name every experiment."""
    from collapse_jax.experiments import EXPERIMENTS

    expect(arguments, 0, "collapse list")
    width = max(len(name) for name in EXPERIMENTS)
    for name, experiment in EXPERIMENTS.items():
        first = (experiment.__doc__ or "").splitlines()[0]
        sys.stdout.write(f"{name:<{width}}  {first}\n")
    return 0


def run_command(arguments: Sequence[str]) -> int:
    """Run an experiment and write its directory."""
    name, experiment = chosen_experiment(arguments)
    options = parse(RunOptions, experiment, f"collapse run {name}", arguments[1:])
    out = output_directory(options, f"{name}-{options.seed}")
    page = run_to(out, name, options.experiment, options)
    sys.stdout.write(f"report: {page}\n")
    return 0


def run_to(out: Path, name: str, experiment: Any, options: RunOptions) -> Path:
    """Run an experiment; its records, figures and report go to `out`."""
    from collapse_jax.results.describe import describe

    records = experiment.run(seed=options.seed, progress=not options.quiet)
    records.config["experiment"] = {"name": name, **describe(experiment)}
    records.config["seed"] = options.seed
    records.save(out, overwrite=options.overwrite)
    draw(records, out)
    return write_page(records, out)

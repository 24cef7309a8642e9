"""`collapse sweep`: an experiment for all combinations of comma-separated values."""

import dataclasses
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collapse_jax.cli.options import SweepOptions, chosen_experiment, output_directory, parse
from collapse_jax.cli.show import draw, write_page

_PLAIN = ("--out",)  # options whose value may hold a comma


def sweep_command(arguments: Sequence[str]) -> int:
    """Run every point; exit code 1 if one failed."""
    from collapse_jax.results.grid import Grid
    from collapse_jax.results.records import Records

    name, experiment = chosen_experiment(arguments)
    program = f"collapse sweep {name}"
    template, axes = split_axes(arguments[1:])
    first = [item.format(*(values[0] for values in axes.values())) for item in template]
    options = parse(SweepOptions, experiment, program, first)  # options that no point can have
    earlier = None
    if options.retry:
        out = Path(options.out)
        earlier = Records.load(out)
    else:
        out = output_directory(options, f"sweep-{name}-{options.seed}")
    grid = Grid(
        {path: [_number(value) for value in values] for path, values in axes.items()}, earlier
    )
    points = grid.points
    for place, point in enumerate(points):
        begin = time.perf_counter()
        chosen = [values[k] for values, k in zip(axes.values(), point, strict=True)]
        words = [item.format(*chosen) for item in template]
        try:
            config = parse(SweepOptions, experiment, program, words).experiment
            grid.add(point, _slim(config.run(seed=options.seed, progress=False)))
        except Exception as error:
            grid.fail(point, error)
        if not options.quiet:
            seconds = time.perf_counter() - begin
            line = f"[{place + 1}/{len(points)}] {grid.label(point)}  {seconds:.1f} s\n"
            sys.stderr.write(line)
    records = grid.records()
    records.config["experiment"] = {"name": name, "arguments": list(arguments), "is_sweep": True}
    records.config["seed"] = options.seed
    records.save(out, overwrite=options.overwrite or options.retry)
    draw(records, out)
    sys.stdout.write(f"report: {write_page(records, out)}\n")
    for failure in records.config["failures"]:
        sys.stderr.write(f"failed: {failure['label']}: {failure['error']}\n")
    if records.config["failures"]:
        sys.stderr.write("collapse: run the same command with --retry for these points alone\n")
    return 1 if records.config["failures"] else 0


def split_axes(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Arguments with {0}, {1}, ... in place of comma-separated values, and these by option.

    Raises:
      ValueError: if there are none.
    """
    template: list[str] = []
    axes: dict[str, list[str]] = {}
    option = ""
    for item in arguments:
        head, separator, value = item.partition("=") if item.startswith("--") else ("", "", item)
        subcommand = re.fullmatch(r"([\w.]+):([\w,-]+)", item)
        if item.startswith("--") and not separator:
            option, path = item, ""
        else:
            path = (head or option).removeprefix("--").replace("-", "_")
            if subcommand and not item.startswith("--"):
                head, value, separator = subcommand[1], subcommand[2], ":"
                path = head.rpartition(".")[2]
        values = value.split(",")
        plain = (head or option) in _PLAIN
        if path and len(values) > 1 and all(values) and not plain:
            template.append(f"{_escaped(head)}{separator}{{{len(axes)}}}")
            axes[path] = values
        else:
            template.append(_escaped(item))
    if not axes:
        raise ValueError(
            "axes= is not allowed: a sweep needs an option with several values; "
            "pass --policy.num-samples 10,100,1000, say"
        )
    return template, axes


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _slim(records: Any) -> Any:
    """Without variables that have a value for each state: too much for every point."""
    variables = {name: one for name, one in records.variables.items() if "state" not in one.dims}
    coordinates = {name: one for name, one in records.coordinates.items() if name != "state"}
    return dataclasses.replace(records, variables=variables, coordinates=coordinates)

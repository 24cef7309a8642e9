"""Implement `collapse sweep`: run an experiment for all combinations of several values."""

import dataclasses
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from collapse_jax.cli.answer import show_answer
from collapse_jax.cli.complaints import exceeds_float
from collapse_jax.cli.cost import announce
from collapse_jax.cli.options import SweepOptions, chosen_experiment, parse, read_integer
from collapse_jax.cli.output import check_environment, check_free, chosen_directory
from collapse_jax.cli.show import draw, report_failures, summary_of, write_page
from collapse_jax.sources.table_files import split_column
from collapse_jax.utils.check import ArgumentError

_PLAIN = ("--out",)  # options whose value may hold a comma


def sweep_command(arguments: Sequence[str]) -> int:
    """Run all points of a sweep, and write records, figures and report.

    Args:
      arguments: of the command line, after `sweep`; values of an option are separated by commas.

    Returns:
      Exit code: 0, or 1 if a point failed.

    Raises:
      ValueError: if an argument is not allowed, or no option has several values.
    """
    from collapse_jax.results.grid import Grid
    from collapse_jax.results.records import Records

    name, experiment = chosen_experiment(arguments)
    program = f"collapse sweep {name}"
    if {"-h", "--help"} & set(arguments[1:]):
        parse(SweepOptions, experiment, program, ["--help"])
    template, axes = split_axes(arguments[1:])
    grid = Grid({path: [_number(value) for value in values] for path, values in axes.items()})

    def options_at(point: Sequence[int]) -> Any:
        chosen = [values[k] for values, k in zip(axes.values(), point, strict=True)]
        words = [item.format(*chosen) for item in template]
        return parse(SweepOptions, experiment, program, words)

    options, refused = _check_points(grid, options_at)
    out = chosen_directory(
        options.out,
        f"sweep-{name}-{options.seed}",
        is_new=not (options.overwrite or options.retry),
        is_last=options.overwrite or options.retry,
    )
    if options.retry:
        grid = Grid(grid.axes, Records.load(out))
    else:
        check_free(out, overwrite=options.overwrite)
    points, lines = grid.points, ""
    if not options.quiet:
        experiments = [options_at(one).experiment for one in points if one not in refused]
        announce(f"{out}", _expected_hours(grid, experiments))
    for index, point in enumerate(points):
        begin = time.perf_counter()
        try:
            if point in refused:
                raise refused[point]
            one = options_at(point)
            grid.add(point, _slim(one.experiment.run(seed=one.seed, progress=False)))
        except KeyboardInterrupt:
            reason = "interrupted; a sweep is saved when it ends: repeat the command"
            raise KeyboardInterrupt(reason) from None
        except Exception as error:
            grid.fail(point, error)
        if not options.quiet:
            seconds = time.perf_counter() - begin
            lines += f"[{index + 1}/{len(points)}] {grid.label(point)}  {seconds:.1f} s\n"
            if grid.has_records:  # a sweep of which every point is refused shows nothing else
                sys.stderr.write(lines)
                lines = ""
    records = grid.records()
    records.config["experiment"] = {"name": name, "arguments": list(arguments), "is_sweep": True}
    records.config["seed"] = options.seed
    records.save(out, overwrite=options.overwrite or options.retry)
    draw(records, out)
    show_answer(summary_of(records))
    sys.stdout.write(f"report: {write_page(records, out)}\n")
    return report_failures(records, ["sweep", *arguments], "repeat the command with --retry")


def _expected_hours(grid: Any, experiments: Sequence[Any]) -> float:
    """Return the expected duration: points that differ in shares alone share a compilation."""
    hours = [one.expected_hours for one in experiments]
    least = [min(one.expected_hours, one.hours["smoke"]) for one in experiments]  # to compile
    programs = 1
    for values in grid.axes.values():
        if not any(isinstance(value, float) for value in values):
            programs *= len(values)
    return sum(hours) - sum(least) + max(least) * min(programs, len(experiments))


def _check_points(grid: Any, options_at: Callable[[Any], Any]) -> tuple[Any, dict[Any, Exception]]:
    """Check the settings of every point, before the first is compiled.

    Args:
      grid: the points.
      options_at: returns the options at a point.

    Returns:
      The options of a point, and the errors of points that will not run, by point.

    Raises:
      ArgumentError: for a value that is refused whatever the values on other axes are, or if no
        point can run.
    """
    found, refused = None, {}
    check_environment()
    for point in grid.points:
        try:
            options = options_at(point)
            options.experiment.check(options.seed)
            found = found or options
        except Exception as error:
            refused[point] = error
    for axis, length in enumerate(grid.shape):
        for index in range(length):
            those = [point for point in grid.points if point[axis] == index]
            if all(point in refused for point in those):
                raise refused[those[0]]
    return found, refused


def split_axes(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Separate the axes of a sweep from the other arguments.

    Args:
      arguments: of the command line, after the experiment's name.

    Returns:
      The arguments as format strings, with {0}, {1}, ... instead of comma-separated values; and
      the values by path of the option.

    Raises:
      ArgumentError: if no option has several values, or one of them is empty or given twice.
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
            if subcommand and not item.startswith("--") and option != "--source":
                head, value, separator = subcommand[1], subcommand[2], ":"
                path = head.rpartition(".")[2]
        values = value.split(",")
        if (head or option) == "--source":
            values = _sources(values)
        plain = (head or option) in _PLAIN
        is_source = option == "--source" and not item.startswith("--")
        if path and len(values) > 1 and not plain:
            _check_values(f"{head}:" if separator == ":" else f"{head or option}=", values)
            template.append(f"{_escaped(head)}{separator}{{{len(axes)}}}")
            axes[path] = values
        else:
            template.append(_escaped(item))
        option = "" if is_source else option  # it takes one value
    if not axes:
        raise ArgumentError(
            "axes=() is not allowed: a sweep needs an option with several values; "
            "pass --policy.num-samples 10,100,1000, for example"
        )
    return template, axes


def _sources(parts: Sequence[str]) -> list[str]:
    """Return sources; a part that names no file and follows FILE:COLUMN is another column.

    >>> _sources(["a.csv:x", "y", "b.csv:x", "normal.npy"])
    ['a.csv:x,y', 'b.csv:x', 'normal.npy']
    """
    found: list[str] = []
    for part in parts:
        before = split_column(found[-1]) if found else None
        is_column = before is not None and before[1] is not None
        if is_column and ":" not in part and split_column(part) is None:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def _check_values(option: str, values: Sequence[str]) -> None:
    """Refuse a value that is empty, and a point that would run twice.

    Raises:
      ArgumentError: naming the option.
    """
    shown = f"{option}{','.join(values)}"
    if not all(values):
        reason = "a value before or after a comma is missing"
        raise ArgumentError(f"{shown} is not allowed: {reason}; type it, or remove the comma")
    seen: dict[Any, str] = {}
    for value in values:
        number = _number(value)
        if number in seen:
            first = seen[number]
            same = f"{value} is given twice" if value == first else f"{value} equals {first}"
            raise ArgumentError(f"{shown} is not allowed: {same}; pass each value once")
        seen[number] = value


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _number(text: str) -> Any:
    """Return the number that a text stands for; the text if none, or none that float64 holds."""
    if exceeds_float(text):
        return text
    for kind in (read_integer, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _slim(records: Any) -> Any:
    """Drop variables that have a value per state, which need too much memory for many points."""
    return dataclasses.replace(records, source=records.dataset.drop_dims("state", errors="ignore"))

"""Measure all speeds of the library in one table: ours, peer, ratio, cores used.

    python benchmarks/table.py [--only PART ...] [--out DIR]
    python benchmarks/table.py --readme --out DIR    # print the rows of README's table, run nothing

All parts take more than half an hour, on a machine without other work. Each part is a script of
this directory and runs in a process of its own. DIR/rows/PART.json is written after every row
and DIR/README.md after every part, so that a part that fails or is killed loses no other
results; `--only` replaces some parts and leaves the others unchanged.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import machine
from timing import Part, Row, pretty, pretty_cores, pretty_ratio

HERE = Path(__file__).parent
# The process retains freed memory between runs: otherwise times would include fresh pages of the
# operating system, whose speed differs tenfold between machines.
RETAINED = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_ARENA_MAX": "1",
}
LARGER = {**RETAINED, "MALLOC_MMAP_MAX_": "0"}  # for blocks above any threshold
PARTS: dict[str, Mapping[str, str]] = {
    "engine": RETAINED,
    "typed": RETAINED,
    "selections": RETAINED,
    "families": {},  # in one arena the threads of small programs would wait for one another
    "studies": RETAINED,
    "mixture": RETAINED,
    "store": RETAINED,
    "vae": RETAINED,
    "fine_tuning": RETAINED,
    "language_model": LARGER,
}
"""The scripts in order, and the environment of each."""


def run_part(script: Path, environment: Mapping[str, str], path: Path) -> Part:
    """Run one script, which writes its rows to `path`, and note its end.

    Args:
      script: the script.
      environment: more environment variables.
      path: the file of rows.

    Returns:
      The rows, and the errors if the script failed.
    """
    path.unlink(missing_ok=True)
    command = [sys.executable, str(script), "--json", str(path)]
    code = subprocess.run(command, env={**os.environ, **environment}).returncode
    part = Part.load(path) if path.exists() else Part()
    if not part.is_finished:
        part.failed["the rest"] = _ending(code)
    part.about = machine.describe()
    part.save(path)
    return part


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def load_parts(directory: Path, names: Iterable[str]) -> dict[str, Part]:
    """Return the parts that have been run, by name.

    Args:
      directory: the folder of rows.
      names: names of parts.
    """
    paths = {name: directory / f"{name}.json" for name in names}
    return {name: Part.load(path) for name, path in paths.items() if path.exists()}


def page(parts: Mapping[str, Part]) -> str:
    """Return the page: the table, failed cases with reasons, and machines.

    Args:
      parts: parts by name.
    """
    text = (
        "# Speed\n\n"
        "Written by `python benchmarks/table.py --out docs/benchmarks`; raw rows in `rows/`. How\n"
        "the time of a generation grows is in `growth.md`, by `python benchmarks/growth.py`.\n\n"
        "Times are per chain and generation unless a row names another unit. Ours and the peer\n"
        "alternate, and compile time is excluded; values are medians, and ratios are medians over\n"
        "neighbouring pairs of runs. The bar is the least ratio wanted. Cores are CPU time over\n"
        "wall time.\n\n"
        f"{table(row for part in parts.values() for row in part.rows)}"
    )
    left = [
        f"- `{name}`, {case}: {why}"
        for name, part in parts.items()
        for case, why in {**part.missing, **part.failed}.items()
    ]
    if left:
        text += "\n## Not run\n\n" + "\n".join(left) + "\n"
    return text + "\n## Where\n\n" + _machines(parts)


def _machines(parts: Mapping[str, Part]) -> str:
    machines: dict[str, list[str]] = {}
    for name, part in parts.items():
        machines.setdefault(machine.sentence(part.about), []).append(f"`{name}`")
    return "".join(f"- {', '.join(names)}: {about}\n" for about, names in machines.items())


def table(rows: Iterable[Row]) -> str:
    """Return a table with all columns.

    Args:
      rows: rows of any parts.
    """
    text = (
        "| | ours | peer | ratio | bar | cores used, ours | peer | pairs | note |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    for row in rows:
        bar = pretty_ratio(row.bar) + ("" if row.is_good else " **missed**")
        cells = [*_first_cells(row), bar if row.bar else "-"]
        cells += [pretty_cores(row.our_cores), pretty_cores(row.peer_cores)]
        text += f"| {' | '.join([*cells, str(row.pairs), row.note])} |\n"
    return text


def readme_rows(rows: Iterable[Row]) -> str:
    """Return the rows of README's table: times compared with another program.

    Args:
      rows: rows of any parts.
    """
    of_ours = ("limit", "ours", "its compiled programs")
    timed = [row for row in rows if row.unit == "s" and not row.against.startswith(of_ours)]
    return "".join(f"| {' | '.join(_first_cells(row))} |\n" for row in timed)


def _first_cells(row: Row) -> list[str]:
    values = [pretty(row.ours, row.unit), pretty(row.peer, row.unit)]
    return [row.title, *values, pretty_ratio(row.ratio)]


def run_all(
    chosen: Iterable[str],
    out: Path,
    parts: Mapping[str, Mapping[str, str]] = PARTS,
    scripts: Path = HERE,
) -> dict[str, Part]:
    """Run parts one after another, and write a page of all parts in a folder.

    Args:
      chosen: names of the parts to run.
      out: the folder.
      parts: the environment of each part.
      scripts: the folder of the scripts.

    Returns:
      All parts in the folder, by name.
    """
    directory = out / "rows"
    directory.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        print(f"\n{name}", flush=True)
        run_part(scripts / f"{name}.py", parts[name], directory / f"{name}.json")
        (out / "README.md").write_text(page(load_parts(directory, parts)))
    return load_parts(directory, parts)


def main() -> int:
    """Print the page; return exit code 1 if a bar is missed or a part failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), metavar="PART")
    parser.add_argument("--out", type=Path, help="folder for page and rows")
    parser.add_argument("--readme", action="store_true", help="print README's rows, run nothing")
    arguments = parser.parse_args()
    if arguments.readme:
        if arguments.out is None:
            parser.error("--readme needs --out, the folder of the rows")
        parts = load_parts(arguments.out / "rows", PARTS)
        print(readme_rows(row for part in parts.values() for row in part.rows), end="")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        parts = run_all(arguments.only, arguments.out or Path(temporary))
    print("\n" + page(parts))
    return int(not all(part.is_good for part in parts.values()))


if __name__ == "__main__":
    sys.exit(main())

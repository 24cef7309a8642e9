"""Compile OPT of all sizes for slices of TPU that are not here: what fits, and how long it takes.

    python benchmarks/slices.py [--out DIR] [--only "1.3b v5e:2x4" ...] [--table]

Every row compiles a training step in bfloat16 (64 tokens a text, all parameters divided among all
devices) and, with `--beams`, the search of five beams, each some minutes of one core. Blocks are
scanned except those of OPT-125m, whose step would take a third longer. DIR/slices.json has the
rows; other rows in it stay. `--table` prints them for docs/scaling.md and compiles nothing. The
compilers are installed apart, see there.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_jax import lm

LENGTH = 64  # tokens of a block, as in Shumailov et al. (2024)
BLOCKS = 37_000  # of WikiText-2
EPOCHS, MODELS, RUNS = 5, 11, 5  # of the paper's experiment: models 0 .. 10
SIZES: Mapping[str, tuple[int, int, int]] = {
    "125m": (768, 12, 12),
    "1.3b": (2048, 24, 32),
    "2.7b": (2560, 32, 32),
    "6.7b": (4096, 32, 32),
    "13b": (5120, 40, 40),
}
"""Width, blocks and heads of OPT (Zhang et al. 2022, table 1)."""
ROWS = (
    ("125m", "v5e:2x2", 128),
    ("125m", "v6e:2x2", 128),
    ("1.3b", "v5e:2x4", 64),
    ("1.3b", "v5p:2x2x1", 64),
    ("2.7b", "v5e:4x4", 64),
    ("6.7b", "v5e:4x4", 64),
    ("6.7b", "v5p:2x2x2", 64),
    ("13b", "v5p:2x2x2", 64),
)
"""Size, topology and texts of a batch of each row."""


def config(size: str) -> lm.OPTConfig:
    """Return the config of OPT of a size."""
    width, layers, heads = SIZES[size]
    return lm.OPTConfig(
        hidden_size=width,
        word_embed_proj_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        ffn_dim=4 * width,
    )


def compiled(size: str, topology: str, batch: int, has_beams: bool) -> dict[str, Any]:
    """Return the reports of a row."""
    is_small = size == "125m"
    shape = {"batch": batch, "length": LENGTH, "scan_layers": not is_small}
    settings = lm.Training(dtype="bfloat16")
    found = {
        "train": lm.compile_for(
            config(size), topology, training=settings, remat=not is_small, **shape
        )
    }
    if has_beams:
        found["generate"] = lm.compile_for(
            config(size), topology, step="generate", dtype="bfloat16", **shape
        )
    return {step: dataclasses.asdict(report) for step, report in found.items()}


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the rows as a table in Markdown."""
    head = ("model", "slice", "texts", "fits", "memory of a device", "step", "tokens a second")
    cells = [(*head, "hours of the paper's training", "and of its beams")]
    for size, topology, batch in ROWS:
        if (row := rows.get(f"{size} {topology}")) is None:
            continue
        train, beams = row["train"], row.get("generate")
        peak = train["peak_bytes"]
        steps = -(-BLOCKS // batch)
        hours = steps * EPOCHS * MODELS * RUNS * train["step_seconds"] / 3600
        line = [f"OPT-{size}", topology, str(batch), "yes" if train["fits"] else "no"]
        line.append("more than it has" if peak is None else f"{peak / 2**30:.1f} GiB")
        if train["fits"]:
            tokens = batch * LENGTH / train["step_seconds"]
            line += [f"{1e3 * train['step_seconds']:.1f} ms", f"{tokens:,.0f}", f"{hours:,.1f}"]
        else:
            line += ["", "", ""]
        line.append(_hours_of_beams(beams, steps))
        cells.append(tuple(line))
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def _hours_of_beams(report: Mapping[str, Any] | None, batches: int) -> str:
    """Return the hours in which all corpora of the paper's experiment are written."""
    if report is None or not report["fits"]:
        return ""
    return f"{batches * (MODELS - 1) * RUNS * report['step_seconds'] / 3600:,.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile the rows, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--only", nargs="+", default=[" ".join(row[:2]) for row in ROWS])
    parser.add_argument("--beams", action="store_true")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args(arguments)
    path = options.out / "slices.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    for size, topology, batch in () if options.table else ROWS:
        name = f"{size} {topology}"
        if name in options.only:
            rows[name] = rows.get(name, {}) | compiled(size, topology, batch, options.beams)
            path.write_text(json.dumps(rows, indent=1) + "\n")
    sys.stdout.write(table(rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

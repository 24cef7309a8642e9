"""Measure how the time of a generation grows with M, K, dim, chains, generations and devices.

    python benchmarks/growth.py --out DIR [--only STUDY ...] [--quick]

Times are per chain and generation, medians of three runs that alternate with NumPy on the same
exact law, without compilation. All studies take eight minutes on two cores; `--quick` tries
them at small sizes. Every study runs in a process of its own and writes
DIR/growth/STUDY.json; figures and tables (DIR/growth.md) are drawn from all these files.
"""

import argparse
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import machine
import numpy as np
import peers
import timing
from engine import REDUCE, SAME_LAW, gaussian, normal, runner
from table import RETAINED, load_parts
from timing import Part, Row, pretty, pretty_cores, pretty_ratio

import collapse_jax as cj
from collapse_jax.plots.lines import Line, Panel, figure_panels

compare = functools.partial(timing.compare, repeats=3)


def words(size: int, states: int) -> tuple[cj.Chain, np.ndarray]:
    """Return a discrete chain on equally likely states, and its law."""
    law = np.full(states, 1 / states)
    return cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(size)), law


def corpus_gaussian(quick: bool) -> Iterator[Row]:
    """Vary the rows of a Gaussian corpus, which only the paper's loop draws."""
    rng = np.random.default_rng(0)
    chains, generations = (256, 10) if quick else (65_536, 300)
    for size in (10, 1000) if quick else (10, 100, 1000, 10**4, 10**5, 10**6):
        name, units = "Gaussian, corpus size", chains * generations
        ours = runner(gaussian(size), chains, generations, reduce=REDUCE)
        peer = functools.partial(peers.gaussian_1d, 20, chains, size, rng)
        yield compare(name, SAME_LAW, ours, units, peer, 20 * chains, x=size)
        steps = min(1000, max(10, 10**7 // size))
        loop = functools.partial(peers.gaussian_sampling_loop, steps, 1, size, rng)
        yield compare(name, "the paper's loop, which samples", ours, units, loop, steps, x=size)


def corpus_discrete(quick: bool) -> Iterator[Row]:
    """Vary the rows of the corpus, with 100 states."""
    chains = 64 if quick else 4096
    for size in (10, 1000) if quick else (100, 1000, 10**4, 10**5, 10**6):
        generations = 20 if quick or size > 10**4 else 100
        yield discrete("Discrete, K = 100, corpus size", size, 100, chains, generations, x=size)


def states(quick: bool) -> Iterator[Row]:
    """Vary the states, with 1,000 rows."""
    for number in (10, 100) if quick else (10, 100, 1000, 10**4):
        chains, generations = (64, 20) if quick else (1024, 200)
        yield discrete("Discrete, M = 1,000, states", 1000, number, chains, generations, x=number)


def discrete(name: str, size: int, number: int, chains: int, generations: int, x: int) -> Row:
    """Compare discrete chains of one size with NumPy."""
    chain, law = words(size, number)
    few = min(chains, max(16, 10**6 // number))
    return compare(
        name,
        SAME_LAW,
        runner(chain, chains, generations, every=generations),
        chains * generations,
        lambda: peers.discrete(3, few, size, law, np.random.default_rng(0)),
        few * 4,
        x=x,
    )


def dim(quick: bool) -> Iterator[Row]:
    """Vary the dimension of a Gaussian; NumPy uses Bartlett factors."""
    rng = np.random.default_rng(0)
    chains, generations = (64, 10) if quick else (8192, 100)
    for number in (2, 3) if quick else (1, 2, 3, 5, 10, 20):
        yield compare(
            "Gaussian, M = 100, dimension",
            SAME_LAW,
            runner(gaussian(100, number), chains, generations, every=generations),
            chains * generations,
            functools.partial(peers.gaussian_bartlett, 4, chains, 100, number, rng),
            chains * 4,
            x=number,
        )


def chains(quick: bool) -> Iterator[Row]:
    """Vary the number of chains, with every generation recorded; NumPy reduces."""
    rng, generations = np.random.default_rng(0), 100
    for number in (1, 256) if quick else (1, 16, 256, 4096, 65_536, 262_144):
        yield compare(
            "Gaussian, M = 100, chains",
            SAME_LAW,
            runner(gaussian(100), number, generations),
            number * generations,
            functools.partial(peers.gaussian_1d, 20, number, 100, rng),
            number * 20,
            x=number,
        )


def generations(quick: bool) -> Iterator[Row]:
    """Vary the generations of a run whose variables are reduced."""
    rng, number = np.random.default_rng(0), 256 if quick else 16_384
    for last in (10, 100) if quick else (10, 100, 1000, 10**4):
        few = min(last, 100)
        yield compare(
            "Gaussian, M = 100, generations",
            SAME_LAW,
            runner(gaussian(100), number, last, reduce=REDUCE),
            number * last,
            functools.partial(peers.gaussian_1d, few, number, 100, rng),
            number * few,
            x=last,
        )


def pool(quick: bool) -> Iterator[Row]:
    """Vary the generations of `AccumulateSubsample`, whose pool grows; NumPy stores the pool."""
    rng, number = np.random.default_rng(0), 8 if quick else 64
    chain = cj.Chain(cj.Gaussian(1), normal(1), cj.AccumulateSubsample(100))
    for last in (5, 10) if quick else (10, 100, 1000):
        yield compare(
            "Gaussian, `AccumulateSubsample`, M = 100, generations",
            SAME_LAW,
            runner(chain, number, last, every=last),
            number * last,
            functools.partial(peers.gaussian_pool, last, number, 100, rng),
            number * last,
            x=last,
        )


def devices(quick: bool) -> Iterator[Row]:
    """Vary the number of CPU devices that share the same cores."""
    for number in (1, 2) if quick else (1, 2, 4, 8):
        flag = f"--xla_force_host_platform_device_count={number}"
        flags = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        yield timing.apart(_of, number, quick, environment={**os.environ, "XLA_FLAGS": flags})


def _of(number: int, quick: bool) -> Row:
    """Compare all devices of a process with one of them."""
    many, last = (4 * 16_384, 5) if quick else (16 * 16_384, 100)
    return compare(
        "Gaussian, M = 100, devices on the same cores",
        "ours on one of them",
        runner(gaussian(100), many, last, reduce=REDUCE, devices=number),
        many * last,
        runner(gaussian(100), many, last, reduce=REDUCE, devices=1),
        many * last,
        x=number,
    )


STUDIES: dict[str, Callable[[bool], Iterator[Row]]] = {
    "corpus_gaussian": corpus_gaussian,
    "corpus_discrete": corpus_discrete,
    "states": states,
    "dim": dim,
    "chains": chains,
    "generations": generations,
    "pool": pool,
    "devices": devices,
}
FIGURES = {
    "growth_corpus": ("corpus_gaussian", "corpus_discrete"),
    "growth_model": ("states", "dim"),
    "growth_run": ("chains", "generations", "pool"),
    "growth_devices": ("devices",),
}
"""Studies of each figure, which have their curves in the same order."""


def run_study(name: str, quick: bool, path: Path) -> None:
    """Run one study, in a process of its own."""
    timing.run({name: functools.partial(STUDIES[name], quick)}, path)


def panel(rows: list[Row]) -> Panel:
    """Return the curves of the library and of each peer over the varied size."""
    positions = sorted({row.x for row in rows})
    curves = {"collapse_jax": {row.x: row.ours for row in reversed(rows)}}
    for row in rows:
        curves.setdefault(row.against, {})[row.x] = row.peer
    title, xlabel = rows[0].name.rsplit(", ", 1)
    return Panel(
        title=title.replace("`", ""),
        xlabel=xlabel,
        x=np.array(positions),
        lines=[
            Line(label, np.array([curve.get(x, np.nan) for x in positions]))
            for label, curve in curves.items()
        ],
        ylabel="seconds per chain and generation",
        xscale="log" if positions[-1] > 10 * positions[0] else "linear",
        yscale="log",
        marker="o",
    )


def draw(parts: Mapping[str, Part], out: Path) -> None:
    """Write the figures and the page."""
    text = (
        "# How the time of a generation grows\n\n"
        "Drawn by `python benchmarks/growth.py --out docs/benchmarks`; raw rows in `growth/`.\n"
        "Times are per chain and generation, medians of alternating runs, without compilation.\n"
    )
    for figure_name, studies in FIGURES.items():
        found = [parts[name].rows for name in studies if name in parts and parts[name].rows]
        if not found:
            continue
        figure = figure_panels([panel(rows) for rows in found])
        figure.savefig(out / f"{figure_name}.png", dpi=160, metadata={"Software": None})
        text += f"\n![{'; '.join(rows[0].name for rows in found)}]({figure_name}.png)\n"
        text += "".join(f"\n{table(rows)}" for rows in found)
    failed = [f"- {name}: {why}" for part in parts.values() for name, why in part.failed.items()]
    if failed:
        text += "\n## Not run\n\n" + "\n".join(failed) + "\n"
    machines = sorted({machine.sentence(part.about) for part in parts.values()})
    (out / "growth.md").write_text(text + "\n## Where\n\n- " + "\n- ".join(machines) + "\n")


def table(rows: list[Row]) -> str:
    """Return the numbers of one panel as a table."""
    text = (
        f"| {rows[0].name} | peer | ours | peer | ratio | cores used, ours | peer | compile |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    for row in rows:
        cells = [f"{row.x:,.0f}", row.against, pretty(row.ours), pretty(row.peer)]
        cells += [pretty_ratio(row.ratio), pretty_cores(row.our_cores)]
        cells += [pretty_cores(row.peer_cores), pretty(row.compile_seconds)]
        text += f"| {' | '.join(cells)} |\n"
    return text


def main() -> int:
    """Run the studies and draw them; return exit code 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", choices=STUDIES, nargs="+", default=list(STUDIES), metavar="STUDY"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for figures and numbers")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the program")
    arguments = parser.parse_args()
    directory = arguments.out / "growth"
    directory.mkdir(parents=True, exist_ok=True)
    print(timing.HEADER)
    for name in arguments.only:
        path = directory / f"{name}.json"
        path.unlink(missing_ok=True)
        try:
            environment = {**os.environ, **RETAINED}
            timing.apart(run_study, name, arguments.quick, path, environment=environment)
        except BrokenProcessPool:
            print(f"{name}: its process was killed", flush=True)
        part = Part.load(path) if path.exists() else Part()
        if not part.is_finished:
            part.failed[name] = "its process was killed"
        part.about = machine.describe()
        part.save(path)
        draw(load_parts(directory, STUDIES), arguments.out)
    parts = load_parts(directory, STUDIES)
    return int(not all(part.is_good for part in parts.values()))


if __name__ == "__main__":
    sys.exit(main())

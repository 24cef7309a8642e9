"""Measure the share of compiled code in a chain of language models of `--preset tiny`.

    python benchmarks/fine_tuning.py [--json FILE]

Every call of a compiled program is timed to its end; the rest of the wall time is Python and
NumPy: batches, records, metrics of diversity. Generation 0, which compiles, is left out. A timed
run is slower than usual, because Python otherwise works while programs run.
"""

import statistics
import sys
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import timing

import collapse_jax as cj
from collapse_jax.experiments.lm import LmExperiment
from collapse_jax.lm import generation, scoring, training
from collapse_jax.random.keys import chain_key
from collapse_jax.text import load_texts

GENERATIONS = 5
PROGRAMS = ((training, "_program"), (scoring, "_losses"), (generation, "_program"))


def timed(module, name: str, spent: dict[str, list[timing.Run]]) -> None:
    """Make a module's programs add their time to `spent`."""
    make, kind = getattr(module, name), module.__name__.split(".")[-1]

    def program_of(*arguments):
        program = make(*arguments)

        def call(*arguments):
            results = []
            run = timing.measure(lambda: results.append(jax.block_until_ready(program(*arguments))))
            spent.setdefault(kind, []).append(run)
            return results[0]

        return call

    setattr(module, name, program_of)


def share_compiled() -> Iterator[timing.Row]:
    """Run five generations, and time the last four."""
    experiment, spent = LmExperiment.of_preset("tiny"), {}
    texts = load_texts(
        experiment.source,
        vocab_size=experiment.vocab_size,
        block_size=experiment.block_size,
        num_blocks=experiment.num_blocks,
    )
    family = experiment._family(texts.tokenizer.vocab_size)
    chain = cj.Chain(family, cj.TokenBlocks.of(texts), cj.Replace())
    for module, name in PROGRAMS:
        timed(module, name, spent)
    key = chain_key(jax.random.key(0), 0)
    state = chain.init(key, GENERATIONS)
    chain.measure(key, 0, state)
    state = chain.step(key, jnp.int32(1), state)  # writing compiles here
    whole, compiled, parts = [], [], []
    for number in range(2, GENERATIONS + 1):
        spent.clear()

        def generation(number: int = number) -> None:
            nonlocal state
            state = chain.step(key, jnp.int32(number), state)
            chain.measure(key, jnp.int32(number), state)

        whole.append(timing.measure(generation))
        runs = [run for kind in spent.values() for run in kind]
        seconds = sum(run.seconds for run in runs)
        compiled.append(timing.Run(seconds, sum(run.seconds * run.cores for run in runs) / seconds))
        parts.append({kind: sum(run.seconds for run in found) for kind, found in spent.items()})
    medians = {kind: statistics.median(part[kind] for part in parts) for kind in parts[0]}
    yield timing.Row(
        "Language model, preset tiny",
        "its compiled programs",
        statistics.median(run.seconds for run in whole),
        statistics.median(run.seconds for run in compiled),
        ratio=statistics.median(
            inner.seconds / outer.seconds for inner, outer in zip(compiled, whole, strict=True)
        ),
        bar=0.8,
        per="generation",
        our_cores=statistics.median(run.cores for run in whole),
        peer_cores=statistics.median(run.cores for run in compiled),
        pairs=len(whole),
        note=", ".join(f"{kind} {timing.pretty(seconds)}" for kind, seconds in medians.items()),
    )


CASES = {"share": share_compiled}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

"""How much of a chain of language models is compiled code, at the size of `--preset tiny`.

    python benchmarks/fine_tuning.py

Every call of a compiled program is waited for and timed; the rest of the wall time is Python and
NumPy: batches, records, metrics of diversity. Generation 0, which compiles, is left out. Waiting
makes a run slower than it is, since Python usually works while programs run.
"""

import time

import jax
import jax.numpy as jnp

import collapse_jax as cj
from collapse_jax.experiments.lm import LmExperiment
from collapse_jax.families.language_model import generation, scoring, training
from collapse_jax.random.keys import chain_key
from collapse_jax.text import load_texts

GENERATIONS = 5
PROGRAMS = ((training, "_program"), (scoring, "_losses"), (generation, "_program"))


def timed(module, name, spent):
    """Have a module's programs add the seconds they take to `spent`."""
    make, kind = getattr(module, name), module.__name__.split(".")[-1]

    def program_of(*arguments):
        program = make(*arguments)

        def call(*arguments):
            begin = time.perf_counter()
            result = jax.block_until_ready(program(*arguments))
            spent[kind] = spent.get(kind, 0.0) + time.perf_counter() - begin
            return result

        return call

    setattr(module, name, program_of)


def main() -> None:
    """Five generations, of which four are timed."""
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
    for number in range(2, GENERATIONS + 1):
        spent.clear()
        begin = time.perf_counter()
        state = chain.step(key, jnp.int32(number), state)
        chain.measure(key, jnp.int32(number), state)
        wall = time.perf_counter() - begin
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent.items())
        share = sum(spent.values()) / wall
        print(f"generation {number}: {wall:.2f} s, compiled {share:.1%} ({parts})")


if __name__ == "__main__":
    main()

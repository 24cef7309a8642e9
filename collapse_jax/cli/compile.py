"""Implement `collapse compile`: does an experiment fit accelerators that are not here?"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from collapse_jax.cli.options import chosen_experiment, parse
from collapse_jax.cli.output import check_environment


@dataclasses.dataclass(frozen=True)
class CompileOptions:
    """Options of `collapse compile`, next to the experiment's own."""

    topology: str = ""
    """A TPU slice, such as v5e:2x4 (v5e, v5p or v6e), or one GPU, h100 or a100."""
    json: bool = False
    """Print JSON in place of words."""


def compile_command(arguments: Sequence[str]) -> int:
    """Compile the programs of an experiment, and print memory and time of each.

    Args:
      arguments: of the command line, after `compile`.

    Returns:
      Exit code: 0, or 1 if a program does not fit.

    Raises:
      ArgumentError: if an argument is not allowed, the compiler is not installed, or it refuses a
        program.
    """
    name, experiment = chosen_experiment(arguments)
    options = parse(CompileOptions, experiment, f"collapse compile {name}", arguments[1:])
    check_environment()
    import jax

    from collapse_jax.utils.accelerators import describe

    if not jax.config.jax_platforms:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_platforms", "cpu")  # nothing runs: no device is looked for
    target = describe(options.topology, "--topology")
    reports = {}
    for label, compiled in _programs(options.experiment, target):
        reports[label] = compiled
        if not options.json:
            sys.stdout.write(f"{label}\n{_indented(str(compiled))}\n")
            sys.stdout.flush()
    if options.json:
        sys.stdout.write(_as_json(name, options.topology, reports))
    return int(not all(one.fits for one in reports.values()))


def _programs(experiment: Any, target: Any) -> Iterator[tuple[str, Any]]:
    """Yield a name and the report of every program of an experiment."""
    from collapse_jax.engine.check_only import collected_requests
    from collapse_jax.engine.compile_for import compile_request
    from collapse_jax.families import LanguageModel
    from collapse_jax.results.policy_words import policy_name
    from collapse_jax.results.provenance import describe
    from collapse_jax.sources import TokenBlocks

    with collected_requests() as requests:
        experiment.check(0)
    for request in requests:
        family, source = request.chain.family, request.chain.source
        if isinstance(family, LanguageModel) and isinstance(source, TokenBlocks):
            yield from _steps(family, source.block_size, target)
            return  # other studies of the experiment have the same programs
        policy = describe(request.chain.policy)
        sizes = policy.get("num_samples")
        size = f", {sizes:,} rows" if isinstance(sizes, int) else ""
        yield f"{policy_name(policy)}{size}", compile_request(request, target)


def _steps(family: Any, length: int, target: Any) -> Iterator[tuple[str, Any]]:
    """Yield a name and the report of every program of a chain of language models."""
    from collapse_jax.lm.compile_for import compile_step

    batches = {
        "train": family.batch_size,
        "score": family.evaluation_batch,
        "generate": family.generation_batch,
    }
    for step, batch in batches.items():
        compiled = compile_step(
            family.network,
            target,
            step=step,
            batch=batch,
            length=length,
            training=family.training,
            decoding=family.decoding,
        )
        yield compiled.step, compiled


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _as_json(name: str, topology: str, reports: dict[str, Any]) -> str:
    """Return all reports as JSON."""
    programs = [{"name": label, **dataclasses.asdict(one)} for label, one in reports.items()]
    fits = all(one.fits for one in reports.values())
    found = {"experiment": name, "topology": topology, "fits": fits, "programs": programs}
    return json.dumps(found, indent=1) + "\n"

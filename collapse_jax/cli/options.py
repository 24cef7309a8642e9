"""Parse command-line arguments into options, and report bad input in one line."""

import contextlib
import dataclasses
import decimal
import functools
import inspect
import io
import operator
import re
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from collapse_jax.cli.complaints import bad_value, check_choice, exceeds_float, unknown_words
from collapse_jax.utils import check
from collapse_jax.utils.check import ArgumentError

_MOST_DIGITS = 20  # after the first one, of an integer such as 1e5: all options allow fewer


@dataclasses.dataclass(frozen=True)
class MachineOptions:
    """Options of every command that runs chains."""

    isa: str = ""
    """avx2 or avx512: use no later instruction sets, so that the run has the same bits on every CPU
    that has them, and can be resumed there; all sets of this CPU by default."""


@dataclasses.dataclass(frozen=True)
class ProcessOptions(MachineOptions):
    """Resume an interrupted run; results equal those of an uninterrupted run, to the bit."""

    quiet: bool = False
    """Show no progress; the answer is shown."""
    distributed: bool = False
    """Simulate this process's share of the chains; jax.distributed numbers the processes."""
    process: str = ""
    """INDEX/COUNT, the share of the chains to simulate, for example 0/4, 1/4, 2/4 and 3/4."""


@dataclasses.dataclass(frozen=True)
class RunOptions(MachineOptions):
    """Options of every command that runs experiments, next to the experiment's own."""

    seed: int = 0
    """Seed of every random number."""
    out: str = ""
    """Output directory, which must not exist; by default the next free one in runs/."""
    overwrite: bool = False
    """Replace the run in --out; without --out, the last such run in runs/."""
    quiet: bool = False
    """Show no progress; the answer is shown."""


@dataclasses.dataclass(frozen=True)
class SharedRunOptions(RunOptions, ProcessOptions):
    """Options of `collapse run`."""


@dataclasses.dataclass(frozen=True)
class SweepOptions(RunOptions):
    """Options of `collapse sweep`."""

    retry: bool = False
    """Run only the failed points of the sweep in --out again; without --out, of the last one."""


def parse(base: type, experiment: Any, program: str, arguments: Sequence[str]) -> Any:
    """Parse the options of a command for an experiment.

    The subcommand that selects a policy may come before or after the policy's options.

    Args:
      base: class of the command's own options.
      experiment: class of the experiment.
      program: name of the command in the help text.
      arguments: of the command line, after the experiment's name.

    Returns:
      An instance of `base` with the experiment's settings in `experiment`.

    Raises:
      ValueError: if tyro refuses the arguments.
      SystemExit: with code 0 for --help.
    """
    arguments = sorted(arguments, key=lambda item: re.fullmatch(r"policy:[\w-]+", item) is None)
    _refuse_former(experiment, arguments)
    chosen = _with_policies(experiment)
    kind: Any = Annotated[chosen, _name("")]
    field = ("experiment", kind, dataclasses.field(default_factory=_start(chosen, arguments)))
    options = dataclasses.make_dataclass("Options", [field], bases=(base,), frozen=True)
    options.__doc__ = experiment.__doc__
    return parse_plain(options, program, arguments, experiment.size_meaning)


def _refuse_former(experiment: Any, arguments: Sequence[str]) -> None:
    """Refuse options of earlier versions, naming their successors."""
    for argument in arguments:
        option = argument.partition("=")[0]
        successor = experiment.former.get(option.removeprefix("--").replace("-", "_"))
        if option.startswith("--") and successor:
            new = "--" + successor.replace("_", "-")
            raise ArgumentError(f"{option} is not allowed: it is now {new}; pass {new}")


def _with_policies(experiment: Any) -> Any:
    """Return an experiment whose field `policy`, if it has one, takes any registered policy."""
    from collapse_jax.core.policy import POLICIES, AbstractPolicy

    for field in dataclasses.fields(experiment):
        if field.type is AbstractPolicy:
            union: Any = functools.reduce(operator.or_, POLICIES.values())
            default = dataclasses.field(default_factory=field.default_factory)  # pyright: ignore
            names = {"__doc__": experiment.__doc__, "__module__": experiment.__module__}
            return dataclasses.make_dataclass(
                experiment.__name__,
                [(field.name, union, default)],
                bases=(experiment,),
                namespace=names,
                frozen=True,
            )
    return experiment


def _rules(meaning: str = "") -> Any:
    """Return rules of tyro for numbers, and for one size of a policy with this meaning."""
    import tyro

    registry = tyro.constructors.ConstructorRegistry()
    registry.primitive_rule(_number_rule)
    registry.primitive_rule(_detector_rule)
    registry.primitive_rule(_integer_rule)
    if meaning:
        _show_one_size(registry, meaning)
    return registry


def _integer_rule(info: Any) -> Any:
    """Read integers also in the form 1e5."""
    import tyro

    if info.type is not int:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: read_integer(words[0]),
        is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )


def read_integer(text: str) -> int:
    """Return the integer that a text stands for.

    Args:
      text: as typed, such as 100000, 100_000 or 1e5.

    Raises:
      ValueError: for anything else, and for powers of ten beyond 10^20.

    >>> read_integer("1e5"), read_integer("2.5e3"), read_integer("-7")
    (100000, 2500, -7)
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    is_small = value.is_finite() and (not value or value.adjusted() <= _MOST_DIGITS)
    if not is_small or value != value.to_integral_value():
        raise ValueError(f"{text!r} is no integer")
    return int(value)


def _number_rule(info: Any) -> Any:
    """Refuse a number that float64 cannot hold, which `float` reads as infinity or as 0."""
    import tyro

    def read(words: list[str]) -> float:
        if exceeds_float(words[0]):
            raise ValueError("float64 cannot hold it")
        return float(words[0])

    if info.type is not float:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, (int, float)),
        str_from_instance=lambda value: [str(value)],
    )


def _detector_rule(info: Any) -> Any:
    """Read a detector from its two probabilities."""
    import tyro

    from collapse_jax.policies import Detector

    def read(words: list[str]) -> Any:
        if words[0] == "None":
            return None
        passed, _, missed = words[0].partition(":")
        return Detector(float(passed), float(missed))

    def shown(value: Any) -> list[str]:
        return ["None" if value is None else f"{value.true_pass}:{value.false_pass}"]

    if info.type != Detector | None:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="{None}|TRUE:FALSE",
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, Detector),
        str_from_instance=shown,
    )


def _show_one_size(registry: Any, meaning: str) -> None:
    """Add a rule of tyro that shows one size where a policy could take one per generation.

    Args:
      registry: of the rules.
      meaning: what the size is.
    """
    import tyro

    from collapse_jax.core.policy import POLICIES

    @registry.struct_rule
    def _(info: Any) -> Any:
        if info.type not in POLICIES.values():
            return None
        types: dict[str, Any] = typing.get_type_hints(info.type)
        shown = tyro.conf.arg(metavar="{None}|INT", help=meaning)
        sizes: Any = types["num_samples"]
        types["num_samples"] = Annotated[sizes, shown]
        meanings = _meanings(info.type)
        fields = []
        for field in dataclasses.fields(info.type):
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            if isinstance(info.default, info.type):
                default = getattr(info.default, field.name)
            if default is dataclasses.MISSING:
                default = tyro.MISSING
            if field.init:
                words = meanings.get(field.name)
                fields.append((field.name, types[field.name], default, words))
        specs = tuple(tyro.constructors.StructFieldSpec(*one) for one in fields)
        return tyro.constructors.StructConstructorSpec(info.type, specs)


def _meanings(kind: type) -> dict[str, str]:
    """Return what the docstring of a class says of its arguments, by name."""
    found = re.findall(r"^  (\w+): (.*(?:\n {4}.*)*)", inspect.getdoc(kind) or "", re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}


def _start(experiment: Any, arguments: Sequence[str]) -> Callable[[], Any]:
    """Return a function that makes the default settings: those of --preset if it is given."""
    for index, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--preset" and experiment.presets:
            value = value or (arguments[index + 1] if index + 1 < len(arguments) else "")
            return functools.partial(experiment.of_preset, value)
    return experiment


def parse_plain(options: Any, program: str, arguments: Sequence[str], meaning: str = "") -> Any:
    """Parse the options of a command.

    Args:
      options: dataclass of the options.
      program: name of the command in the help text.
      arguments: of the command line, after the command's name.
      meaning: see `AbstractExperiment.size_meaning`.

    Returns:
      An instance of `options`.

    Raises:
      ValueError: if tyro refuses the arguments.
      SystemExit: with code 0 for --help.
    """
    import tyro

    complaint, arguments = io.StringIO(), list(arguments)
    _name_successors(options, arguments)
    try:
        with contextlib.redirect_stderr(complaint):
            found, unknown = tyro.cli(
                options,
                prog=program,
                args=arguments,
                config=(tyro.conf.CascadeSubcommandArgs,),
                return_unknown_args=True,
                registry=_rules(meaning),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise ArgumentError(bad_value(complaint.getvalue(), program, arguments)) from None
    if unknown:
        raise ArgumentError(unknown_words(unknown, options, program, arguments))
    if hasattr(found, "seed"):
        check.integer("--seed", found.seed, 0, 2**64 - 1, "pass --seed 0, for example")
    return found


def _name_successors(options: Any, arguments: Sequence[str]) -> None:
    """Refuse an option by the name that it had in version 0.1, unless it is one of these options.

    Raises:
      ArgumentError: naming the present option.
    """
    from collapse_jax.config import FORMER

    fields = dataclasses.fields(options) if dataclasses.is_dataclass(options) else ()
    present = {field.name for field in fields}
    for item in arguments:
        found = re.fullmatch(r"--([\w.-]*\.)?([\w-]+)(=.*)?", item)
        old = found[2].replace("-", "_") if found else ""
        if found and old in FORMER and old not in present:
            start, new = found[1] or "", FORMER[old].replace("_", "-")
            remedy = "see --help"
            if new == "verifier":
                remedy = "functions are given in Python, as in cj.Replace(100, verifier=...)"
            raise ArgumentError(f"--{start}{found[2]} is now --{start}{new}; {remedy}")


def _name(name: str) -> Any:
    import tyro

    return tyro.conf.arg(name=name)


def chosen_experiment(arguments: Sequence[str]) -> tuple[str, Any]:
    """Look up the experiment that the first argument names.

    Args:
      arguments: of the command line, after the command's name.

    Returns:
      Name and class of the experiment.

    Raises:
      ValueError: if there is no experiment of this name.
    """
    from collapse_jax.experiments import EXPERIMENTS

    shown = arguments[0] if arguments else ""
    if complaint := check_choice("experiment", shown, EXPERIMENTS, "see `collapse list`"):
        raise ArgumentError(complaint)
    return arguments[0], EXPERIMENTS[arguments[0]]


def process_of(options: ProcessOptions, is_joint: bool) -> tuple[int, int]:
    """Determine the share of the chains that this process simulates.

    Args:
      options: of the command.
      is_joint: whether all processes work on the same chains, as with --devices.

    Returns:
      Index and number of the processes that share the chains, (0, 1) if they do not.

    Raises:
      ValueError: if --process is not such a pair, or jax.distributed finds no cluster.
    """
    if options.process and is_joint:
        raise ArgumentError(
            f"--process={options.process!r} is not allowed: with --devices all processes work "
            "on the same chains; pass --distributed"
        )
    if options.process:
        found = re.fullmatch(r"(\d+)/(\d+)", options.process)
        if found is None or int(found[1]) >= int(found[2]):
            raise ArgumentError(
                f"--process={options.process!r} is not allowed: it must be INDEX/COUNT with "
                "INDEX < COUNT; for example 0/4"
            )
        return int(found[1]), int(found[2])
    if not options.distributed:
        return 0, 1
    import jax

    try:
        jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise ArgumentError(
            f"--distributed is not allowed: jax.distributed finds no cluster ({error}); "
            "pass --process INDEX/COUNT"
        ) from None
    if is_joint:
        return 0, 1
    process = jax.process_index(), jax.process_count()
    # Chains are independent: without the connection, a process that dies leaves the others alone.
    jax.distributed.shutdown()
    return process


def expect(arguments: Sequence[str], count: int, usage: str) -> None:
    """Check the number of arguments of a command without options.

    Args:
      arguments: of the command line, after the command's name.
      count: how many there must be.
      usage: the command, for the message.

    Raises:
      ValueError: if there are more, fewer, or options among them.
    """
    if len(arguments) != count or any(item.startswith("-") for item in arguments):
        raise ArgumentError(
            f"arguments={list(arguments)} is not allowed: the command is `{usage}`; see --help"
        )

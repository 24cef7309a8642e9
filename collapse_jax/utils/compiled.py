"""Compile programs for accelerators that are not here, and read what their compilers tell."""

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from collapse_jax.utils import check
from collapse_jax.utils.accelerators import Accelerator, DescribedSlice, first_line

_HEADER = re.compile(r"^(?:ENTRY )?%?([\w.-]+) \(.*\{\s*$")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_LOOP = re.compile(r"\bcondition=%?([\w.-]+), body=%?([\w.-]+)")
_LIMIT = re.compile(r"%([\w.-]+) = [su]32\[\]\S* constant\((\d+)\)")
_COUNTS = re.compile(r"ROOT .* compare\(%[\w.-]+, %([\w.-]+)\), direction=LT")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TWO_BRANCHES = re.compile(r"\b(?:true|false)_computation=%?([\w.-]+)")
_CALLED = re.compile(r" (?:call|async-start)\(.*?\b(?:to_apply|calls)=%?([\w.-]+)")


@dataclasses.dataclass(frozen=True)
class CompileReport:
    """What a compiler tells about a program for accelerators that are not here.

    Attributes:
      topology: the accelerators, such as "v5e:2x2".
      num_devices: how many they are.
      step: what one step of the program does: "generation", "training step", ...
      rows: what a batch has: "chains" or "texts".
      batch: rows of a batch, with those that pad it. Every device has batches of chains of its
        own; all devices share a batch of texts.
      seconds: CPU seconds of compiling.
      peak_bytes: memory of a device at most: arguments, results and temporaries; None where the
        compiler ended without telling.
      memory_bytes: memory of a device.
      fits: whether the program fits.
      flops: operations of a device in one step. What is repeated until a condition holds, such as
        a step of EM, is counted once, in the following figures too.
      bytes_accessed: bytes that it reads and writes in one step, as TPU's compiler counts them.
        For GPU, those of the program before it is compiled: too many.
      step_seconds: time of one step, as TPU's compiler estimates it. For GPU, whose compiler does
        not, the least that `flops` and `bytes_accessed` allow.
      roofline_share: the least time that the operations, and reading and writing once what
        lasts from step to step, allow, as a share of `step_seconds`.

    >>> import collapse_jax as cj
    >>> report = cj.CompileReport(
    ...     "v5e:2x2", 4, "generation", "chains", 8192, 5.2, 4332544, 17179869184, True, 3.3e6,
    ...     2.5e6, 18.6e-6, 0.01,
    ... )
    >>> print(report)
    v5e:2x2: fits
    devices                4
    chains of a batch      8,192
    compiled in            5.2 CPU seconds
    memory of a device     4.1 MiB of 16.0 GiB
    one generation         3,300,000 operations, 2,500,000 bytes
    estimated time         18.6 microseconds, 1% of the roofline
    """

    topology: str
    num_devices: int
    step: str
    rows: str
    batch: int
    seconds: float
    peak_bytes: int | None
    memory_bytes: int
    fits: bool
    flops: float
    bytes_accessed: float
    step_seconds: float
    roofline_share: float

    def __str__(self) -> str:
        """Return the report in words, a line each."""
        peak = "unknown" if self.peak_bytes is None else _memory(self.peak_bytes)
        lines = [
            ("devices", f"{self.num_devices}"),
            (f"{self.rows} of a batch", f"{self.batch:,}"),
            ("compiled in", f"{self.seconds:.1f} CPU seconds"),
            ("memory of a device", f"{peak} of {_memory(self.memory_bytes)}"),
            (f"one {self.step}", f"{self.flops:,.0f} operations, {self.bytes_accessed:,.0f} bytes"),
            (
                "estimated time",
                f"{_duration(self.step_seconds)}, {self.roofline_share:.0%} of the roofline",
            ),
        ]
        head = f"{self.topology}: {'fits' if self.fits else 'DOES NOT FIT'}"
        return "\n".join([head, *(f"{name:<22} {value}" for name, value in lines)])


def _memory(nbytes: int) -> str:
    return f"{nbytes / 2**30:,.1f} GiB" if nbytes >= 2**30 else f"{nbytes / 2**20:,.1f} MiB"


def _duration(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} microseconds" if seconds < 1e-3 else f"{seconds * 1e3:,.1f} ms"


class CompiledProgram(NamedTuple):
    """A program after its compiler.

    Attributes:
      program: the compiled program of jax; None if the compiler finds that it does not fit.
      seconds: CPU seconds of compiling.
      peak_bytes: memory of a device at most; None if the program is None.
    """

    program: Any | None
    seconds: float
    peak_bytes: int | None


def compile_ahead(
    function: Any, arguments: tuple[Any, ...], target: DescribedSlice
) -> CompiledProgram:
    """Compile a function for devices that are not here.

    Args:
      function: result of `jax.jit`.
      arguments: its arguments, with shapes on the devices in place of arrays.
      target: the devices.

    Raises:
      ArgumentError: if the compiler refuses the program.
    """
    lowered = function.trace(*arguments).lower(lowering_platforms=(target.kind.platform,))
    began = time.process_time()
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            return CompiledProgram(None, time.process_time() - began, None)
        allowed = f"the compiler refuses the program: {first_line(error)}"
        is_wide = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
        remedy = "set jax_enable_x64=False" if is_wide else "report this as a bug"
        raise check.fail("topology", target.topology, allowed, remedy) from None
    seconds = time.process_time() - began
    found = program.memory_analysis()
    arrays = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return CompiledProgram(program, seconds, int(arrays + found.temp_size_in_bytes))


class Costs(NamedTuple):
    """What a program costs a device.

    Attributes:
      flops: operations.
      nbytes: bytes read and written.
      seconds: estimated time.
    """

    flops: float
    nbytes: float
    seconds: float


def costs_of(
    program: Any | None, before: Mapping[str, float], kind: Accelerator, trips: int = 1
) -> Costs:
    """Return what a program costs.

    Args:
      program: the compiled program; None if it does not fit.
      before: cost analysis of the program before it is compiled.
      kind: the accelerator.
      trips: how often loops run that end on a condition, those of the program itself.
    """
    costs = (program and program.cost_analysis()) or before
    flops, nbytes = float(costs.get("flops", 0)), float(costs.get("bytes accessed", 0))
    seconds = max(flops / kind.flops, nbytes / kind.bandwidth)
    if program is not None and kind.clock is not None:
        seconds = estimated_cycles(program.as_text(), trips) / kind.clock
    return Costs(flops, nbytes, seconds)


def estimated_cycles(text: str, trips: int = 1) -> float:
    """Return the cycles that the compiler for TPU expects of a program.

    A loop that counts to a number counts as often as it runs, any other loop once; of the branches
    of a condition, the longest counts.

    Args:
      text: the compiled program.
      trips: how often other loops of the program itself run.

    >>> estimated_cycles('''
    ... %body (p: s32[]) -> s32[] {
    ...   %a = s32[] add(%p, %p), backend_config={"estimated_cycles":"5"}
    ... }
    ... %limit (p: s32[]) -> pred[] {
    ...   %three = s32[] constant(3)
    ...   ROOT %lt = pred[] compare(%p, %three), direction=LT
    ... }
    ... ENTRY %main (p: s32[]) -> s32[] {
    ...   %w = s32[] while(%p), condition=%limit, body=%body
    ...   %b = s32[] add(%w, %w), backend_config={"estimated_cycles":"7"}
    ... }
    ... ''')
    22.0
    """
    computations, main = _computations(text)

    def total(name: str, unknown: int) -> float:
        cycles = 0.0
        for line in computations.get(name, ()):
            cycles += sum(map(int, _CYCLES.findall(line)))
            if loop := _LOOP.search(line):
                times = _times(computations.get(loop[1], ()))
                cycles += (times or unknown) * (total(loop[1], 1) + total(loop[2], 1))
            elif branches := _branches(line):
                cycles += max(total(one, 1) for one in branches)
            elif called := _CALLED.search(line):
                cycles += total(called[1], unknown)
        return cycles

    return total(main, trips)


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Return the lines of each computation by its name, and the name of the program itself."""
    found: dict[str, list[str]] = {}
    name = main = ""
    for line in text.splitlines():
        if header := _HEADER.match(line):
            name = header[1]
            found[name] = []
            main = name if line.startswith("ENTRY") else main
        elif name:
            found[name].append(line)
    return found, main


def _times(condition: Sequence[str]) -> int | None:
    """Return how often a loop runs that counts from 0 to a number; None for any other."""
    limits = {found[1]: int(found[2]) for line in condition if (found := _LIMIT.search(line))}
    compared = next((found[1] for line in condition if (found := _COUNTS.search(line))), "")
    return limits.get(compared)


def _branches(line: str) -> list[str]:
    """Return the names of the branches of a condition."""
    found = _BRANCHES.search(line)
    return re.findall(r"[\w.-]+", found[1]) if found else _TWO_BRANCHES.findall(line)

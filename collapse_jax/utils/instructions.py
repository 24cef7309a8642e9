"""Tell and limit the instruction sets that a run uses: they decide how its numbers are rounded.

Importing this module applies COLLAPSE_JAX_ISA, and so it comes before NumPy and jax: both, and
OpenBLAS and oneDNN within them, choose their instructions once.
"""

import os
import re
import sys
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from collapse_jax.utils.fork import jax_has_started

VARIABLE = "COLLAPSE_JAX_ISA"
"""Environment variable with the name of a limit, such as avx2."""
_CPU = Path("/proc/cpuinfo")

# Sets whose presence changes the rounding of floats, in the spelling of Linux.
_AVX2 = ("sse4_2", "avx", "f16c", "fma", "avx2")
_AVX512 = ("avx512f", "avx512dq", "avx512bw", "avx512vl")
_LATER = ("avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_fp16")
_ARM = ("asimd", "asimdhp", "bf16", "sve", "sve2", "svebf16")
_KNOWN = (*_AVX2, *_AVX512, *_LATER, *_ARM)


class _Limit(NamedTuple):
    """The sets within a limit, and its names in XLA, oneDNN, OpenBLAS and NumPy."""

    sets: tuple[str, ...]
    xla: str
    onednn: str
    openblas: str
    not_numpy: str  # sets to switch off in NumPy 2.4 and later
    not_older_numpy: str


_NUMPY_2_3 = "AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR AVX512_KNL AVX512_KNM"
LIMITS: Mapping[str, _Limit] = {
    "avx2": _Limit(
        _AVX2,
        "AVX2",
        "AVX2",
        "Haswell",
        "X86_V4 AVX512_ICL AVX512_SPR",
        f"AVX512F AVX512CD AVX512_SKX {_NUMPY_2_3}",
    ),
    "avx512": _Limit(
        (*_AVX2, *_AVX512),
        "AVX512",
        "AVX512_CORE",
        "SkylakeX",
        "AVX512_ICL AVX512_SPR",
        _NUMPY_2_3,
    ),
}
_EARLY = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")  # read when NumPy is loaded


def available() -> list[str] | None:
    """Return the sets of this CPU that change the rounding of floats; None if unknown."""
    try:
        text = _CPU.read_text()
    except OSError:  # not Linux
        return None
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    present = set(found[1].split()) if found else set()
    return [name for name in _KNOWN if name in present] or None


def limit() -> str | None:
    """Return the name of the limit that this process has; None without one."""
    found = re.findall(r"--xla_cpu_max_isa=(\w+)", os.environ.get("XLA_FLAGS", ""))
    names = {one.xla: name for name, one in LIMITS.items()}
    return names.get(found[-1].upper()) if found else None


def used() -> list[str] | None:
    """Return the sets of this CPU within the limit of this process; None if unknown."""
    found, name = available(), limit()
    if found is None or name is None:
        return found
    return [one for one in found if one in LIMITS[name].sets]


def check_limit(label: str, name: str) -> None:
    """Refuse a limit that is unknown, or that this CPU does not reach.

    Args:
      label: of the argument, for the message.
      name: of the limit.

    Raises:
      ArgumentError: naming what this CPU lacks.
    """
    if name not in LIMITS:
        listed = ", ".join(map(repr, LIMITS))
        raise _fail(label, name, f"it must be one of {listed}", "pass one of these")
    found = available()
    lacking = [one for one in LIMITS[name].sets if one not in (found or ())]
    if lacking:
        lower = [one for one in LIMITS if set(LIMITS[one].sets) <= set(found or ())]
        remedy = f"pass {lower[-1]!r}" if lower else "leave it out"
        raise _fail(label, name, f"this CPU lacks {', '.join(lacking)}", remedy)


def _fail(label: str, name: str, allowed: str, remedy: str) -> ValueError:
    from collapse_jax.utils import check  # loads NumPy and jax

    return check.fail(label, name, allowed, remedy)


def set_limit(name: str) -> None:
    """Set the environment variables that limit the instruction sets of this process.

    Args:
      name: of the limit.

    Raises:
      ArgumentError: if this CPU lacks one of its sets, or NumPy or jax have chosen theirs.
    """
    from_outside = {
        key: value for key, value in _environment(name).items() if os.environ.get(key) != value
    }
    reason = ""
    if from_outside and jax_has_started():
        reason = "jax has started already and keeps the instruction sets of this CPU"
    elif from_outside.keys() & set(_EARLY) and "numpy" in sys.modules:
        reason = "NumPy is loaded already and keeps the instruction sets of this CPU"
    if reason:
        remedy = "import collapse_jax before NumPy and jax, or run a new process"
        raise _fail(VARIABLE, name, reason, remedy)
    os.environ.update(from_outside)


def _environment(name: str) -> dict[str, str]:
    """Return the environment variables of a limit."""
    one = LIMITS[name]
    flags = re.sub(r"--xla_cpu_max_isa=\S*", "", os.environ.get("XLA_FLAGS", ""))
    is_older = [int(part) for part in metadata.version("numpy").split(".")[:2]] < [2, 4]
    return {
        "XLA_FLAGS": " ".join([*flags.split(), f"--xla_cpu_max_isa={one.xla}"]),
        "ONEDNN_MAX_CPU_ISA": one.onednn,
        "OPENBLAS_CORETYPE": one.openblas,
        "NPY_DISABLE_CPU_FEATURES": one.not_older_numpy if is_older else one.not_numpy,
    }


def difference(made: Collection[str] | None, now: Collection[str] | None) -> str | None:
    """Say how the instruction sets of a run differ from those of this process.

    Args:
      made: sets of the run; None if unknown.
      now: sets of this process; None if unknown.

    Returns:
      Two clauses, the difference and what to do; None if they are equal or unknown.
    """
    if made is None or now is None or set(made) == set(now):
        return None
    lacking = [one for one in made if one not in now]
    more = [one for one in now if one not in made]
    remedy = "resume it on a CPU like the first"
    if lacking and not set(lacking) <= set(available() or ()):
        reason = f"this CPU lacks {', '.join(lacking)}, which the run was begun with"
        common = [name for name, one in LIMITS.items() if set(one.sets) <= set(made) & set(now)]
        if common:
            remedy += f", or begin a new run with --isa {common[-1]}, which both have"
        return f"{reason}; {remedy}"
    if lacking:
        reason = f"this process is limited to {limit()} and the run was begun with "
        return f"{reason}{', '.join(lacking)}; resume it without --isa and {VARIABLE}"
    reason = f"the run was begun without {', '.join(more)}, which this process uses"
    same = [name for name, one in LIMITS.items() if set(one.sets) & set(now) == set(made)]
    if same:
        remedy = f"resume it with --isa {same[0]}, or in Python with {VARIABLE}={same[0]}"
    return f"{reason}; {remedy}"


def check_variable() -> None:
    """Refuse to go on if COLLAPSE_JAX_ISA could not be applied on import.

    Raises:
      ArgumentError: naming the reason.
    """
    if _refusal is not None:
        raise _refusal


_refusal: ValueError | None = None
if os.environ.get(VARIABLE):
    try:
        check_limit(VARIABLE, os.environ[VARIABLE])
        set_limit(os.environ[VARIABLE])
    except ValueError as error:  # raised by the first run: an import should not fail
        _refusal = error

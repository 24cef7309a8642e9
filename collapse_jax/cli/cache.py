"""Keep compiled programs on disk for the command line, and implement `collapse cache`.

jax itself finds and writes them. A program is found again where versions, CPU and program are the
same, so a cached run has the same bits. Where jax has a cache of the user's own
(JAX_COMPILATION_CACHE_DIR), that one is used.
"""

import hashlib
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import jax

from collapse_jax.utils.check import ArgumentError, fail
from collapse_jax.utils.jax_settings import compilation_cache
from collapse_jax.utils.paths import cache_folder

VARIABLE = "JAX_COMPILATION_CACHE_DIR"
"""The variable of the environment that names a folder of the user's own."""
_REMEDY = f"name a folder that you may write, or unset {VARIABLE}"
_SETTINGS = {
    # Programs that compile in a moment are many; together they take seconds.
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
_USAGE = """usage: collapse cache [--clear]

Print where compiled programs are kept, how many and how large; --clear deletes them. Without them
the next run compiles again. JAX_ENABLE_COMPILATION_CACHE=false keeps none.
"""


def use_program_cache() -> None:
    """Let jax keep the compiled programs of this process."""
    if given := compilation_cache():
        if reason := _why_unusable(given):
            jax.config.update("jax_compilation_cache_dir", None)
            warnings.warn(f"{VARIABLE}={given!r} is not used: {reason}", stacklevel=1)
        return
    try:
        folder = cache_folder("programs") / _machine()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ArgumentError):  # no permission, disk full, no home folder
        return
    if os.access(folder, os.W_OK):
        for name, value in {**_SETTINGS, "jax_compilation_cache_dir": str(folder)}.items():
            jax.config.update(name, value)


def _why_unusable(given: str) -> str:
    """Say why jax cannot keep programs in a folder, and what to do; "" if it can."""
    if "://" in given:  # of a cloud
        return ""
    reason = "it is a file, not a folder"
    if not os.path.isfile(given):
        try:
            Path(given).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"it cannot be made ({error.strerror})"
        else:
            return ""
    return f"{reason}, so compiled programs are not kept; {_REMEDY}"


def _machine() -> str:
    """Return a name of this kind of CPU: a home directory may be shared by several."""
    try:
        text = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:  # not Linux
        text = platform.processor()
    told = [line for line in text.splitlines() if line.startswith(("model name", "flags", "Feat"))]
    return hashlib.sha256("\n".join(told or [text]).encode()).hexdigest()[:16]


def cache_command(arguments: Sequence[str]) -> int:
    """Print where compiled programs are kept, or delete them.

    Args:
      arguments: of the command line, after `cache`.

    Returns:
      Exit code 0.

    Raises:
      ArgumentError: for other arguments than --clear.
    """
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(_USAGE)
        return 0
    if arguments and list(arguments) != ["--clear"]:
        raise ArgumentError(f"{arguments[0]!r} is not allowed: `collapse cache` takes --clear only")
    given = compilation_cache()
    if given and os.path.isfile(given):
        raise fail(VARIABLE, given, "it is a file, not a folder", _REMEDY)
    folder = Path(given) if given else cache_folder("programs")
    sizes = [one.stat().st_size for one in folder.rglob("*") if one.is_file()]
    described = f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB, in {folder}"
    if not arguments:
        sys.stdout.write(f"compiled programs: {described}\n")
        return 0
    if given:
        allowed = "the folder may hold programs of others"
        raise ArgumentError(f"--clear is not allowed: {VARIABLE}={given}, {allowed}; delete it")
    shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(f"deleted: {described}\n")
    return 0

"""Compute how much memory a run needs, before it starts, and how much the process has left."""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from collapse_jax.utils.check import ArgumentError


def size_of(shapes: Any) -> int:
    """Return the bytes of a pytree of shapes.

    Args:
      shapes: pytree whose leaves have `shape` and `dtype`.

    Returns:
      Number of bytes.
    """
    return sum(
        int(np.prod(leaf.shape, dtype=np.int64)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(shapes)
    )


def available() -> int:
    """Return the memory that this process may still allocate.

    Returns:
      Number of bytes, at least 0: the smallest of the machine's memory, what Linux calls
      available, and the rest of the control group's limit. Without any of them, `sys.maxsize`.
    """
    limits = [sys.maxsize]  # Windows reports none of the following
    with contextlib.suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    except OSError:
        pass
    try:
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            limits.append(int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(0, min(limits))


def check(needs: Mapping[str, int], limit: int | None = None, place: str = "") -> None:
    """Check that a run fits in the available memory.

    Args:
      needs: bytes by purpose.
      limit: bytes there are; None for the memory of this machine.
      place: whose memory it is, where it is not this machine's.

    Raises:
      ArgumentError: if their sum exceeds the available memory.
    """
    total = sum(needs.values())
    limit = available() if limit is None else limit
    if total > limit:
        parts = ", ".join(f"{name} {gib(size)}" for name, size in needs.items())
        on = f" on {place}" if place else ""
        raise ArgumentError(
            f"the run needs {gib(total)} ({parts}) but {gib(limit)} are available{on}; "
            "lower num_chains, num_generations or chain_batch, raise every, or pass reduce="
        )


def is_full_of_programs() -> bool:
    """Tell whether compiled programs have taken half of what Linux lets a process map.

    XLA maps a program into some hundred pieces. A process with more pieces than
    `vm.max_map_count`, 65,530 by default, ends with a segmentation fault: after some 700
    programs.

    Returns:
      False where the system does not tell.
    """
    try:
        limit = int(Path("/proc/sys/vm/max_map_count").read_text())
        with Path("/proc/self/maps").open("rb") as pieces:
            return sum(1 for _ in pieces) > limit // 2
    except (OSError, ValueError):
        return False


def gib(size: int) -> str:
    """Return a number of bytes as text.

    Args:
      size: in bytes.

    >>> gib(3 * 2**29)
    '1.5 GiB'
    """
    return f"{size / 2**30:.1f} GiB"

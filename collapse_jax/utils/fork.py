"""Notice a process that was forked from one in which jax runs: XLA would wait there forever.

A fork copies the memory of a process and only one of its threads. Programs of XLA then wait for
threads that do not exist.
"""

import os
import sys

_is_cut_off = False  # whether this process was forked while jax was running


def jax_has_started() -> bool:
    """Tell whether jax has started its devices, and with them its threads."""
    # jax has no public name for this; a version without the private one never seems started.
    bridge = sys.modules.get("jax._src.xla_bridge")
    has_started = getattr(bridge, "backends_are_initialized", None)
    return has_started is not None and bool(has_started())


def check_fork() -> None:
    """Refuse to run jax in a process that was forked after jax had started.

    Raises:
      RuntimeError: in such a process.
    """
    if _is_cut_off:
        raise RuntimeError(
            "jax cannot run in this process: it was forked after jax had started, and would hang; "
            'use multiprocessing.get_context("spawn") or "forkserver", or fork before the first run'
        )


def _mark_child() -> None:
    global _is_cut_off
    _is_cut_off = _is_cut_off or jax_has_started()


if hasattr(os, "register_at_fork"):  # absent on Windows, which cannot fork
    os.register_at_fork(after_in_child=_mark_child)

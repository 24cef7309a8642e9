"""Count the CPUs that this process may use."""

import os


def count_cpus() -> int:
    """Return the number of CPUs that this process may use, those of the machine if unknown."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

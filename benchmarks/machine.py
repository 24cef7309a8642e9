"""Describe the machine of a table of times: versions, CPU, cores, day; no host name."""

import datetime
import platform
from importlib import metadata
from pathlib import Path

import timing

PACKAGES = ("jax", "numpy", "scipy", "scikit-learn", "torch", "transformers")


def describe() -> dict[str, str]:
    """Return versions, CPU, cores and date, by name."""
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "processor": _cpu(),
        "cores": str(timing.cores()),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def sentence(about: dict[str, str]) -> str:
    """Return a description of the machine as one line.

    Args:
      about: the result of `describe`.
    """
    packages = ", ".join(f"{name} {about[name]}" for name in ("python", *PACKAGES))
    return f"{about['processor']}, cores: {about['cores']}; {packages}; {about['date']}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    """Return the CPU's name in Linux, or its architecture elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

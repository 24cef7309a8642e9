"""What a table of times must name: versions, processor, cores, day. No host name."""

import datetime
import platform
from importlib import metadata
from pathlib import Path

import timing

PACKAGES = ("jax", "numpy", "scipy", "scikit-learn", "torch", "transformers")


def describe() -> dict[str, str]:
    """The words of one line, by what they are."""
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "processor": _processor(),
        "cores": str(timing.cores()),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def sentence(about: dict[str, str]) -> str:
    """One line of prose."""
    packages = ", ".join(f"{name} {about[name]}" for name in ("python", *PACKAGES))
    return f"{about['processor']}, cores: {about['cores']}; {packages}; {about['date']}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """As Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

"""Where a result comes from: versions, device, dtype, seed, commit. No paths, no host names."""

import datetime
import functools
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("collapse-jax", "jax", "jaxlib", "numpy", "scipy")


def provenance(key: tuple[int, int], dtype: str, devices: Sequence[Any]) -> dict[str, Any]:
    """A JSON-able account of a run."""
    kinds = sorted({device.device_kind for device in devices})
    return {
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "dtype": dtype,
        "backend": ", ".join(sorted({device.platform for device in devices})),
        "device": ", ".join(kinds),
        "num_devices": len(devices),
        "key": list(key),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
    }


@functools.cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def _git_commit() -> str | None:
    """The commit of the checkout that the package lies in, if it lies in one."""
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        return None
    command = ["git", "-C", str(package), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None

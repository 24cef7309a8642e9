"""Other systems and other installations: no fcntl, no locks, one version, declared packages."""

import ast
import errno
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import collapse_jax as cj
from collapse_jax.store import lock
from collapse_jax.utils import memory

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
UNIX_ONLY = ("O_NOFOLLOW", "sched_getaffinity", "sysconf", "fork", "getuid")
EVERY_MODULE = f"""
import os, pkgutil, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
import collapse_jax, flax, hypothesis, optax
for name in {UNIX_ONLY}:
    delattr(os, name)
for module in pkgutil.walk_packages(collapse_jax.__path__, "collapse_jax."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
print("imported")
"""


def test_every_module_is_imported_without_what_unix_has():
    command = [sys.executable, "-c", EVERY_MODULE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout == "imported\n", done.stderr


def test_other_errors_of_locks_are_not_hidden(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(lock.fcntl, "flock", broken)
    with pytest.raises(cj.ArgumentError, match="Input/output error"), lock.exclusive(tmp_path):
        pass


def test_memory_is_unlimited_where_nothing_reports_it(monkeypatch):
    def unreadable(*_, **__):
        raise FileNotFoundError

    monkeypatch.delattr(os, "sysconf")
    monkeypatch.setattr(Path, "read_text", unreadable)
    assert memory.available() == sys.maxsize


def test_one_version_is_given_everywhere():
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None
    assert cited[1] == cj.__version__
    assert metadata.version("collapse-jax") == cj.__version__, "`make` installs the package again"


def test_every_imported_package_is_declared():
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    owners = metadata.packages_distributions()
    imported = set()
    for path in Path(cj.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add((node.module or "").split(".")[0])
    imported -= {*sys.stdlib_module_names, "collapse_jax"}
    found = {canonicalize_name(owners[name][0]) for name in imported}
    assert found | {"zarr"} == declared  # xarray.open_zarr needs zarr


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_package_is_pinned_once(python):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) and pin.url is None for pin in pins)
    fits = [
        pin for pin in pins if not pin.marker or pin.marker.evaluate({"python_version": python})
    ]
    names = [canonicalize_name(pin.name) for pin in fits]
    assert len(names) == len(set(names))
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for line in (Requirement(line) for group in groups for line in group):
        if line.name == PROJECT["name"]:  # an extra that takes in another one
            assert line.extras <= PROJECT["optional-dependencies"].keys()
        elif not line.marker or line.marker.evaluate({"python_version": python}):
            assert canonicalize_name(line.name) in names

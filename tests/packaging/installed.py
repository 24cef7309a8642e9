"""Install a wheel into an empty environment and test the installed package.

Run ``python installed.py WHEEL [--unit ARGUMENTS]`` with the Python to be tested. The script
makes an environment in build/ with the pinned versions. It checks that the package comes from
the environment and not from this checkout, that the wheel is complete, that `collapse` starts,
and that a user's program runs and passes pyright; then it runs the unit tests. Arguments after
--unit go to pytest.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
_KINDS = "crash golden house packaging parity property slow statistical __pycache__".split()
USER = ROOT / "tests" / "packaging" / "user.py"
WHERE = "import collapse_jax; print(collapse_jax.__file__)"


def main() -> None:
    """Run all checks; the first failure ends the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=pathlib.Path)
    parser.add_argument("--unit", nargs=argparse.REMAINDER, default=["-n", "2"])
    options = parser.parse_args()
    check_files(options.wheel)
    version = ".".join(map(str, sys.version_info[:2]))
    home = ROOT / "build" / f"installed-{version}"
    python = make_environment(home, options.wheel.resolve())
    # Neither the current directory nor a path may lead to the checkout.
    os.chdir(home)
    os.environ.pop("PYTHONPATH", None)
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    check_origin(run(python, "-c", WHERE, capture=True), home)
    run(home / "bin" / "collapse", "list")
    run(python, USER)
    check_types(python, home)
    run(python, "-m", "pytest", "-q", *pytest_options(), *options.unit)


def make_environment(home: pathlib.Path, wheel: pathlib.Path) -> pathlib.Path:
    """Make an environment with the wheel and the tools of the tests; return its Python."""
    shutil.rmtree(home, ignore_errors=True)
    run(sys.executable, "-m", "venv", home)
    python = home / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[test]")
    return python


def pytest_options() -> list[str]:
    """Return options for the settings and tests of the checkout, and for none of its modules."""
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    folders = sorted(path for path in (ROOT / "tests").iterdir() if path.is_dir())
    rooms = [str(path) for path in folders if path.name not in _KINDS]
    return [*settings, "-p", "no:cacheprovider", *rooms]


def check_files(wheel: pathlib.Path) -> None:
    """Check that the wheel has every file of the package and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (ROOT / "collapse_jax").rglob("*")
    ours = [path for path in files if path.is_file() and "__pycache__" not in path.parts]
    wanted = {str(path.relative_to(ROOT)) for path in ours}
    if names != wanted:
        sys.exit(f"{wheel.name}: only in the wheel or only here: {sorted(names ^ wanted)}")


def check_origin(found: str, home: pathlib.Path) -> None:
    """Check that the imported package is the installed one."""
    if "site-packages" not in found or not pathlib.Path(found).is_relative_to(home):
        sys.exit(f"{found} is imported, not what was installed in {home}")


def check_types(python: pathlib.Path, home: pathlib.Path) -> None:
    """Check that pyright reports a user's mistakes, in a folder without settings of ours."""
    pyright = [home / "bin" / "pyright", "--pythonpath", python]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shutil.copy(USER, folder)
        run(*pyright, folder / USER.name, folder=folder)
        wrong = folder / "wrong.py"
        wrong.write_text(
            "import collapse_jax as cj\n\ncj.Gaussian(dim=b'two')\ncj.Gausian(dim=2)\n"
        )
        done = subprocess.run(
            [*pyright, wrong], cwd=folder, capture_output=True, text=True, check=False
        )
    for rule in ("reportArgumentType", "reportAttributeAccessIssue"):
        if rule not in done.stdout:
            sys.exit(f"pyright does not report {rule} to a user:\n{done.stdout}{done.stderr}")


def run(*command: object, capture: bool = False, folder: pathlib.Path | None = None) -> str:
    """Run a command that must succeed; return its output if it is captured."""
    words = [str(word) for word in command]
    sys.stderr.write(f"+ {' '.join(words)}\n")
    done = subprocess.run(words, cwd=folder, text=True, check=False, capture_output=capture)
    if done.returncode:
        sys.exit(f"{words[0]} failed ({done.returncode})\n{done.stderr or ''}")
    return (done.stdout or "").strip()


if __name__ == "__main__":
    main()

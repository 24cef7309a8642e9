"""Functions, tests and files that the documentation names exist, and theory is complete in it."""

import importlib
import inspect
import pathlib
import pkgutil
import re

import pytest

import collapse_jax.theory

ROOT = pathlib.Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TESTS = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FILES = re.compile(r"`((?:tests|examples|benchmarks|docs|collapse_jax)/[\w/.-]+\.\w+)`")
OBJECTS = re.compile(r"\{py:(?:obj|func|mod)\}`~?([\w.]+)`")
INTERNAL = {"checks"}  # what theory functions accept


def resolve(path):
    """The object of a dotted path."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            found = getattr(found, name)
        return found
    raise AssertionError(f"{path} is no module")


def found_in(pages, pattern):
    return {match for page in pages for match in pattern.findall(page.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_linked_exists(page):
    for path in found_in([page], OBJECTS):
        resolve(path)
    for file, name in found_in([page], TESTS):
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), name
    assert [file for file in found_in([page], FILES) if not (ROOT / file).exists()] == []


def test_every_function_of_theory_is_on_its_page():
    linked = found_in([ROOT / "docs" / "theory.md"], OBJECTS)
    assert len(found_in([ROOT / "docs" / "theory.md"], TESTS)) > 20
    missing = []
    for module in pkgutil.iter_modules(collapse_jax.theory.__path__):
        path = f"collapse_jax.theory.{module.name}"
        functions = inspect.getmembers(importlib.import_module(path), inspect.isfunction)
        missing += [
            f"{path}.{name}"
            for name, function in functions
            if function.__module__ == path and not name.startswith("_")
        ]
    internal = {f"collapse_jax.theory.{name}" for name in INTERNAL}
    missing = [one for one in missing if one.rpartition(".")[0] not in internal]
    assert sorted(set(missing) - linked) == []

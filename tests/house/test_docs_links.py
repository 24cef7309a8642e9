"""Functions, tests and files that the documentation names exist, and theory is complete in it."""

import importlib
import inspect
import pathlib
import pkgutil
import re

import pytest

import collapse_jax.theory

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "collapse_jax"
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TESTS = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
FILES = re.compile(r"`((?:tests|examples|benchmarks|docs|collapse_jax)/[\w/.-]*)`")
MODULES = re.compile(r"`((?:\w+/)*\w+\.py)`")
OBJECTS = re.compile(r"\{py:(?:obj|func|mod)\}`~?([\w.]+)`")
INTERNAL = {"checks"}  # what theory functions accept
NO_PAGE = {"Verifier", "theory"}  # a type and a module, which the page itself describes


def resolve(path):
    """Return the object of a dotted path."""
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


def is_module(name):
    """Tell whether a file of this name exists in the repository, or anywhere in the package."""
    return (ROOT / name).exists() or any(PACKAGE.rglob(name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_names_of_files_lead_somewhere(page):
    for path in found_in([page], OBJECTS):
        resolve(path)
    for file, name in found_in([page], TESTS):
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), name
    assert [file for file in found_in([page], FILES) if not (ROOT / file).exists()] == []
    assert [name for name in found_in([page], MODULES) if not is_module(name)] == []


def test_a_wrong_name_of_a_file_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("See `core/chain.py`, `chain.py`, `core/plan.py` and `tests/unit/`.")
    assert {name for name in found_in([page], MODULES) if not is_module(name)} == {"core/plan.py"}
    assert found_in([page], FILES) == {"tests/unit/"}


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


def test_every_public_name_has_a_page_of_the_reference():
    import collapse_jax as cj

    first = (ROOT / "docs" / "api.md").read_text().partition("## collapse_jax.testing")[0]
    listed = re.findall(r"^   (\w+)$", first, re.MULTILINE)
    assert sorted(listed) == sorted(set(cj.__all__) - NO_PAGE)
    assert first.count(":toctree: objects") == first.count(".. autosummary::")


def test_the_command_line_page_has_every_command_and_study():
    from collapse_jax.cli import COMMANDS
    from collapse_jax.experiments import EXPERIMENTS

    page = (ROOT / "docs" / "command_line.md").read_text()
    shown = re.findall(r"^show_help\((.*)\)$", page, re.MULTILINE)
    studies = [f'"run", "{name}"' for name in EXPERIMENTS]
    topics = [f'"plan", "{name}"' for name in ("words", "zipf", "table", "gaussian")]
    assert sorted(shown) == sorted(["", *(f'"{name}"' for name in COMMANDS), *studies, *topics])
    headings = re.findall(r"^##+ collapse (.*)$", page, re.MULTILINE)
    assert headings == [words.replace('"', "").replace(",", "") for words in shown[1:]]

"""English of docstrings, arguments of public functions, and words that have been retired."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "collapse_jax"
FILES = sorted(PACKAGE.rglob("*.py"))
REFUSED_STARTS = re.compile(r"(What|Whether|Of|Not|Nor|The same|How)\b")
RETIRED = (
    "gone on with",
    ', say"',
    "Workplace",
    "in_turn",
    "_Room",
    "policy.keep",
    "chain.keep(",
)
RETIRED_NAMES = re.compile(r"(^|_)(together|shelf|told|alone|room|place)(_|$)", re.IGNORECASE)
DOCUMENTED = ("core", "lm", "metrics", "theory")
UNITS = re.compile(
    r"nats|rows?|\bbits?\b|bytes|tokens?|blocks?|pixels?|seconds|generations?|chains?|states?|"
    r"slots?|units?|dimensionless|probabilit|shares?|squared|numbers?|counts?|variance|deviation|"
    r"logits?|perplexit|components?|log|True|None|scalars?|class|\[[\w ,.]*\]",
)


def functions(text):
    """Name and docstring of every function in a text, with the names around it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, ast.get_docstring(node) or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_start_with_a_verb(path):
    wrong = [
        (name, text.splitlines()[0])
        for name, text in functions(path.read_text())
        if REFUSED_STARTS.match(text)
    ]
    assert wrong == []


def test_a_wrong_start_is_found():
    assert REFUSED_STARTS.match("Whether it is.")
    assert REFUSED_STARTS.match("The same of a directory.")
    assert not REFUSED_STARTS.match("Offer a policy.")
    assert not REFUSED_STARTS.match("Note the duration.")


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_are_gone(word):
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    found = [path for path in [*FILES, *pages] if word in path.read_text()]
    assert [str(path.relative_to(ROOT)) for path in found] == []


def test_no_name_is_a_retired_one():
    found = []
    for path in FILES:
        names = [path.stem]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.append(node.name)
        found += [f"{path.stem}.{name}" for name in names if RETIRED_NAMES.search(name)]
    assert found == []


def public_functions():
    """Public functions and methods of the rooms whose docstrings must be whole, by name."""
    for room in DOCUMENTED:
        package = importlib.import_module(f"collapse_jax.{room}")
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
                    continue
                if inspect.isfunction(value):
                    yield f"{module.__name__}.{name}", value
                if inspect.isclass(value):
                    yield from own_methods(f"{module.__name__}.{name}", value)


def own_methods(name, cls):
    """Public methods that a class adds: those of a base class are documented there."""
    inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
    for method, value in vars(cls).items():
        function = getattr(value, "__func__", value)
        is_own = not method.startswith("_") and method not in inherited
        if is_own and inspect.isfunction(function) and function.__module__ == cls.__module__:
            yield f"{name}.{method}", function


PUBLIC = dict(public_functions())


def missing(function):
    """What a docstring lacks, in words."""
    text = inspect.getdoc(function) or ""
    arguments = [
        name for name in inspect.signature(function).parameters if name not in ("self", "cls")
    ]
    lacks = [name for name in arguments if not re.search(rf"(^|\n)\s+\*{{0,2}}{name}: ", text)]
    returns = inspect.signature(function).return_annotation
    gives_nothing = returns in (None, "None", inspect.Signature.empty)
    first_line = text.splitlines()[0] if text else ""
    says_result = "Returns:" in text or "Yields:" in text or first_line.startswith("Return")
    if not (gives_nothing or says_result):
        lacks.append("Returns")
    if not UNITS.search(text):
        lacks.append("a unit or shape")
    return lacks


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_functions_document_arguments_results_and_units(name):
    assert missing(PUBLIC[name]) == []


def test_what_a_docstring_lacks_is_found():
    def bad(size: int) -> int:
        """Return it."""
        return size

    assert len(PUBLIC) > 100
    assert missing(bad) == ["size", "a unit or shape"]

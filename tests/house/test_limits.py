"""Files of at most 500 lines, functions of at most 80: what is longer is split."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MOST_LINES = 500
MOST_OF_A_FUNCTION = 80
FILES = [
    path
    for folder in ("collapse_jax", "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
]


def too_long(text):
    """What is beyond the limits, in words."""
    lines = text.count("\n")
    found = [f"{lines} lines"] if lines > MOST_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MOST_OF_A_FUNCTION:
                found.append(f"{node.name}, {length} lines")
    return found


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in FILES}), ids=lambda path: str(path.relative_to(ROOT))
)
def test_nothing_is_too_long(folder):
    mine = [path for path in FILES if path.parent == folder]
    found = {path.name: too_long(path.read_text()) for path in mine}
    assert {name: what for name, what in found.items() if what} == {}


def test_what_is_too_long_is_found():
    def function(lines):
        return "def f():\n" + "    x = 1\n" * (lines - 1)

    assert too_long(function(80)) == []
    assert too_long(function(81)) == ["f, 81 lines"]
    assert too_long("x = 1\n" * 500) == []
    assert too_long("x = 1\n" * 501) == ["501 lines"]

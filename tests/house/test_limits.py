"""Files have at most 500 lines and functions at most 80; longer ones are split."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MOST_LINES = 500  # of a file: what a reader takes in at one sitting
MOST_OF_A_FUNCTION = 80  # lines, with its docstring: two screens
FILES = [
    path
    for folder in ("collapse_jax", "tests", "benchmarks", "examples", "docs")
    for path in (ROOT / folder).rglob("*.py")
    if "_build" not in path.parts
]


def too_long(text):
    """Return what is beyond the limits, in words."""
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


def test_long_files_and_functions_are_found():
    def function(lines):
        return "def f():\n" + "    x = 1\n" * (lines - 1)

    assert too_long(function(80)) == []
    assert too_long(function(81)) == ["f, 81 lines"]
    assert too_long("x = 1\n" * 500) == []
    assert too_long("x = 1\n" * 501) == ["501 lines"]

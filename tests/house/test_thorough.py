"""Every line of thorough.txt names a test that exists."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[2]
LINES = (ROOT / "tests" / "thorough.txt").read_text().splitlines()


def missing(lines):
    """Lines whose file has no such function; comments are none."""
    functions = {}
    for line in lines:
        file, _, name = line.partition("::")
        if name and file not in functions:
            path = ROOT / file
            tree = ast.parse(path.read_text() if path.exists() else "")
            functions[file] = {node.name for node in ast.walk(tree) if hasattr(node, "name")}
    named = [line.partition("::") for line in lines if not line.startswith("#")]
    return [
        f"{file}::{name}"
        for file, _, name in named
        if name.split("::")[-1].split("[")[0] not in functions.get(file, ())
    ]


def test_every_line_names_a_test():
    assert missing(LINES) == []
    assert len(set(LINES)) == len(LINES)


def test_a_line_of_no_test_is_found():
    lines = [
        "# a comment",
        "tests/house/test_thorough.py::test_nothing[1]",
        "tests/none.py::test_a",
    ]
    assert missing(lines) == lines[1:]

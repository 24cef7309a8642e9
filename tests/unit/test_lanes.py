"""tests/thorough.txt names tests that exist."""

import pathlib

TESTS = pathlib.Path(__file__).parents[1]


def test_every_line_is_a_test():
    lines = (TESTS / "thorough.txt").read_text().splitlines()
    assert lines == sorted(set(lines))
    for line in lines:
        file, _, name = line.partition("::")
        function = name.partition("[")[0]
        assert f"\ndef {function}(" in (TESTS / file).read_text(), line

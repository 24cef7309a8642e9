"""Print the answer of a run: its finding, its table, and the verdicts."""

import sys
import textwrap
from collections.abc import Sequence
from typing import Any

_WIDTH = 100  # characters of a line of text
_MOST_ROWS = 24  # rows of the table: a terminal shows them at once
_GAP = "  "


def show_answer(summary: Any) -> None:
    """Write finding, table and verdicts of a run to stdout.

    Args:
      summary: a `Summary`.
    """
    finding = summary.finding or next(iter(summary.sentences), "")
    lines = [textwrap.fill(finding, _WIDTH), "", *table_lines(summary.table)]
    lines += [
        textwrap.fill(f"{one.words}: {one.claim}", _WIDTH, subsequent_indent="  ")
        for one in summary.statements
    ]
    sys.stdout.write("\n".join([*lines, ""]))


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines of text, and an empty line; nothing without rows.

    Columns become rows where they are many and do not fit.

    Args:
      rows: rows of cells; the first row is the header.

    >>> table_lines([["M", "mean"], ["100", "0.5"]])
    ['M    mean', '100  0.5', '']
    """
    if not rows:
        return []
    cells = [["none" if cell == "nan" else str(cell) for cell in row] for row in rows]
    if len(cells) < len(cells[0]) and len(_GAP.join(cells[0])) > _WIDTH:
        cells = [list(column) for column in zip(*cells, strict=True)]
    shown = cells[: _MOST_ROWS + 1]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = [
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
    left = len(cells) - len(shown)
    return [*lines, *([f"... {left:,} more rows in the report"] if left else []), ""]

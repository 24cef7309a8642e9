"""Build tables that notebooks show."""

import html
from collections.abc import Sequence

_LEFT = ' style="text-align:left"'


def html_table(title: str, rows: Sequence[Sequence[str]], note: str = "") -> str:
    """Return a title, a table and a note as HTML.

    Args:
      title: plain text.
      rows: rows of cells in plain text; the first row is the header.
      note: plain text below the table, or "".

    >>> html_table("a", [["x"], ["1"]]).count("<tr>")
    2
    """
    header, *body = rows
    head = "".join(f"<th{_LEFT}>{html.escape(cell)}</th>" for cell in header)
    lines = "".join(
        f"<tr>{''.join(f'<td{_LEFT}>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in body
    )
    below = f"<p>{html.escape(note)}</p>" if note else ""
    return f"<p><b>{html.escape(title)}</b></p><table><tr>{head}</tr>{lines}</table>{below}"

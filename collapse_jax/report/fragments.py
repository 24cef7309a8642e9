"""Build the parts of reports in HTML: paragraphs, tables, statements, figures, folded JSON."""

import base64
import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from collapse_jax.plots.style import DPI
from collapse_jax.results.statements import Statement

_INCH = 104  # CSS pixels per inch of a figure, so that two panels fill the width of the page
START = "CollapseViewer.start();"  # draws the interactive figures of a page


def paragraphs(sentences: Sequence[str]) -> str:
    """Wrap every sentence in a paragraph.

    Args:
      sentences: plain text, which is escaped.

    Returns:
      HTML.
    """
    return "\n".join(f'<p class="lead">{html.escape(text)}</p>' for text in sentences)


def finding(text: str) -> str:
    """Build the answer of the page.

    Args:
      text: one sentence in plain text, "" for none.

    Returns:
      HTML, empty without a text.
    """
    return f'<p class="finding">{html.escape(text)}</p>' if text else ""


def settings(pairs: Sequence[tuple[str, str]], command: str) -> str:
    """Build the settings in words, and the command that repeats them.

    Args:
      pairs: names and values in plain text.
      command: as typed, "" for none.

    Returns:
      HTML, empty without both.
    """
    items = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in pairs
    )
    shown = f'<dl class="settings">{items}</dl>' if items else ""
    typed = f'<pre class="command">{html.escape(command)}</pre>' if command else ""
    return f"{shown}{typed}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Build a table; numbers that do not exist, such as errors of one chain, read "none".

    Args:
      rows: rows of cells in plain text; the first row is the header.

    Returns:
      HTML, empty without rows.
    """
    if not rows:
        return ""
    header, *body = ([_cell(str(cell)) for cell in row] for row in rows)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
    return wide(f"<table>{_head(header)}<tbody>{lines}</tbody></table>", "table")


def statements(items: Sequence[Statement]) -> str:
    """Build a table of verdicts, statements of the literature and results of this run.

    Args:
      items: one statement per row.

    Returns:
      HTML, empty without statements.
    """
    if not items:
        return ""
    lines = "".join(
        f"<tr><td>{verdict(one)}</td><td>{html.escape(one.claim)} "
        f"<small>({html.escape(one.source)})</small></td><td>{html.escape(one.found)}</td></tr>"
        for one in items
    )
    head = _head(["verdict", "literature", "this run"])
    content = f'<table class="statements">{head}<tbody>{lines}</tbody></table>'
    return wide(content, "statements of the literature")


def verdict(statement: Statement) -> str:
    """Build the verdict of a statement, to which the style adds a sign, and its reason.

    Args:
      statement: with the verdict "agrees", "differs" or "not tested", and the reason.

    Returns:
      HTML.
    """
    kind = "untested" if statement.holds is None else statement.verdict
    is_explained = kind == "untested" and statement.why
    reason = f" <small>({html.escape(statement.why)})</small>" if is_explained else ""
    return f'<span class="verdict {kind}">{statement.verdict}</span>{reason}'


def figures(files: Mapping[str, Path], folder: Path) -> str:
    """Embed figures: interactive where their numbers are known, pictures in print.

    Links lead to their PDF and to their numbers, if these files exist.

    Args:
      files: PNG files by caption.
      folder: of the page.

    Returns:
      HTML with the data of the files.
    """
    return "\n".join(_figure(caption, file, folder) for caption, file in files.items())


def folded(title: str, content: Mapping[str, Any]) -> str:
    """Build a folded section that shows JSON on request.

    Args:
      title: of the section, as plain text.
      content: JSON-able.

    Returns:
      HTML.
    """
    text = html.escape(json.dumps(content, indent=1))
    shown = f'<pre tabindex="0">{text}</pre>'
    return f"<details><summary>{html.escape(title)}</summary>{shown}</details>"


def wide(content: str, name: str) -> str:
    """Wrap content that scrolls by itself where it is wider than the page.

    Args:
      content: HTML.
      name: of the content, for readers who do not see it.

    Returns:
      HTML.
    """
    return f'<div class="wide" tabindex="0" role="region" aria-label="{name}">{content}</div>'


def _cell(text: str) -> str:
    return "none" if text == "nan" else html.escape(text)


def _head(cells: Sequence[str]) -> str:
    return f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in cells)}</tr></thead>"


def _links(file: Path, folder: Path) -> str:
    """Return links to the other forms of a figure, relative to the page."""
    kinds = {".pdf": "PDF", ".csv": "numbers (CSV)"}
    links = []
    for suffix, words in kinds.items():
        other = file.with_suffix(suffix)
        if other.is_file():
            address = quote(os.path.relpath(other, folder))
            links.append(f'<a href="{address}">{words}</a>')
    return f" <small>{', '.join(links)}</small>" if links else ""


def _figure(caption: str, file: Path, folder: Path) -> str:
    data = file.read_bytes()
    pixels = int.from_bytes(data[16:20], "big")  # PNG stores the width in these bytes
    text, encoded = html.escape(caption), base64.b64encode(data).decode()
    return (
        f'<figure>{_view(file.with_suffix(".json"))}<div class="picture wide" tabindex="0" '
        f'role="region" aria-label="picture"><img alt="{text}" '
        f'width="{round(pixels / DPI * _INCH)}" src="data:image/png;base64,{encoded}"></div>'
        f"<figcaption>{text}{_links(file, folder)}</figcaption></figure>"
    )


def _view(file: Path) -> str:
    """Return the place and the numbers of an interactive figure, "" if there is none."""
    if not file.is_file():
        return ""
    numbers = file.read_text(encoding="utf-8").replace("<", "\\u003c")  # no tag ends the script
    return f'<div class="view" hidden></div><script type="application/json">{numbers}</script>'

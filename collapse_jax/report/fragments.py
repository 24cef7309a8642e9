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
STYLE = """h1 { margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
figure { margin: 1.2rem 0; overflow-x: auto; }
figcaption { font-size: .9rem; opacity: .75; }
img { max-width: max(100%, 36rem); height: auto; background: #fff; border-radius: 4px; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #8884; }
.statements td { font-size: .9rem; } .statements td + td { min-width: 9rem; }
.verdict { white-space: nowrap; font-weight: 600; }
.agrees::before { content: "✓ "; } .differs::before { content: "✗ "; }
.untested::before { content: "? "; }
@media (max-width: 40rem) {
  .statements thead { display: none; }
  .statements tr { display: block; border-bottom: 1px solid #8884; }
  .statements td { display: block; border: 0; }
  .statements td:last-child::before { content: "This run: "; font-weight: 600; }
}
pre { overflow-x: auto; font-size: .8rem; background: #8881; padding: .8rem; }
.finding { font-size: 1.15rem; font-weight: 600; margin: .8rem 0 1.2rem; }
.settings { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem;
  font-size: .9rem; } .settings dt { opacity: .75; } .settings dd { margin: 0;
  overflow-wrap: anywhere; }
.command { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 40rem) { .settings { grid-template-columns: 1fr; } }
details { margin: .6rem 0; } .lead { opacity: .8; }
"""


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
    return f'<div class="wide"><table>{_head(header)}<tbody>{lines}</tbody></table></div>'


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
    return f'<div class="wide"><table class="statements">{head}<tbody>{lines}</tbody></table></div>'


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
    """Embed figures in the page, with links to their PDF and their numbers, if they exist.

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
    return f"<details><summary>{html.escape(title)}</summary><pre>{text}</pre></details>"


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
        f'<figure><img alt="{text}" width="{round(pixels / DPI * _INCH)}" '
        f'src="data:image/png;base64,{encoded}">'
        f"<figcaption>{text}{_links(file, folder)}</figcaption></figure>"
    )

"""Pieces of reports as HTML: sentences, tables, figures, statements, what is folded away."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_jax.plots.style import DPI
from collapse_jax.results.statements import Statement

_INCH = 104  # CSS pixels, for figures: those of two panels fill the page
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
.undecided::before { content: "? "; }
@media (max-width: 40rem) {
  .statements thead { display: none; }
  .statements tr { display: block; border-bottom: 1px solid #8884; }
  .statements td { display: block; border: 0; }
  .statements td:last-child::before { content: "This run: "; font-weight: 600; }
}
pre { overflow-x: auto; font-size: .8rem; background: #8881; padding: .8rem; }
details { margin: .6rem 0; } .lead { opacity: .8; }
"""


def paragraphs(sentences: Sequence[str]) -> str:
    """A paragraph each."""
    return "\n".join(f'<p class="lead">{html.escape(text)}</p>' for text in sentences)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first row being the header; nothing for no rows."""
    if not rows:
        return ""
    header, *body = ([html.escape(str(cell)) for cell in row] for row in rows)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
    return f'<div class="wide"><table>{_head(header)}<tbody>{lines}</tbody></table></div>'


def statements(those: Sequence[Statement]) -> str:
    """A table of statements of the literature, what was found, and verdicts; nothing for none."""
    if not those:
        return ""
    lines = "".join(
        f"<tr><td>{verdict(one)}</td><td>{html.escape(one.claim)} "
        f"<small>({html.escape(one.source)})</small></td><td>{html.escape(one.found)}</td></tr>"
        for one in those
    )
    head = _head(["verdict", "literature", "this run"])
    return f'<div class="wide"><table class="statements">{head}<tbody>{lines}</tbody></table></div>'


def verdict(statement: Statement) -> str:
    """Its word, with a sign beside it."""
    word = statement.verdict
    return f'<span class="verdict {word}">{word}</span>'


def figures(files: Mapping[str, Path]) -> str:
    """PNG files by caption, inside the page."""
    return "\n".join(_figure(caption, file) for caption, file in files.items())


def folded(title: str, content: Mapping[str, Any]) -> str:
    """JSON that is shown on request."""
    text = html.escape(json.dumps(content, indent=1))
    return f"<details><summary>{html.escape(title)}</summary><pre>{text}</pre></details>"


def _head(cells: Sequence[str]) -> str:
    return f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in cells)}</tr></thead>"


def _figure(caption: str, file: Path) -> str:
    data = file.read_bytes()
    pixels = int.from_bytes(data[16:20], "big")  # where PNG has its width
    text, encoded = html.escape(caption), base64.b64encode(data).decode()
    return (
        f'<figure><img alt="{text}" width="{round(pixels / DPI * _INCH)}" '
        f'src="data:image/png;base64,{encoded}">'
        f"<figcaption>{text}</figcaption></figure>"
    )

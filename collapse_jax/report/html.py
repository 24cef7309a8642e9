"""report.html: one page that needs nothing beside itself."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from collapse_jax.report.page import page

_STYLE = """h1 { margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
figure { margin: 1.2rem 0; } figcaption { font-size: .9rem; opacity: .75; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid #8884; }
pre { overflow-x: auto; font-size: .8rem; background: #8881; padding: .8rem; }
details { margin: .6rem 0; } .lead { opacity: .8; }
"""
_BODY = Template("""$sentences
$table
$figures
<h2>Where it comes from</h2>
<details><summary>Configuration</summary><pre>$config</pre></details>
<details><summary>Provenance</summary><pre>$provenance</pre></details>""")


def write_report(
    path: str | Path,
    *,
    title: str,
    sentences: Sequence[str],
    table: Sequence[Sequence[str]],
    figures: Mapping[str, Path],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Path:
    """Write a page with the figures inside it.

    Args:
      path: the file to write.
      title: headline.
      sentences: what was run and found, in words.
      table: rows of cells, the first row being the header.
      figures: PNG files by caption.
      config: what was run.
      provenance: with what.

    Returns:
      `path`.
    """
    path = Path(path)
    body = _BODY.substitute(
        sentences="\n".join(f'<p class="lead">{html.escape(text)}</p>' for text in sentences),
        table=_table(table),
        figures="\n".join(_figure(caption, file) for caption, file in figures.items()),
        config=html.escape(json.dumps(config, indent=1)),
        provenance=html.escape(json.dumps(provenance, indent=1)),
    )
    path.write_text(page(title, body, style=_STYLE, width="62rem"), encoding="utf-8")
    return path


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    header, *body = ([html.escape(str(cell)) for cell in row] for row in rows)
    head = "".join(f"<th>{cell}</th>" for cell in header)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _figure(caption: str, file: Path) -> str:
    data = base64.b64encode(file.read_bytes()).decode()
    text = html.escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )

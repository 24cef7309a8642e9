"""report.html of a run: one page that needs nothing beside itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_jax.report import fragments
from collapse_jax.report.page import page
from collapse_jax.results.statements import Statement


def write_report(
    path: str | Path,
    *,
    title: str,
    sentences: Sequence[str],
    table: Sequence[Sequence[str]],
    figures: Mapping[str, Path],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
    statements: Sequence[Statement] = (),
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
      statements: of the literature, beside what was found.

    Returns:
      `path`.
    """
    path = Path(path)
    body = [
        fragments.paragraphs(sentences),
        fragments.statements(statements),
        fragments.table(table),
        fragments.figures(figures),
        "<h2>Where it comes from</h2>",
        fragments.folded("Configuration", config),
        fragments.folded("Provenance", provenance),
    ]
    text = page(title, "\n".join(body), style=fragments.STYLE, width="62rem")
    path.write_text(text, encoding="utf-8")
    return path

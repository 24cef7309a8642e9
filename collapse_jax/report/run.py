"""Write report.html of a run, a self-contained page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_jax.report import fragments
from collapse_jax.report.page import page
from collapse_jax.results.statements import Statement
from collapse_jax.utils.paths import user_path


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
    """Write a page with embedded figures.

    Args:
      path: the file to write.
      title: headline.
      sentences: the setting and the findings, in words.
      table: rows of cells; the first row is the header.
      figures: PNG files by caption.
      config: settings of the run.
      provenance: versions, devices, key and commit of the run.
      statements: of the literature, with the findings of this run.

    Returns:
      `path`.

    Raises:
      OSError: if a figure cannot be read or the page cannot be written.
    """
    path = user_path(path)
    body = [
        fragments.paragraphs(sentences),
        fragments.statements(statements),
        fragments.table(table),
        fragments.figures(figures),
        "<h2>Configuration and provenance</h2>",
        fragments.folded("Configuration", config),
        fragments.folded("Provenance", provenance),
    ]
    text = page(title, "\n".join(body), style=fragments.STYLE, width="62rem")
    path.write_text(text, encoding="utf-8")
    return path

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
    finding: str = "",
    settings: Sequence[tuple[str, str]] = (),
    command: str = "",
) -> Path:
    """Write a page that answers first: finding, settings, command, figures, tables, literature.

    Args:
      path: the file to write.
      title: headline.
      sentences: the setting and further findings, in words.
      table: rows of cells; the first row is the header.
      figures: PNG files by caption.
      config: settings of the run.
      provenance: versions, devices, key and commit of the run.
      statements: of the literature, with the findings of this run.
      finding: the answer in one sentence, "" for none; also in the title of the browser's tab.
      settings: names and values of what was run, in words.
      command: the command that repeats the run, "" for none.

    Returns:
      `path`.

    Raises:
      OSError: if a figure cannot be read or the page cannot be written.
    """
    path = user_path(path)
    body = [
        fragments.finding(finding),
        fragments.settings(settings, command),
        fragments.figures(figures, path.parent),
        fragments.paragraphs(sentences),
        fragments.table(table),
        fragments.statements(statements),
        "<h2>Configuration and provenance</h2>",
        fragments.folded("Configuration", config),
        fragments.folded("Provenance", provenance),
    ]
    tab = f"{title}: {finding}" if finding else title
    text = page(title, "\n".join(body), width="62rem", tab=tab, script=fragments.START)
    path.write_text(text, encoding="utf-8")
    return path

"""Write report.html of `collapse reproduce`: all studies and their verdicts on one page."""

import dataclasses
import html
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_jax.report import fragments
from collapse_jax.report.page import page
from collapse_jax.results.statements import Statement
from collapse_jax.utils.counted import counted

_STYLE = """h2 { border-top: 1px solid var(--line); padding-top: 1.4rem; }
"""


@dataclasses.dataclass(frozen=True)
class Study:
    """A study, as the page shows it.

    Attributes:
      name: of the experiment.
      title: headline.
      sentences: the setting and the findings, in words.
      statements: of the literature, with the findings of this run.
      table: rows of cells; the first row is the header.
      figures: PNG files by caption.
      config: settings of the run.
      provenance: versions, devices, key and commit of the run.
      seconds: wall time, or None if it was not recorded.
      finding: the answer in one sentence, "" for none.
      settings: names and values of what was run, in words.
      command: the command that repeats the run, "" for none.
    """

    name: str
    title: str
    sentences: Sequence[str]
    statements: Sequence[Statement]
    table: Sequence[Sequence[str]]
    figures: Mapping[str, Path]
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    seconds: float | None
    finding: str = ""
    settings: Sequence[tuple[str, str]] = ()
    command: str = ""

    @property
    def num_failed(self) -> int:
        """Return the number of points that failed."""
        return len(self.config.get("failures", ()))


def write_reproduction(
    path: Path, *, title: str, sentences: Sequence[str], studies: Sequence[Study]
) -> Path:
    """Write the page: an overview of all verdicts, then a section for each study.

    Args:
      path: the file to write.
      title: headline.
      sentences: below the headline, a paragraph each.
      studies: in the order of the page.

    Returns:
      `path`.

    Raises:
      OSError: if a figure cannot be read or the page cannot be written.
    """
    counts = Counter(one.verdict for study in studies for one in study.statements)
    verdicts = ", ".join(f"{counts[word]} {word}" for word in ("agrees", "differs", "not tested"))
    body = [
        fragments.paragraphs([*sentences, f"Statements of the literature: {verdicts}."]),
        _overview(studies),
        *(_section(study, path.parent) for study in studies),
    ]
    text = page(title, "\n".join(body), style=_STYLE, width="62rem", script=fragments.START)
    path.write_text(text, encoding="utf-8")
    return path


def _overview(studies: Sequence[Study]) -> str:
    lines = "".join(
        f'<tr><td><a href="#{study.name}">{html.escape(study.title)}</a>{_failed(study)}</td>'
        f"<td>{html.escape(study.finding)}</td>"
        f"<td>{'<br>'.join(map(fragments.verdict, study.statements))}</td>"
        f"<td>{_cost(study)}</td></tr>"
        for study in studies
    )
    head = "<thead><tr><th>study</th><th>finding</th><th>verdicts</th><th>cost</th></tr></thead>"
    return fragments.wide(f"<table>{head}<tbody>{lines}</tbody></table>", "overview")


def _failed(study: Study) -> str:
    number = study.num_failed
    return f"<br>not complete: {counted(number, 'point')} failed" if number else ""


def _section(study: Study, folder: Path) -> str:
    return "\n".join(
        [
            f'<section><h2 id="{study.name}">{html.escape(study.title)}</h2>',
            fragments.finding(study.finding),
            fragments.settings(study.settings, study.command),
            fragments.figures(study.figures, folder),
            fragments.paragraphs(study.sentences),
            fragments.table(study.table),
            fragments.statements(study.statements),
            f"<p>Cost: {_cost(study)}.</p>",
            fragments.folded("Configuration", study.config),
            fragments.folded("Provenance", study.provenance),
            "</section>",
        ]
    )


def _cost(study: Study) -> str:
    if study.seconds is None:
        return "not recorded"
    minutes, seconds = divmod(round(study.seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

"""Build the page that shows, by generation, how models continue the same prompts."""

import dataclasses
import html
from collections.abc import Sequence

from collapse_jax.report.page import page

_STYLE = """body { overflow-wrap: anywhere; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid var(--line);
  white-space: pre-wrap; }
dt { font-weight: 600; margin-top: .9rem; } dt small { font-weight: 400; color: var(--faint); }
dd { margin: .2rem 0 0; white-space: pre-wrap; }
"""
_LEAD = (
    "<p>Each model continues the same original text. The perplexity is that of the continuation "
    "under model 0.</p>"
)


@dataclasses.dataclass(frozen=True)
class Example:
    """A prompt with the continuations by several models.

    Attributes:
      prompt: original text.
      texts: for each model its generation, its continuation and the continuation's perplexity.
    """

    prompt: str
    texts: Sequence[tuple[int, str, float]]


def continuations_page(examples: Sequence[Example], title: str) -> str:
    """Build a self-contained page of examples.

    Args:
      examples: in the order of the page.
      title: headline, as plain text.

    Returns:
      HTML.
    """
    body = "\n".join([_LEAD, *map(_section, examples)])
    return page(title, body, style=_STYLE, width="46rem")


def _section(example: Example) -> str:
    texts = "\n".join(
        f"<dt>model {generation} <small>perplexity {perplexity:.1f}</small></dt>"
        f"<dd>{html.escape(text)}</dd>"
        for generation, text, perplexity in sorted(example.texts)
    )
    prompt = html.escape(example.prompt)
    return f"<section><blockquote>{prompt}</blockquote><dl>{texts}</dl></section>"

"""Build a self-contained HTML page, the common template of all reports."""

import html
from string import Template

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$tab</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: $width; margin: 2.5rem auto;
  padding: 0 1.2rem; }
h1 { font-size: 1.7rem; }
$style</style></head><body>
<h1>$title</h1>
$body
</body></html>
""")


def page(title: str, body: str, *, style: str, width: str, tab: str = "") -> str:
    """Build a page.

    Args:
      title: headline, as plain text.
      body: HTML below the headline.
      style: CSS for the body.
      width: maximal width of lines, a CSS length.
      tab: title of the browser's tab, as plain text; the headline if "".

    Returns:
      The HTML document.
    """
    titles = {"title": html.escape(title), "tab": html.escape(tab or title)}
    return _PAGE.substitute(titles, body=body, style=style, width=width)

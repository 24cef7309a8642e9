"""Build a self-contained HTML page, the common template of all reports."""

import html
from importlib import resources
from string import Template

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$tab</title>
<style>
:root { --width: $width; }
$style</style></head><body>
<main>
<h1>$title</h1>
$body
</main>
$scripts</body></html>
""")


def asset(name: str) -> str:
    """Return the text of a style sheet or a script of the pages.

    Args:
      name: of the file in collapse_jax/report/assets.
    """
    return (resources.files("collapse_jax.report") / "assets" / name).read_text(encoding="utf-8")


def page(
    title: str, body: str, *, width: str, style: str = "", tab: str = "", script: str = ""
) -> str:
    """Build a page with the style of all pages.

    Args:
      title: headline, as plain text.
      body: HTML below the headline.
      width: maximal width of lines, a CSS length.
      style: further CSS for the body.
      tab: title of the browser's tab, as plain text; the headline if "".
      script: JavaScript at the end of the page, after the viewer of interactive figures; "" for
        a page without them.

    Returns:
      The HTML document, which asks for no other file.
    """
    titles = {"title": html.escape(title), "tab": html.escape(tab or title)}
    scripts = f"<script>\n{asset('viewer.js')}{script}</script>\n" if script else ""
    style = asset("page.css") + style
    return _PAGE.substitute(titles, body=body, style=style, width=width, scripts=scripts)

"""How Sphinx builds these pages; `make docs` calls it."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.math import get_node_equation_number

import collapse_jax

project = "collapse_jax"
author = "The collapse_jax authors"
copyright = author
version = release = collapse_jax.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
html_theme = "furo"
html_title = f"collapse_jax {release}"
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"

# Pages are programs: an error in one of them, or a word on stderr, ends the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "error"
nb_merge_streams = True
nb_render_markdown_format = "gfm"  # tables
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

# Links are checked, but for those that Sphinx makes of the types in signatures.
nitpicky = True
nitpick_ignore_regex = [("py:class", ".*"), ("py:exc", ".*"), ("py:obj", r"typing\..*")]

default_role = "code"  # docstrings write `name`, as Markdown does
napoleon_use_ivar = True
napoleon_custom_sections = [(f"{kind} arguments", "params_style") for kind in ("main", "other")]
napoleon_use_rtype = False
autosummary_generate = True  # a page for each public name, docs/objects
autosummary_imported_members = True
templates_path = ["_templates"]
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": False}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80

_CODE = re.compile(r"(``.+?``|`[^`]+`)")
_ENTRY = re.compile(r'"?([\w-]+)"? {2,}(\S.*)')


def _mark_up(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: a bar, a star and a last underscore mean themselves.

    Lines of a word, two spaces and its meaning are a list.
    """
    is_list = False
    for place, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        entry = _ENTRY.fullmatch(line)
        if entry:
            line = f"- `{entry[1]}`: {entry[2]}"
        elif is_list and line.startswith(" "):
            line = f"  {line.strip()}"
        is_list = bool(entry) or (is_list and line.startswith(" "))
        parts = _CODE.split(line)
        parts[::2] = [re.sub(r"([|*])|(?<=\w)(_)(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
        lines[place] = "".join(parts)


def _skip(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """The class says what the fields of a tuple are."""
    return True if (getattr(thing, "__doc__", "") or "").startswith("Alias for field") else None


def _formula(self: Any, node: Any) -> None:
    """As MathML, which browsers draw without help: pages need no network."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _equation(self: Any, node: Any) -> None:
    """The same for one on a line of its own, with its number."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(tex2mathml(node.astext(), as_block=True) + "</div>")
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Register them; docstrings are changed before Napoleon reads them."""
    app.add_html_math_renderer("mathml", (_formula, None), (_equation, None))
    app.connect("autodoc-process-docstring", _mark_up, priority=100)
    app.connect("autodoc-skip-member", _skip)

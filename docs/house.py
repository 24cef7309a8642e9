"""Draw the rooms of `collapse_jax` by floor, as their imports put them.

A room is a file or folder at the top of the package. It stands one floor above the highest room
that it imports; rooms without imports stand on floor 1.

Run: python docs/house.py    (writes docs/images/house.svg)
"""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "collapse_jax"
PICTURE = DOCS / "images" / "house.svg"

WORDS = {
    "__init__.py": "the public names",
    "cli": "the command line",
    "config.py": "frozen settings that are pytrees",
    "core": "corpus, source, policy, family, chain",
    "engine": "simulate and sweep",
    "explorer": "a local page with sliders",
    "experiments": "studies: run, figures, summarize",
    "families": "discrete, gaussian, gaussian_mixture, vae, language_model",
    "lm": "networks of language models, useful alone",
    "metrics": "a model against the truth",
    "planning": "how much original data is needed",
    "plots": "figures of a dataset",
    "policies": "the rule for the next corpus",
    "random": "keys and exact samplers",
    "report": "HTML pages",
    "results": "records, reductions, comparisons",
    "sources": "where original data come from",
    "store": "files that survive crashes",
    "testing": "rules for new classes, statistical assertions",
    "text": "texts as token blocks",
    "theory": "closed forms, exact laws",
    "utils": "checks, memory, progress, linear algebra",
    "verify": "checks with known error rates",
}
"""The contents of every room, in a few words."""

READ = ("core", "families", "policies", "random", "engine", "results")
"""The rooms of "The source in five minutes" in design.md, in its order."""

# All lengths are pixels of a picture that is 800 wide, which every reader can show unscaled.
WIDTH, LEFT, MARGIN = 800, 76, 8
FLOOR, GAP, PADDING = 68, 6, 10
HEAD, FOOT = 44, 14
NAME_SIZE, WORD_SIZE = 15, 12
NAME_WIDTH, WORD_WIDTH = 8.6, 6.5  # of a character of the widest common sans-serif font
LINE = 15  # from one line of words to the next; two lines fit


def rooms(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return the rooms that each room imports, by name in alphabetical order.

    Imports within functions count, since they are calls to another room, too.

    Args:
      package: the folder of the package.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).parts[0]
        name = "cli" if name == "__main__.py" else name  # the door to the command line
        others = {_room(package, module) for module in _imports(path, package)}
        found.setdefault(name, set()).update(others - {name})
    return dict(sorted(found.items()))


def _imports(path: Path, package: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a file imports of the package, as parts of a dotted name below it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            root, *parts = name.split(".")
            if root == package.name:
                yield tuple(parts)


def _room(package: Path, parts: tuple[str, ...]) -> str:
    """Return the room of an imported name: `__init__.py` for a name of the package itself."""
    for name in (parts[0], f"{parts[0]}.py") if parts else ():
        if (package / name).exists():
            return name
    return "__init__.py"


def floors(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms of each floor from the ground up, in alphabetical order.

    Args:
      imports: the rooms that each room imports.

    Raises:
      ValueError: if rooms import each other.
    """
    found: list[list[str]] = []
    below: set[str] = set()
    while above := sorted(imports.keys() - below):
        floor = [name for name in above if imports[name] <= below]
        if not floor:
            raise ValueError(f"rooms import each other: {', '.join(above)}")
        found.append(floor)
        below.update(floor)
    return found


def draw(imports: dict[str, set[str]]) -> str:
    """Return the picture as SVG.

    Args:
      imports: the rooms that each room imports; each has an entry in `WORDS`.
    """
    house = floors(imports)
    height = HEAD + len(house) * (FLOOR + GAP) + FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title" '
        'font-family="Helvetica, Arial, sans-serif">',
        '<title id="title">The rooms of collapse_jax by floor</title>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(LEFT, 27, 13, "#555555", "A room imports only rooms on lower floors."),
        _text(WIDTH - MARGIN, 27, 13, "#0b5a8a", "Numbers: where to start reading.", "end"),
    ]
    for level, names in enumerate(house, 1):
        top = HEAD + (len(house) - level) * (FLOOR + GAP)
        lines.append(_text(MARGIN, top + FLOOR / 2 + 5, 13, "#555555", f"floor {level}"))
        width = (WIDTH - LEFT - MARGIN - (len(names) - 1) * GAP) / len(names)
        for index, name in enumerate(names):
            lines += _box(name, LEFT + index * (width + GAP), top, width)
    return "\n".join([*lines, "</svg>", ""])


def _box(name: str, left: float, top: float, width: float) -> list[str]:
    """Return the elements of one room."""
    is_read = name in READ
    fill, stroke = ("#e3f1fa", "#0b5a8a") if is_read else ("#f6f6f4", "#8a8a86")
    lines = [
        f'<rect x="{left:g}" y="{top}" width="{width:g}" height="{FLOOR}" rx="4" '
        f'fill="{fill}" stroke="{stroke}"/>',
        _text(left + PADDING, top + 23, NAME_SIZE, "#1a1a1a", name, weight="bold"),
    ]
    if is_read:
        number, right = str(READ.index(name) + 1), left + width - PADDING
        lines.append(_text(right, top + 23, NAME_SIZE, stroke, number, "end", "bold"))
    for number, words in enumerate(wrapped(WORDS[name], width)):
        y = top + 42 + number * LINE
        lines.append(_text(left + PADDING, y, WORD_SIZE, "#333333", words))
    return lines


def wrapped(words: str, width: float) -> list[str]:
    """Return words as lines that fit into a box.

    Args:
      words: of a room.
      width: of the box, in pixels.
    """
    return textwrap.wrap(words, int((width - 2 * PADDING) / WORD_WIDTH))


def _text(
    x: float, y: float, size: int, colour: str, words: str, anchor: str = "", weight: str = ""
) -> str:
    """Return a line of text."""
    options = f' text-anchor="{anchor}"' * bool(anchor) + f' font-weight="{weight}"' * bool(weight)
    start = f'x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}"'
    return f"<text {start}{options}>{escape(words)}</text>"


if __name__ == "__main__":
    PICTURE.write_text(draw(rooms()))

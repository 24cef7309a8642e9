"""Suggest the known word that resembles an unknown one."""

import difflib
from collections.abc import Iterable

_CLOSE = 0.7  # share of letters that two words have in common; chance gives up to 0.6
_SHORTEST = 3  # letters of a word that may be the start of another
_MARKS = ("--", "-", "policy:")  # before a name: they are no resemblance
_LEFT_OUT = ("policy.", "num-")  # parts of a name that are often forgotten


def closest(word: str, known: Iterable[str]) -> str:
    """Suggest the known word that resembles a word most.

    Args:
      word: as given.
      known: words that are allowed.

    Returns:
      "did you mean ...? ", or "" if none resembles the word.

    >>> closest("gausian", ["gaussian", "vae"]), closest("--chain", ["--num-chains"])
    ('did you mean gaussian? ', 'did you mean --num-chains? ')
    >>> closest("--sizes", ["--isa", "--seed"])
    ''
    """
    likeness, found = max(((_likeness(word, one), one) for one in known), default=(0.0, ""))
    return f"did you mean {found}? " if likeness >= _CLOSE else ""


def _likeness(word: str, known: str) -> float:
    """Return how much a word resembles a known one, in [0, 1]; marks and forgotten parts aside."""
    given, names = _bare(word.lower()), [_bare(known)]
    for part in _LEFT_OUT:
        names.append(names[-1].removeprefix(part))
    likeness = max(difflib.SequenceMatcher(None, given, name).ratio() for name in names)
    shorter, longer = sorted((given, names[0]), key=len)
    is_start = len(shorter) >= _SHORTEST and longer.startswith(shorter)
    return max(likeness, _CLOSE) if is_start else likeness


def _bare(word: str) -> str:
    """Return a word without the marks before its name."""
    mark = next((one for one in _MARKS if word.startswith(one)), "")
    return word.removeprefix(mark)

"""Find the words of a text in any script, and texts that are names of files."""

import os
import re
import unicodedata

from collapse_jax.utils import check

_LETTER = r"[^\W\d_]"
_JOINERS = "\u200c\u200d"  # zero-width non-joiner and joiner: Persian, Sinhala, Bengali, ...
_SOFT_HYPHEN = "\xad"  # where a line may break: it belongs to the layout, not to the word
_TEXT_FILES = tuple(
    ".txt .text .md .rst .tex .html .htm .xml .csv .tsv .json .jsonl .srt .pdf .epub .doc .docx "
    ".odt .rtf .gz .zip".split()
)


def find_words(text: str) -> list[str]:
    """Return the words of a text in their order, in lower case and in Unicode's form NFC.

    A word is a run of letters with their combining marks. Joiners of zero width within a word
    and apostrophes between letters belong to it; soft hyphens are left out. Digits and other
    numbers (superscripts, fractions, Roman numerals), underscores and all other characters
    separate words. In a script without spaces, such as Chinese or Thai, whatever stands between
    two such characters is one word.

    Args:
      text: any characters.

    >>> find_words("The naïve cat's 2nd_try")
    ['the', 'naïve', "cat's", 'nd', 'try']
    """
    text = unicodedata.normalize("NFC", text.lower()).replace(_SOFT_HYPHEN, "")
    numbers = [ord(one) for one in set(text) if unicodedata.category(one) in ("No", "Nl")]
    text = text.translate(dict.fromkeys(numbers, " "))
    return _pattern(text).findall(text)


def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of a word.

    `re` has no class of marks, so those of the text are listed. Its class of letters has numbers
    that are no digits, such as superscripts and fractions: `find_words` replaces them by spaces.
    """
    marks = sorted(one for one in set(text) if unicodedata.category(one).startswith("M"))
    listed = re.escape("".join(marks)) or "\u0301"  # a class must not be empty
    # A joiner follows a mark (Malayalam ends words so), or has a letter or mark after it.
    extended = f"(?:[{listed}]+[{_JOINERS}]*|[{_JOINERS}]+(?={_LETTER}|[{listed}]))"
    word = f"{_LETTER}+(?:{extended}{_LETTER}*)*"
    return re.compile(f"{word}(?:['’]{word})*")


def check_text(name: str, text: str) -> None:
    """Refuse a text with NUL characters, or one that is the name of a file.

    Args:
      name: of the argument.
      text: a text; one line that names an existing file, or has no white space and ends like
        the name of a text file, is refused, since nobody wants the words of a name.

    Raises:
      ArgumentError: for a NUL, or the name of a file.
    """
    if "\0" in text:
        allowed = f"it has a NUL at character {text.index(chr(0))}, as in text decoded wrongly"
        raise check.fail(name, text, allowed, "decode the bytes by their own encoding")
    if len(text.splitlines()) != 1:
        return
    is_name = len(text.split()) == 1 and text.strip().lower().endswith(_TEXT_FILES)
    if is_name or os.path.isfile(os.path.expanduser(text)):
        allowed = "a str is the text itself, and this one is the name of a file"
        raise check.fail(name, text, allowed, f"pass pathlib.Path({text[-60:]!r}) to read it")

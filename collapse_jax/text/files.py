"""Read text files: UTF-8, or what a byte order mark says."""

import codecs
from pathlib import Path

from collapse_jax.utils import check

# UTF-32 is tried first, since its mark for little endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_REMEDY = "save it as UTF-8 text (for example by iconv -f LATIN1 -t UTF-8), or pass another file"


def read_text(name: str, path: Path) -> str:
    """Read a text file, without its byte order mark.

    Args:
      name: of the argument that the path belongs to.
      path: of the file; `~` is the user's home folder.

    Returns:
      The text, with its own line breaks.

    Raises:
      ArgumentError: if the file cannot be read, is not in UTF-8 and has no byte order mark of
        UTF-16 or UTF-32, or holds NUL characters.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # NUL in a path, no home folder
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "pass the path of a text file that can be read"
        raise check.fail(name, str(path), f"{path.name or path}: {reason}", remedy) from None
    encoding = next((known for mark, known in _MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        byte = f"byte 0x{content[error.start]:02x} at offset {error.start}"
        kind = encoding.removesuffix("-sig").upper()
        raise check.fail(name, str(path), f"{path.name}: not {kind} ({byte})", _REMEDY) from None
    if "\0" in text:
        reason = f"NUL at character {text.index(chr(0))}, as in UTF-16 without a byte order mark"
        raise check.fail(name, str(path), f"{path.name}: {reason}, or in no text", _REMEDY)
    return text

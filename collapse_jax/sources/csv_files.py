"""Read a text file of cells: find encoding, separator and header, or refuse.

PyArrow parses the cells; here is what it does not decide: which separator a file has, and which
texts show that a column was misread.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from collapse_jax.sources.columns import (
    NAME,
    Columns,
    check_digits,
    check_values,
    composed,
    from_arrow,
    refuse_cells,
    refuse_huge,
)
from collapse_jax.utils import check

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SAMPLE = 2**16  # bytes of which the separator is found
_BLOCK = 2**24  # bytes that PyArrow parses at once: the longest line
_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP = b"\x1f\x8b"
_SEPARATOR_LINE = re.compile(rb"sep=([,;\t|])\r?\n", re.IGNORECASE)  # written by Excel
_NOTES = re.compile(rb"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?inf(?:inity)?", re.I | re.A)
_INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
_ZEROS = re.compile(r"[-+]?0\d+", re.ASCII)  # a code, such as that of a place: no number
_INFINITE = re.compile(r"[-+]?inf(?:inity)?", re.IGNORECASE)
_GROUPED = re.compile(  # a decimal comma, or thousands in groups
    r"[-+]?(?:\d+,\d+(?:e[-+]?\d+)?|\d{1,3}(?:[ ,.'’\u00a0\u202f]\d{3})+(?:[.,]\d+)?)", re.I | re.A
)
_LONG = 2**63  # from here on, PyArrow reads whole numbers as float64
_FEW = 20  # cells of which one may be a slip: more texts are labels among which some are digits
_LEAST = 5  # cells from which a single text is a slip
_MISSING = {"", "#n/a", "n/a", "na", "<na>", "nan", "-nan", "null", "none"}
_GAP = "are missing (empty, or NA without quotation marks)"
_EXPORT = "save the file as CSV in UTF-8, with commas between cells and points in numbers"


def read_csv(path: str, raw: bytes, has_tabs: bool, column: Any) -> Columns:
    """Read the columns of a text file.

    Args:
      path: of the file, for messages.
      raw: its bytes, decompressed.
      has_tabs: whether the name of the file says that tabs separate cells.
      column: name or names that will be asked for, which may be numbers if they are a header.

    Returns:
      The columns, with names without white space around them.

    Raises:
      ArgumentError: for a file that is no text in UTF-8, UTF-16 or UTF-32, is empty, has an
        unclear separator, lines of unequal lengths, or no header.
      ValueError: from PyArrow.
    """
    import pyarrow
    from pyarrow import csv as reader

    text = _utf8(path, raw)
    given = _SEPARATOR_LINE.match(text)
    notes = _NOTES.match(text, given.end() if given else 0)
    assert notes is not None  # it matches no line, too
    text = _without_blank_end(text[notes.end() :])
    if not text.strip():
        _refuse(path, "it cannot be read (it is empty)", "pass a file with a header and rows")
    separator = given[1].decode() if given else _separator(path, text, has_tabs)
    width = _check_quotes(path, text, separator)
    _check_notes(path, notes[0].decode().split("\n"), separator, width)

    def parsed(**options: Any) -> pyarrow.Table:
        return reader.read_csv(
            pyarrow.BufferReader(text),
            read_options=reader.ReadOptions(block_size=_BLOCK),
            # In a table of one column, an empty line is an empty cell.
            parse_options=reader.ParseOptions(
                delimiter=separator, newlines_in_values=True, ignore_empty_lines=width > 1
            ),
            convert_options=reader.ConvertOptions(
                strings_can_be_null=True, quoted_strings_can_be_null=False, **options
            ),
        )

    try:
        table = parsed()
    except pyarrow.ArrowInvalid as error:
        reason = " ".join(str(error).removeprefix("CSV parse error: ").split())[:90]
        allowed = f"it cannot be read with {_words(separator)} ({reason})"
        _refuse(path, allowed, "give each line as many cells as the header")
    names = [composed(name.strip()) for name in table.column_names]
    _check_header(path, names, column)

    def get(index: int) -> np.ndarray:
        name, raw, cells = names[index], table.column_names[index], table.column(index)

        def texts() -> list[str]:
            as_text = {"column_types": {raw: pyarrow.string()}, "include_columns": [raw]}
            return parsed(**as_text).column(0).to_pylist()

        if pyarrow.types.is_floating(cells.type) and not cells.null_count:
            _check_range(cells.to_numpy(), texts, name)
        values = from_arrow(cells, name, _GAP)
        codes = None
        if values.dtype.kind == "O":
            _check_texts(path, values, name)
        else:
            codes = _check_numbers(path, values, texts, name)
        if column is None:
            _check_only_name(path, values, name, notes[0].decode().split())
        return values if codes is None else codes

    return Columns(names, get)


def _refuse(path: str, allowed: str, remedy: str) -> NoReturn:
    raise check.fail(NAME, path, allowed, remedy)


def _words(separator: str) -> str:
    return _SEPARATORS.get(separator, repr(separator))


def _utf8(path: str, raw: bytes) -> bytes:
    """Return a text in UTF-8 from bytes with a mark of Unicode, or in UTF-8."""
    mark, encoding = next((pair for pair in _MARKS if raw.startswith(pair[0])), (b"", "utf-8"))
    if raw.startswith(_GZIP):
        _refuse(path, "it cannot be read (it is compressed)", "end its name in .csv.gz")
    raw = raw[len(mark) :]
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        allowed = f"it cannot be read as {encoding.upper()} (line {line})"
        is_other = encoding == "utf-8" and b"\0" not in raw
        remedy = f"{_EXPORT}, or pass pandas.read_csv({path!r}, encoding='latin-1')"
        _refuse(path, allowed, remedy if is_other else _EXPORT)
    if "\0" in text:
        allowed = "it cannot be read (it holds zero bytes: no text, or UTF-16 without a mark)"
        _refuse(path, allowed, _EXPORT)
    return raw if encoding == "utf-8" else text.encode()


def _without_blank_end(text: bytes) -> bytes:
    """Drop the last lines if they hold only spaces; end the last one that is left."""
    while True:
        text = text.rstrip(b"\r\n")
        start = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        if start == 0 or text[start:].strip(b" "):
            return text + b"\n"
        text = text[:start]


def _rows(sample: str, separator: str, is_cut: bool) -> list[list[str]]:
    """Return the rows of the head of a text, or none if they cannot be read."""
    try:
        rows = [row for row in csv.reader(io.StringIO(sample), delimiter=separator) if row]
    except csv.Error:
        return []
    return rows[:-1] if is_cut else rows


def _separator(path: str, text: bytes, has_tabs: bool) -> str:
    """Return the separator with which all lines have as many cells as the header."""
    sample = re.sub(r"\r\n?", "\n", text[:_SAMPLE].decode(errors="ignore"))
    is_cut = len(text) > _SAMPLE
    tables = {separator: _rows(sample, separator, is_cut) for separator in _SEPARATORS}
    widths = {separator: [len(row) for row in rows] or [0] for separator, rows in tables.items()}
    regular = [key for key, value in widths.items() if value[0] > 1 and len(set(value)) == 1]
    in_header = [key for key, value in widths.items() if value[0] > 1]
    if has_tabs and "\t" in in_header:
        return "\t"
    if len(regular) > 1 or (not regular and len(in_header) > 1):
        several = " and ".join(_words(key) for key in regular or in_header)
        _refuse(path, f"its separator is unclear: lines have {several}", _EXPORT)
    if in_header:
        return (regular or in_header)[0]
    for key, value in widths.items():
        if len(value) > 1 and value[1] > 1 and len(set(value[1:])) == 1:
            allowed = (
                f"its header names 1 column, its rows have {value[1]} cells with {_words(key)}"
            )
            _refuse(path, allowed, f"name all columns, or quote the cells; or {_EXPORT}")
    separator = "\t" if has_tabs else ","
    pieces = [row[0].split() for row in tables[separator][1:] if len(row) == 1]
    if pieces and all(len(row) > 1 and all(map(_NUMBER.fullmatch, row)) for row in pieces):
        _refuse(path, f"white space separates {len(pieces[0])} numbers of a row", _EXPORT)
    return separator


def _check_quotes(path: str, text: bytes, separator: str) -> int:
    """Refuse quotation marks that do not enclose a cell; return the width of the header."""
    has_quotes = b'"' in text
    text = text if has_quotes else text[: text.find(b"\n") + 1]
    lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    rows = csv.reader(lines, delimiter=separator, strict=has_quotes)
    width = 0
    try:
        for row in rows:
            width = width or len(row)
    except csv.Error as error:
        allowed = f"a quotation mark does not enclose a cell in line {rows.line_num} ({error})"
        _refuse(path, allowed, 'put cells in "", and write "" for a mark within')
    return width


def _check_notes(path: str, lines: Sequence[str], separator: str, width: int) -> None:
    """Refuse a comment that may be the header: one with as many cells as a row."""
    for line in lines:
        if width > 1 and line.count(separator) == width - 1:
            allowed = f"the line {line.strip()[:40]!r} is a comment or the header"
            _refuse(path, allowed, "remove the line, or the # before the names")


def _check_header(path: str, names: Sequence[str], column: Any) -> None:
    """Refuse numbers in the first line, unless columns of these names are asked for.

    Years and other whole numbers may stand next to names; a row of data is more likely to have
    other numbers.
    """
    wanted = [column] if isinstance(column, str) else list(column or ())
    asked = bool(wanted) and all(name in names for name in wanted)
    truths = ("true", "false")
    if not asked and all(_NUMBER.fullmatch(name) or name.lower() in truths for name in names):
        allowed = "its first line must name the columns, not be a row of numbers"
        _refuse(path, allowed, "add a header line")
    odd = [name for name in names if _NUMBER.fullmatch(name) and not name.isdigit()]
    if odd and not set(odd) & set(wanted):
        allowed = f"its first line must name the columns, and {odd[0]!r} is a number"
        _refuse(path, allowed, "add a header line, or rename the column")


def _check_range(values: np.ndarray, texts: Callable[[], list[str]], name: str) -> None:
    """Refuse numbers that became infinite, and were finite as written."""
    if not np.isinf(values).any():
        return
    written = texts()
    is_finite = np.array([not _INFINITE.fullmatch(text.strip()) for text in written])
    huge = np.isinf(values) & is_finite
    if huge.any():
        refuse_huge(huge, written[int(np.argmax(huge))].strip(), name)


def _check_numbers(
    path: str, values: np.ndarray, texts: Callable[[], list[str]], name: str
) -> np.ndarray | None:
    """Refuse numbers whose cells say more; return the cells if they are codes, else None.

    Codes are whole numbers of which one begins with zero, such as those of places.
    """
    numbers: list[Any] = values.tolist()
    if values.dtype.kind == "f":
        is_long = np.max(np.abs(values)) >= _LONG and np.all(values == np.floor(values))
        written = texts() if is_long else []
        if not written or not all(_INTEGER.fullmatch(text.strip()) for text in written):
            check_digits(values, texts, name)
            return None
        numbers = [int(text) for text in written]
    else:
        written = texts()
    is_code = any(_ZEROS.fullmatch(text.strip()) for text in written)
    if is_code or values.dtype.kind != "f":
        _check_spelling(path, numbers, written, name)
    else:
        check_digits(values, texts, name)
    if not is_code:
        return None
    codes = check_values(np.array(written, object), name)
    _check_spaces(codes, name)
    return codes


def _check_spelling(path: str, values: Sequence[Any], texts: Sequence[str], name: str) -> None:
    """Refuse cells that PyArrow reads as one integer or truth value although they differ."""
    spelled: dict[Any, str] = {}
    for text, value in dict.fromkeys(zip(texts, values, strict=True)):
        bare = text.strip().lower()
        common = spelled.setdefault(value, bare)
        is_hexadecimal = "0x" in bare
        if bare == common and not is_hexadecimal:
            continue
        row = next(row for row, one in enumerate(texts) if one == text)
        same = f"it would be the same value as {common!r}"
        allowed = "it is hexadecimal" if is_hexadecimal else same
        remedy = f"write one form, or pass pandas.read_csv({path!r}, dtype=str) to keep texts"
        raise check.fail(f"{NAME}[{row}] in column {name!r}", text, allowed, remedy)


def _check_texts(path: str, values: np.ndarray, name: str) -> None:
    """Refuse texts that are numbers or gaps misread, or that differ by spaces."""
    distinct = {text: text.strip() for text in set(values)}
    missing = {text for text, bare in distinct.items() if bare.lower() in _MISSING}
    others = {text for text in distinct if text not in missing}
    numbers = {text for text in others if _NUMBER.fullmatch(distinct[text])}
    grouped = {text for text in others - numbers if _GROUPED.fullmatch(distinct[text])}
    words = others - numbers - grouped
    if (numbers or grouped) and missing and not words:
        mask = np.isin(values, list(missing))
        refuse_cells(mask, values[int(np.argmax(mask))], "are missing", name)

    def refuse(bad: set[str], allowed: str, remedy: str) -> None:
        row = next(row for row, text in enumerate(values) if text in bad)
        raise check.fail(f"{NAME}[{row}] in column {name!r}", values[row], allowed, remedy)

    if grouped and not words:
        allowed = "a comma, a space or points within a number may mean decimals or thousands"
        remedy = f"write 1234.5, or pass pandas.read_csv({path!r}, sep=';', decimal=',')"
        refuse(grouped, allowed, remedy)
    if numbers and name in words:
        refuse({name}, "it repeats the header", "remove the line")
    notes = {text for text in words if text.startswith("#")}
    if numbers and notes and notes == words:
        refuse(notes, "it is a comment among numbers", "remove the line")
    numerals = {text for text in words if _is_numeral(distinct[text])}
    if numerals and numerals == words and (numbers or grouped or not all(map(str.isascii, words))):
        allowed = "it is a number, but not in digits 0 to 9 alone"
        remedy = f"write 1234.5, or pass pandas.read_csv({path!r}, dtype=str) to keep texts"
        refuse(numerals, allowed, remedy)
    if any(not _INTEGER.fullmatch(distinct[text]) for text in numbers) and words:
        allowed = "the column mixes numbers and texts"
        refuse(words | missing, allowed, "correct the cell, or drop the row")
    if numbers and words and _are_few(words | missing, values, numbers):
        allowed = "nearly all other cells of the column are whole numbers"
        remedy = "correct the cell, or drop the row; for labels, write a letter in every cell"
        refuse(words | missing, allowed, remedy)
    if numbers and not words and not grouped:  # PyArrow could not read some of them
        odd = {text for text in numbers if not text[:1].isdigit() or text != distinct[text]}
        refuse(odd or numbers, "it is no plain number", "write digits without white space")
    _check_spaces(values, name)


def _is_numeral(text: str) -> bool:
    """Tell whether a text is a number for Python or a reader: 1_000, or digits of any script."""
    try:
        float(text.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return False
    return True


def _are_few(texts: set[str], values: np.ndarray, numbers: set[str]) -> bool:
    """Tell whether texts are one cell among five or more, or one in 20, and no number is a code."""
    if any(_ZEROS.fullmatch(text.strip()) for text in numbers):
        return False
    number = sum(text in texts for text in values)
    return number * _FEW <= len(values) or (number == 1 and len(values) >= _LEAST)


def _check_spaces(values: np.ndarray, name: str) -> None:
    """Refuse texts that differ by spaces."""
    distinct = {text: text.strip() for text in set(values)}
    spaced = {text for text, bare in distinct.items() if text != bare}
    clash = {text for text in spaced if distinct[text] in distinct or '"' in distinct[text]}
    if clash:
        row = next(row for row, text in enumerate(values) if text in clash)
        allowed = "it differs from another label by white space or quotation marks"
        remedy = "remove the spaces between separators and cells"
        raise check.fail(f"{NAME}[{row}] in column {name!r}", values[row], allowed, remedy)


def _check_only_name(path: str, values: np.ndarray, name: str, notes: Sequence[str]) -> None:
    """Refuse one column whose header may be a row of it, or a word after #."""
    is_text = values.dtype.kind == "O"
    remedy = f"add a header line, or pass column={name!r} if this is the header"
    if is_text and name in values:
        allowed = "its first line names the column, but is also one of the rows"
        _refuse(path, allowed, remedy)
    if (is_text and notes) or (len(notes) == 1 and notes[0] != "#"):
        allowed = f"its header may be the line with # or {name!r}"
        _refuse(path, allowed, remedy)

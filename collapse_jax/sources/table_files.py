"""Read the files of rows and labels that `Empirical` knows, by the end of their names."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.sources.columns import NAME, Columns, check_values, from_arrow, of_fields
from collapse_jax.sources.csv_files import read_csv
from collapse_jax.utils import check
from collapse_jax.utils.paths import user_path

_FORMATS = (".npy", ".npz", ".csv", ".tsv", ".parquet")
_TEXTS = (".csv", ".tsv")
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_READ = ".npy, .npz, .csv, .tsv (also with .gz, .bz2, .zst) and .parquet files"
_KIND = re.compile(r"(?:\.[a-z]\w*)?\.[a-z]\w*$", re.IGNORECASE)  # with that of a compression
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # Path("https://a") has one slash
_HEADERS: dict[tuple[int, int], Any] = {  # of .npy files, by their version
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_LONGEST_PATH = 50  # characters of a path in a message, its end
_LONGEST_REASON = 120  # characters of a library's message


def read_file(data: str | os.PathLike, column: Any) -> np.ndarray | Columns:
    """Read a file: an array of an .npy file, or the columns of it or of another file.

    Args:
      data: path of a file that ends in .npy, .npz, .csv, .tsv or .parquet, or in .csv or .tsv
        and .gz, .bz2 or .zst; ~ is the home directory.
      column: name or names that will be asked for.

    Returns:
      Checked values, [row] or [row, dim], or columns.

    Raises:
      ArgumentError: if the file cannot be read.
    """
    given = os.fsdecode(data)
    shown = given if len(given) <= _LONGEST_PATH else f"...{given[-_LONGEST_PATH:]}"
    if _ADDRESS.match(given):
        raise check.fail(NAME, shown, "addresses are not read", "download it, and pass the file")
    ending, compression = _format(given)
    remedy = f"pass the path of a {ending or '.csv'} file with a row of data"
    with _reading(shown, remedy):
        path = user_path(given, NAME)
        if ending:
            path.stat()  # says why there is no such file, in the words of the system
        if path.is_dir():
            allowed = "it is a folder, not a file"
            raise check.fail(NAME, shown, allowed, f"pass one file, e.g. {path / 'data.csv'}")
        if not ending:
            remedy = (
                f"end it in {', '.join(_FORMATS)}, or use Empirical.words(Path(...)) for a text"
            )
            raise check.fail(NAME, shown, "a file's name must show its format", remedy)
        if ending == ".npy":
            array = _read_npy(path)
            return of_fields(array) or check_values(array)
        if ending == ".npz":
            return _read_npz(path, shown)
        if ending == ".parquet":
            return _read_parquet(path, shown)
        return read_csv(shown, _read_bytes(path, compression), ending == ".tsv", column)


def split_column(name: str) -> tuple[str, str | None] | None:
    """Split FILE:COLUMN at the first colon that follows the name of a table.

    Args:
      name: a path, or a path, a colon and the name of a column.

    Returns:
      The path, and the column or None; None if no path of a table comes first.
    """
    if _format(name)[0] and os.path.exists(os.path.expanduser(name)):
        return name, None
    for index, letter in enumerate(name):
        if letter == ":" and _format(name[:index])[0]:
            return name[:index], name[index + 1 :]
    return (name, None) if _format(name)[0] else None


def refuse_file(name: str, as_text: str = "") -> None:
    """Refuse what `split_column` does not split, if it names a file or a folder.

    Args:
      name: as typed after --source.
      as_text: what reads a file as a text, such as "text:", or "".

    Raises:
      ArgumentError: for an address, a folder, and a file of a kind that is not read.
    """
    if _ADDRESS.match(name):
        raise check.fail("source", name, "addresses are not read", "download it, and name the file")
    ends = [index for index, letter in enumerate(name) if letter == ":"]
    for path in (name, *(name[:end] for end in reversed(ends))):
        known = os.path.expanduser(path)
        if os.path.isdir(known):
            allowed = f"{path} is a folder, not a file"
            remedy = f"name a file in it, such as {os.path.join(path, 'data.csv')}:COLUMN"
            raise check.fail("source", name, allowed, remedy)
        kind = _KIND.search(path)
        if kind or os.path.isfile(known):
            what = f"{kind[0]} files are not read" if kind else "its name shows no format"
            remedy = "save the table as .csv"
            remedy += f", or pass {as_text}{path} for the words of a text" if as_text else ""
            raise check.fail("source", name, f"{what}, only {_READ}", remedy)


def _format(name: str) -> tuple[str, str | None]:
    """Return the ending of a known format, or "", and the compression."""
    base, ending = os.path.splitext(name.lower())
    compression = _COMPRESSIONS.get(ending)
    if compression is not None:
        ending = os.path.splitext(base)[1]
        return (ending if ending in _TEXTS else "", compression)
    return (ending if ending in _FORMATS else "", None)


@contextlib.contextmanager
def _reading(shown: str, remedy: str) -> Iterator[None]:
    """Turn the errors of the libraries that read a file into one line."""
    import struct
    import tokenize
    import zipfile
    import zlib

    import pyarrow

    try:
        yield
    except check.ArgumentError:
        raise
    except OSError as error:
        reason = error.strerror or _first_line(error)
        raise check.fail(NAME, shown, reason, remedy) from None
    except (
        *(ValueError, TypeError, RuntimeError, EOFError, MemoryError, OverflowError, KeyError),
        *(SyntaxError, tokenize.TokenError, struct.error),  # of the header of an .npy file
        *(zipfile.BadZipFile, zlib.error, pyarrow.ArrowException),
    ) as error:
        allowed = f"it cannot be read ({_first_line(error)})"
        raise check.fail(NAME, shown, allowed, remedy) from None


def _first_line(error: Exception) -> str:
    """Return the first line of a message; NumPy's advice about pickled objects is unsafe."""
    if isinstance(error, ValueError) and "object" in str(error).lower():
        return "it has Python objects, not numbers or texts"
    lines = str(error).splitlines() or [type(error).__name__]
    shown = "".join(letter if letter.isprintable() else "?" for letter in lines[0])
    return shown.rstrip(".")[:_LONGEST_REASON]


def _read_npy(path: Path) -> np.ndarray:
    """Return the array of a file, which is never unpickled.

    The file is mapped: a damaged header cannot ask for more memory than the file has.
    """
    if path.stat().st_size == 0:
        raise EOFError("it is empty")
    return np.lib.format.open_memmap(path, mode="r")


def _read_npz(path: Path, shown: str) -> Columns:
    remedy = "pass an .npz file of arrays of numbers or texts, see numpy.savez"

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        with open(path, "rb") as file:
            if file.read(2) != b"PK":  # NumPy would take the file for a pickle
                raise check.fail(NAME, shown, "it cannot be read (it is no archive)", remedy)
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                yield archive

    with opened() as archive:
        parts = [(name, field) for name in archive.files for field in _fields(archive, name)]
    names = [name if field is None else f"{name}:{field}" for name, field in parts]

    def get(index: int) -> np.ndarray:
        name, field = parts[index]
        with _reading(shown, remedy), opened() as archive:
            values = archive[name]
            if not isinstance(values, np.ndarray):
                raise check.fail(NAME, shown, f"{name!r} in it is no array", remedy)
            return check_values(values if field is None else values[field], names[index])

    return Columns(names, get)


def _fields(archive: Any, name: str) -> tuple[str | None, ...]:
    """Return the fields of an array in an archive; (None,) for an array without, or a damaged one.

    Only the header of the array is read, except where fields have names beyond Latin-1, for which
    NumPy has no public function.
    """
    try:
        file = f"{name}.npy"
        with archive.zip.open(file if file in archive.zip.namelist() else name) as stream:
            read = _HEADERS.get(np.lib.format.read_magic(stream))
            dtype = archive[name].dtype if read is None else read(stream)[2]
    except Exception:  # of any library; reading the array says why
        return (None,)
    return dtype.names or (None,)


def _read_parquet(path: Path, shown: str) -> Columns:
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    names = file.schema_arrow.names

    def get(index: int) -> np.ndarray:
        with _reading(shown, "write the file again"):
            return from_arrow(file.read([names[index]]).column(names[index]), names[index])

    return Columns(names, get)


def _read_bytes(path: Path, compression: str | None) -> bytes:
    import pyarrow

    with pyarrow.input_stream(str(path), compression=compression) as stream:
        return stream.read()

"""Pack a complete run into one zip file, which is a Zarr store, and check such files.

The records lie at the top of the archive, where ``xarray.open_zarr`` looks for them, all other
files of the run below `FILES`. Nothing is compressed, and the same run gives the same bytes.
"""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from collapse_jax.store import directory, files
from collapse_jax.store.arrays import check_metadata
from collapse_jax.store.journal import FIRST, Ledger, is_journal
from collapse_jax.store.lock import locked
from collapse_jax.store.unfinished_work import WORK

FILES = "run-files/"
_RECORDS = f"{directory.RECORDS}/"
_PIECE = 2**22  # bytes read at a time
_LARGE = 2**31  # bytes from which a file in a zip needs larger fields
_DATE = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the earliest date of the format, so that the bytes do not depend on it
_AGAIN = "pack the run again, or take the archive from a backup"


def member_name(name: str) -> str:
    """Return the name in an archive of a file of a run.

    Args:
      name: relative to the run directory.
    """
    return name.removeprefix(_RECORDS) if name.startswith(_RECORDS) else f"{FILES}{name}"


def is_archive(path: Path) -> bool:
    """Tell whether a file looks like the archive of a run.

    Args:
      path: the file, which need not exist.

    Returns:
      True for a zip with the journal of a run; nothing is checked.
    """
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return member_name(FIRST) in archive.namelist()


def pack(root: Path, target: Path) -> int:
    """Write the archive of a complete run, and compare it with the run, byte by byte.

    The archive appears under its name when it is whole and checked; the run stays.

    Args:
      root: the run directory.
      target: the archive, which must not exist.

    Returns:
      Number of files in the archive.

    Raises:
      StoreError: if the run is not complete, damaged or in use, or `target` exists or cannot be
        written.
    """
    if target.exists():
        raise files.StoreError(f"--out={target} is not allowed: it exists; pass another path")
    if not directory.is_run(root):
        if (root / "command.json").exists():
            raise files.StoreError(
                f"RUN={str(root)!r} is not allowed: it is not complete; "
                f"resume it with `collapse resume {root}`"
            )
        raise files.StoreError(
            f"RUN={str(root)!r} is not allowed: it is no run directory with records; pass one"
        )
    with locked(root, (0, 1)):
        if not directory.verify(root).is_finished:
            raise files.StoreError(
                f"RUN={str(root)!r} is not allowed: the run is not complete; end it with "
                f"`collapse resume {root}`, or by the same call again"
            )
        for journal in sorted((root / "parts").rglob(FIRST)):
            directory.verify(journal.parent)
        names = list(_files_of(root))
        temporary = target.with_name(files.hidden_name(target.name))
        with files.store_errors(target):
            try:
                _write(temporary, root, names)
                _compare(temporary, root, names)
                files.sync([temporary])
                temporary.rename(target)
                files.sync([target.absolute().parent])
            finally:
                temporary.unlink(missing_ok=True)
    return len(names)


def _files_of(root: Path) -> Iterator[str]:
    """Yield the files of a run that outlast its processes: no locks and nothing temporary."""
    for name in files.files_below(root):
        last = name.rpartition("/")[2]
        is_lock = last == "lock" or last.startswith(("lock-", "command.json-"))
        if not (is_lock or "/tmp-" in name or name.split("/")[0] == WORK):
            yield name


def _write(path: Path, root: Path, names: Sequence[str]) -> None:
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
        for name in sorted(names, key=member_name):
            member = zipfile.ZipInfo(member_name(name), _DATE)
            member.external_attr = 0o644 << 16
            is_large = (root / name).stat().st_size >= _LARGE
            with (
                (root / name).open("rb") as source,
                archive.open(member, "w", force_zip64=is_large) as file,
            ):
                while piece := source.read(_PIECE):
                    file.write(piece)


def _compare(path: Path, root: Path, names: Sequence[str]) -> None:
    """Compare an archive with the run.

    Raises:
      StoreError: naming the first file that differs.
    """
    with zipfile.ZipFile(path) as archive:
        for name in names:
            with archive.open(member_name(name)) as file, (root / name).open("rb") as source:
                if not _is_equal(file, source):
                    raise files.damaged(path / name, "it differs from the run", _AGAIN)


def _is_equal(one: IO[bytes], other: IO[bytes]) -> bool:
    while piece := one.read(_PIECE):
        if piece != other.read(len(piece)):
            return False
    return not other.read(1)


def verify(path: Path) -> Ledger:
    """Check every file of a run in an archive against its journal.

    Args:
      path: the archive.

    Returns:
      The sum of the journals.

    Raises:
      StoreError: naming the first file that differs from what the run wrote.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            present = archive.namelist()
            found = [one.removeprefix(FILES) for one in present if one.startswith(FILES)]
            journals = {path / one: archive.read(FILES + one) for one in found if is_journal(one)}
            ledger = Ledger.of(path, journals)
            for name, entry in ledger.files.items():
                content = archive.read(member_name(name))
                if files.content_of([content]).entry != entry:
                    raise files.damaged(path / name, "it differs from what the run wrote", _AGAIN)
                if name.endswith("zarr.json"):
                    check_metadata(path / name, content)
    except KeyError as error:
        raise files.damaged(path, str(error.args[0]), _AGAIN) from None
    except zipfile.BadZipFile as error:
        raise files.damaged(path, f"it is no whole zip file ({error})", _AGAIN) from None
    if not ledger.is_finished:
        raise files.damaged(path, "the run in it is not complete", _AGAIN)
    known = {member_name(name) for name in ledger.files}
    covered = tuple(f"{FILES}{name}/" for name in (directory.THEORY, files.STATE))
    for one in sorted(set(present) - known):
        if not one.startswith(FILES) or one.startswith(covered):
            raise directory.unexpected_file(path / one)
    return ledger

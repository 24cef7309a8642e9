"""Create, check, write and replace run directories, so that a crash loses no finished file."""

import contextlib
import json
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_jax.store import files
from collapse_jax.store.arrays import check_metadata
from collapse_jax.store.files import STATE, Content, Entry, Staged, damaged
from collapse_jax.store.journal import FIRST, Journal, Ledger, journal_name, journals
from collapse_jax.store.lock import exclusive, locked
from collapse_jax.store.unfinished_work import WORK

RECORDS, THEORY = "records.zarr", "theory.zarr"
_FIGURES = (".png", ".pdf", ".csv", ".json")  # suffixes of the files of a figure
_COVERED = ("config.json", "provenance.json", RECORDS, THEORY, STATE)
_KNOWN = ("command.json", "parts", "corpora", "figures", "report.html", "lock", STATE, WORK, FIRST)
_OWN = re.compile(  # names in a run directory, and in its parts
    rf"config\.json|provenance\.json|command\.json(-\w+)?|report\.html|lock(-\w+)?|parts|figures"
    rf"|journal(-\d+)?\.jsonl|corpora(/.+)?|figures/captions\.json|{STATE}(/\d{{6}}[-.\w]*)?"
    rf"|{WORK}(/\d{{6}}/.+)?|({RECORDS}|{THEORY})(/zarr\.json|/[^/]+/(zarr\.json|c([./]\d+)*))?"
)
_AGAIN = "start again in a new directory, or take the file from a backup"
_MOST_READS = 5  # attempts to read a run while other processes write it

Contents = Mapping[str, Content]


def is_run(path: Path) -> bool:
    """Tell whether a directory looks like a run.

    Args:
      path: the directory, which need not exist.

    Returns:
      True if it contains a config and records; nothing is checked.

    Raises:
      StoreError: if the directory cannot be read.
    """
    with files.store_errors(path):
        return (path / "config.json").is_file() and (path / RECORDS).is_dir()


def is_begun(path: Path) -> bool:
    """Tell whether a directory holds a run, complete or not.

    Args:
      path: the directory, which need not exist.

    Returns:
      True for a run; False if the directory is missing, empty, or holds only what `begin` allows.

    Raises:
      StoreError: if it holds something else, or a run without its journal.
    """
    with files.store_errors(path):
        names = {one.name for one in path.iterdir()} if path.exists() else set()
    if FIRST in names and Ledger.read(path).events:
        return True
    if names & {"config.json", RECORDS}:
        raise damaged(path / FIRST, "it is missing or empty", _AGAIN)
    if strange := {one for one in names if one.split("-")[0] not in _KNOWN}:
        raise files.StoreError(
            f"{path} is not allowed: it exists and is not a run directory (it contains "
            f"{min(strange)!r}); pass another path"
        )
    return False


def begin(path: Path, contents: Callable[[], Contents], layout: Sequence[int]) -> None:
    """Create the directory of a run that is written step by step, unless it exists.

    The run exists from its first journal line on. If a crash follows before the files of that
    line are renamed, the next writer renames them.

    Args:
      path: the directory, which may already hold the command of a run and its parts.
      contents: makes the files that are known before generation 0, by relative name.
      layout: number of chains and of records in a file of records.

    Raises:
      StoreError: if the directory holds something else, or cannot be written.
    """
    if is_begun(path):
        return
    with files.store_errors(path):
        for name in (STATE, "figures"):
            (path / name).mkdir(parents=True, exist_ok=True)
        with exclusive(path):
            if not is_begun(path):
                new = _stage(path, contents())
                Journal(path / FIRST).append("created", new, layout=layout)
            _install_metadata(path)


def _stage(path: Path, contents: Contents) -> dict[str, Entry]:
    """Write files below state/; `_install_metadata` renames them once the journal names them."""
    staged = path / STATE / files.temporary_name()
    staged.mkdir()
    return _fill(staged, contents)


def _fill(root: Path, contents: Contents) -> dict[str, Entry]:
    """Write files into a temporary directory and fsync them."""
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        files.write_new(root / name, content)
    files.sync_tree(root)
    return {name: content.entry for name, content in contents.items()}


def save(
    path: Path, contents: Callable[[], Contents], *, replace: bool, preserve: Collection[str] = ()
) -> None:
    """Write a complete run atomically: the directory appears with all its content.

    Args:
      path: the directory; without `replace` it must be missing or empty.
      contents: makes the files, by relative name.
      replace: whether to remove an existing run.
      preserve: names in an existing run that stay; then its other files are replaced one by
        one, the journal last.

    Raises:
      StoreError: if the directory is not empty and not to be replaced, or cannot be written.
    """
    with files.store_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / files.hidden_name(path.name)
        temporary.mkdir(0o700)
        try:
            for name in ("figures", STATE):
                (temporary / name).mkdir()
            covered = _fill(temporary, contents())
            finished = covered["config.json"].crc
            Journal(temporary / FIRST).append("saved", covered, finished=finished)
            temporary.chmod(0o755)
            if replace and any((path / name).exists() for name in preserve):
                _replace(path, temporary, preserve)
            else:
                if replace and path.exists():
                    shutil.rmtree(path)
                temporary.rename(path)
                files.sync([path.parent])
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a run directory that nobody writes, see `set_aside`.

    Args:
      path: the directory.

    Raises:
      StoreError: if it is not a run directory, holds other files, or cannot be removed.
    """
    check_removable(path)
    with files.store_errors(path):
        shutil.rmtree(path)


def set_aside(path: Path) -> Path:
    """Rename a run directory, so that another run can take its place.

    Args:
      path: the directory.

    Returns:
      Its new path, a hidden directory in the same folder.

    Raises:
      StoreError: if it is not a run directory, holds other files, or another process writes it.
    """
    check_removable(path)
    aside = path.absolute().parent / f".earlier-{secrets.token_hex(8)}"
    with files.store_errors(path), contextlib.ExitStack() as stack:
        for lock in path.rglob("lock"):
            stack.enter_context(locked(lock.parent, (0, 1)))
        return path.rename(aside)


def check_removable(path: Path) -> None:
    """Refuse to remove anything but an empty directory, or a run without foreign files.

    A run is known by its journal or its command: files named config.json are everywhere.

    Args:
      path: an existing file or directory.

    Raises:
      StoreError: if it is something else; the message names a foreign file.
    """
    what = ""
    with files.store_errors(path):
        if path.is_symlink() or not path.is_dir():
            what = "it is a symbolic link" if path.is_symlink() else "it is a file"
        elif (names := sorted(one.name for one in path.iterdir())) and not _is_known(path):
            what = f"it is not a run directory (it contains {names[0]!r})"
        elif foreign := next(_foreign(path), None):
            what = f"it contains {foreign!r}, which no run writes"
    if what:
        raise files.StoreError(
            f"{path} is not allowed: {what} and will not be replaced; pass another path"
        )


def _foreign(path: Path) -> Iterator[str]:
    """Yield the relative names of files that no run writes."""
    figures: set[str] | None = None  # unknown if drawing was interrupted
    with contextlib.suppress(OSError, ValueError, TypeError):
        figures = set(json.loads((path / "figures" / "captions.json").read_bytes()))
    for one in sorted(path.rglob("*")):
        name = one.relative_to(path).as_posix()
        if one.is_dir() and not one.is_symlink() and one.parent != path:
            continue
        within = re.sub(r"\Aparts/[^/]+/", "", name)
        is_figure = one.parent == path / "figures" and one.suffix in _FIGURES
        is_figure = is_figure and (figures is None or one.stem in figures)
        parts = one.relative_to(path).parts
        is_temporary = any(part.startswith(files.TEMPORARY) for part in parts)
        if not (is_figure or is_temporary or _OWN.fullmatch(within)):
            yield name


def _is_known(path: Path) -> bool:
    """Tell whether a directory has the journal of a run, or the command that made one."""
    with contextlib.suppress(files.StoreError):
        if (path / FIRST).is_file() and Ledger.read(path).events:
            return True
    with contextlib.suppress(OSError, ValueError):
        command = json.loads((path / "command.json").read_bytes())
        return isinstance(command, dict) and {"experiment", "arguments"} <= command.keys()
    return False


def _replace(path: Path, new: Path, preserve: Collection[str]) -> None:
    """Replace all of `path`, except the preserved names, by the content of `new`."""
    old = [one.name for one in path.iterdir() if one.name not in preserve]
    for name in sorted(old, key=lambda name: name != FIRST):
        one = path / name
        shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    moved = [one for one in new.iterdir() if not (path / one.name).exists()]
    for one in sorted(moved, key=lambda one: one.name == FIRST):
        one.rename(path / one.name)
        files.sync([path])


def verify(root: Path) -> Ledger:
    """Check every file of a run against its journals, also while other processes write it.

    Args:
      root: the run directory.

    Returns:
      The sum of the journals.

    Raises:
      StoreError: naming the first file that differs from what the run wrote, and a remedy.
    """
    if FIRST not in set(files.files_below(root)):
        remedy = "if this is a run directory, take the journal from a backup or start a new run"
        raise damaged(root / FIRST, "it is missing", remedy)
    ledger = _checked(root, _MOST_READS)
    if not ledger.files:
        raise damaged(root / FIRST, "it is empty", _AGAIN)
    for name in unlisted_files(root, ledger) if ledger.is_finished else ():
        raise unexpected_file(root / name)
    return ledger


def unlisted_files(root: Path, ledger: Ledger) -> list[str]:
    """List files that no journal names, in the parts of the directory that only runs write.

    Args:
      root: the run directory.
      ledger: the sum of its journals.

    Returns:
      Relative names, without temporary files and what a crash left of removed ones.
    """
    found = [name for name in files.files_below(root) if name.split("/")[0] in _COVERED]
    unknown = [name for name in found if name not in ledger.files and not files.is_temporary(name)]
    return [name for name in unknown if (name, files.entry_of(root / name)) not in ledger.dead]


def unexpected_file(path: Path) -> files.StoreError:
    """Build the error for a file that the run did not write; the caller raises it.

    Args:
      path: the file.

    Returns:
      The error.
    """
    return damaged(path, "this run did not write it", "remove it and find out what made it")


def _checked(root: Path, reads: int) -> Ledger:
    """Read the journals and check all files; repeat if a journal grew in the meantime."""
    before = [(path, path.stat().st_size) for path in journals(root)]
    try:
        ledger = Ledger.read(root)
        _check_files(root, ledger)
    except files.StoreError:
        after = [(path, path.stat().st_size) for path in journals(root)]
        if before == after or reads == 1:
            raise
        return _checked(root, reads - 1)
    return ledger


def _check_files(root: Path, ledger: Ledger) -> None:
    for name, entry in ledger.files.items():
        path = root / name
        if not path.is_file():
            raise damaged(path, "it is missing", _AGAIN)
        if files.entry_of(path) != entry:
            raise damaged(path, "it was changed after it had been written", _AGAIN)
        if path.name == "zarr.json":
            check_metadata(path, path.read_bytes())


class Writer:
    """A run directory that is open for writing, see `writing`.

    Attributes:
      path: the directory.
      files: size and checksum of every file, by relative name.
    """

    def __init__(self, path: Path, process: int, ledger: Ledger) -> None:
        self.path = path
        self.files = dict(ledger.files)
        self._journal = Journal(path / journal_name(process))
        self._lock = threading.Lock()

    def stage(self, contents: Contents) -> list[Staged]:
        """Write contents to temporary files for `add`; their memory is free afterwards.

        Args:
          contents: by relative name; "{crc}" in a name is replaced by the checksum.

        Returns:
          The staged files, in the order of `contents`.

        Raises:
          StoreError: if a file cannot be written, for example because the disk is full.
        """
        return files.stage(self.path, contents)

    def add(
        self, event: str, staged: Sequence[Staged], removed: Iterable[str] = (), **more: Any
    ) -> dict[str, Entry]:
        """Publish staged files, append a journal line, then delete the files they replace.

        Args:
          event: name of the event in the journal.
          staged: files of `stage`.
          removed: names of files that are no longer needed.
          more: further JSON-able values of the line.

        Returns:
          Size and checksum of the staged files, by relative name.

        Raises:
          StoreError: if a name is taken by other content, or the disk is full.
        """
        written = files.publish(self.path, staged)
        with self._lock:
            added = {name: one for name, one in written.items() if name not in self.files}
            gone = {name: self.files[name] for name in removed if name not in written}
            if added or gone or more:
                self._journal.append(event, added, gone, **more)
            self.files.update(added)
            for name in gone:
                del self.files[name]
        for name in gone:
            (self.path / name).unlink(missing_ok=True)
        return written

    def rebuild(self, contents: Contents, removed: Iterable[str], layout: Sequence[int]) -> None:
        """Replace the files that `begin` wrote, to extend the run.

        The journal line switches from the old files to the new ones. If a crash follows before
        the new files are renamed, the next writer renames them.

        Args:
          contents: the new files, by relative name.
          removed: names of the old files; names in `contents` may be among them.
          layout: number of chains and of records in a file of the extended run.

        Raises:
          StoreError: if the directory cannot be written.
        """
        with files.store_errors(self.path), self._lock:
            new = _stage(self.path, contents)
            gone = {name: self.files[name] for name in removed}
            self._journal.append("extended", new, gone, layout=layout)
            _install_metadata(self.path)
            _clean(self.path, Ledger.read(self.path))
        self.refresh()

    def refresh(self) -> Ledger:
        """Read the journals again, for files of other processes.

        Returns:
          The sum of the journals, whose files are then in `files`.

        Raises:
          StoreError: if a journal is damaged.
        """
        with self._lock:
            ledger = Ledger.read(self.path)
            self.files = dict(ledger.files)
        return ledger


@contextlib.contextmanager
def writing(path: Path, process: tuple[int, int]) -> Iterator[Writer]:
    """Open a run directory for writing: lock it, check it and remove what a crash left.

    Args:
      path: the run directory.
      process: index of this process and number of processes.

    Yields:
      The writer, valid within the block.

    Raises:
      StoreError: if another process writes the run, or a file is damaged; then no file changes.
    """
    with locked(path, process):
        with exclusive(path):
            _install_metadata(path)
        ledger = verify(path)
        if process[1] == 1:
            _clean(path, ledger)
        yield Writer(path, process[0], ledger)


def _install_metadata(root: Path) -> None:
    """Rename staged files that the journal names, unless their names are taken."""
    names = [name for name in files.files_below(root, STATE) if files.is_temporary(name)]
    staged = [name for name in names if name.count("/") > 1]
    ledger = Ledger.read(root) if staged else None
    changed = []
    for one in staged:
        name = one.split("/", 2)[-1]
        if ledger is None or ledger.files.get(name) != files.entry_of(root / one):
            continue
        path = root / name
        if not path.exists() or (name, files.entry_of(path)) in ledger.dead:
            changed += [*files.make_directories(path.parent), path.parent]
            (root / one).replace(path)
    files.sync(list(dict.fromkeys(changed)))


def _clean(root: Path, ledger: Ledger) -> None:
    """Remove temporary files, and files whose removal a crash prevented."""
    for name in {name for name, _ in ledger.dead} - ledger.files.keys():
        path = root / name
        if path.is_file() and (name, files.entry_of(path)) in ledger.dead:
            path.unlink()
    for path in (root / STATE).iterdir():
        if files.is_temporary(f"{STATE}/{path.name}"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

"""A run directory: checked before it is believed, and written so that nothing is lost."""

import contextlib
import shutil
import tempfile
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
_COVERED = ("config.json", "provenance.json", RECORDS, THEORY, STATE)
_BESIDE = ("command.json", "parts", "corpora", "figures", "report.html", "lock", STATE, WORK, FIRST)
_AGAIN = "start again in a new directory, or take the file from a backup"
_MOST_READS = 5  # of a run that goes on

Contents = Mapping[str, Content]


def is_run(path: Path) -> bool:
    """Whether a directory looks like a run."""
    return (path / "config.json").is_file() and (path / RECORDS).is_dir()


def is_begun(path: Path) -> bool:
    """Whether a run is there, or was there; False for nothing and an empty directory.

    Raises:
      StoreError: if something else is there, or a run whose journal is lost.
    """
    with files.store_errors(path):
        names = {one.name for one in path.iterdir()} if path.exists() else set()
    if FIRST in names and Ledger.read(path).events:
        return True
    if names & {"config.json", RECORDS}:
        raise damaged(path / FIRST, "it is missing or empty", _AGAIN)
    if strange := {one for one in names if one.split("-")[0] not in _BESIDE}:
        raise files.StoreError(
            f"{path} is not allowed: it exists and is no run directory (there is "
            f"{min(strange)!r}); pass another path"
        )
    return False


def begin(path: Path, contents: Callable[[], Contents], layout: Sequence[int]) -> None:
    """Make the directory of a run that is to be continued, unless it is there.

    A line of the journal decides: its files count from then on, and whoever opens the
    directory for writing puts them in place should a crash prevent it here.

    Args:
      path: the directory, which may hold the command of a run and its parts.
      contents: what is known before the first generation, by relative name.
      layout: how the run is cut into files.

    Raises:
      StoreError: if something else is there.
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
            _put_in_place(path)


def _stage(path: Path, contents: Contents) -> dict[str, Entry]:
    """Write files below state/, to be put in place once the journal names them."""
    staged = path / STATE / files.temporary_name()
    staged.mkdir()
    return _fill(staged, contents)


def _fill(root: Path, contents: Contents) -> dict[str, Entry]:
    """Write files into a directory that nobody knows yet, and make them last."""
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        files.write_new(root / name, content)
    files.sync_tree(root)
    return {name: content.entry for name, content in contents.items()}


def save(
    path: Path, contents: Callable[[], Contents], *, replace: bool, preserve: Collection[str] = ()
) -> None:
    """A whole run, in a directory that is there with all its content or not at all.

    Args:
      path: the directory, which must not exist or be empty unless it is to be replaced.
      contents: its files by relative name.
      replace: whether to remove a run that is there.
      preserve: names in it that stay; the rest is then replaced one by one, the journal last.
    """
    with files.store_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
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
    """Remove a run directory that nobody writes.

    Raises:
      StoreError: if it is none, or another process writes it.
    """
    marks = ("config.json", "command.json", FIRST)
    is_ours = path.is_dir() and any((path / name).is_file() for name in marks)
    if not is_ours and (not path.is_dir() or any(path.iterdir())):
        raise files.StoreError(
            f"{path} is not allowed: it is no run directory and will not be replaced; "
            "pass another path"
        )
    with contextlib.ExitStack() as stack:
        for lock in path.rglob("lock"):
            stack.enter_context(locked(lock.parent, (0, 1)))
        shutil.rmtree(path)


def _replace(path: Path, new: Path, preserve: Collection[str]) -> None:
    """The content of `new` in place of all that is in `path` but for what is kept."""
    old = [one.name for one in path.iterdir() if one.name not in preserve]
    for name in sorted(old, key=lambda name: name != FIRST):
        one = path / name
        shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    moved = [one for one in new.iterdir() if not (path / one.name).exists()]
    for one in sorted(moved, key=lambda one: one.name == FIRST):
        one.rename(path / one.name)
        files.sync([path])


def verify(root: Path) -> Ledger:
    """Check every file of a run against its journals; a run that goes on may be read.

    Raises:
      StoreError: for the first file that is not as the run left it, and what to do.
    """
    if FIRST not in set(files.files_below(root)):
        remedy = "it is no run directory, or has lost its journal: start again in a new one"
        raise damaged(root / FIRST, "it is missing", remedy)
    ledger = _checked(root, _MOST_READS)
    if not ledger.files:
        raise damaged(root / FIRST, "it is empty", _AGAIN)
    for name in unlisted_files(root, ledger) if ledger.is_finished else ():
        raise unexpected_file(root / name)
    return ledger


def unlisted_files(root: Path, ledger: Ledger) -> list[str]:
    """Files that no journal knows, where only the run writes."""
    found = [name for name in files.files_below(root) if name.split("/")[0] in _COVERED]
    unknown = [name for name in found if name not in ledger.files and not files.is_temporary(name)]
    return [name for name in unknown if (name, files.entry_of(root / name)) not in ledger.dead]


def unexpected_file(path: Path) -> files.StoreError:
    """The error for a file that somebody else put into a run, to be raised by the caller."""
    return damaged(path, "this run did not write it", "remove it, and see who put it there")


def _checked(root: Path, reads: int) -> Ledger:
    """The journals and all files; read again where another process has gone on meanwhile."""
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
            check_metadata(path)


class Writer:
    """A run directory that this process writes.

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
        """Write contents, whose memory may then be used again, for `add`."""
        return files.stage(self.path, contents)

    def add(
        self, event: str, staged: Sequence[Staged], removed: Iterable[str] = (), **more: Any
    ) -> dict[str, Entry]:
        """Publish files and write a line that says so; then drop the files that they replace.

        Args:
          event: what happened, for the reader of the journal.
          staged: files that are written.
          removed: files that are not needed any more.
          more: what the line says beside.

        Returns:
          The files that were added.

        Raises:
          StoreError: if another file is in the way, or the disk is full.
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
        """Replace what was known when the directory was made.

        A line of the journal decides: before it the old files count, after it the new ones,
        which `writing` puts in place should a crash prevent it here.

        Args:
          contents: the new files by relative name.
          removed: files that count no more; those that are built again may be among them.
          layout: how the run is cut into files now.
        """
        with files.store_errors(self.path), self._lock:
            new = _stage(self.path, contents)
            gone = {name: self.files[name] for name in removed}
            self._journal.append("extended", new, gone, layout=layout)
            _put_in_place(self.path)
            _clean(self.path, Ledger.read(self.path))
        self.refresh()

    def refresh(self) -> Ledger:
        """Read what other processes have written since."""
        with self._lock:
            ledger = Ledger.read(self.path)
            self.files = dict(ledger.files)
        return ledger


@contextlib.contextmanager
def writing(path: Path, process: tuple[int, int]) -> Iterator[Writer]:
    """Open a run directory for writing: locked, checked and rid of what a crash left.

    Args:
      path: the run directory.
      process: index and number of processes.

    Raises:
      StoreError: if another process writes, or anything is damaged; nothing is changed then.
    """
    with locked(path, process):
        with exclusive(path):
            _put_in_place(path)
        ledger = verify(path)
        if process[1] == 1:
            _clean(path, ledger)
        yield Writer(path, process[0], ledger)


def _put_in_place(root: Path) -> None:
    """Move staged files that the journal names to where they belong, if nothing is there."""
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

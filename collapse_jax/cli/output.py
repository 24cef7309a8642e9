"""Check, before anything is computed, that a command can run and write its directory."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from collapse_jax.store.directory import check_removable, remove, set_aside
from collapse_jax.store.files import StoreError, explain, store_errors
from collapse_jax.utils.check import ArgumentError, fail
from collapse_jax.utils.paths import user_path

_LONGEST = 200  # characters of a path in a message
_BLOCK = bytes(4096)  # written to find a full disk


def chosen_directory(
    out: str, default: str, *, is_new: bool = False, is_last: bool = False
) -> Path:
    """Return the directory of the option --out.

    Args:
      out: value of the option, "" for the default.
      default: name of a directory in runs/.
      is_new: whether to take the next free name without --out: NAME, NAME-2, NAME-3, ...
      is_last: whether to take the last of these names that exists, for a run that is replaced.

    Raises:
      ArgumentError: for a path that is none.
    """
    if out:
        return user_path(out, "--out")
    first = Path("runs") / default
    if not (is_new or is_last):
        return first
    name = last = first
    for number in itertools.count(2):
        if not os.path.lexists(name):
            break
        last, name = name, first.with_name(f"{default}-{number}")
    return last if is_last else name


def check_free(out: Path, *, overwrite: bool) -> None:
    """Check that a run can be written to a directory.

    Args:
      out: the directory.
      overwrite: whether a run there will be replaced.

    Raises:
      ArgumentError: if it exists without --overwrite, or --overwrite finds something other
        than a run, or the place cannot be written.
    """
    with store_errors(out):
        exists = os.path.lexists(out)
    if exists and overwrite:
        try:
            check_removable(out)
        except StoreError as error:
            raise StoreError(f"--out={error}") from None
    elif exists:
        raise ArgumentError(f"--out={out} is not allowed: {_remedy(out)}")
    check_writable(out)


def _remedy(out: Path) -> str:
    """Describe what exists at a path, and what to do."""
    if not out.is_dir():
        what = "a symbolic link to nowhere" if not out.exists() else "a file"
        return f"it is {what}; pass another --out"
    if any(out.iterdir()):
        try:
            check_removable(out)
        except StoreError:
            return "it exists and holds files that no run wrote; pass another --out"
    return (
        "it exists; pass another --out, leave --out out for a free name in runs/, pass --overwrite "
        f"to replace it, or resume it with `collapse resume {out}`"
    )


def check_writable(out: Path) -> None:
    """Check that a directory can be made and written, without leaving anything.

    Args:
      out: the directory, which need not exist.

    Raises:
      StoreError: naming the option, and the folder that cannot be written, with the reason.
    """
    place = out
    try:
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        with tempfile.TemporaryDirectory(prefix=".collapse-", dir=place) as folder:
            Path(folder, "block").write_bytes(_BLOCK)
    except OSError as error:
        reason = explain(error)
        shown = str(place) if len(str(place)) <= _LONGEST else f"{str(place)[:_LONGEST]}..."
        raise StoreError(
            f"--out={str(out)[:_LONGEST]} is not allowed: {shown} cannot be written: {reason}"
        ) from None


def check_ours(out: Path, is_ours: Callable[[Path], bool], command: str) -> None:
    """Refuse a directory with files of another program.

    Args:
      out: the directory, which may be missing or empty.
      is_ours: tells whether an existing directory was made by the command.
      command: name of the command.

    Raises:
      ArgumentError: if the directory cannot be written, or holds something else.
    """
    with store_errors(out):
        exists = os.path.lexists(out)
        if exists and not out.is_dir():
            raise ArgumentError(f"--out={out} is not allowed: {_remedy(out)}")
        if exists and any(out.iterdir()) and not is_ours(out):
            raise ArgumentError(
                f"--out={out} is not allowed: it holds files that `collapse {command}` did not "
                "write; pass another --out"
            )
    check_writable(out)


def check_environment() -> None:
    """Check that JAX finds a device and figures can be drawn, before a directory is made.

    Raises:
      ArgumentError: if JAX_PLATFORMS or MPLBACKEND names what cannot be used.
    """
    import jax

    try:
        import matplotlib as mpl  # noqa: F401
    except ValueError as error:
        name = "MPLBACKEND"
        reason = f"matplotlib refuses it: {' '.join(str(error).split())[:60]}"
        raise fail(name, os.environ.get(name, ""), reason, f"unset {name}") from None

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        name = "JAX_PLATFORMS"
        reason = " ".join(str(error).split())[:120] or "it finds no such device"
        remedy = f"unset {name}, or set {name}=cpu"
        raise fail(name, os.environ.get(name, ""), f"JAX cannot use it: {reason}", remedy) from None


@contextlib.contextmanager
def fresh_directory(out: Path, *, overwrite: bool) -> Iterator[None]:
    """Undo everything if the block fails before it has written a generation.

    Args:
      out: the directory that the block makes, or one to resume.
      overwrite: whether to replace an earlier run there, which comes back if the block fails.

    Yields:
      Nothing.

    Raises:
      StoreError: if the earlier run cannot be replaced.
    """
    earlier = set_aside(out) if overwrite and os.path.lexists(out) else None
    missing = [one for one in (out, *out.parents) if not os.path.lexists(one)]
    try:
        yield
    except Exception:
        if out in missing and not any(out.rglob("journal*.jsonl")):
            with contextlib.suppress(OSError):
                shutil.rmtree(out, ignore_errors=True)
                if earlier is not None:
                    earlier.rename(out)
                for folder in missing[1:]:
                    folder.rmdir()
        raise
    finally:
        if earlier is not None and earlier.exists():
            remove(earlier)

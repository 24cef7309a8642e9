"""Implement `collapse pack`: make one file of a run."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collapse_jax.cli.command import NAME as COMMAND
from collapse_jax.cli.options import parse_plain
from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.counted import counted
from collapse_jax.utils.paths import user_path


@dataclasses.dataclass(frozen=True)
class PackOptions:
    """Make one zip file of a complete run, which xarray and Records.load open as it is.

    The archive is compared with the run before it gets its name. The run stays without --remove.
    """

    out: str = ""
    """The archive; RUN.zip by default."""
    remove: bool = False
    """Remove the run directory when the archive is made and checked."""


def pack_command(arguments: Sequence[str]) -> int:
    """Pack a run, and print the line of Python that opens the archive.

    Args:
      arguments: of the command line, after `pack`.

    Returns:
      Exit code 0.

    Raises:
      ArgumentError: if an option is not allowed, the run is not complete or damaged, or the archive
        exists.
    """
    from collapse_jax.store.archive import pack
    from collapse_jax.store.directory import remove

    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        raise ArgumentError("RUN is missing: the command is `collapse pack RUN`; see --help")
    rest = arguments if arguments[0].startswith("-") else arguments[1:]
    options: Any = parse_plain(PackOptions, "collapse pack RUN", rest)
    root = user_path(arguments[0], "RUN")
    _check_run(root)
    named = root if root.name not in ("", "..") else root.resolve()
    target = (
        user_path(options.out, "--out") if options.out else named.with_name(f"{named.name}.zip")
    )
    if target.absolute().is_relative_to(root.absolute()):
        raise ArgumentError(f"--out={target} is not allowed: it lies in the run; pass another path")
    number = pack(root, target)
    if options.remove:
        remove(root)
    sys.stdout.write(
        f"archive: {target} ({counted(number, 'file')} in one)\n"
        f'import xarray, zarr; xarray.open_zarr(zarr.storage.ZipStore("{target}", mode="r"))\n'
    )
    return 0


def _check_run(root: Path) -> None:
    """Refuse what is no run directory.

    Raises:
      ArgumentError: saying what it is, and what is needed.
    """
    from collapse_jax.store.archive import is_archive
    from collapse_jax.store.directory import is_run
    from collapse_jax.store.files import store_errors

    needed = "pass the --out of `collapse run`, or the store= of a call in Python"
    with store_errors(root):
        if is_archive(root):
            what, needed = "it is the archive of a run already", "pass a run directory"
        elif root.is_file():
            what = "it is a file, and a run is a directory"
        elif not root.is_dir():
            what = "there is no such directory"
        elif is_run(root) or (root / COMMAND).exists():
            return
        else:
            what = "it is no run directory (config.json and records.zarr are missing)"
    raise ArgumentError(f"RUN={str(root)!r} is not allowed: {what}; {needed}")

"""Find and read the files of a model: configs and weights, whole or in shards."""

import json
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.utils import check
from collapse_jax.utils.paths import user_path

_POINTER = b"version https://git-lfs"  # start of the text that git-lfs leaves in place of a file


class Format(NamedTuple):
    """Format of a file with weights.

    Attributes:
      file: name of the file, or of its index without ".index.json".
      read: function of a path to arrays by PyTorch's names.
    """

    file: str
    read: Callable[[Path], Mapping[str, Any]]


def find_folder(path_or_id: Any, revision: str | None, files: list[str]) -> Path:
    """Find the folder of a model, downloaded from the hub if it is not local.

    Args:
      path_or_id: folder or hub id.
      revision: commit, tag or branch on the hub; None for the default branch.
      files: names of files that are fetched if they exist, next to config.json.

    Returns:
      Path of a folder on this machine.

    Raises:
      ValueError: if there is no such folder, and the hub has no such model.
    """
    path = user_path(path_or_id, "path_or_id")
    if path.is_dir():
        return path
    name = str(path_or_id)
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or path.exists():
        allowed = "it is neither a folder nor a hub id"
        raise check.fail("path_or_id", name, allowed, "pass a folder with a config.json")
    from huggingface_hub import snapshot_download

    patterns = ["config.json", *(part for file in files for part in _patterns(file))]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except Exception as error:
        allowed = f"there is no such folder, and the hub gave nothing ({type(error).__name__})"
        remedy = "check the name and the network, or pass a folder with its files"
        raise check.fail("path_or_id", name, allowed, remedy) from None


def _patterns(file: str) -> tuple[str, str, str]:
    """Return patterns of the file, its index and its shards."""
    stem, suffix = file.rsplit(".", 1)
    return file, f"{file}.index.json", f"{stem}-*.{suffix}"


def index_of(folder: Path, file: str) -> Path:
    """Return the path of the index of shards.

    Args:
      folder: folder of the model.
      file: name of the file that is divided into shards, a row of `FORMATS`.
    """
    return folder / f"{file}.index.json"


def find_files(folder: Path, file: str) -> list[Path]:
    """Find a file, or the shards in its index.

    Args:
      folder: folder of the model.
      file: name of the file, a row of `FORMATS`.

    Returns:
      Paths of the file or of all its shards; [] if file and index are missing.

    Raises:
      ValueError: if the index is damaged or a shard is missing.
    """
    whole, index = folder / file, index_of(folder, file)
    if whole.is_file() or not index.is_file():
        return [whole] if whole.is_file() else []
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        shards = [folder / Path(name).name for name in names]
        if not shards:
            raise ValueError("no shards")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise refuse(index, "it is not an index of shards", "fetch it again") from None
    for shard in shards:
        if not shard.is_file():
            raise refuse(shard, f"it is missing, and {index.name} lists it", "fetch all shards")
    return shards


def read_arrays(file: Path, format: Format) -> Mapping[str, Any]:
    """Read the arrays of a file.

    Args:
      file: whole file or shard.
      format: format of the file.

    Returns:
      Arrays by PyTorch's names, numbers of any type and shape.

    Raises:
      ValueError: one line for any error of a library that reads the file.
    """
    try:
        with file.open("rb") as opened:
            is_pointer = opened.read(len(_POINTER)) == _POINTER
        if is_pointer:
            raise refuse(file, "it is a pointer of git-lfs, not the file", "run `git lfs pull`")
        return format.read(file)
    except check.ArgumentError:
        raise
    except ImportError as error:
        raise refuse(file, f"reading it needs {error.name}", f"install {error.name}") from None
    except Exception as error:
        allowed = f"it cannot be read ({type(error).__name__}): truncated or of another kind"
        raise refuse(file, allowed, "fetch it again") from None


def _read_safetensors(file: Path) -> Mapping[str, Any]:
    """Return the arrays of a safetensors file."""
    from safetensors.flax import load_file

    return load_file(file)


def _read_msgpack(file: Path) -> Mapping[str, Any]:
    """Return Flax's arrays under PyTorch's names, with kernels transposed."""
    from flax import serialization
    from flax.traverse_util import flatten_dict

    arrays = {}
    for path, array in flatten_dict(serialization.msgpack_restore(file.read_bytes())).items():
        *parts, last = (str(part) for part in path)
        array = np.asarray(array)
        if last in ("kernel", "embedding", "scale"):
            array, last = array.T if last == "kernel" else array, "weight"
        arrays[".".join([*parts, last])] = array
    return arrays


def _read_pytorch(file: Path) -> Mapping[str, Any]:
    """Return the arrays of a pickle of PyTorch; no code in it is run."""
    torch = import_module("torch")  # optional, hence not imported by name
    tensors = torch.load(file, map_location="cpu", weights_only=True)
    return {
        name: tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
        for name, tensor in tensors.items()
    }


safetensors = Format("model.safetensors", _read_safetensors)
FORMATS = {
    "safetensors": safetensors,
    "msgpack": Format("flax_model.msgpack", _read_msgpack),
    "pytorch": Format("pytorch_model.bin", _read_pytorch),
}
"""Formats of weights by the names that `load` takes."""


def refuse(file: Path, reason: str, remedy: str) -> ValueError:
    """Return the error for a file, which the caller raises.

    Args:
      file: path of the file.
      reason: what is wrong with the file.
      remedy: what to do.

    Returns:
      Error of one line, None of whose parts has a line break.
    """
    return check.fail("file", file.name, f"in {file.parent} {reason}", remedy)

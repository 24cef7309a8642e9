"""Read weights of OPT models from a folder or the Hugging Face hub, and write them.

Supported are `model.safetensors`, `flax_model.msgpack` and, on request, `pytorch_model.bin`,
whole or in the shards of an index. Names and shapes in the files must be exactly the model's,
except for names that wrappers of PyTorch change, and a tied matrix stored under either name.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx

from collapse_jax.lm.config import OPTConfig
from collapse_jax.lm.model import OPT
from collapse_jax.utils import check
from collapse_jax.utils.fork import check_fork
from collapse_jax.utils.jax_settings import own_settings
from collapse_jax.utils.paths import user_path

PREFIX = "model.decoder."
"""Start of PyTorch's names of all parameters except the head."""
HEAD = "lm_head.weight"
"""PyTorch's name of the head."""
_OF_ONE_MODEL = "weights and config.json must belong to one model: fetch both again"
_EMBEDDINGS = ("embed_tokens", "embed_positions")
_TIED = f"{PREFIX}embed_tokens.weight"
_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module")  # of DDP, torch.compile and FSDP
_PARTS = (*_EMBEDDINGS, "layers", "final_layer_norm", "project_in", "project_out")  # of a decoder
_LISTED = 3  # names in a message, so that it stays one readable line
_POINTER = b"version https://git-lfs"  # start of the text that git-lfs leaves in place of a file


class Format(NamedTuple):
    """Format of a file with weights.

    Attributes:
      file: name of the file, or of its index without ".index.json".
      read: function of a path to arrays by PyTorch's names.
    """

    file: str
    read: Callable[[Path], Mapping[str, Any]]


@own_settings()
def load(
    path_or_id: Any,
    *,
    revision: str | None = None,
    dtype: Any = jnp.float32,
    weights: str = "safe",
    remat: bool = False,
) -> OPT:
    """Load an OPT model from a folder or the Hugging Face hub, without its tokenizer.

    Args:
      path_or_id: folder with config.json and weights, or a hub id such as
        "facebook/opt-125m".
      revision: commit, tag or branch on the hub; None for the default branch.
      dtype: type of parameters and computation, float32 (4 bytes a number) or bfloat16
        (2 bytes).
      weights: "safe" reads model.safetensors, or flax_model.msgpack if there is none;
        "safetensors" and "msgpack" read one of them; "pytorch" unpickles pytorch_model.bin
        through torch with weights_only=True.
      remat: whether blocks are computed twice to save memory, see `OPT`.

    Returns:
      The network with the loaded parameters.

    Raises:
      ValueError: if the folder or model does not exist, a file cannot be read, the model is
        not OPT, names and shapes of the weights are not exactly those of its config, or a
        number is not finite. Names may have prefixes of wrappers ("module.", "_orig_mod.").
      RuntimeError: in a process that was forked after jax had started.

    >>> import tempfile, jax
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lm.save(lm.OPT(config, key=jax.random.key(0)), folder)
    ...     lm.load(folder).config.hidden_size
    16
    """
    check_fork()
    dtype = _check_dtype(dtype)
    check.choice("weights", weights, ("safe", *_FORMATS))
    names = ("safetensors", "msgpack") if weights == "safe" else (weights,)
    folder = _folder(path_or_id, revision, [_FORMATS[name].file for name in names])
    config = _read_config(folder)
    for name in names:
        files = _files(folder, _FORMATS[name].file)
        if files:
            arrays: dict[str, Any] = {}
            for file in files:
                arrays.update(_read(file, _FORMATS[name]))
            break
    else:
        has_pickle = bool(_files(folder, _FORMATS["pytorch"].file))
        allowed = f"there is no {' or '.join(_FORMATS[name].file for name in names)}"
        remedy = (
            "pass weights='pytorch' to unpickle pytorch_model.bin (weights_only) through torch"
            if has_pickle
            else "pass a folder that transformers or collapse_jax has saved"
        )
        raise check.fail("path_or_id", str(path_or_id), allowed, remedy)
    source = files[0] if len(files) == 1 else _index(files[0].parent, _FORMATS[name].file)
    return _set_parameters(OPT(config, dtype=dtype, remat=remat), arrays, source)


def read_config(path_or_id: Any, *, revision: str | None = None) -> OPTConfig:
    """Read the config of a model in a folder or on the hub.

    Args:
      path_or_id: folder with a config.json, or a hub id.
      revision: commit, tag or branch on the hub; None for the default branch.

    Returns:
      The config, with the number of tokens, of blocks and all other sizes.

    Raises:
      ValueError: if there is no config.json, it cannot be read, or the model is not OPT.

    >>> import tempfile, jax
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lm.save(lm.OPT(config, key=jax.random.key(0)), folder)
    ...     lm.read_config(folder) == config
    True
    """
    return _read_config(_folder(path_or_id, revision, []))


@own_settings()
def save(model: OPT, path: Any) -> None:
    """Write config.json and model.safetensors into a folder that transformers can read.

    A file takes as many bytes as the parameters in their type: 4 or 2 a number.

    Args:
      model: the network.
      path: folder, created if missing; existing files of these names are replaced.

    >>> import os, tempfile, jax
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lm.save(lm.OPT(config, key=jax.random.key(0)), folder)
    ...     sorted(os.listdir(folder))
    ['config.json', 'model.safetensors']
    """
    from safetensors.numpy import save_file

    folder = user_path(path)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(param[...]) for name, param in parameters(model).items()}
    dtype = str(next(iter(arrays.values())).dtype)
    values = {**model.config.as_json(), "dtype": dtype, "torch_dtype": dtype}
    new = folder / "model.safetensors.new"
    save_file(arrays, new, metadata={"format": "pt"})
    new.replace(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n")


def parameters(model: OPT) -> dict[str, Any]:
    """Return the parameters by PyTorch's names.

    Args:
      model: the network.

    Returns:
      Flax parameters, a number of them per block, with PyTorch's shapes; setting one changes
      the model.
    """
    found = {}
    for path, param in nnx.iter_graph(model):
        if not isinstance(param, nnx.Param):
            continue
        name = ".".join(map(str, path))
        if name == "lm_head":
            found[HEAD] = param
        else:
            found[PREFIX + name + (".weight" if name in _EMBEDDINGS else "")] = param
    return found


def _check_dtype(dtype: Any) -> Any:
    """Return the type as one of NumPy's."""
    names = ("float32", "bfloat16")
    try:
        name = jnp.dtype(dtype).name
    except TypeError:
        name = dtype
    return jnp.dtype(check.choice("dtype", name, names))


def _folder(path_or_id: Any, revision: str | None, files: list[str]) -> Path:
    """Return the folder, downloaded from the hub if it is not local."""
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


def _index(folder: Path, file: str) -> Path:
    """Return the path of the index of shards."""
    return folder / f"{file}.index.json"


def _files(folder: Path, file: str) -> list[Path]:
    """Return the file, or the shards in its index; nothing if both are missing."""
    whole, index = folder / file, _index(folder, file)
    if whole.is_file() or not index.is_file():
        return [whole] if whole.is_file() else []
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        shards = [folder / Path(name).name for name in names]
        if not shards:
            raise ValueError("no shards")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise _refuse(index, "it is not an index of shards", "fetch it again") from None
    for shard in shards:
        if not shard.is_file():
            raise _refuse(shard, f"it is missing, and {index.name} lists it", "fetch all shards")
    return shards


def _read_config(folder: Path) -> OPTConfig:
    """Return the config in a local folder."""
    file = folder / "config.json"
    try:
        values = json.loads(file.read_text())
    except FileNotFoundError:
        allowed = "there is no config.json in it"
        remedy = "pass a folder that transformers or collapse_jax has saved"
        raise check.fail("path_or_id", str(folder), allowed, remedy) from None
    except OSError as error:
        raise _refuse(
            file, f"it cannot be read ({type(error).__name__})", "fetch it again"
        ) from None
    except ValueError:
        raise _refuse(file, "it is not JSON", "fetch it again") from None
    if not isinstance(values, dict):
        raise _refuse(file, "it is not a config of a model", "fetch it again")
    return OPTConfig.of(values)


def _read(file: Path, format: Format) -> Mapping[str, Any]:
    """Return the arrays of a file; any error of a library becomes one line."""
    try:
        with file.open("rb") as opened:
            is_pointer = opened.read(len(_POINTER)) == _POINTER
        if is_pointer:
            raise _refuse(file, "it is a pointer of git-lfs, not the file", "run `git lfs pull`")
        return format.read(file)
    except check.ArgumentError:
        raise
    except ImportError as error:
        raise _refuse(file, f"reading it needs {error.name}", f"install {error.name}") from None
    except Exception as error:
        allowed = f"it cannot be read ({type(error).__name__}): truncated or of another kind"
        raise _refuse(file, allowed, "fetch it again") from None


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


_FORMATS = {
    "safetensors": Format("model.safetensors", _read_safetensors),
    "msgpack": Format("flax_model.msgpack", _read_msgpack),
    "pytorch": Format("pytorch_model.bin", _read_pytorch),
}


def _set_parameters(model: OPT, arrays: Mapping[str, Any], file: Path) -> OPT:
    """Set all parameters of a model, after a check that names and shapes are its own."""
    arrays, known = _with_full_names(arrays, file), parameters(model)
    if model.lm_head is None and HEAD in arrays:
        head = arrays.pop(HEAD)
        if not np.array_equal(np.asarray(head), np.asarray(arrays.setdefault(_TIED, head))):
            reason = f"{HEAD} is not the embedding, though config.json ties them"
            raise _refuse(file, reason, _OF_ONE_MODEL)
    for name, param in known.items():
        if name in arrays:
            _check_array(name, arrays[name], param.shape, file)
    _check_names(arrays.keys(), known.keys(), file)
    for name, param in known.items():
        param[...] = jnp.asarray(arrays[name], param.dtype)
    return model


def _with_full_names(arrays: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return arrays by their full names."""
    named: dict[str, str] = {}
    for name in arrays:
        other = named.setdefault(_full_name(name), name)
        if other != name:
            raise _refuse(file, f"{other} and {name} are one tensor", "leave one of them out")
    return {full: arrays[name] for full, name in named.items()}


def _full_name(name: str) -> str:
    """Return the name without parts that wrappers add, with the prefix that parts of a model lack.

    A decoder by itself has names such as "layers.0.fc1.bias", a model without a head such as
    "decoder.layers.0.fc1.bias".
    """
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    if parts and parts[0] in _PARTS:
        parts = ["decoder", *parts]
    if parts and parts[0] == "decoder":
        parts = ["model", *parts]
    return ".".join(parts)


def _check_names(found: Collection[str], known: Collection[str], file: Path) -> None:
    """Refuse missing and foreign names."""
    missing, foreign = set(known) - set(found), set(found) - set(known)
    if missing == {HEAD}:
        remedy = 'if the embedding is the head, set "tie_word_embeddings": true in config.json'
        raise _refuse(file, f"it lacks {HEAD}", remedy)
    if missing:
        raise _refuse(file, f"it lacks {_listed(missing)}", _OF_ONE_MODEL)
    if foreign:
        raise _refuse(file, f"the model has no {_listed(foreign)}", _OF_ONE_MODEL)


def _check_array(name: str, array: Any, shape: tuple[int, ...], file: Path) -> None:
    """Refuse an array of another shape, of integers, or with numbers that are not finite."""
    if array.shape != shape:
        reason = f"{name} has shape {array.shape}, by config.json {shape}"
        raise _refuse(file, reason, _OF_ONE_MODEL)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise _refuse(file, f"{name} has type {array.dtype}, not floating point", _OF_ONE_MODEL)
    if not np.all(np.isfinite(np.asarray(array))):
        raise _refuse(file, f"{name} has numbers that are not finite", "fetch it again")


def _refuse(file: Path, reason: str, remedy: str) -> ValueError:
    """Return the error for a file, which the caller raises."""
    return check.fail("file", file.name, f"in {file.parent} {reason}", remedy)


def _listed(names: Iterable[str]) -> str:
    """Return the first names, and the number of others."""
    names = sorted(names)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more

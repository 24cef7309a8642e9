"""Read weights of language models from a folder or the Hugging Face hub, and write them.

Supported are `model.safetensors`, `flax_model.msgpack` and, on request, `pytorch_model.bin`,
whole or in the shards of an index. Names and shapes in the files must be exactly the model's,
except for names that wrappers of PyTorch change, and a tied matrix stored under either name.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from collapse_jax.lm.causal_lm import (
    Architecture,
    CausalLM,
    architecture_of,
    as_config,
)
from collapse_jax.lm.layer_stack import stacked, unstacked
from collapse_jax.lm.weight_files import (
    FORMATS,
    find_files,
    find_folder,
    index_of,
    read_arrays,
    refuse,
)
from collapse_jax.utils import check
from collapse_jax.utils.fork import check_fork
from collapse_jax.utils.jax_settings import own_settings
from collapse_jax.utils.paths import user_path

HEAD = "lm_head.weight"
"""PyTorch's name of the head."""
_OF_ONE_MODEL = "weights and config.json must belong to one model: fetch both again"
_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module")  # of DDP, torch.compile and FSDP
_SAFE = ("safetensors", "msgpack")  # formats that run no code of the file
_LISTED = 3  # names in a message, so that it stays one readable line


@own_settings()
def load(
    path_or_id: Any,
    *,
    revision: str | None = None,
    dtype: Any = jnp.float32,
    weights: str = "safe",
    remat: bool = False,
    scan_layers: bool = False,
) -> Any:
    """Load a model of any known architecture from a folder or the Hugging Face hub.

    The tokenizer is not loaded, see `collapse_jax.text.load_texts`.

    Args:
      path_or_id: folder with config.json and weights, or a hub id such as
        "facebook/opt-125m".
      revision: commit, tag or branch on the hub; None for the default branch.
      dtype: type of parameters and computation, float32 (4 bytes a number) or bfloat16
        (2 bytes).
      weights: "safe" reads model.safetensors, or flax_model.msgpack if there is none;
        "safetensors" and "msgpack" read one of them; "pytorch" unpickles pytorch_model.bin
        through torch with weights_only=True.
      remat: whether blocks are computed twice to save memory, see `create`.
      scan_layers: whether blocks are stacked and compiled once, see `create`.

    Returns:
      The network with the loaded parameters, a `CausalLM`.

    Raises:
      ValueError: if the folder or model does not exist, a file cannot be read, the model is
        of an unknown type, weights are quantised, names and shapes of the weights are not
        exactly those of its config, or a number is not finite. Names
        may have prefixes of wrappers ("module.", "_orig_mod.").
      RuntimeError: in a process that was forked after jax had started.

    >>> import tempfile
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lm.save(lm.create(config, key=0), folder)
    ...     lm.load(folder).config.hidden_size
    16
    """
    check_fork()
    dtype = check_dtype(dtype)
    check.choice("weights", weights, ("safe", *FORMATS))
    names = _SAFE if weights == "safe" else (weights,)
    folder = find_folder(path_or_id, revision, [FORMATS[name].file for name in names])
    config = _read_config(folder)
    name, files = _find_weights(path_or_id, folder, names)
    arrays: dict[str, Any] = {}
    for file in files:
        arrays.update(read_arrays(file, FORMATS[name]))
    source = files[0] if len(files) == 1 else index_of(files[0].parent, FORMATS[name].file)
    network = architecture_of(config).network(config, key=None, dtype=dtype, remat=remat)
    network = _set_parameters(network, arrays, source)
    return stacked(network) if scan_layers else network


def check_weights(path_or_id: Any) -> None:
    """Refuse a folder without weights (0 bytes are read); nothing is asked of the hub.

    Args:
      path_or_id: folder or hub id.

    Raises:
      ValueError: if the folder is on this machine and has no weights that `load` reads.
    """
    folder = user_path(path_or_id, "path_or_id")
    if folder.is_dir():
        _find_weights(path_or_id, folder, _SAFE)


def _find_weights(path_or_id: Any, folder: Path, names: Sequence[str]) -> tuple[str, list[Path]]:
    """Return the first format of which there are files, and the files."""
    for name in names:
        files = find_files(folder, FORMATS[name].file)
        if files:
            return name, files
    allowed = f"there is no {' or '.join(FORMATS[name].file for name in names)}"
    remedy = (
        "pass weights='pytorch' to unpickle pytorch_model.bin (weights_only) through torch"
        if find_files(folder, FORMATS["pytorch"].file)
        else "pass a folder that transformers or collapse_jax has saved"
    )
    raise check.fail("path_or_id", str(path_or_id), allowed, remedy)


def read_config(path_or_id: Any, *, revision: str | None = None) -> Any:
    """Read the config of a model in a folder or on the hub.

    Args:
      path_or_id: folder with a config.json, or a hub id.
      revision: commit, tag or branch on the hub; None for the default branch.

    Returns:
      The config, a `CausalLMConfig` with all settings of its architecture.

    Raises:
      ValueError: if there is no config.json, it cannot be read, or the type of model is unknown.

    >>> import tempfile
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lm.save(lm.create(config, key=0), folder)
    ...     lm.read_config(folder) == config
    True
    """
    return _read_config(find_folder(path_or_id, revision, []))


@own_settings()
def save(model: Any, path: Any) -> None:
    """Write config.json and model.safetensors into a folder that transformers can read.

    A file takes as many bytes as the parameters in their type: 4 or 2 a number.

    Args:
      model: the network.
      path: folder, created if missing; existing files of these names are replaced.

    >>> import os, tempfile
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lm.save(lm.create(config, key=0), folder)
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


def parameters(model: CausalLM) -> dict[str, Any]:
    """Return the parameters by the names in files.

    Args:
      model: the network.

    Returns:
      Flax parameters, a number of them per block, with the shapes in files; setting one changes
      the model, unless its blocks are scanned.
    """
    prefix = architecture_of(model.config).prefix
    found = {}
    for path, param in nnx.iter_graph(unstacked(model)):
        if isinstance(param, nnx.Param):
            name = ".".join(map(str, path))
            name = name if path[-1] in ("weight", "bias") else f"{name}.weight"
            found[name if name == HEAD else f"{prefix}.{name}"] = param
    return found


def check_dtype(dtype: Any) -> Any:
    """Return the type of parameters as one of NumPy's.

    Args:
      dtype: float32 or bfloat16, as a name or a type.

    Returns:
      The type, of a number of 4 or 2 bytes.

    Raises:
      ValueError: for another type.
    """
    names = ("float32", "bfloat16")
    try:
        name = jnp.dtype(dtype).name
    except TypeError:
        name = dtype
    return jnp.dtype(check.choice("dtype", name, names))


def _read_config(folder: Path) -> Any:
    """Return the config in a local folder."""
    file = folder / "config.json"
    try:
        values = json.loads(file.read_text())
    except FileNotFoundError:
        allowed = "there is no config.json in it"
        remedy = "pass a folder that transformers or collapse_jax has saved"
        raise check.fail("path_or_id", str(folder), allowed, remedy) from None
    except OSError as error:
        raise refuse(
            file, f"it cannot be read ({type(error).__name__})", "fetch it again"
        ) from None
    except ValueError:
        raise refuse(file, "it is not JSON", "fetch it again") from None
    if not isinstance(values, dict):
        raise refuse(file, "it is not a config of a model", "fetch it again")
    return as_config(values)


def _set_parameters(model: Any, arrays: Mapping[str, Any], file: Path) -> Any:
    """Set all parameters of a model, after a check that names and shapes are its own."""
    architecture, known = architecture_of(model.config), parameters(model)
    arrays = _with_full_names(arrays, known, architecture, file)
    if HEAD not in known and HEAD in arrays:
        head, tied = arrays.pop(HEAD), f"{architecture.prefix}.{architecture.embedding}.weight"
        if not np.array_equal(np.asarray(head), np.asarray(arrays.setdefault(tied, head))):
            reason = f"{HEAD} is not the embedding, though config.json ties them"
            raise refuse(file, reason, _OF_ONE_MODEL)
    for name, param in known.items():
        if name in arrays:
            _check_array(name, arrays[name], param.shape, file)
    _check_names(arrays.keys(), known.keys(), file)
    for name, param in known.items():
        param[...] = jnp.asarray(arrays[name], param.dtype)
    return model


def _with_full_names(
    arrays: Mapping[str, Any], known: Iterable[str], architecture: Architecture, file: Path
) -> dict[str, Any]:
    """Return arrays by their full names, without those that are no parameters."""
    prefix = architecture.prefix.split(".")
    tops = {name.split(".")[len(prefix)] for name in known if name != HEAD}
    named: dict[str, str] = {}
    for name in arrays:
        full = _full_name(name, prefix, tops)
        if re.fullmatch(architecture.ignored, full):
            continue
        other = named.setdefault(full, name)
        if other != name:
            raise refuse(file, f"{other} and {name} are one tensor", "leave one of them out")
    return {full: arrays[name] for full, name in named.items()}


def _full_name(name: str, prefix: list[str], tops: Collection[str]) -> str:
    """Return the name without parts that wrappers add, with the prefix that parts of a model lack.

    With the prefix model.decoder, a decoder by itself has names such as "layers.0.fc1.bias", a
    model without a head such as "decoder.layers.0.fc1.bias".
    """
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    for start in range(1, len(prefix) + 1):
        rest = prefix[start:]
        if (
            parts[: len(rest)] == rest
            and parts[len(rest) : len(rest) + 1]
            and parts[len(rest)] in tops
        ):
            return ".".join([*prefix[:start], *parts])
    return ".".join(parts)


def _check_names(found: Collection[str], known: Collection[str], file: Path) -> None:
    """Refuse missing and foreign names."""
    missing, foreign = set(known) - set(found), set(found) - set(known)
    if missing == {HEAD}:
        remedy = 'if the embedding is the head, set "tie_word_embeddings": true in config.json'
        raise refuse(file, f"it lacks {HEAD}", remedy)
    if missing:
        raise refuse(file, f"it lacks {_listed(missing)}", _OF_ONE_MODEL)
    if foreign:
        raise refuse(file, f"the model has no {_listed(foreign)}", _OF_ONE_MODEL)


def _check_array(name: str, array: Any, shape: tuple[int, ...], file: Path) -> None:
    """Refuse an array of another shape, of integers, or with numbers that are not finite."""
    if array.shape != shape:
        reason = f"{name} has shape {array.shape}, by config.json {shape}"
        raise refuse(file, reason, _OF_ONE_MODEL)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise refuse(file, f"{name} has type {array.dtype}, not floating point", _OF_ONE_MODEL)
    if not np.all(np.isfinite(np.asarray(array))):
        raise refuse(file, f"{name} has numbers that are not finite", "fetch it again")


def _listed(names: Iterable[str]) -> str:
    """Return the first names, and the number of others."""
    names = sorted(names)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more

"""Train low-rank changes of projections (Hu et al. 2021, arXiv 2106.09685), and exchange them.

A projection with weights W [out, in] becomes W + (alpha / rank) B A, with A [rank, in] and
B [out, rank]. Only A and B are trained; B begins at zero. In files the names are those of PEFT.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from collapse_jax.lm.causal_lm import CausalLM, CausalLMConfig, architecture_of, create
from collapse_jax.lm.checks import make_key
from collapse_jax.lm.layer_stack import STACKED, is_scanned, stacked, unstacked
from collapse_jax.lm.weight_files import read_arrays, refuse, safetensors
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings
from collapse_jax.utils.paths import user_path

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_BEFORE = "base_model.model."  # the wrappers of PEFT and of its LoRA model
_LISTED = 8  # names in a message, so that it stays one readable line
_PLAIN = {
    "peft_type": "LORA",
    "use_dora": False,
    "use_rslora": False,
    "bias": "none",
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
}
"""Settings of PEFT that `add_adapters` reads, with their only values."""


class Adapter(NamedTuple):
    """Low-rank change of a projection, or of the projections of all blocks of a scan.

    Attributes:
      a: matrix [rank, in], or [block, rank, in].
      b: matrix [out, rank], or [block, out, rank].
    """

    a: Array
    b: Array

    def change(self, scale: float, is_transposed: bool) -> Array:
        """Compute the change of the weights.

        Args:
          scale: alpha / rank, dimensionless.
          is_transposed: whether weights are [in, out].

        Returns:
          scale B A, [out, in] or [in, out], with a leading axis of blocks in a scan.
        """
        product = scale * (self.b @ self.a)
        return product.swapaxes(-1, -2) if is_transposed else product


def check_targets(config: CausalLMConfig, targets: Sequence[str] | None) -> None:
    """Refuse targets that name no projection, before weights are read.

    Args:
      config: config of the network.
      targets: last parts of the names of projections; None for all projections.

    Raises:
      ValueError: if a target names no projection.
    """
    _targeted(nnx.eval_shape(lambda: create(config, key=0)), targets)


def create_adapters(
    model: CausalLM, rank: int, targets: Sequence[str] | None, key: Any
) -> dict[str, Adapter]:
    """Make adapters that change nothing: A is uniform as in PEFT, B zero.

    Args:
      model: network, scanned or not; both get the same numbers.
      rank: rows of A, >= 1.
      targets: last parts of the names of projections; None for all projections.
      key: seed or key of `jax.random`.

    Returns:
      Adapters by the names of modules.

    Raises:
      ValueError: if a target names no projection.
    """
    key, adapters = make_key(key), {}
    for name, module in _targeted(model, targets):
        *blocks, first, second = module.weight.shape
        size_out, size_in = (second, first) if module.fan_in_fan_out else (first, second)
        found = re.search(r"\.(\d+)\.", name)
        kind = re.sub(r"\.(\d+|" + STACKED + r")\.", ".#.", name)
        of_kind = jax.random.fold_in(key, zlib.crc32(kind.encode()))
        numbers = range(blocks[0]) if blocks else [int(found.group(1)) if found else 0]
        bound = size_in**-0.5
        drawn = [
            jax.random.uniform(
                jax.random.fold_in(of_kind, number), (rank, size_in), minval=-bound, maxval=bound
            )
            for number in numbers
        ]
        a = jnp.stack(drawn).reshape(*blocks, rank, size_in).astype(module.weight.dtype)
        adapters[name] = Adapter(a, jnp.zeros((*blocks, size_out, rank), a.dtype))
    return adapters


def adapt(model: Any, adapters: Mapping[str, Adapter], scale: float) -> Any:
    """Add low-rank changes to the weights of a network.

    Args:
      model: network, which is changed.
      adapters: see `create_adapters`.
      scale: alpha / rank, dimensionless.

    Returns:
      The network.
    """
    for name, module in _projections(model):
        if name in adapters:
            weight = module.weight[...]
            change = adapters[name].change(scale, module.fan_in_fan_out)
            module.weight = nnx.Param(weight + change.astype(weight.dtype))
    return model


def save_adapters(
    path: Any, adapters: Mapping[str, Adapter], model: CausalLM, alpha: float, base: str
) -> None:
    """Write adapter_config.json and adapter_model.safetensors, as PEFT reads them.

    Args:
      path: folder, created if missing; existing files of these names are replaced.
      adapters: see `create_adapters`.
      model: network that they belong to.
      alpha: numerator of the scale, dimensionless.
      base: name or folder of the pretrained model, which PEFT loads; "" for none.
    """
    from safetensors.numpy import save_file

    folder = user_path(path)
    folder.mkdir(parents=True, exist_ok=True)
    prefix, arrays, names = architecture_of(model.config).prefix, {}, set()
    for name, adapter in _separate(adapters):
        names.add(name.rsplit(".", 1)[-1])
        for part, array in (("lora_A", adapter.a), ("lora_B", adapter.b)):
            arrays[f"{_BEFORE}{prefix}.{name}.{part}.weight"] = np.ascontiguousarray(array)
    is_transposed = any(module.fan_in_fan_out for _, module in _projections(model))
    values = {
        **_PLAIN,
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base or None,
        "r": int(next(iter(adapters.values())).a.shape[-2]),
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "target_modules": sorted(names),
        "fan_in_fan_out": is_transposed,
        "inference_mode": True,
    }
    save_file(arrays, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(values, indent=2) + "\n")


@own_settings()
def add_adapters(model: CausalLM, path: Any) -> Any:
    """Add the adapters in a folder to the weights of a network.

    Args:
      model: network, which stays as it is.
      path: folder with adapter_config.json and adapter_model.safetensors, of
        `Trainer.save_adapters` or of PEFT's LoRA.

    Returns:
      A network of the same kind with other weights.

    Raises:
      ValueError: if a file is missing or cannot be read, if the adapters are of another method
        than plain LoRA, or if they belong to another network.

    >>> import tempfile
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.create(config, key=0)
    >>> trainer = lm.Trainer(model, lm.Training(1e-2, trainable="lora", rank=2))
    >>> state, _ = trainer.step(trainer.start(model), [[2, 5, 6, 7]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trainer.save_adapters(state, folder)
    ...     tuned = lm.add_adapters(model, folder)
    >>> bool((lm.logits(tuned, [[2, 5]]) == lm.logits(trainer.model(state), [[2, 5]])).all())
    True
    """
    folder = user_path(path)
    file, settings = folder / WEIGHTS, _read_settings(folder / CONFIG)
    if not file.is_file():
        raise refuse(file, "it is missing", "pass a folder that PEFT or collapse_jax has saved")
    arrays = dict(read_arrays(file, safetensors))
    prefix = f"{_BEFORE}{architecture_of(model.config).prefix}."
    whole = unstacked(nnx.merge(*nnx.split(model)))
    adapters = {}
    for name, module in _projections(whole):
        parts = [arrays.pop(f"{prefix}{name}.{part}.weight", None) for part in ("lora_A", "lora_B")]
        if parts == [None, None]:
            continue
        shape = module.weight.shape[::-1] if module.fan_in_fan_out else module.weight.shape
        a, b = (np.zeros((0, 0)) if one is None else np.asarray(one, np.float32) for one in parts)
        if (b.shape[:1], a.shape[1:], a.shape[:1]) != (shape[:1], shape[1:], b.shape[1:]):
            reason = f"the adapter of {name} has shapes {a.shape} and {b.shape}"
            raise refuse(file, reason, "pass the adapters of this network")
        adapters[name] = Adapter(jnp.asarray(a), jnp.asarray(b))
    if arrays or not adapters:
        reason = f"the network has no {min(arrays, default='projection of it')}"
        raise refuse(file, reason, "pass the adapters of this network")
    adapt(whole, adapters, settings["lora_alpha"] / settings["r"])
    return stacked(whole) if is_scanned(model) else whole


def _read_settings(file: Path) -> dict[str, Any]:
    """Return the settings of adapters, if they are those of plain LoRA."""
    try:
        values = json.loads(file.read_text())
        rank, alpha = values["r"], values["lora_alpha"]
    except FileNotFoundError:
        remedy = "pass a folder that PEFT or collapse_jax has saved"
        raise refuse(file, "it is missing", remedy) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise refuse(file, "it is not a config of adapters", "fetch it again") from None
    for name, value in _PLAIN.items():
        if (values.get(name, value) or value) != value:
            shown, remedy = check.Shown(values[name]), "merge them into the weights with PEFT"
            raise check.fail(name, shown, f"only {value!r} is read", remedy)
    check.integer("r", rank, 1)
    check.number("lora_alpha", alpha, 0, 1e6, "use the config of the adapters")
    return values


def _projections(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield all modules with a matrix, by the parts of their names."""
    for path, module in nnx.iter_graph(model):
        if hasattr(module, "fan_in_fan_out"):
            yield ".".join(map(str, path)), module


def _targeted(model: Any, targets: Sequence[str] | None) -> list[tuple[str, Any]]:
    """Return the projections that the targets name."""
    found = list(_projections(model))
    if not found:
        allowed = f"a {type(model).__name__} has no projections of lm"
        raise check.fail("Training.trainable", "lora", allowed, "pass trainable='all'")
    if targets is None:
        return found
    known = sorted({name.rsplit(".", 1)[-1] for name, _ in found})
    for target in targets:
        if not any(_is_named(name, target) for name, _ in found):
            allowed = f"projections of this network are {', '.join(known[:_LISTED])}"
            raise check.fail("Training.targets", target, allowed, "pass one of these, or None")
    return [one for one in found if any(_is_named(one[0], target) for target in targets)]


def _is_named(name: str, target: str) -> bool:
    """Tell whether a name ends with the parts of a target, as PEFT does."""
    return f".{name}".endswith(f".{target}")


def _separate(adapters: Mapping[str, Adapter]) -> Iterator[tuple[str, Adapter]]:
    """Yield the adapters of every block by itself."""
    for name, adapter in adapters.items():
        if adapter.a.ndim == 2:
            yield name, adapter
        else:
            for number in range(len(adapter.a)):
                own = re.sub(rf"\.{STACKED}\.", f".{number}.", name)
                yield own, Adapter(adapter.a[number], adapter.b[number])

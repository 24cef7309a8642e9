"""Files with weights as people have them: names of wrappers, tied heads, damage of every kind."""

import json
import re
import shutil

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from collapse_jax import lm
from collapse_jax.lm.weights import HEAD, parameters

EMBEDDING = "model.decoder.embed_tokens.weight"
BIAS = "model.decoder.layers.0.fc1.bias"
NETWORK = lm.OPTConfig(
    vocab_size=40,
    hidden_size=16,
    num_hidden_layers=1,
    ffn_dim=32,
    num_attention_heads=2,
    max_position_embeddings=16,
    pad_token_id=0,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "model"
    lm.save(lm.OPT(NETWORK, key=jax.random.key(0)), path)
    return path


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def change(folder, function):
    """Write other arrays, made from those in a folder."""
    arrays = function(load_file(folder / "model.safetensors"))
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(arrays, folder / "model.safetensors")


def configure(folder, **changes):
    """Change keys of config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def is_same(folder, saved, tolerance=0.0):
    """Tell whether both folders hold the same network."""
    ours, theirs = (parameters(lm.load(one)) for one in (folder, saved))
    return ours.keys() == theirs.keys() and all(
        np.allclose(ours[name][...], theirs[name][...], rtol=tolerance, atol=tolerance)
        for name in ours
    )


NAMES = {
    "of one process of DDP": lambda name: f"module.{name}",
    "compiled": lambda name: f"_orig_mod.{name}",
    "compiled, then DDP": lambda name: f"module._orig_mod.{name}",
    "DDP, then compiled": lambda name: f"_orig_mod.module.{name}",
    "a compiled part": lambda name: name.replace("decoder.", "decoder._orig_mod.", 1),
    "FSDP": lambda name: name.replace("layers.0", "layers.0._fsdp_wrapped_module"),
    "without a head": lambda name: name.removeprefix("model."),
    "a decoder": lambda name: name.removeprefix("model.decoder."),
    "a wrapped decoder": lambda name: "module." + name.removeprefix("model.decoder."),
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_wrappers_are_known(kind, folder, saved):
    change(folder, lambda arrays: {NAMES[kind](name): one for name, one in arrays.items()})
    assert is_same(folder, saved)


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_a_tied_matrix_may_be_stored_as_the_head(prefix, folder, saved):
    def under_head(arrays):
        return {prefix + (HEAD if name == EMBEDDING else name): arrays[name] for name in arrays}

    change(folder, under_head)
    assert is_same(folder, saved)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_floats_of_any_width_are_read(dtype, wanted, folder, saved):
    change(folder, lambda arrays: {name: one.astype(dtype) for name, one in arrays.items()})
    assert is_same(folder, saved, tolerance=1e-2)
    assert lm.load(folder, dtype=wanted).embed_tokens.dtype == jnp.dtype(wanted)


def test_a_padding_id_of_zero_is_an_id(folder):
    model = lm.load(folder)
    assert model.config.pad_token_id == 0
    assert not np.any(lm.OPT(NETWORK, key=jax.random.key(1)).embed_tokens[0])
    configure(folder, eos_token_id=list(range(40)))
    tokens = np.asarray(lm.generate(lm.load(folder), [[5, 6]], max_new_tokens=3))
    assert tokens[0, 1:].tolist() == [0, 0]  # every first token is an end


REFUSED = {
    "missing": (
        lambda arrays: dict(list(arrays.items())[5:]),
        r"it lacks model\.\S+, model\.\S+, model\.\S+ and 2 more; weights and config.json must",
    ),
    "foreign": (
        lambda arrays: arrays | {f"foo.{k}": arrays[BIAS] for k in range(6)},
        "the model has no foo.0, foo.1, foo.2 and 3 more",
    ),
    "twice": (
        lambda arrays: arrays | {f"module.{BIAS}": arrays[BIAS]},
        f"{BIAS} and module.{BIAS} are one tensor",
    ),
    "narrow": (
        lambda arrays: arrays | {EMBEDDING: arrays[EMBEDDING][:, :8]},
        r"embed_tokens.weight has shape \(40, 8\), by config.json \(40, 16\)",
    ),
    "transposed": (
        lambda arrays: arrays | {EMBEDDING: arrays[EMBEDDING].T},
        r"embed_tokens.weight has shape \(16, 40\)",
    ),
    "integers": (
        lambda arrays: arrays | {BIAS: np.ones(32, np.int32)},
        "has type int32, not floating point",
    ),
    "not finite": (
        lambda arrays: arrays | {BIAS: np.full(32, np.nan, np.float32)},
        "fc1.bias has numbers that are not finite",
    ),
    "another head": (
        lambda arrays: arrays | {HEAD: arrays[EMBEDDING] + 1},
        "lm_head.weight is not the embedding, though config.json ties them",
    ),
}


def refusal(folder):
    """Return the one line with which a folder is refused."""
    with pytest.raises(ValueError, match="is not allowed") as error:
        lm.load(folder)
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 500
    return line


@pytest.mark.parametrize("kind", REFUSED)
def test_other_weights_are_refused(kind, folder):
    function, message = REFUSED[kind]
    change(folder, function)
    line = refusal(folder)
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 41}, "has shape (40, 16), by config.json (41, 16)"),
        ({"hidden_size": 32}, "by config.json (18, 32)"),
        ({"num_hidden_layers": 2}, "it lacks model.decoder.layers.1.fc1.bias"),
        ({"ffn_dim": 8}, "by config.json (8,"),
        ({"tie_word_embeddings": False}, 'set "tie_word_embeddings": true'),
        ({"tie_word_embeddings": "no"}, "OPTConfig.tie_word_embeddings='no'"),
        ({"enable_bias": None}, "OPTConfig.enable_bias=None"),
        ({"pad_token_id": 40}, "OPTConfig.pad_token_id=40"),
        ({"pad_token_id": -1}, "OPTConfig.pad_token_id=-1"),
        ({"eos_token_id": [2, "3"]}, "OPTConfig.eos_token_id='3'"),
        ({"bos_token_id": 1.5}, "OPTConfig.bos_token_id=1.5"),
        ({"init_std": -1}, "OPTConfig.init_std=-1"),
    ],
)
def test_a_config_of_another_model_is_refused(changes, message, folder):
    configure(folder, **changes)
    assert message in refusal(folder)


DAMAGED = {
    b"": "it cannot be read (SafetensorError)",
    b"\xff" * 16: "it cannot be read (SafetensorError)",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": "run `git lfs pull`",
}


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_files_are_refused(content, folder):
    (folder / "model.safetensors").write_bytes(content)
    assert DAMAGED[content] in refusal(folder)


INDEXES = {
    "missing shard": ({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}, "missing"),
    "no shards": ({"weight_map": {}}, "it is not an index of shards"),
    "a list": ([1], "it is not an index of shards"),
    "numbers": ({"weight_map": {"a": 1}}, "it is not an index of shards"),
    "another file": ({"weight_map": {"a": "config.json"}}, "it cannot be read"),
    "too few": (
        {"weight_map": {"a": "one.safetensors", "b": "none.safetensors"}},
        "file='model.safetensors.index.json'",
    ),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_broken_indexes_are_refused(kind, folder):
    index, message = INDEXES[kind]
    arrays = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    arrays.pop(BIAS)
    save_file(arrays, folder / "one.safetensors")
    save_file({}, folder / "none.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert message in refusal(folder)


def test_a_folder_in_place_of_a_file_is_refused(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    assert "it cannot be read (IsADirectoryError)" in refusal(folder)

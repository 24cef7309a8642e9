"""Test OPT: agreement with PyTorch, reading and refusal of weights, bad arguments."""

import importlib.util
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization
from flax.traverse_util import unflatten_dict
from safetensors.numpy import load_file, save_file

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.lm.loss import cross_entropy
from collapse_jax.lm.weights import parameters

PARITY = Path(__file__).parents[1] / "parity"


def load_numbers():
    spec = importlib.util.spec_from_file_location("numbers_of_opt", PARITY / "numbers_of_opt.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


numbers = load_numbers()
GOLDEN = json.loads(numbers.GOLDEN.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return numbers.write_model(tmp_path_factory.mktemp("opt"), numbers.CONFIGS["pre-norm"])


@pytest.fixture
def copied(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("pre-norm", marks=pytest.mark.thorough),
        "projected",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("post-norm", "odd", "bare")),
        pytest.param("untied", marks=pytest.mark.thorough),
    ],
)
def test_golden_values_of_pytorch(name, tmp_path, check_golden_values):
    """Compare with the output of tests/parity/golden_opt.py; `make parity` tests all configs."""
    config, golden = numbers.CONFIGS[name], GOLDEN[name]
    model = lm.load(numbers.write_model(tmp_path, config))
    tokens, mask, labels = numbers.make_texts(vocab=config["vocab_size"])
    check_golden_values(model, golden, tokens, mask, labels)


@pytest.mark.parametrize("setting", numbers.SETTINGS)
def test_golden_tokens_of_transformers(setting, folder):
    prompts, mask = numbers.make_prompts(4, is_padded=True)
    settings = {"max_new_tokens": numbers.NEW, **numbers.SETTINGS[setting]}
    found = lm.generate(lm.load(folder), prompts, mask, **settings)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, GOLDEN["pre-norm"]["tokens"][setting])


def test_sizes_of_opt_125m():
    model = jax.eval_shape(lambda: lm.OPT(lm.OPTConfig()))
    assert sum(leaf.size for leaf in jax.tree.leaves(model)) == 125_239_296


def test_a_saved_folder_is_read_back(folder, tmp_path):
    model = lm.load(folder)
    lm.save(model, tmp_path / "new")
    again = lm.load(tmp_path / "new")
    assert again.config == model.config
    for name, param in parameters(model).items():
        np.testing.assert_array_equal(parameters(again)[name][...], param[...], name)


def test_a_folder_of_transformers_config_object(folder):
    from transformers import OPTConfig

    given = OPTConfig(**numbers.CONFIGS["projected"])
    assert lm.OPT(given).config == lm.OPTConfig(**numbers.CONFIGS["projected"])
    assert OPTConfig(**lm.load(folder).config.as_json()).hidden_size == 32


def flax_arrays(folder):
    """Return the weights under the names and in the shapes of transformers' Flax models."""
    paths = {}
    for name, array in load_file(folder / "model.safetensors").items():
        *parts, last = name.split(".")
        if last == "weight":
            is_norm = parts[-1].endswith("layer_norm")
            is_table = parts[-1].startswith("embed_")
            last = "scale" if is_norm else "embedding" if is_table else "kernel"
            array = array.T if last == "kernel" else array
        paths[(*parts, last)] = np.ascontiguousarray(array)
    return paths


def test_msgpack_is_read(copied):
    expected = lm.load(copied)
    (copied / "flax_model.msgpack").write_bytes(
        serialization.msgpack_serialize(unflatten_dict(flax_arrays(copied)))
    )
    for weights in ("msgpack", "safe"):
        model = lm.load(copied, weights=weights)
        for name, param in parameters(expected).items():
            np.testing.assert_array_equal(parameters(model)[name][...], param[...], name)
        (copied / "model.safetensors").unlink(missing_ok=True)


def test_shards_are_read(copied):
    arrays = load_file(copied / "model.safetensors")
    expected = lm.load(copied)
    (copied / "model.safetensors").unlink()
    shard_of = {}
    for number in range(2):
        file = f"model-0000{number + 1}-of-00002.safetensors"
        part = {name: array for name, array in list(arrays.items())[number::2]}
        save_file(part, copied / file)
        shard_of |= dict.fromkeys(part, file)
    index = copied / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shard_of}))
    model = lm.load(copied)
    for name, param in parameters(expected).items():
        np.testing.assert_array_equal(parameters(model)[name][...], param[...], name)
    (copied / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match="model-00002-of-00002"):
        lm.load(copied)


def test_weights_of_half_precision_and_without_prefix_are_read(copied):
    arrays = load_file(copied / "model.safetensors")
    narrow = {
        name.removeprefix("model."): array.astype(np.float16) for name, array in arrays.items()
    }
    save_file(narrow, copied / "model.safetensors")
    model = lm.load(copied)
    name = "model.decoder.layers.0.fc1.weight"
    assert parameters(model)[name].dtype == jnp.float32
    np.testing.assert_allclose(parameters(model)[name][...], arrays[name], rtol=1e-3)


BREAKS = {
    "missing": ("layers.1.fc1.bias", lambda arrays: arrays.pop("model.decoder.layers.1.fc1.bias")),
    "extra": (
        "no model.decoder.layers.3.fc1.bias",
        lambda arrays: arrays.update({"model.decoder.layers.3.fc1.bias": np.ones(3, "f4")}),
    ),
    "shape": (
        r"fc2.weight has shape \(32, 63\), by config.json \(32, 64\)",
        lambda arrays: arrays.update(
            {"model.decoder.layers.0.fc2.weight": np.ones((32, 63), "f4")}
        ),
    ),
    "type": (
        "not floating point",
        lambda arrays: arrays.update(
            {"model.decoder.layers.0.fc2.weight": np.ones((32, 64), "i4")}
        ),
    ),
    "head": (
        "lm_head.weight is not the embedding",
        lambda arrays: arrays.update({"lm_head.weight": np.ones((96, 32), "f4")}),
    ),
}


def test_texts_without_the_tokens_that_a_number_needs_are_refused():
    """A text of padding has no logits, and a mean loss needs a token after another."""
    config = lm.OPTConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=1,
        ffn_dim=32,
        num_attention_heads=2,
        max_position_embeddings=32,
    )
    model = lm.OPT(config, key=jax.random.key(0))
    ids, mask = [[2, 5, 6], [2, 7, 7]], np.array([[1, 1, 1], [0, 0, 0]])
    none = "input_ids\\[1\\]=text of 0 tokens is not allowed: a text needs 1 token or more"
    with pytest.raises(cj.ArgumentError, match=none):
        lm.logits(model, ids, mask)
    with pytest.raises(cj.ArgumentError, match="a text needs 2 tokens or more"):
        lm.losses(model, ids, np.array([[1, 1, 1], [1, 0, 0]]))
    for given in ([[2]], None), (ids, np.zeros((2, 3), int)):
        with pytest.raises(cj.ArgumentError, match="labels=no label after a first token"):
            lm.loss(model, *given)
    with pytest.raises(cj.ArgumentError, match="labels=no label after a first token"):
        lm.loss(model, ids, labels=np.full((2, 3), -100))
    assert lm.logits(model, ids, [[1, 1, 1], [1, 0, 0]]).shape == (2, 3, 64)
    assert lm.loss(model, ids, mask) > 0  # the other text has labels


@pytest.mark.parametrize("kind", BREAKS)
def test_weights_that_are_not_the_models_are_refused(kind, copied):
    message, damage = BREAKS[kind]
    arrays = load_file(copied / "model.safetensors")
    damage(arrays)
    save_file(arrays, copied / "model.safetensors")
    with pytest.raises(ValueError, match=message) as error:
        lm.load(copied)
    assert "\n" not in str(error.value)
    assert "model.safetensors" in str(error.value)


@pytest.mark.parametrize("file", ["model.safetensors", "flax_model.msgpack"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_truncated_files_are_refused(copied, file, share):
    if file.endswith("msgpack"):
        (copied / file).write_bytes(
            serialization.msgpack_serialize(unflatten_dict(flax_arrays(copied)))
        )
        (copied / "model.safetensors").unlink()
    content = (copied / file).read_bytes()
    (copied / file).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"{file}.*cannot be read.*truncated") as error:
        lm.load(copied)
    assert "\n" not in str(error.value)


def test_nothing_is_unpickled_unless_asked(copied, tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    (copied / "model.safetensors").unlink()
    (copied / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="weights='pytorch'"):
        lm.load(copied)
    with pytest.raises(ValueError, match=r"pytorch_model.bin"):
        lm.load(copied, weights="pytorch")
    assert not (tmp_path / "exploded").exists()


def test_folders_that_hold_no_model_are_refused(tmp_path, copied):
    cases = [
        (tmp_path / "nowhere", "neither a folder nor a hub id"),
        (tmp_path, "no config.json"),
        ("nobody/no-such-model", "the hub gave nothing"),
    ]
    for path, message in cases:
        with pytest.raises(ValueError, match=message):
            lm.load(path)
    (copied / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        lm.load(copied)
    (copied / "config.json").write_text('{"model_type": "gpt9"}')
    with pytest.raises(ValueError, match=r"model_type=.gpt9. .* known types are"):
        lm.load(copied)
    with pytest.raises(ValueError, match="dtype='float16'"):
        lm.load(copied, dtype="float16")
    with pytest.raises(ValueError, match="weights='pickle'"):
        lm.load(copied, weights="pickle")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 30, "num_attention_heads": 4}, "OPTConfig.num_attention_heads=4"),
        ({"vocab_size": 0}, "OPTConfig.vocab_size=0"),
        ({"activation_function": "swish"}, "OPTConfig.activation_function='swish'"),
        ({"dropout": 1.5}, "OPTConfig.dropout=1.5"),
    ],
)
def test_bad_configs_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        lm.OPTConfig(**settings)


def test_the_former_name_of_the_config_leads_to_the_new_one():
    with pytest.raises(AttributeError, match=r"^lm\.Config is now lm\.OPTConfig$"):
        getattr(lm, "Config")  # noqa: B009
    assert not hasattr(lm, "Configuration")


TOKENS = np.array([[5, 6, 7], [8, 9, 10]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TOKENS[0],), r"input_ids=array of shape \(3,\)"),
        ((TOKENS + 0.5,), "input_ids=array of float64"),
        ((TOKENS + 90,), r"input_ids\[0, 1\]=96"),
        ((TOKENS - 6,), r"input_ids\[0, 0\]=-1"),
        ((np.ones((1, 65), int),), "64 positions"),
        ((TOKENS, np.ones((2, 2))), "attention_mask=array"),
        ((TOKENS, np.full((2, 3), 2)), "attention_mask=array"),
    ],
)
def test_bad_tokens_are_refused(folder, arguments, message):
    model = lm.load(folder)
    for function in (lm.logits, lm.loss, lm.perplexities):
        with pytest.raises(ValueError, match=message) as error:
            function(model, *arguments)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=message):
        lm.generate(model, *arguments, max_new_tokens=2)


def test_bad_labels_are_refused(folder):
    model = lm.load(folder)
    for labels, message in ((TOKENS + 90, "labels=9"), (TOKENS[0], "labels=array")):
        with pytest.raises(ValueError, match=message):
            lm.loss(model, TOKENS, None, labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_integers_of_any_width_are_taken(folder, dtype):
    model = lm.load(folder)
    expected = lm.logits(model, TOKENS)
    np.testing.assert_array_equal(lm.logits(model, TOKENS.astype(dtype)), expected)


def test_bfloat16_is_nearly_the_same(folder):
    tokens, mask, _ = numbers.make_texts()
    wide, narrow = lm.load(folder), lm.load(folder, dtype="bfloat16")
    assert narrow.embed_tokens.dtype == jnp.bfloat16
    logits = lm.logits(narrow, tokens, mask)
    assert logits.dtype == jnp.float32
    assert abs(float(lm.loss(narrow, tokens, mask)) / float(lm.loss(wide, tokens, mask)) - 1) < 0.02
    assert not np.array_equal(logits, lm.logits(wide, tokens, mask))


def test_perplexities_are_the_losses_of_single_texts(folder):
    model = lm.load(folder)
    tokens, mask, _ = numbers.make_texts()
    found = lm.perplexities(model, tokens, mask)
    scores = jax.nn.log_softmax(lm.logits(model, tokens, mask))
    for row, first in enumerate(np.argmax(mask, axis=1)):
        positions = np.arange(first, tokens.shape[1] - 1)
        expected = np.exp(-np.mean(scores[row, positions, tokens[row, positions + 1]]))
        np.testing.assert_allclose(found[row], expected, rtol=1e-4)


def test_cross_entropy_by_hand():
    """Compare values and gradients for more rows than one part has, with excluded labels."""
    random = np.random.default_rng(0)
    hidden = jnp.asarray(random.normal(size=(1100, 8)), jnp.float32)
    head = jnp.asarray(random.normal(size=(50, 8)), jnp.float32)
    labels = jnp.asarray(
        np.where(random.uniform(size=1100) < 0.2, -100, random.integers(0, 50, 1100))
    )

    def by_hand(hidden, head):
        chosen = jnp.take_along_axis(
            jax.nn.log_softmax(hidden @ head.T), jnp.maximum(labels, 0)[:, None], axis=1
        )
        return 3 * jnp.sum(jnp.where(labels == -100, 0, -chosen[:, 0]))

    def ours(hidden, head):
        return 3 * cross_entropy(hidden, head, labels).total

    found, expected = (
        jax.jit(jax.value_and_grad(function, (0, 1)))(hidden, head) for function in (ours, by_hand)
    )
    assert int(cross_entropy(hidden, head, labels).number) == np.sum(np.asarray(labels) != -100)
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)

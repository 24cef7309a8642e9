"""Llama and its relatives, and GPT-2: numbers of PyTorch, files, devices, export, refusals."""

import dataclasses
import importlib.util
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx, serialization
from flax.traverse_util import unflatten_dict
from jax import export
from safetensors.numpy import load_file, save_file

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.lm import generation, training
from collapse_jax.lm.attention import causal_attention
from collapse_jax.lm.checks import make_key
from collapse_jax.lm.rotary import RotaryScaling, frequencies
from collapse_jax.lm.weights import parameters

PARITY = Path(__file__).parents[1] / "parity"


def load_module(name):
    spec = importlib.util.spec_from_file_location(name, PARITY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


numbers, texts = load_module("numbers_of_lm"), load_module("numbers_of_opt")
GOLDEN = json.loads(numbers.GOLDEN.read_text())
QUICK = ("llama, two key heads, llama3", "gpt2")
TYPES = ("llama, one key head, biases", "mistral, window", "qwen2, windows", "qwen3", "gpt2")


def thorough_except(quick, names):
    return [
        name if name in quick else pytest.param(name, marks=pytest.mark.thorough) for name in names
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    def write(name):
        made = tmp_path_factory.getbasetemp() / f"lm-{name}"
        return made if made.is_dir() else numbers.write_model(made, numbers.CONFIGS[name])

    return write


@pytest.mark.parametrize("name", thorough_except(QUICK, numbers.CONFIGS))
def test_golden_values_of_pytorch(name, folder, check_golden_values):
    """Compare with the output of tests/parity/golden_lm.py."""
    golden, model = GOLDEN[name], lm.load(folder(name))
    tokens, mask, labels = texts.make_texts()
    check_golden_values(model, golden, tokens, mask, labels)


@pytest.mark.parametrize("setting", numbers.SETTINGS)
@pytest.mark.parametrize("name", thorough_except(("mistral, window",), numbers.CONFIGS))
def test_golden_tokens_of_transformers(name, setting, folder):
    prompts, mask = texts.make_prompts(4, is_padded=True)
    settings = {"max_new_tokens": texts.NEW, **numbers.SETTINGS[setting]}
    found = lm.generate(lm.load(folder(name)), prompts, mask, **settings)
    np.testing.assert_array_equal(found, GOLDEN[name]["tokens"][setting])


def test_sizes_of_published_networks():
    """SmolLM2-135M, Llama 3.2 1B, Qwen2.5 0.5B, Qwen3 0.6B and GPT-2, in parameters."""
    smollm = lm.LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    shapes = {
        134_515_008: smollm,
        1_235_814_400: dataclasses.replace(
            smollm,
            vocab_size=128256,
            hidden_size=2048,
            intermediate_size=8192,
            num_hidden_layers=16,
            num_attention_heads=32,
            num_key_value_heads=8,
        ),
        494_032_768: dataclasses.replace(
            smollm,
            model_type="qwen2",
            vocab_size=151936,
            hidden_size=896,
            intermediate_size=4864,
            num_hidden_layers=24,
            num_attention_heads=14,
            num_key_value_heads=2,
        ),
        596_049_920: dataclasses.replace(
            smollm,
            model_type="qwen3",
            vocab_size=151936,
            hidden_size=1024,
            intermediate_size=3072,
            num_hidden_layers=28,
            num_attention_heads=16,
            num_key_value_heads=8,
            head_dim=128,
        ),
        124_439_808: lm.GPT2Config(),
    }
    for size, config in shapes.items():
        config = dataclasses.replace(config, head_dim=None) if size == 1_235_814_400 else config
        model = jax.eval_shape(lambda config=config: lm.create(config, key=jax.random.key(0)))
        assert sum(leaf.size for leaf in jax.tree.leaves(model)) == size, config.model_type


def test_the_cache_has_as_many_heads_as_keys(folder):
    from collapse_jax.lm.kv_cache import read_prompts

    model = lm.load(folder("llama, two key heads, llama3"))
    cache, _ = jax.eval_shape(
        read_prompts, model, jnp.ones((3, 7), jnp.int32), jnp.ones((3, 7)) > 0
    )
    assert [each.shape for each in cache.keys] == [(3, 2, 7, 8)] * 3


def slow_attention(queries, keys, values, mask, window):
    """Attention in float64, pair by pair."""
    found = np.zeros(queries.shape)
    group = queries.shape[2] // keys.shape[2]
    for row, query, head in np.ndindex(queries.shape[:3]):
        seen = [at for at in range(query + 1) if mask[row, at]]
        if window is not None:
            seen = [at for at in seen if mask[row, at : query + 1].sum() <= window]
        if seen:
            scores = keys[row, seen, head // group] @ queries[row, query, head]
            weights = np.exp(scores - scores.max())
            found[row, query, head] = weights @ values[row, seen, head // group] / weights.sum()
    return found


@pytest.mark.parametrize(("key_heads", "window"), [(4, None), (2, None), (1, 3), (2, 1)])
def test_attention_is_its_slow_twin(key_heads, window):
    random = np.random.default_rng(key_heads)
    queries = random.normal(size=(3, 7, 4, 5))
    keys, values = random.normal(size=(2, 3, 7, key_heads, 5))
    mask = np.ones((3, 7), bool)
    mask[1, :2] = False
    config = lm.LlamaConfig(model_type="mistral", sliding_window=window)
    attend = causal_attention(jnp.asarray(mask), config)
    found = attend(0, *(jnp.asarray(each, jnp.float32) for each in (queries, keys, values)))
    expected = slow_attention(queries, keys, values, mask, window)
    np.testing.assert_allclose(found[mask], expected[mask], atol=1e-5)
    np.testing.assert_array_equal(found[1, :2], 0)


def test_rotary_frequencies_by_their_formula():
    plain = frequencies(8, 1e4, None)
    np.testing.assert_allclose(plain, [1, 0.1, 0.01, 0.001], rtol=1e-6)
    np.testing.assert_allclose(
        frequencies(8, 1e4, RotaryScaling("linear", 4.0)), plain / 4, rtol=1e-6
    )
    scaling = RotaryScaling("llama3", 8.0, 1.0, 4.0, 256)
    turns = 256 * np.asarray(plain, float) / (2 * np.pi)
    shares = np.clip((turns - 1) / 3, 0, 1)
    assert 0 < shares[1] <= 1
    assert shares[0] == 1
    assert shares[3] == 0
    expected = plain * (shares + (1 - shares) / 8)
    np.testing.assert_allclose(frequencies(8, 1e4, scaling), expected, rtol=1e-5)


def test_both_forms_of_rotary_settings_are_read():
    base = numbers.CONFIGS["llama, all heads"]
    scaling = {"type": "linear", "factor": 2.0}  # as files of 2023 have it
    old = lm.create({**base, "rope_theta": 500.0, "rope_scaling": scaling}, key=0).config
    new = {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}
    assert lm.create({**base, "rope_parameters": new}, key=0).config == old
    assert old.rope_scaling == RotaryScaling("linear", 2.0)
    assert old.rope_theta == 500
    plain = lm.create({**base, "rope_parameters": {"rope_type": "default"}}, key=0).config
    assert (plain.rope_theta, plain.rope_scaling) == (10_000, None)


def change(folder, copy, function):
    """Write a copy of a folder with other names or types of arrays."""
    copy.mkdir()
    (copy / "config.json").write_text((folder / "config.json").read_text())
    arrays = load_file(folder / "model.safetensors")
    arrays = {name: np.ascontiguousarray(one) for name, one in function(arrays).items()}
    save_file(arrays, copy / "model.safetensors")
    return copy


TIED = {
    "llama, two key heads, llama3": "model.embed_tokens.weight",
    "gpt2": "transformer.wte.weight",
}


def renamed(by):
    return lambda arrays: {by(name): array for name, array in arrays.items()}


CHANGES = {
    "DDP and compiled": renamed(lambda name: f"module._orig_mod.{name}"),
    "compiled blocks": renamed(lambda name: re.sub(r"\.(\d+)\.", r".\1._orig_mod.", name)),
    "without a head": renamed(lambda name: name.split(".", 1)[1]),
    "under the head": renamed(lambda name: "lm_head.weight" if name in TIED.values() else name),
    "under both": lambda arrays: {
        **arrays,
        "lm_head.weight": next(arrays[name] for name in TIED.values() if name in arrays),
    },
    "with masks and frequencies": lambda arrays: {
        **arrays,
        **(
            {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, "f4")}
            if "model.norm.weight" in arrays
            else {"transformer.h.2.attn.bias": np.ones((1, 1, 64, 64), bool)}
        ),
    },
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("name", TIED)
def test_files_as_people_have_them(name, kind, folder, tmp_path):
    expected = parameters(lm.load(folder(name)))
    found = parameters(lm.load(change(folder(name), tmp_path / "copy", CHANGES[kind])))
    for key, param in expected.items():
        np.testing.assert_array_equal(found[key][...], param[...], key)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("name", TIED)
def test_half_precision_is_read_and_written(name, dtype, folder, tmp_path):
    def narrow(arrays):
        return {key: array.astype(dtype) for key, array in arrays.items()}

    model = lm.load(change(folder(name), tmp_path / "copy", narrow))
    assert model.head.dtype == jnp.float32
    narrow = lm.load(folder(name), dtype="bfloat16")
    lm.save(narrow, tmp_path / "new")
    assert json.loads((tmp_path / "new" / "config.json").read_text())["dtype"] == "bfloat16"
    again = lm.load(tmp_path / "new", dtype="bfloat16")
    assert again.config == narrow.config
    np.testing.assert_array_equal(again.head, narrow.head)


def flax_arrays(arrays):
    """Return the weights under the names and in the shapes of transformers' Flax models."""
    paths = {}
    for name, array in arrays.items():
        *parts, last = name.split(".")
        if last == "weight":
            is_table = parts[-1] in ("embed_tokens", "wte", "wpe")
            is_norm = "ln_" in parts[-1]
            is_llamas = parts[-1].endswith("norm")  # its norms have a "weight" in Flax, too
            last = "embedding" if is_table else "scale" if is_norm else "kernel"
            last = "weight" if is_llamas else last
            array = array.T if last == "kernel" else array  # Flax's GPT-2 has [out, in]
        paths[(*parts, last)] = np.ascontiguousarray(array)
    return paths


@pytest.mark.parametrize("name", TIED)
def test_msgpack_is_read(name, folder, tmp_path):
    path = folder(name)
    (tmp_path / "config.json").write_text((path / "config.json").read_text())
    arrays = flax_arrays(load_file(path / "model.safetensors"))
    (tmp_path / "flax_model.msgpack").write_bytes(
        serialization.msgpack_serialize(unflatten_dict(arrays))
    )
    found, expected = (parameters(lm.load(each)) for each in (tmp_path, path))
    for key, param in expected.items():
        np.testing.assert_array_equal(found[key][...], param[...], key)


BASE = numbers.CONFIGS["llama, all heads"]
REFUSED = {
    "rope_type='yarn' is not allowed: it must be one of 'default', 'linear', 'llama3'": {
        **BASE,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0},
    },
    "rope_type='longrope'": {**BASE, "rope_parameters": {"rope_type": "longrope", "factor": 4.0}},
    "rope_type='dynamic'": {**BASE, "rope_scaling": {"type": "dynamic", "factor": 4.0}},
    "partial_rotary_factor=0.5": {**BASE, "rope_parameters": {"partial_rotary_factor": 0.5}},
    "rope_scaling.factor=None": {**BASE, "rope_scaling": {"type": "linear"}},
    "rope_scaling.high_freq_factor=1.0": {
        **BASE,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 1.0},
    },
    "LlamaConfig.hidden_act='mish'": {**BASE, "hidden_act": "mish"},
    "LlamaConfig.num_key_value_heads=3": {**BASE, "num_key_value_heads": 3},
    "LlamaConfig.num_attention_heads=5": {**BASE, "num_attention_heads": 5},
    "LlamaConfig.head_dim=7": {**BASE, "head_dim": 7},
    "LlamaConfig.rope_theta=0.0": {**BASE, "rope_theta": 0},
    "LlamaConfig.pad_token_id=96": {**BASE, "pad_token_id": 96},
    "quantization_config=awq": {**BASE, "quantization_config": {"quant_method": "awq"}},
    "LlamaConfig.layer_types=": {**numbers.CONFIGS["qwen3, windows"], "layer_types": ["full"]},
    "LlamaConfig.mlp_bias=True": {**numbers.CONFIGS["qwen2"], "mlp_bias": True},
    "GPT2Config.n_head=5": {**numbers.CONFIGS["gpt2"], "n_head": 5},
    "GPT2Config.activation_function='mish'": {
        **numbers.CONFIGS["gpt2"],
        "activation_function": "mish",
    },
    "add_cross_attention=True": {**numbers.CONFIGS["gpt2"], "add_cross_attention": True},
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_configs_are_refused_in_one_line(message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(REFUSED[message]))
    with pytest.raises(cj.ArgumentError, match=re.escape(message)) as error:
        lm.read_config(tmp_path)
    assert "\n" not in str(error.value)
    assert "; " in str(error.value)


def test_a_window_is_no_llamas():
    with pytest.raises(cj.ArgumentError, match="type llama have no window; pass"):
        lm.LlamaConfig(sliding_window=8)
    with pytest.raises(cj.ArgumentError, match="layer_types"):
        lm.LlamaConfig(model_type="qwen2", layer_types=("full_attention",) * 32)
    assert lm.GPT2Config(n_layer=2).window(1) is None


@pytest.mark.thorough
@pytest.mark.parametrize("name", TYPES)
def test_training_in_parts_on_devices_and_twice(name, folder):
    """Parts, devices and blocks computed twice change nothing, dropout included."""
    tokens, mask, labels = texts.make_texts()

    def gradients(remat=False, mesh=None, **settings):
        model = lm.load(folder(name), remat=remat)
        trainer = lm.Trainer(model, lm.Training(**settings), mesh)
        batch = trainer.batch(tokens, mask, labels)
        return trainer.gradients(trainer.start(model), batch, key=5)

    whole = gradients()
    for changes in ({"accumulate": 3, "remat": True}, {"mesh": lm.data_mesh(2)}):
        for one, two in zip(
            jax.tree.leaves(gradients(**changes)), jax.tree.leaves(whole), strict=True
        ):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.max(np.abs(two)))
    calm = float(gradients(has_dropout=False)[0].total)
    assert (calm != float(whole[0].total)) == (name == "gpt2")  # the others have no dropout


@pytest.mark.thorough
@pytest.mark.parametrize("name", TYPES)
def test_steps_lower_the_loss_and_texts_are_drawn(name, folder):
    model = lm.load(folder(name))
    tokens, mask, _ = texts.make_texts()
    trainer = lm.Trainer(model, lm.Training(1e-2, schedule="constant", dtype="bfloat16"))
    state, losses = trainer.start(model), []
    for _ in range(15):
        state, loss = trainer.step(state, tokens, mask)
        losses.append(float(loss))
    assert losses[-1] < 0.9 * losses[0]
    trained = trainer.model(state)
    decoding = lm.Decoding(6, do_sample=True, min_p=0.05, top_p=0.9, min_new_tokens=6)
    whole = decoding.run(trained, tokens, mask[:, ::-1][:, ::-1], key=0)
    parts = lm.stream(trained, tokens, mask, decoding=decoding, batch_size=4, key=0)
    np.testing.assert_array_equal(np.concatenate(list(parts)), whole)
    mesh = lm.data_mesh(2)
    np.testing.assert_array_equal(decoding.run(trained, tokens, mask, key=0, mesh=mesh), whole)
    perplexities = lm.perplexities(trained, tokens, mask, batch_size=2)
    np.testing.assert_allclose(
        lm.perplexities(trained, tokens, mask, mesh=mesh), perplexities, rtol=1e-5
    )


PLATFORMS = ("cpu", "cuda", "tpu")


@pytest.mark.parametrize("name", thorough_except(("mistral, window",), TYPES))
def test_steps_and_searches_are_exported_to_all_platforms(name, folder):
    model = lm.load(folder(name))
    trainer = lm.Trainer(model, lm.Training(clip_norm=1.0))
    state, batch = trainer.start(model), trainer.batch(np.ones((4, 8), int))
    program = training._program(trainer.structure, trainer.training, None, True)
    shapes = jax.eval_shape(lambda *each: each, state, batch, make_key(0), np.int32(1))
    assert export.export(program, platforms=PLATFORMS)(*shapes).platforms == PLATFORMS
    structure, params = nnx.split(model)
    decoding = lm.Decoding(8, num_beams=3, repetition_penalty=2.0, no_repeat_ngram_size=2)
    program = generation.program_on(structure, decoding.shape, None)
    tokens, rows = np.ones((8, 5), np.int32), np.arange(8, dtype=np.uint32)
    arguments = (params, tokens, tokens > 0, rows, make_key(0), decoding.numbers)
    exported = export.export(program, platforms=PLATFORMS)(*arguments)
    assert exported.out_avals[0].shape == (8, 8)


def test_positions_follow_the_mask(folder):
    """Padding on either side moves no logits: learned positions count tokens alone."""
    model = lm.load(folder("gpt2"))
    tokens = np.random.default_rng(0).integers(3, 96, (2, 6))
    expected = np.asarray(lm.logits(model, tokens))
    for ends in ((0, 3), (3, 0), (2, 1)):
        padded = np.pad(tokens, ((0, 0), ends), constant_values=1)
        mask = np.pad(np.ones_like(tokens), ((0, 0), ends))
        found = np.asarray(lm.logits(model, padded, mask))[mask == 1].reshape(expected.shape)
        np.testing.assert_allclose(found, expected, atol=2e-5)

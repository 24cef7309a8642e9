"""Every program in examples/, at a small size."""

import importlib.util
import pathlib

import jax
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.testing import check_family

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_collapse_rate():
    rates = load("collapse_rate").main((10,), num_chains=4000, num_generations=20)
    simulated, exact = rates[10]
    assert abs(simulated / exact - 1) < 0.05


@pytest.mark.thorough
def test_custom_family_keeps_the_rules():
    assert len((EXAMPLES / "custom_family.py").read_text().splitlines()) < 60
    source = cj.Sampler(lambda key, n: jax.random.t(key, 4.0, (n, 1)), 1)
    assert "consistency" in check_family(load("custom_family").StudentT(), source)


def test_keep_words():
    left = load("keep_words").main((0.0, 0.3), 300, num_chains=4, num_generations=10)
    assert 10 < 2 * left[0.0] < left[0.3] < 300


def test_sweep():
    left = load("sweep").main((5, 20), (0.0, 0.5), num_chains=200, num_generations=20)
    assert left.shape == (2, 2)
    assert np.all(left[:, 0] < left[:, 1])
    assert np.all(left[0] < left[1])


@pytest.mark.thorough
def test_mixture_film(tmp_path):
    path = tmp_path / "film.gif"
    records = load("mixture_film").main(path, 60, num_generations=4, every=2)
    assert path.read_bytes().startswith(b"GIF89a")
    assert records["samples"].shape == (3, 1, 60, 2)


@pytest.mark.thorough
def test_vae_grid(tmp_path):
    path = tmp_path / "grid.png"
    small = {"latent_dim": 3, "width": 4, "image_size": 8, "epochs": 1, "num_evaluated": 200}
    records = load("vae_grid").main(path, num_generations=1, num_images=300, **small)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert records["images"].shape[:2] == (2, 1)


@pytest.mark.thorough
def test_tiny_language_model(capsys):
    small = {"num_blocks": 16, "block_size": 8, "vocab_size": 300, "width": 16, "epochs": 1}
    records = load("tiny_language_model").main(num_generations=1, **small)
    assert np.all(np.isfinite(records["test_perplexity"]))
    assert "model 1: test perplexity" in capsys.readouterr().out


def test_smollm2(tmp_path):
    """A small network in the names and order of GGUF is the network again."""
    from tokenizers import pre_tokenizers

    from collapse_jax import lm
    from collapse_jax.lm.weights import parameters
    from collapse_jax.text.tokenizer import load_tokenizer

    example = load("smollm2")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<end>", "<start>", *letters, "th", "the", "12"]
    kinds = [3, 3, *([1] * (len(tokens) - 2))]
    tokenizer = {"tokens": tokens, "token_type": kinds, "merges": ["t h", "th e", "1 2"]}
    tokenizer |= {"bos_token_id": 1, "eos_token_id": 0, "unknown_token_id": 0}
    tokenizer |= {"padding_token_id": 0}
    sizes = {"llama.block_count": 2, "llama.context_length": 32, "llama.embedding_length": 16}
    sizes |= {"llama.feed_forward_length": 24, "llama.attention.head_count": 4}
    sizes |= {"llama.attention.head_count_kv": 2, "llama.rope.freq_base": 1e4}
    sizes |= {"llama.attention.layer_norm_rms_epsilon": float(np.float32(1e-5))}
    settings = {**{f"tokenizer.ggml.{name}": one for name, one in tokenizer.items()}, **sizes}
    config = lm.LlamaConfig(**example.config_of(settings, len(tokens)))
    assert config.rms_norm_eps == 1e-5
    expected = {
        name: np.asarray(one[...]) for name, one in parameters(lm.create(config, key=0)).items()
    }
    of_blocks = {name: short for short, name in example._BLOCK.items()}
    of_top = {name: short for short, name in example._TOP.items()}
    arrays = {}
    for name, array in expected.items():
        _, place = name.split(".", 1)
        place = place.removesuffix(".weight")
        if not place.startswith("layers."):
            arrays[f"{of_top[place]}.weight"] = array
            continue
        _, number, kind = place.split(".", 2)
        if kind in ("self_attn.q_proj", "self_attn.k_proj"):  # pairs of GGUF are neighbours
            heads = array.shape[0] // 4
            halves = array.reshape(heads, 2, 2, 16)
            array = np.stack([halves[:, 0], halves[:, 1]], axis=2).reshape(array.shape)
        arrays[f"blk.{number}.{of_blocks[kind]}.weight"] = array
    example.write(settings, arrays, tmp_path)
    for name, param in parameters(lm.load(tmp_path)).items():
        np.testing.assert_array_equal(param[...], expected[name], name)
    made = load_tokenizer(str(tmp_path), [], 0, None)
    texts = [[tokens[index] for index in line] for line in made.encode_lines(["the 12<end>"])]
    assert texts == [["the", "Ġ", "1", "2", "<end>"]]
    assert example.main(tmp_path) == tmp_path  # what is there is not fetched again


def test_all_examples_are_tested():
    tested = pathlib.Path(__file__).read_text()
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert len(names) >= 7
    assert [name for name in names if f'load("{name}")' not in tested] == []

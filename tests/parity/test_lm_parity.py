"""Llama and its relatives, and GPT-2, against transformers on PyTorch, from the same weights."""

import itertools
import json

import jax
import numbers_of_lm as numbers
import numbers_of_opt as texts
import numpy as np
import pytest
import torch
import torch_lm
from comparisons import assert_same_but_for_ties, compare_everything
from golden_lm import golden_of

from collapse_jax import lm
from collapse_jax.lm import sampling
from collapse_jax.lm.weights import parameters

SETTINGS = list(itertools.product((1.0, 2.0), (False, True)))
OF_TWO_BEAMS = ("llama, two key heads, llama3", "mistral, window", "qwen2", "qwen3", "gpt2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    def write(name):
        made = tmp_path_factory.getbasetemp() / f"lm-{name}"
        return made if made.is_dir() else numbers.write_model(made, numbers.CONFIGS[name])

    return write


@pytest.mark.parametrize("name", numbers.CONFIGS)
def test_logits_losses_and_gradients(folder, name):
    compare_everything(torch_lm, folder(name), texts.make_texts())


@pytest.mark.parametrize("num_beams", [1, 2, 5])
@pytest.mark.parametrize("name", numbers.CONFIGS)
def test_tokens_are_the_same(folder, name, num_beams):
    """64 prompts with and without a penalty and padding; a text may differ only at a tie."""
    if num_beams == 2 and name not in OF_TWO_BEAMS:
        return
    path = folder(name)
    ours, theirs = lm.load(path), torch_lm.read_model(path)
    for penalty, is_padded in SETTINGS:
        tokens, mask = texts.make_prompts(is_padded=is_padded)
        settings = {
            "num_beams": num_beams,
            "max_new_tokens": texts.NEW,
            "repetition_penalty": penalty,
        }
        found = lm.generate(ours, tokens, mask, **settings)
        expected = torch_lm.generate(theirs, tokens, mask, **settings)
        assert_same_but_for_ties(torch_lm, found, expected, path, tokens, mask, settings)


@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("name", ["mistral, window", "qwen3", "gpt2"])
def test_other_settings(folder, name, num_beams):
    path = folder(name)
    tokens, mask = texts.make_prompts(is_padded=True)
    settings = {
        "num_beams": num_beams,
        "max_new_tokens": texts.NEW,
        "no_repeat_ngram_size": 2,
        "repetition_penalty": 1.3,
        "min_new_tokens": 4,
    }
    found = lm.generate(lm.load(path), tokens, mask, **settings)
    expected = torch_lm.generate(torch_lm.read_model(path), tokens, mask, **settings)
    assert_same_but_for_ties(torch_lm, found, expected, path, tokens, mask, settings)


@pytest.mark.parametrize("warpers", [(0.7, 0, 1.0, 0.0), (1.0, 9, 0.8, 0.05), (1.5, 0, 1.0, 0.2)])
def test_warpers_are_those_of_transformers(warpers):
    from transformers import generation

    temperature, top_k, top_p, min_p = warpers
    chain = [generation.TemperatureLogitsWarper(temperature)]
    chain += [generation.TopKLogitsWarper(top_k)] if top_k else []
    chain += [generation.TopPLogitsWarper(top_p)] if top_p < 1 else []
    chain += [generation.MinPLogitsWarper(min_p)] if min_p else []
    logits = np.random.default_rng(0).normal(0, 2, (50, 40)).astype("f4")
    expected = torch.tensor(logits)
    for warper in chain:
        expected = warper(None, expected)
    given = sampling.LogitsWarpers(*map(np.asarray, warpers))
    found = sampling._cut(jax.numpy.asarray(logits) / temperature, given)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", numbers.CONFIGS)
def test_folders_of_both_are_read_by_both(folder, name, tmp_path):
    path = folder(name)
    theirs = torch_lm.read_model(path)
    theirs.save_pretrained(tmp_path / "theirs")
    ours, again = lm.load(path), lm.load(tmp_path / "theirs")
    assert again.config == ours.config
    for key, param in parameters(ours).items():
        np.testing.assert_array_equal(parameters(again)[key][...], param[...], key)
    lm.save(ours, tmp_path / "ours")
    tokens, mask, _ = texts.make_texts()
    read = torch_lm.read_model(tmp_path / "ours")
    expected = torch_lm.logits(theirs, tokens, mask)
    np.testing.assert_array_equal(torch_lm.logits(read, tokens, mask), expected)
    assert lm.create(theirs.config, key=0).config == ours.config


def test_shards_and_half_precision_of_transformers(folder, tmp_path):
    theirs = torch_lm.read_model(folder("qwen3")).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    ours = lm.load(tmp_path)
    for key, param in theirs.named_parameters():
        np.testing.assert_array_equal(parameters(ours)[key][...], param.detach().float().numpy())


def test_golden_values_are_pytorchs(folder):
    """What `make test` holds the code to is what PyTorch computes today."""
    stored = json.loads(numbers.GOLDEN.read_text())
    for name in numbers.CONFIGS:
        made = golden_of(folder(name))
        assert made["tokens"] == stored[name]["tokens"]
        np.testing.assert_allclose(made["loss"], stored[name]["loss"], rtol=1e-6)
        np.testing.assert_allclose(made["logits"], stored[name]["logits"], rtol=1e-4, atol=1e-4)

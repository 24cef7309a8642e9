"""The seam between networks and everything else: architectures by their type, one from outside."""

import ast
import dataclasses
import json
import pathlib
import re
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import collapse_jax as cj
from collapse_jax import lm

ROOT = pathlib.Path(cj.__file__).parent


class Averages(nnx.Module):
    """Embeddings to which averages of earlier ones are added, as an architecture of a user."""

    @dataclasses.dataclass(frozen=True)
    class Config(lm.BaseConfig):
        model_type: ClassVar[str] = "averages"
        vocab_size: int = 40
        hidden_size: int = 16
        num_hidden_layers: int = 2
        num_attention_heads: int = 4
        num_key_value_heads: int = 2
        max_position_embeddings: int = 64
        attention_dropout: float = 0.0
        pad_token_id: int | None = 1
        bos_token_id: int | None = 2
        eos_token_id: int | None = 2
        head_dim: ClassVar[int] = 4

    def __init__(self, config, *, key=None, dtype=jnp.float32, remat=False):
        self.config = config
        shapes = {"table": (config.vocab_size, 16), "queries": (2, 16, 16), "keys": (2, 16, 8)}
        keys = [None] * 3 if key is None else jax.random.split(key, 3)
        for (name, shape), one in zip(shapes.items(), keys, strict=True):
            zeros = jnp.zeros(shape, dtype)
            setattr(
                self, name, nnx.Param(zeros if one is None else 0.3 * jax.random.normal(one, shape))
            )

    @property
    def head(self):
        return self.table[...]

    def __call__(self, input_ids, positions, attend, key=None):
        x = self.table[...][input_ids]
        for number in range(2):
            queries = (x @ self.queries[number]).reshape(*x.shape[:2], 4, 4)
            keys = (x @ self.keys[number]).reshape(*x.shape[:2], 2, 4)
            x = x + attend(number, queries, keys, keys).reshape(x.shape)
        return x


lm.register("averages", config=Averages.Config, network=Averages, embedding="table")


@pytest.fixture(scope="module")
def averages():
    return lm.create(Averages.Config(), key=0)


TOKENS = np.random.default_rng(0).integers(3, 40, (4, 8))


def test_an_architecture_from_outside_trains(averages):
    trainer = lm.Trainer(averages, lm.Training(1e-2))
    state, losses = trainer.start(averages), []
    for _ in range(10):
        state, loss = trainer.step(state, TOKENS)
        losses.append(float(loss))
    assert losses[-1] < 0.9 * losses[0]


def test_an_architecture_from_outside_generates(averages):
    """The cache of two key heads gives the tokens that logits of whole texts do."""
    found = np.asarray(lm.generate(averages, TOKENS, max_new_tokens=5, min_new_tokens=5))
    text = np.concatenate([TOKENS, found], axis=1)
    logits = np.array(lm.logits(averages, text))[:, 7:-1]
    logits[:, :, 2] = -np.inf
    np.testing.assert_array_equal(found, np.argmax(logits, axis=2))
    beams = lm.generate(averages, TOKENS, num_beams=3, max_new_tokens=5)
    assert beams.shape == (4, 5)


def test_an_architecture_from_outside_is_saved_and_chained(averages, tmp_path):
    lm.save(averages, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "averages"
    again = lm.load(tmp_path)
    assert again.config == averages.config
    np.testing.assert_array_equal(lm.logits(again, TOKENS), lm.logits(averages, TOKENS))
    decoding = lm.Decoding(8, min_new_tokens=8)
    family = cj.LanguageModel(str(tmp_path), lm.Training(num_epochs=1), decoding, batch_size=4)
    chain = cj.Chain(family, cj.TokenBlocks(TOKENS, TOKENS, TOKENS, 40), cj.Replace())
    records = cj.simulate(chain, key=0, num_chains=1, num_generations=0)
    assert np.isfinite(records["test_perplexity"]).all()


def test_unknown_types_and_quantised_weights_are_refused():
    cases = {
        r"model_type='mamba' .*: known types are .*opt.*; pass a model of one of these, or add": {
            "model_type": "mamba"
        },
        r"model_type='dict' ": {},
        r"quantization_config=gptq is not allowed: quantised weights cannot be read; pass": {
            "model_type": "opt",
            "quantization_config": {"quant_method": "gptq", "bits": 4},
        },
    }
    for message, values in cases.items():
        with pytest.raises(cj.ArgumentError, match=message) as error:
            lm.create(values, key=0)
        assert "\n" not in str(error.value)
    with pytest.raises(cj.ArgumentError, match="architecture='mamba'"):
        lm.config_of_size(
            "mamba", vocab_size=9, hidden_size=8, num_layers=1, num_heads=2, num_positions=8
        )
    with pytest.raises(cj.ArgumentError, match="is registered; pass another name"):
        lm.register("opt", config=Averages.Config, network=Averages)


@pytest.mark.parametrize("architecture", lm.architectures())
def test_small_networks_of_every_architecture(architecture):
    config = lm.config_of_size(
        architecture, vocab_size=40, hidden_size=16, num_layers=2, num_heads=4, num_positions=32
    )
    assert isinstance(config, lm.CausalLMConfig)
    assert (config.model_type, config.vocab_size, config.num_hidden_layers) == (architecture, 40, 2)
    assert (config.pad_token_id, config.eos_token_id) == (1, 2)
    assert hash(config) == hash(dataclasses.replace(config))
    assert config == type(config).from_json(json.loads(json.dumps(config.as_json())))
    shapes = jax.eval_shape(lambda: lm.create(config, key=0).head)
    assert shapes.shape == (40, 16)


NAMED = re.compile(r"(?i)(?<![/\"'])\b(opt|llama|gpt2?|qwen\d?|mistral)(config)?\b(?!-125m)")
"""Names of architectures, without those of the paper's weights."""
SAID = {
    "text/tokenizer.py": "special tokens of bpe are those of the paper's tokenizer",
    "text/__init__.py": "the same",
    "families/language_model/__init__.py": "names of version 0.1 lead to their successors",
    "experiments/lm.py": "the help of an option has an example",
}


def names_of(text):
    """Identifiers, arguments and strings of a module that name an architecture."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        for value in (getattr(node, name, None) for name in ("id", "attr", "name", "arg", "value")):
            if isinstance(value, str):
                found.update(match.group() for match in NAMED.finditer(value))
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] != "lm"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_other_folder_names_an_architecture(path):
    found = names_of(path.read_text())
    assert bool(found) == (str(path.relative_to(ROOT)) in SAID), found


def test_a_name_of_an_architecture_is_found():
    assert names_of("x = lm.OPTConfig()") == {"OPTConfig"}
    assert names_of("'''Llama networks, and facebook/opt-125m.'''") == {"Llama"}
    assert names_of("option = optimizer(options)") == set()

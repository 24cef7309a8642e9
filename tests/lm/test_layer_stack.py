"""Networks whose blocks are scanned: the numbers, tokens and files of those that are not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.lm.kv_cache import read_prompts
from collapse_jax.lm.weights import parameters

SIZES = {"vocab_size": 40, "hidden_size": 16, "num_layers": 3, "num_heads": 4, "num_positions": 32}
WINDOWS = {
    "sliding_window": 3,
    "layer_types": ("sliding_attention", "full_attention", "sliding_attention"),
}
CONFIGS = {
    "opt": {"dropout": 0.2, "attention_dropout": 0.2, "layerdrop": 0.3},
    "gpt2": {"scale_attn_by_inverse_layer_idx": True},
    "llama": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, **WINDOWS},
}
TOKENS = np.random.default_rng(0).integers(3, 40, (4, 9))
MASK = np.arange(9) >= np.array([0, 0, 2, 4])[:, None]


def names_except(quick):
    return [
        name if name == quick else pytest.param(name, marks=pytest.mark.thorough)
        for name in CONFIGS
    ]


def models(name, **options):
    """The same random network twice: block by block, and scanned."""
    config = dataclasses.replace(lm.config_of_size(name, **SIZES), **CONFIGS[name])
    return [lm.create(config, key=0, scan_layers=scan, **options) for scan in (False, True)]


@pytest.mark.parametrize("name", names_except("opt"))
def test_losses_and_gradients_are_equal(name):
    """Dropout included; in parts and with blocks computed twice."""
    found = []
    for model, settings in zip(models(name, remat=True), ({}, {"accumulate": 2}), strict=True):
        trainer = lm.Trainer(model, lm.Training(**settings))
        state, batch = trainer.start(model), trainer.batch(TOKENS, MASK)
        loss, gradients = trainer.gradients(state, batch, key=3)
        named = parameters(trainer.model(state._replace(params=gradients)))
        found.append((loss.mean, {name: one[...] for name, one in named.items()}))
    (loss, expected), (scanned, gradients) = found
    np.testing.assert_allclose(scanned, loss, rtol=1e-6)
    assert gradients.keys() == expected.keys()
    largest = max(np.max(np.abs(one)) for one in expected.values())
    for key, gradient in expected.items():  # that of a bias of keys is 0 but for rounding
        bar = 1e-5 * np.max(np.abs(gradient)) + 1e-7 * largest
        np.testing.assert_allclose(gradients[key], gradient, atol=bar, err_msg=key)


@pytest.mark.parametrize("name", names_except("llama"))
def test_tokens_are_equal(name):
    """Three beams, through caches of keys and values that grow; no block is computed twice."""
    separate, scanned = models(name, remat=True)
    settings = {"num_beams": 3, "max_new_tokens": 8, "repetition_penalty": 1.3}
    expected = lm.generate(separate, TOKENS, MASK, **settings)
    np.testing.assert_array_equal(lm.generate(scanned, TOKENS, MASK, **settings), expected)


@pytest.mark.parametrize("name", names_except("opt"))
def test_files_are_the_same(name, tmp_path):
    separate, scanned = models(name)
    for folder, model in (("one", separate), ("two", scanned)):
        lm.save(model, tmp_path / folder)
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    again = lm.load(tmp_path / "one", scan_layers=True)
    assert nnx.graphdef(again) == nnx.graphdef(scanned)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again), nnx.state(scanned))


def test_programs_do_not_grow_with_depth():
    def lines(depth, scan_layers):
        config = lm.config_of_size("llama", **{**SIZES, "num_layers": depth})
        model = jax.eval_shape(lambda: lm.create(config, key=0, scan_layers=scan_layers))
        mask = jnp.ones(TOKENS.shape, bool)
        return str(jax.make_jaxpr(read_prompts)(model, jnp.asarray(TOKENS), mask)).count("\n")

    assert lines(6, True) == lines(2, True)
    assert lines(6, False) > 2 * lines(2, False)


class Walking(nnx.Module):
    """A network of a user that walks through its blocks by itself."""

    def __init__(self, depths=(3, 3)):
        self.layers = nnx.List([nnx.Linear(2, depth, rngs=nnx.Rngs(0)) for depth in depths])


def test_networks_that_cannot_be_scanned_are_refused():
    from collapse_jax.lm.layer_stack import stacked

    with pytest.raises(cj.ArgumentError, match="the blocks of this network differ"):
        stacked(Walking((2, 3)))
    with pytest.raises(cj.ArgumentError, match="does not run its blocks by run_layers; pass scan"):
        list(stacked(Walking()).layers)
    with pytest.raises(cj.ArgumentError, match="a Linear has no list of blocks"):
        stacked(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))

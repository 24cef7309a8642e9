"""Low-rank changes of projections: their gradients, files and refusals."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.lm.weights import parameters

SIZES = {"vocab_size": 40, "hidden_size": 16, "num_layers": 2, "num_heads": 4, "num_positions": 32}
TOKENS = np.random.default_rng(0).integers(3, 40, (4, 9))
NAMES = {
    "opt": ("q_proj", "fc1"),
    "gpt2": ("c_attn", "mlp.c_proj"),
    "llama": ("q_proj", "down_proj"),
}


def network(name, scan_layers=False):
    return lm.create(lm.config_of_size(name, **SIZES), key=0, scan_layers=scan_layers)


def with_changes(state):
    """A state whose adapters change something: B is zero at the start."""
    random = np.random.default_rng(1)
    params = {
        name: one._replace(b=jnp.asarray(random.normal(0, 0.3, one.b.shape), jnp.float32))
        for name, one in state.params.items()
    }
    return state._replace(params=params)


@pytest.mark.parametrize(
    "name", ["gpt2", *(pytest.param(one, marks=pytest.mark.thorough) for one in ("opt", "llama"))]
)
def test_gradients_follow_from_those_of_the_weights(name):
    """With W + s B A: dA = s B^T dW and dB = s dW A^T, at the merged weights."""
    model = network(name)
    settings = {"has_dropout": False, "targets": NAMES[name], "rank": 3, "alpha": 6.0}
    trainer = lm.Trainer(model, lm.Training(trainable="lora", **settings))
    state = with_changes(trainer.start(model))
    batch = trainer.batch(TOKENS)
    loss, found = trainer.gradients(state, batch)
    merged = trainer.model(state)
    whole = lm.Trainer(merged, lm.Training(has_dropout=False))
    expected, gradients = whole.gradients(whole.start(merged), batch)
    np.testing.assert_allclose(loss.total, expected.total, rtol=1e-6)
    assert len(found) == 4
    modules = {".".join(map(str, path)): one for path, one in nnx.iter_graph(merged)}
    named = parameters(whole.model(whole.start(merged)._replace(params=gradients)))
    for module, (to_a, to_b) in found.items():
        of_weight = next(one[...] for key, one in named.items() if key.endswith(f"{module}.weight"))
        of_weight = of_weight.T if modules[module].fan_in_fan_out else of_weight
        a, b = state.params[module]
        np.testing.assert_allclose(to_a, 2 * b.T @ of_weight, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(to_b, 2 * of_weight @ a.T, atol=1e-4, rtol=1e-4)


def test_adapters_alone_are_trained_and_merged():
    """Scanned or not, with the same numbers; every other parameter stays as it is."""
    trained = []
    for scan_layers in (False, True):
        model = network("llama", scan_layers)
        training = lm.Training(1e-2, trainable="lora", targets=["self_attn.v_proj"], rank=2)
        trainer = lm.Trainer(model, training)
        state = trainer.start(model, key=7)
        np.testing.assert_array_equal(
            trainer.model(state).head, model.head
        )  # adapters begin without a change
        for _ in range(2):
            state, _ = trainer.step(state, TOKENS)
        trained.append(parameters(trainer.model(state)))
        assert sum(leaf.size for leaf in jax.tree.leaves(state.params)) == 2 * 2 * (16 + 16)
    before = parameters(network("llama"))
    for name, param in before.items():
        is_changed = name.endswith("v_proj.weight")
        assert bool(np.any(param[...] != trained[0][name][...])) == is_changed, name
        np.testing.assert_allclose(trained[1][name][...], trained[0][name][...], atol=1e-6)


@pytest.fixture
def saved(tmp_path):
    """Make adapters in a folder, their network, and the network that they make."""
    model = network("gpt2", scan_layers=True)
    trainer = lm.Trainer(model, lm.Training(trainable="lora", rank=3, alpha=12.0))
    state = with_changes(trainer.start(model))
    trainer.save_adapters(state, tmp_path / "adapters", base="gpt2")
    return tmp_path / "adapters", model, trainer.model(state)


def test_files_are_those_of_peft(saved):
    folder, model, merged = saved
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["target_modules"] == ["c_attn", "c_fc", "c_proj"]
    assert (config["r"], config["lora_alpha"], config["fan_in_fan_out"]) == (3, 12.0, True)
    arrays = load_file(folder / "adapter_model.safetensors")
    name = "base_model.model.transformer.h.1.attn.c_attn"
    assert arrays[f"{name}.lora_A.weight"].shape == (3, 16)
    assert arrays[f"{name}.lora_B.weight"].shape == (48, 3)
    assert len(arrays) == 2 * 2 * 4
    for base in (model, network("gpt2")):  # scanned or not
        found, expected = parameters(lm.add_adapters(base, folder)), parameters(merged)
        for key, param in expected.items():
            np.testing.assert_allclose(found[key][...], param[...], atol=1e-6, err_msg=key)


def change(**values):
    def of(folder):
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return of


def change_arrays(function):
    def of(folder):
        file = folder / "adapter_model.safetensors"
        save_file(function(load_file(file)), file)

    return of


REFUSED = {
    "use_dora=True is not allowed: only False is read; merge": change(use_dora=True),
    "peft_type=IA3 is not allowed: only 'LORA'": change(peft_type="IA3"),
    "r=0 is not allowed": change(r=0),
    "the adapter of h.0.attn.c_attn has shapes (2, 16) and (48, 3)": change_arrays(
        lambda arrays: {
            name: array[:2].copy() if "h.0.attn.c_attn.lora_A" in name else array
            for name, array in arrays.items()
        }
    ),
    "the network has no base_model.model.x": change_arrays(
        lambda arrays: {**arrays, "base_model.model.x": np.zeros(1, "f4")}
    ),
    "adapter_model.safetensors' is not allowed: in": lambda folder: (
        folder / "adapter_model.safetensors"
    ).unlink(),
    "adapter_config.json' is not allowed: in": lambda folder: (
        folder / "adapter_config.json"
    ).write_text("{"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_other_adapters_are_refused_in_one_line(message, saved):
    folder, model, _ = saved
    REFUSED[message](folder)
    with pytest.raises(cj.ArgumentError) as error:
        lm.add_adapters(model, folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_targets_are_refused(tmp_path):
    model = network("opt")
    trainer = lm.Trainer(model, lm.Training(trainable="lora", targets=["query"]))
    with pytest.raises(
        cj.ArgumentError, match=r"'query' .*: projections of this network are fc1, "
    ):
        trainer.start(model)
    for targets in ("q_proj", [], [3]):
        with pytest.raises(cj.ArgumentError, match=r"Training.targets=.* must be a list of names"):
            lm.Training(targets=targets)
    whole = lm.Trainer(model, lm.Training())
    with pytest.raises(cj.ArgumentError, match=r"all parameters are trained; write .* by lm.save"):
        whole.save_adapters(whole.start(model), tmp_path)

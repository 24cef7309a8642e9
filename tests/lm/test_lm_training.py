"""Test training: descent, accumulation, devices, dropout, schedules, export to platforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export

from collapse_jax import lm
from collapse_jax.lm import generation, training
from collapse_jax.lm.checks import make_key

CONFIG = lm.OPTConfig(
    vocab_size=40,
    hidden_size=16,
    num_hidden_layers=2,
    ffn_dim=32,
    num_attention_heads=2,
    max_position_embeddings=48,
    dropout=0.2,
    attention_dropout=0.1,
)
TOKENS = np.random.default_rng(0).integers(3, 40, (6, 10))
MASK = np.ones_like(TOKENS)
MASK[1, :4] = 0
CALM = {"has_dropout": False}


@pytest.fixture(scope="module")
def model():
    return lm.OPT(CONFIG, key=jax.random.key(1))


def gradients(model, settings, mesh=None, key=None):
    trainer = lm.Trainer(model, lm.Training(**settings), mesh)
    return trainer.gradients(trainer.start(model), trainer.batch(TOKENS, MASK), key=key)


def assert_close(found, expected, tolerance):
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, two, rtol=tolerance, atol=tolerance)


@pytest.mark.thorough
def test_parts_and_devices_change_nothing(model):
    """Include dropout, whose random numbers depend only on key, step and row."""
    whole = gradients(model, {}, key=5)
    assert_close(gradients(model, {"accumulate": 4}, key=5), whole, 1e-5)
    assert_close(gradients(model, {}, lm.data_mesh(8), key=5), whole, 1e-5)


def test_gradients_are_those_of_the_loss(model):
    structure, params = nnx.split(model)
    labels = np.where(MASK == 1, TOKENS, -100)

    def plain(params):
        model = nnx.merge(structure, params)
        scores = jax.nn.log_softmax(lm.logits(model, TOKENS, MASK))[:, :-1]
        chosen = jnp.take_along_axis(scores, jnp.maximum(labels[:, 1:], 0)[..., None], axis=2)
        return -jnp.sum(jnp.where(labels[:, 1:] == -100, 0, chosen[..., 0]))

    total, expected = jax.value_and_grad(plain)(params)
    summed, found = gradients(model, CALM)
    np.testing.assert_allclose(summed.total, total, rtol=1e-5)
    table = jnp.asarray(expected["embed_tokens"][...])
    assert_close(found["layers"], expected["layers"], 1e-4)
    np.testing.assert_allclose(found["embed_tokens"][...], table, rtol=1e-4, atol=1e-4)


@pytest.mark.thorough
def test_computing_blocks_twice_changes_nothing(model):
    twice = lm.OPT(CONFIG, key=jax.random.key(1), remat=True)
    assert_close(gradients(twice, {}, key=1), gradients(model, {}, key=1), 1e-5)


@pytest.mark.thorough
def test_dropout_acts_in_training_alone(model):
    calm = float(gradients(model, CALM)[0].total)
    loud, again, other = (float(gradients(model, {}, key=key)[0].total) for key in (0, 0, 1))
    assert loud == again
    assert len({calm, loud, other}) == 3


@pytest.mark.thorough
def test_steps_lower_the_loss_and_leave_the_model_alone(model):
    before = np.asarray(model.embed_tokens[...]).copy()
    trainer = lm.Trainer(model, lm.Training(1e-2, schedule="constant"), lm.data_mesh(8))
    state, losses = trainer.start(model), []
    for _ in range(20):
        state, loss = trainer.step(state, TOKENS, MASK, key=0)
        losses.append(float(loss))
    assert losses[-1] < 0.7 * losses[0]
    assert int(state.step) == 20
    np.testing.assert_array_equal(model.embed_tokens[...], before)
    trained = float(lm.loss(trainer.model(state), TOKENS, MASK))
    assert trained < losses[0]


@pytest.mark.thorough
def test_a_state_is_taken_over(model):
    trainer = lm.Trainer(model, lm.Training())
    state = trainer.start(model)
    trainer.step(state, TOKENS)
    assert state.params["embed_tokens"][...].is_deleted()


@pytest.mark.thorough
def test_bfloat16_trains_parameters_of_float32(model):
    trainer = lm.Trainer(model, lm.Training(1e-2, dtype="bfloat16", has_dropout=False))
    state, losses = trainer.start(model), []
    for _ in range(10):
        state, loss = trainer.step(state, TOKENS)
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.params))


def test_schedules():
    by_epoch = lm.Training(1e-3, 1e-5, "epoch", num_epochs=4, steps_per_epoch=3)
    found = [float(by_epoch.rate(step)) for step in range(12)]
    expected = [
        1e-5 + (1e-3 - 1e-5) * (1 + np.cos(np.pi * (step // 3) / 4)) / 2 for step in range(12)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    by_step = lm.Training(1e-3, 1e-5, "step", num_epochs=4, steps_per_epoch=3)
    np.testing.assert_allclose(by_step.rate(6), (1e-3 + 1e-5) / 2, rtol=1e-5)
    np.testing.assert_allclose(by_step.rate(100), 1e-5, rtol=1e-4)
    assert float(lm.Training(1e-3, schedule="constant").rate(7)) == np.float32(1e-3)
    assert float(lm.Training(1e-7, schedule="constant").rate(7)) == np.float32(1e-7)
    level = lm.Training(1e-3, 1e-3, num_epochs=4)
    np.testing.assert_allclose([level.rate(step) for step in range(6)], 1e-3, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": -1.0}, "Training.learning_rate=-1.0"),
        ({"schedule": "linear"}, "Training.schedule='linear'"),
        (
            {"learning_rate": 1e-3, "final_learning_rate": 1e-2, "schedule": "step"},
            "Training.final_learning_rate=0.01 is not allowed: a cosine falls from learning_rate=",
        ),
        ({"learning_rate": 1e-7}, "final_learning_rate=1e-06 .*; pass final_learning_rate=1e-07 "),
        ({"accumulate": 0}, "Training.accumulate=0"),
        ({"clip_norm": 0.0}, "Training.clip_norm=0.0"),
        ({"dtype": "float16"}, "Training.dtype='float16'"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        lm.Training(**settings)


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(ValueError, match="devices=9"):
        lm.data_mesh(9)


def temporary_bytes(remat):
    """Return the bytes that a step of a deep model needs in addition to its parameters."""
    deep = lm.OPTConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=8,
        ffn_dim=128,
        num_attention_heads=2,
        max_position_embeddings=48,
    )
    model = lm.OPT(deep, key=jax.random.key(1), remat=remat)
    trainer = lm.Trainer(model, lm.Training())
    state, batch = trainer.start(model), trainer.batch(np.tile(TOKENS, (4, 4)))
    program = training._program(trainer.structure, trainer.training, None, True)
    compiled = program.lower(state, batch, make_key(0), np.int32(1)).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.thorough
def test_remat_keeps_less():
    assert temporary_bytes(remat=True) < 0.6 * temporary_bytes(remat=False)


PLATFORMS = ("cpu", "cuda", "tpu")


@pytest.mark.parametrize("mesh", [None, 8])
def test_a_training_step_is_exported_to_all_platforms(model, mesh):
    mesh = mesh and lm.data_mesh(mesh)
    trainer = lm.Trainer(model, lm.Training(clip_norm=1.0), mesh)
    state, batch = trainer.start(model), trainer.batch(TOKENS)
    program = training._program(trainer.structure, trainer.training, mesh, True)
    shapes = jax.eval_shape(lambda *each: each, state, batch, make_key(0), np.int32(1))
    exported = export.export(program, platforms=PLATFORMS)(*shapes)
    assert exported.platforms == PLATFORMS
    assert exported.nr_devices == (8 if mesh else 1)


@pytest.mark.parametrize("mesh", [None, 8])
@pytest.mark.parametrize(
    "decoding",
    [
        lm.Decoding(8, num_beams=3, repetition_penalty=2.0),
        lm.Decoding(8, do_sample=True, top_p=0.9, no_repeat_ngram_size=2),
    ],
)
def test_generation_is_exported_to_all_platforms(model, decoding, mesh):
    mesh = mesh and lm.data_mesh(mesh)
    structure, params = nnx.split(model)
    program = generation.program_on(structure, decoding.shape, mesh)
    rows = np.arange(8, dtype=np.uint32)
    tokens = np.ones((8, 5), np.int32)
    arguments = (params, tokens, tokens > 0, rows, make_key(0), decoding.numbers)
    exported = export.export(program, platforms=PLATFORMS)(*arguments)
    assert exported.platforms == PLATFORMS
    assert exported.out_avals[0].shape == (8, 8)


def test_gradients_as_accelerators_compute_them_are_those_of_a_cpu(model, monkeypatch):
    """Sums are matrix products there."""
    expected = gradients(model, CALM)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *args, default, **_: default(*args))
    assert_close(gradients(model, CALM | {"learning_rate": 1e-3}), expected, 1e-5)

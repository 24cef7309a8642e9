"""Parameters divided among devices give what one device gives, and move to other meshes."""

import functools

import jax
import numpy as np
import pytest

from collapse_jax import lm
from collapse_jax.lm.sharding import FSDP, specs_of

# 34 rows of positions and 67 tokens are not divisible by 4: they are divided along the other axis.
CONFIG = lm.OPTConfig(
    vocab_size=67,
    hidden_size=16,
    num_hidden_layers=1,
    ffn_dim=32,
    num_attention_heads=2,
    max_position_embeddings=32,
)
TOKENS = np.random.default_rng(0).integers(3, 67, (8, 12))


@pytest.fixture(scope="module")
def model():
    return lm.create(CONFIG, key=0)


def steps(model, mesh, state=None):
    """Losses of the next two steps, and the state after them, on the host."""
    trainer = lm.Trainer(model, lm.Training(1e-2, clip_norm=1.0), mesh)
    state = trainer.start(model) if state is None else trainer.resume(state)
    losses = []
    for _ in range(2):
        state, loss = trainer.step(state, TOKENS, key=0)
        losses.append(float(loss))
    return losses, state


@pytest.mark.thorough
def test_divided_training_is_that_of_one_device_and_resumes_on_more(model):
    """Moments are decayed gradients: where they are equal, so are the gradients."""
    losses, alone = steps(model, None)
    four, divided = steps(model, lm.mesh(data=1, fsdp=4))
    np.testing.assert_allclose(four, losses, rtol=1e-5)
    for one, other in zip(*map(jax.tree.leaves, (alone, divided)), strict=True):
        if other.ndim:
            assert other.addressable_shards[0].data.size == other.size // 4
        np.testing.assert_allclose(other, one, atol=1e-5)
    written = jax.tree.map(np.asarray, divided)  # as to disk
    eight, _ = steps(model, lm.mesh(data=2, fsdp=4), written)
    np.testing.assert_allclose(eight, steps(model, None, alone)[0], rtol=1e-5)


@pytest.mark.thorough
def test_texts_and_losses_are_those_of_one_device(model):
    mesh = lm.mesh(data=2, fsdp=4)
    search = functools.partial(lm.generate, num_beams=2, max_new_tokens=4, min_new_tokens=4)
    np.testing.assert_array_equal(search(model, TOKENS, mesh=mesh), search(model, TOKENS))
    losses = lm.losses(model, TOKENS)
    np.testing.assert_allclose(lm.losses(model, TOKENS, mesh=mesh), losses, rtol=1e-6)


def test_arrays_that_cannot_be_divided_are_on_every_device():
    shapes = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((7,), (6, 8), (8, 8), (3, 5))]
    found = specs_of(shapes, lm.mesh(data=2, fsdp=4))
    assert [tuple(one) for one in found] == [(), (None, FSDP), (None, FSDP), ()]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"data": 9}, "data=9 is not allowed: it must lie in [1, 8]; the number of devices is 8"),
        ({"data": 3, "fsdp": 4}, "fsdp=4 is not allowed: it must lie in [1, 2]"),
        ({"fsdp": 0}, "fsdp=0"),
        ({"data": "two"}, "data='two'"),
    ],
)
def test_bad_meshes_are_refused(sizes, expected):
    with pytest.raises(ValueError, match="is not allowed") as caught:
        lm.mesh(**sizes)
    assert expected in str(caught.value)

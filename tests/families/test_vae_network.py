"""The network and its convolutions: shapes, native forms, PyTorch's numbers, training."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from collapse_jax.core.samples import Rows
from collapse_jax.families.vae.convolution import Double, Halve, double, halve
from collapse_jax.families.vae.loss import (
    divergence,
    loss_and_gradients,
    negative_elbo,
    reconstruction,
)
from collapse_jax.families.vae.network import Architecture
from collapse_jax.families.vae.stream import Stream
from collapse_jax.families.vae.training import VAETraining, make_optimizer
from collapse_jax.random.keys import Keys, chain_key

PARITY = Path(__file__).parents[1] / "parity"
SMALL = Architecture(latent_dim=3, width=8, image_size=8)


def load_numbers():
    spec = importlib.util.spec_from_file_location("numbers", PARITY / "numbers_of_parity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("size", [(2, 4, 6), (3, 2, 2)])
@pytest.mark.parametrize("channels", [(1, 5), (8, 3), (16, 16)])
@pytest.mark.parametrize("layer", [Halve, Double])
def test_convolutions_are_those_of_flax(layer, channels, size):
    outer, inner = channels
    batch, height, width = size
    native = nnx.Conv if layer is Halve else nnx.ConvTranspose
    random = np.random.default_rng(0)
    if layer is Halve:
        module = layer(outer, inner, rngs=nnx.Rngs(0))
        images = random.normal(size=(batch, 2 * height, 2 * width, outer)).astype("f4")
    else:
        module = layer(inner, outer, rngs=nnx.Rngs(0))
        images = random.normal(size=(batch, height, width, inner)).astype("f4")
    structure, state = nnx.split(module)

    def compute(call):
        def loss(state, images):
            return jnp.sum(jnp.sin(call(nnx.merge(structure, state), images)))

        return jax.jit(jax.value_and_grad(loss, (0, 1)))(state, images)

    ours, theirs = compute(layer.__call__), compute(native.__call__)
    for found, expected in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_second_derivatives_of_convolutions():
    random = np.random.default_rng(0)
    image, kernel = random.normal(size=(2, 4, 4, 8)), random.normal(size=(4, 4, 8, 3))
    with jax.enable_x64(True):
        arrays = jnp.asarray(image), jnp.asarray(kernel)
        check_grads(halve, arrays, order=2, modes=["rev"])
        check_grads(double, (jnp.ones((2, 2, 2, 3)), arrays[1]), order=2, modes=["rev"])


def test_parameters_are_the_papers():
    shapes = jax.eval_shape(Architecture().init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 647_081
    found = jax.tree.map(lambda leaf: leaf.shape, shapes)
    assert found == load_numbers().SHAPES


@pytest.mark.thorough
def test_initial_values_are_uniform_within_one_over_sqrt_fan_in():
    params = Architecture().init(jax.random.key(0))
    fans = {
        ("encoder", "halve1"): 16,
        ("encoder", "halve2"): 1024,
        ("encoder", "mean"): 6272,
        ("encoder", "log_variance"): 6272,
        ("decoder", "linear"): 20,
        ("decoder", "double1"): 1024,
        ("decoder", "double2"): 16,
    }
    for (part, layer), fan_in in fans.items():
        for array in params[part][layer].values():
            bound = fan_in**-0.5
            assert np.max(np.abs(array)) <= bound
            if array.size > 1000:
                spread = 5 * bound / np.sqrt(array.size)
                assert abs(float(jnp.std(array)) - bound / np.sqrt(3)) < spread
                assert abs(float(jnp.mean(array))) < spread


def test_golden_values_of_pytorch():
    """tests/parity/golden.py wrote them."""
    numbers = load_numbers()
    golden = json.loads((PARITY / "golden.json").read_text())
    params, architecture = numbers.make_params(), Architecture()
    optimizer = make_optimizer("adam", 1e-3, 1e-5)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, images, noise):
        weights = np.ones(len(images), "f4")
        loss, gradients = loss_and_gradients(params, architecture, images, weights, noise)
        updates, state = optimizer.update(gradients, state, params)
        sums = jax.tree.map(lambda leaf: jnp.sum(jnp.abs(leaf)), gradients)
        return jax.tree.map(jnp.add, params, updates), state, loss, sums

    losses, first = [], None
    for images, noise in zip(*numbers.make_batches(), strict=True):
        params, state, loss, sums = step(params, state, images, noise)
        losses.append(float(loss))
        first = first or sums
    np.testing.assert_allclose(losses[0], golden["losses"][0], rtol=1e-5)
    np.testing.assert_allclose(losses, golden["losses"], rtol=1e-4)
    assert first is not None
    np.testing.assert_allclose(
        sorted(jax.tree.leaves(first)), sorted(golden["gradients"].values()), rtol=1e-5
    )


def test_loss_by_hand():
    logits, images = np.array([[0.3, -2.0, 4.0]]), np.array([[0.2, 1.0, 0.5]])
    share = 1 / (1 + np.exp(-logits))
    by_hand = -np.sum(images * np.log(share) + (1 - images) * np.log(1 - share), axis=1)
    np.testing.assert_allclose(reconstruction(logits, images), by_hand, rtol=1e-6)
    saturated = reconstruction(np.array([[200.0, -200.0]]), np.array([[1.0, 0.5]]))
    np.testing.assert_allclose(saturated, 100.0)
    mean, log_variance = np.array([[0.5, -1.0]]), np.array([[0.2, -0.7]])
    by_hand = 0.5 * np.sum(np.exp(log_variance) + mean**2 - 1 - log_variance)
    np.testing.assert_allclose(divergence(mean, log_variance)[0], by_hand, rtol=1e-6)


def make_training(batch_size=8, epochs=2, optimizer="adam"):
    return VAETraining(SMALL, epochs, batch_size, make_optimizer(optimizer, 1e-3, 1e-5))


def keys_of(seed=0, generation=0):
    return Keys(chain_key(jax.random.key(seed), 0), jnp.int32(generation))


def images_of(rows, weights=None):
    """A corpus of images, in a frame that leaves them as they are."""
    corpus = Rows.of_rows(jnp.asarray(rows), len(rows))
    weights = None if weights is None else jnp.asarray(weights, "f4")
    return dataclasses.replace(corpus, weights=weights)


def make_rows(number=20, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (number, 64)).astype("f4")


@pytest.mark.thorough
def test_empty_slots_change_nothing_but_the_order():
    """Images in any slots of a wider table: all are seen, empty ones are not."""
    rows = make_rows()
    wide = np.full((50, 64), np.nan, "f4")
    wide[10:30] = rows
    weights = np.zeros(50, "f4")
    weights[10:30] = 1
    wide[weights == 0] = 1e6
    stream = Stream.of(images_of(wide, weights))
    assert int(stream.size) == 20
    params, loss = jax.jit(make_training().run)(keys_of(), stream)
    assert np.isfinite(loss)
    assert loss < 64
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("sgd", marks=pytest.mark.thorough)])
def test_training_lowers_the_loss(optimizer):
    stream = Stream.of(images_of(make_rows() ** 4))
    rate = {"adam": 1e-2, "sgd": 1e-5}[optimizer]
    losses = []
    for epochs in (1, 15):
        training = VAETraining(SMALL, epochs, 8, make_optimizer(optimizer, rate, 1e-5))
        losses.append(float(jax.jit(training.run)(keys_of(), stream)[1]))
    assert losses[1] < losses[0]


@pytest.mark.thorough
def test_a_stream_draws_anew_in_every_epoch_and_repeats_itself():
    decoder = SMALL.init(jax.random.key(5))["decoder"]
    stream = Stream(None, decoder, jnp.int32(20), 20)
    run = jax.jit(make_training().run)
    first, again = run(keys_of(), stream), run(keys_of(), stream)
    other = run(keys_of(generation=1), stream)
    assert all(
        np.array_equal(one, two)
        for one, two in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True)
    )
    assert float(first[1]) != float(other[1])


@pytest.mark.thorough
def test_a_stream_mixes_rows_and_a_model():
    decoder = SMALL.init(jax.random.key(5))["decoder"]
    rows = Stream.of(images_of(make_rows(5), [1, 1, 1, 0, 0]))
    mixed = Stream(None, decoder, jnp.int32(4), 7).merge(rows, jnp.int32(4))
    assert int(mixed.size) == 7
    np.testing.assert_array_equal(mixed.weights(), [1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0])
    assert np.isfinite(jax.jit(make_training().run)(keys_of(), mixed)[1])
    with pytest.raises(TypeError, match="corpus='samples'"):
        mixed.merge(mixed, jnp.int32(0))


@pytest.mark.thorough
def test_bfloat16_computes_almost_the_same():
    params = SMALL.init(jax.random.key(0))
    images, noise = make_rows(8), np.random.default_rng(1).normal(size=(8, 3)).astype("f4")
    small = Architecture(3, 8, 8, "bfloat16")
    wide = negative_elbo(SMALL, params, images, noise)
    narrow = negative_elbo(small, params, images, noise)
    assert narrow.dtype == jnp.float32
    np.testing.assert_allclose(narrow, wide, rtol=0.02)
    assert not np.array_equal(narrow, wide)

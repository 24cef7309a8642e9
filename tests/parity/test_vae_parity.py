"""The network, its loss, gradients and training agree with PyTorch's from the same numbers."""

import jax
import numbers_of_parity as numbers
import numpy as np
import pytest
import torch
from losses import losses
from torch_vae import as_torch, torch_model

import collapse_jax as cj
from collapse_jax.families.vae.loss import loss_and_gradients
from collapse_jax.families.vae.network import Architecture
from collapse_jax.families.vae.training import make_optimizer

RATE, DECAY = 1e-3, 1e-5


@pytest.fixture(scope="module")
def both():
    params = numbers.make_params()
    torch.set_num_threads(2)
    return params, torch_model(params)


def relative(ours, theirs):
    """The largest difference, relative to the largest value."""
    theirs = np.asarray(theirs)
    return np.max(np.abs(np.asarray(ours) - theirs)) / np.max(np.abs(theirs))


def test_outputs(both):
    params, model = both
    images, noise = (array[0] for array in numbers.make_batches())
    architecture = Architecture()
    with torch.no_grad():
        mean, log_variance = model.encode(torch.tensor(images).view(-1, 1, 28, 28))
        decoded = model.decode(torch.tensor(noise)).view(-1, 784)
    ours = jax.jit(architecture.encode)(params["encoder"], images)
    assert relative(ours[0], mean) < 1e-5
    assert relative(ours[1], log_variance) < 1e-5
    logits = jax.jit(architecture.decode)(params["decoder"], noise)
    assert relative(jax.nn.sigmoid(logits), decoded) < 1e-5


def test_loss_and_gradients(both):
    params, model = both
    images, noise = (array[0] for array in numbers.make_batches())
    compute = jax.jit(loss_and_gradients, static_argnums=1)
    loss, gradients = compute(params, Architecture(), images, np.ones(len(images), "f4"), noise)
    model.zero_grad()
    theirs = model.loss(torch.tensor(images), torch.tensor(noise))
    theirs.backward()
    assert abs(float(loss) / theirs.item() - 1) < 1e-5
    gradients = as_torch(gradients)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert relative(gradients[name], parameter.grad) < 1e-5, name


def test_an_empty_slot_has_no_gradient(both):
    params, _ = both
    images, noise = (array[0] for array in numbers.make_batches())
    compute = jax.jit(loss_and_gradients, static_argnums=1)
    weights = (np.arange(len(images)) < 20).astype("f4")
    loss, gradients = compute(params, Architecture(), images, weights, noise)
    model = torch_model(params)
    theirs = model.loss(torch.tensor(images[:20]), torch.tensor(noise[:20]))
    theirs.backward()
    assert abs(float(loss) / theirs.item() - 1) < 1e-5
    for name, parameter in model.named_parameters():
        assert relative(as_torch(gradients)[name], parameter.grad) < 1e-5, name


def ten_steps(dtype, decay):
    """Ten steps of both: losses, and our and PyTorch's parameters after them."""
    params = jax.tree.map(lambda array: array.astype(dtype), numbers.make_params())
    model = torch_model(params).to(torch.float64 if dtype == "f8" else torch.float32)
    theirs = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=decay)
    optimizer = make_optimizer("adam", RATE, decay)
    state = optimizer.init(params)
    architecture = Architecture(dtype={"f4": "float32", "f8": "float64"}[dtype])

    @jax.jit
    def step(params, state, images, noise):
        weights = np.ones(len(images), dtype)
        loss, gradients = loss_and_gradients(params, architecture, images, weights, noise)
        updates, state = optimizer.update(gradients, state, params)
        return jax.tree.map(lambda one, change: one + change, params, updates), state, loss

    losses = []
    for images, noise in zip(*numbers.make_batches(), strict=True):
        images, noise = images.astype(dtype), noise.astype(dtype)
        params, state, loss = step(params, state, images, noise)
        theirs.zero_grad()
        expected = model.loss(torch.tensor(images), torch.tensor(noise))
        expected.backward()
        theirs.step()
        losses.append((float(loss), expected.item()))
    ours = as_torch(params)
    pairs = {
        name: (ours[name], parameter.detach().numpy())
        for name, parameter in model.named_parameters()
    }
    return np.array(losses), pairs


@pytest.mark.parametrize("decay", [DECAY, 0.01])
def test_ten_steps_of_adam_with_an_l2_penalty(decay):
    with jax.enable_x64(True):
        losses, pairs = ten_steps("f8", decay)
    assert np.max(np.abs(losses[:, 0] / losses[:, 1] - 1)) < 1e-9
    for name, (ours, theirs) in pairs.items():
        assert relative(ours, theirs) < 1e-6, name


def test_ten_steps_in_single_precision():
    """Holds only with exact corrections of bias: see `scale_by_adam`."""
    losses, pairs = ten_steps("f4", DECAY)
    assert np.max(np.abs(losses[:, 0] / losses[:, 1] - 1)) < 1e-4
    for name, (ours, theirs) in pairs.items():
        assert np.linalg.norm(ours - theirs) < 1e-4 * np.linalg.norm(theirs), name


def test_a_decay_beside_the_gradient_would_be_found():
    with jax.enable_x64(True):
        _, pairs = ten_steps("f8", 0.01)
        _, without = ten_steps("f8", 0.0)
    assert any(relative(pairs[name][0], without[name][1]) > 1e-4 for name in pairs)


def test_losses_on_digits_from_equal_batches():
    """Five epochs, of which the last batch is not full."""
    found = losses(cj.Images.load("digits").images, 5, 0)
    assert np.max(np.abs(found[:, 0] / found[:, 1] - 1)) < 5e-3
    assert found[-1, 0] < 0.8 * found[0, 0]

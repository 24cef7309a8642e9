"""Losses of both trainings on the same images: from equal starts, batches and noise.

    python tests/parity/losses.py [--images mnist.npz] [--epochs 10] [--seeds 3]

Prints the mean loss per image of every epoch, ours and PyTorch's; rounding takes them apart
slowly, and far less than another seed does.
"""

import argparse
import sys

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch_vae import torch_model

import collapse_jax as cj
from collapse_jax.families.vae.loss import loss_and_gradients
from collapse_jax.families.vae.network import Architecture
from collapse_jax.families.vae.training import make_optimizer

BATCH, RATE, DECAY = 256, 1e-3, 1e-5


def losses(images, epochs, seed):
    """Nats per image [epoch, ours and PyTorch's]."""
    architecture = Architecture()
    params = jax.tree.map(np.asarray, jax.jit(architecture.init)(jax.random.key(seed)))
    model = torch_model(params)
    theirs = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY)
    optimizer = make_optimizer("adam", RATE, DECAY)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, images, weights, noise):
        loss, gradients = loss_and_gradients(params, architecture, images, weights, noise)
        updates, state = optimizer.update(gradients, state, params)
        return jax.tree.map(jnp.add, params, updates), state, loss

    random = np.random.default_rng(seed)
    found = np.zeros((epochs, 2))
    for epoch in range(epochs):
        order = random.permutation(len(images))
        for begin in range(0, len(images), BATCH):
            chosen = order[begin : begin + BATCH]
            noise = random.normal(size=(BATCH, 20)).astype(np.float32)
            rows = np.zeros((BATCH, 784), np.float32)
            rows[: len(chosen)] = images[chosen]
            weights = (np.arange(BATCH) < len(chosen)).astype(np.float32)
            params, state, ours = step(params, state, rows, weights, noise)
            theirs.zero_grad()
            loss = model.loss(torch.tensor(rows[: len(chosen)]), torch.tensor(noise[: len(chosen)]))
            loss.backward()
            theirs.step()
            found[epoch] += float(ours), loss.item()
    return found / len(images)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", default="digits")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    images = cj.Images.load(arguments.images).images
    last = []
    for seed in range(arguments.seeds):
        found = losses(images, arguments.epochs, seed)
        last.append(found[-1])
        lines = [f"seed {seed}, epoch {k}: {a:.3f} {b:.3f}" for k, (a, b) in enumerate(found)]
        sys.stdout.write("\n".join(lines) + "\n")
    ours, theirs = np.transpose(last)
    difference, spread = np.abs(ours - theirs).max(), np.std(theirs)
    sys.stdout.write(
        f"last epoch: differ by {difference:.3f} at most, std over seeds {spread:.3f}\n"
    )


if __name__ == "__main__":
    main()

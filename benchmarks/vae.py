"""Compare the training speed of the VAE with PyTorch and with Flax's own convolutions.

    python benchmarks/vae.py [--only CASE] [--json FILE]

The network is the paper's, with batches of 256 and two threads; times are per training step,
with loss, gradients and Adam. The row of seeds compares one of five seeds with a single seed,
per step, for chains that end with generation 0 and its metrics. The last row is the peak memory
of chains of few and of many generations, each in a process of its own.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import timing
from flax import nnx

import collapse_jax as cj
from collapse_jax.core.samples import Rows
from collapse_jax.families.vae.network import Architecture
from collapse_jax.families.vae.stream import Stream
from collapse_jax.families.vae.training import VAETraining, make_optimizer
from collapse_jax.random.keys import Keys, chain_key

BATCH, STEPS = 256, 10
FEW, MANY = 3, 20
RATE, DECAY = 1e-3, 1e-5
NAME = "The paper's autoencoder, 256 images"
PER = "training step"
IMAGES = np.random.default_rng(0).uniform(0, 1, (STEPS * BATCH, 784)).astype(np.float32) ** 4


def ours() -> None:
    """Train for an epoch of ten batches."""
    keys = Keys(chain_key(jax.random.key(0), 0), jnp.int32(0))
    jax.block_until_ready(_train(keys, Stream.of(Rows.of_rows(_ROWS, len(_ROWS)))))


_ROWS = jnp.asarray(IMAGES)
_train = jax.jit(VAETraining(Architecture(), 1, BATCH, make_optimizer("adam", RATE, DECAY)).run)


class PlainVAE(nnx.Module):
    """The paper's network with Flax's own layers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        options = {"kernel_size": (4, 4), "strides": 2, "rngs": rngs}
        self.conv1 = nnx.Conv(1, 64, padding=1, **options)
        self.conv2 = nnx.Conv(64, 128, padding=1, **options)
        self.mean = nnx.Linear(6272, 20, rngs=rngs)
        self.log_variance = nnx.Linear(6272, 20, rngs=rngs)
        self.linear = nnx.Linear(20, 6272, rngs=rngs)
        self.transposed1 = nnx.ConvTranspose(128, 64, **options)
        self.transposed2 = nnx.ConvTranspose(64, 1, **options)

    def __call__(self, images: jax.Array, noise: jax.Array) -> jax.Array:
        """Return the loss, summed over the batch."""
        hidden = nnx.relu(self.conv2(nnx.relu(self.conv1(images.reshape(-1, 28, 28, 1)))))
        hidden = hidden.reshape(len(images), -1)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        hidden = self.linear(mean + jnp.exp(0.5 * log_variance) * noise)
        hidden = nnx.relu(self.transposed1(hidden.reshape(-1, 7, 7, 128)))
        logits = self.transposed2(hidden).reshape(images.shape)
        likelihood = jnp.sum(optax.sigmoid_binary_cross_entropy(logits, images))
        return likelihood - 0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance))


def make_flax():
    """Return a function for two steps, each a compiled call: a compiled loop would be slower."""
    structure, params = nnx.split(PlainVAE(nnx.Rngs(0)))
    optimizer = optax.chain(optax.add_decayed_weights(DECAY), optax.adam(RATE))

    @jax.jit
    def step(params, state, images, key):
        noise = jax.random.normal(key, (BATCH, 20))
        gradients = jax.grad(lambda params: nnx.merge(structure, params)(images, noise))(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    def run() -> None:
        state, new = optimizer.init(params), params
        for number in range(2):
            images = _ROWS[number * BATCH : (number + 1) * BATCH]
            new, state = step(new, state, images, jax.random.key(number))
        jax.block_until_ready(new)

    return run


def make_torch():
    """Return a function for an epoch of ten batches, as in the paper's public code."""
    import torch

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parity"))
    from torch_vae import TorchVAE

    torch.set_num_threads(2)
    model = TorchVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY)
    batches = torch.tensor(IMAGES).split(BATCH)

    def run() -> None:
        for images in batches:
            optimizer.zero_grad()
            model.loss(images, torch.randn(len(images), 20)).backward()
            optimizer.step()

    return run


def run_chains(number: int, num_generations: int = 0, epochs: int = 3) -> float:
    """Run chains of the images, and return the peak memory of the process in gigabytes."""
    source = cj.Images(IMAGES, test=IMAGES[:100])
    chain = cj.Chain(cj.VAE(epochs=epochs, num_evaluated=200), source, cj.Replace())
    cj.simulate(chain, key=0, num_chains=number, num_generations=num_generations)
    return timing.peak_gigabytes()


def against_torch() -> Iterator[timing.Row]:
    """Compare a training step with PyTorch."""
    yield timing.compare(NAME, "PyTorch", ours, STEPS, make_torch(), STEPS, bar=0.7, per=PER)


def against_flax() -> Iterator[timing.Row]:
    """Compare a training step with Flax's own layers."""
    peer = "`nnx.Conv` and `nnx.ConvTranspose` as they are"
    yield timing.compare(NAME, peer, ours, STEPS, make_flax(), 2, bar=3.5, per=PER)


def seeds() -> Iterator[timing.Row]:
    """Check that five seeds at once take at most 5.1 times as long as one seed."""
    units = 3 * STEPS
    yield timing.compare(
        f"{NAME}, one of five seeds at once",
        "ours, one seed alone",
        lambda: run_chains(5),
        5 * units,
        lambda: run_chains(1),
        units,
        bar=5 / 5.1,
        per=PER,
        repeats=3,
    )


def memory() -> Iterator[timing.Row]:
    """Check that the peak memory of many generations is that of few, to 5 %."""
    few, many = (timing.apart(run_chains, 1, number, 1) for number in (FEW, MANY))
    yield timing.Row(
        f"The paper's autoencoder, peak memory of {MANY} generations",
        f"of {FEW} generations",
        many,
        few,
        ratio=few / many,
        bar=1 / 1.05,
        unit="GB",
        per="",
    )


CASES = {"torch": against_torch, "flax": against_flax, "seeds": seeds, "memory": memory}

if __name__ == "__main__":
    sys.exit(timing.main(CASES, __doc__))

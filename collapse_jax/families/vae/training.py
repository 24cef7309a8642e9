"""Train a network in one compiled loop of epochs over a stream of images."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from collapse_jax.families.vae.loss import loss_and_gradients
from collapse_jax.families.vae.network import Architecture, Params
from collapse_jax.families.vae.stream import Stream
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.utils.adam import scale_by_adam

OPTIMIZERS = ("adam", "adamw", "sgd")


def make_optimizer(name: str, learning_rate: Any, weight_decay: Any) -> Any:
    """Return an optax optimizer.

    Args:
      name: "adam" and "sgd" add the decay to the gradient (an L2 penalty, as in PyTorch);
        "adamw" applies the decay to the parameters.
      learning_rate: step size.
      weight_decay: factor of the decay, >= 0.

    Returns:
      An `optax.GradientTransformation`.
    """
    decay, rate = (
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )
    parts = {
        "adam": (decay, scale_by_adam(), rate),
        "adamw": (scale_by_adam(), decay, rate),
        "sgd": (decay, rate),
    }
    return optax.chain(*parts[name])


@dataclasses.dataclass(frozen=True)
class VAETraining:
    """The training of a network.

    Attributes:
      architecture: sizes of the network.
      epochs: passes over the corpus.
      batch_size: images of a step; an epoch's last step may have fewer.
      optimizer: an optax optimizer.
    """

    architecture: Architecture
    epochs: int
    batch_size: int
    optimizer: Any

    def run(self, keys: Keys, stream: Stream) -> tuple[Params, Float[Array, ""]]:
        """Train a fresh network on a stream.

        Every epoch takes all images once, in another order; images of a decoder are drawn
        within the step and differ in every epoch.

        Args:
          keys: random numbers of the fit.
          stream: the corpus.

        Returns:
          Params, and the mean loss of an image in the last epoch, nats.
        """
        params = self.architecture.init(keys.unrolled_key(Purpose.FIT))
        start = (params, self.optimizer.init(params), jnp.zeros((), jnp.float32))

        def epoch(number: Array, carry: tuple) -> tuple:
            return self._epoch(keys.branch(Purpose.FIT, number), stream, carry)

        params, _, total = jax.lax.fori_loop(0, self.epochs, epoch, start)
        return params, total / stream.size

    def _epoch(self, keys: Keys, stream: Stream, carry: tuple) -> tuple:
        batch = self.batch_size
        weights = stream.weights()
        slots = jnp.arange(len(weights), dtype=jnp.int32)
        shuffle = keys.bits(Purpose.FIT, slots.shape)[0]
        # Empty slots are sorted last: steps never reach them.
        *_, order = jax.lax.sort((weights <= 0, shuffle, slots), num_keys=2)
        order = jnp.pad(order, (0, batch))
        weights = jnp.append(weights, 0)
        key = keys.unrolled_key(Purpose.FIT)

        def step(number: Array, carry: tuple) -> tuple:
            params, state, total = carry
            begin = number * batch
            chosen = jax.lax.dynamic_slice_in_dim(order, begin, batch)
            is_past = begin + jnp.arange(batch) >= len(slots)
            weight = weights[jnp.where(is_past, len(slots), chosen)]
            shape = (2, batch, self.architecture.latent_dim)
            latents, noise = jax.random.normal(jax.random.fold_in(key, number), shape, jnp.float32)
            images = jnp.where(weight[:, None] > 0, self._images(stream, chosen, latents), 0)
            loss, gradients = loss_and_gradients(params, self.architecture, images, weight, noise)
            updates, state = self.optimizer.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, total + loss

        steps = (stream.size + batch - 1) // batch
        return jax.lax.fori_loop(0, steps, step, (*carry[:2], jnp.zeros((), jnp.float32)))

    def _images(self, stream: Stream, slots: Array, latents: Array) -> Array:
        """Return the images of some slots."""
        if stream.decoder is None:
            assert stream.rows is not None
            return stream.rows.rows[slots]
        drawn = jax.nn.sigmoid(self.architecture.decode(stream.decoder, latents))
        if stream.rows is None:
            return drawn
        stored = stream.rows.rows[jnp.minimum(slots, stream.num_stored_slots - 1)]
        return jnp.where((slots < stream.num_stored_slots)[:, None], stored, drawn)

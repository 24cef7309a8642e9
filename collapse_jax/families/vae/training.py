"""Training: epochs over a stream of images, one compiled loop."""

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
    """An optax optimizer.

    Args:
      name: adam and sgd have the decay in the gradient (an L2 penalty, as PyTorch's
        weight_decay), adamw beside it.
      learning_rate: of each step.
      weight_decay: the decay.
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
    """How a network is trained.

    Attributes:
      architecture: of the network.
      epochs: passes over the corpus.
      batch_size: images of a step; an epoch's last step may have fewer.
      optimizer: an optax optimizer.
    """

    architecture: Architecture
    epochs: int
    batch_size: int
    optimizer: Any

    def run(self, keys: Keys, stream: Stream) -> tuple[Params, Float[Array, ""]]:
        """A fresh network trained on a stream: params, and the last epoch's loss per image.

        Every epoch takes all images once, in another order; those that a model makes are
        drawn within the step, anew each time.
        """
        params = self.architecture.init(keys.key(Purpose.FIT))
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
        # Empty slots last.
        *_, order = jax.lax.sort((weights <= 0, shuffle, slots), num_keys=2)
        order = jnp.pad(order, (0, batch))
        weights = jnp.append(weights, 0)
        key = keys.key(Purpose.FIT)

        def step(number: Array, carry: tuple) -> tuple:
            params, state, total = carry
            place = number * batch
            chosen = jax.lax.dynamic_slice_in_dim(order, place, batch)
            is_past = place + jnp.arange(batch) >= len(slots)
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
        """The images of some slots."""
        if stream.decoder is None:
            assert stream.rows is not None
            return stream.rows.rows[slots]
        drawn = jax.nn.sigmoid(self.architecture.decode(stream.decoder, latents))
        if stream.rows is None:
            return drawn
        kept = stream.rows.rows[jnp.minimum(slots, stream.num_kept_slots - 1)]
        return jnp.where((slots < stream.num_kept_slots)[:, None], kept, drawn)

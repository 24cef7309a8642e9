"""What training of one generation gives: the network's parameters, and how it went."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class TunedModel(NamedTuple):
    """A trained network.

    Attributes:
      params: those with the lowest loss on the validation blocks, in the form of `flax.nnx`.
      training_loss: mean of each epoch, nats per token, [epoch].
      validation_loss: after each epoch, likewise.
      zero_shot: perplexity of the test blocks before training.
    """

    params: Any
    training_loss: Float[Array, " epoch"]
    validation_loss: Float[Array, " epoch"]
    zero_shot: Float[Array, ""]

    @property
    def variables(self) -> dict[str, Any]:
        """What is recorded of its training."""
        return {
            "training_loss": self.training_loss,
            "validation_loss": self.validation_loss,
            "best_epoch": jnp.argmin(self.validation_loss).astype(jnp.int32) + 1,
            "zero_shot_perplexity": self.zero_shot,
        }

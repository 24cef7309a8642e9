"""Define the result of training in one generation: parameters and losses."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class TunedModel(NamedTuple):
    """A trained network.

    Attributes:
      params: parameters with the lowest loss on the validation blocks, in the form of
        `flax.nnx`.
      training_loss: mean of each epoch, nats per token, [epoch].
      validation_loss: loss after each epoch, nats per token, [epoch].
      zero_shot: perplexity of the test blocks before training.
    """

    params: Any
    training_loss: Float[Array, " epoch"]
    validation_loss: Float[Array, " epoch"]
    zero_shot: Float[Array, ""]

    @property
    def variables(self) -> dict[str, Any]:
        """Return the recorded variables of training, by name."""
        return {
            "training_loss": self.training_loss,
            "validation_loss": self.validation_loss,
            "best_epoch": jnp.argmin(self.validation_loss).astype(jnp.int32) + 1,
            "zero_shot_perplexity": self.zero_shot,
        }

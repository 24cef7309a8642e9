"""Build the paper's variational autoencoder of Flax modules (Shumailov et al. 2024, public code).

Names and shapes of the parameters at the paper's sizes, 647,081 numbers::

    encoder.halve1        kernel [4, 4, 1, 64]     bias [64]
    encoder.halve2        kernel [4, 4, 64, 128]   bias [128]
    encoder.mean          kernel [6272, 20]        bias [20]
    encoder.log_variance  kernel [6272, 20]        bias [20]
    decoder.linear        kernel [20, 6272]        bias [6272]
    decoder.double1       kernel [4, 4, 64, 128]   bias [64]
    decoder.double2       kernel [4, 4, 1, 64]     bias [1]

Images are flattened row by row, and 7x7x128 features in that order: row, column, channel.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from collapse_jax.families.vae.convolution import Double, Halve

Params = dict[str, Any]


def _initial(fan_in: int) -> dict[str, Any]:
    """Return initializers uniform within +-1/sqrt(fan_in): PyTorch's default, hence the paper's."""

    def uniform(key: Key[Array, ""], shape: tuple[int, ...], dtype: Any = jnp.float32, **_: Any):
        bound = fan_in**-0.5
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return {"kernel_init": uniform, "bias_init": uniform}


class Encoder(nnx.Module):
    """The encoder: images [batch, side, side, 1] -> mean and log variance [batch, latent]."""

    def __init__(self, architecture: "Architecture", rngs: nnx.Rngs) -> None:
        width, features = architecture.width, architecture.num_features
        options = {"rngs": rngs, "dtype": architecture.dtype}
        self.halve1 = Halve(1, width, **_initial(16), **options)
        self.halve2 = Halve(width, 2 * width, **_initial(16 * width), **options)
        self.mean = nnx.Linear(features, architecture.latent_dim, **_initial(features), **options)
        self.log_variance = nnx.Linear(
            features, architecture.latent_dim, **_initial(features), **options
        )

    def __call__(self, images: Array) -> tuple[Array, Array]:
        """Return mean and log variance of the latents, in float32 at least."""
        hidden = nnx.relu(self.halve2(nnx.relu(self.halve1(images))))
        hidden = hidden.reshape(len(hidden), -1)
        return _wide(self.mean(hidden)), _wide(self.log_variance(hidden))


class Decoder(nnx.Module):
    """The decoder: latents [batch, latent] -> logits of the pixels [batch, side, side, 1]."""

    def __init__(self, architecture: "Architecture", rngs: nnx.Rngs) -> None:
        width, latent = architecture.width, architecture.latent_dim
        options = {"rngs": rngs, "dtype": architecture.dtype}
        self.side = architecture.image_size // 4
        self.linear = nnx.Linear(latent, architecture.num_features, **_initial(latent), **options)
        # PyTorch counts a transposed kernel's fan-in by its outputs.
        self.double1 = Double(2 * width, width, **_initial(16 * width), **options)
        self.double2 = Double(width, 1, **_initial(16), **options)

    def __call__(self, latents: Array) -> Array:
        """Return the logits of the pixels, in float32 at least."""
        hidden = self.linear(latents).reshape(len(latents), self.side, self.side, -1)
        return _wide(self.double2(nnx.relu(self.double1(hidden))))


class Network(nnx.Module):
    """The encoder together with the decoder."""

    def __init__(self, architecture: "Architecture", rngs: nnx.Rngs) -> None:
        self.encoder = Encoder(architecture, rngs)
        self.decoder = Decoder(architecture, rngs)


def _wide(values: Array) -> Array:
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The network's sizes, and the network as pure functions of its parameters.

    Attributes:
      latent_dim: length of the latent vector of an image.
      width: channels of the first convolution; the second has twice as many.
      image_size: side of the square images, a multiple of 4.
      dtype: name of the type of the computation; parameters are float32.
    """

    latent_dim: int = 20
    width: int = 64
    image_size: int = 28
    dtype: str = "float32"

    @property
    def num_features(self) -> int:
        """Return the length of the flattened image features."""
        return 2 * self.width * (self.image_size // 4) ** 2

    @property
    def num_pixels(self) -> int:
        """Return the length of a flattened image."""
        return self.image_size**2

    def init(self, key: Key[Array, ""]) -> Params:
        """Draw random parameters.

        Args:
          key: a random key.

        Returns:
          float32 arrays by module and name.
        """
        return nnx.to_pure_dict(nnx.state(Network(self, nnx.Rngs(params=key))))

    def encode(
        self, encoder: Params, images: Float[Array, "batch pixel"]
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """Return mean and log variance of the latents of images.

        Args:
          encoder: params["encoder"].
          images: brightness in [0, 1], [batch, pixel].

        Returns:
          Two arrays, [batch, latent].
        """
        side = self.image_size
        return _merged(self, Encoder, encoder)(images.reshape(-1, side, side, 1))

    def decode(
        self, decoder: Params, latents: Float[Array, "batch latent"]
    ) -> Float[Array, "batch pixel"]:
        """Return the logits of the pixels.

        Args:
          decoder: params["decoder"].
          latents: latent vectors, [batch, latent].

        Returns:
          Logits, [batch, pixel].
        """
        return _merged(self, Decoder, decoder)(latents).reshape(len(latents), -1)


@functools.cache
def _abstract(architecture: Architecture, module: type) -> tuple[Any, Any]:
    """Return structure and shapes of a module."""
    with jax.ensure_compile_time_eval():
        return nnx.split(nnx.eval_shape(lambda: module(architecture, nnx.Rngs(0))))


def _merged(architecture: Architecture, module: type, params: Params) -> Any:
    structure, state = _abstract(architecture, module)
    state = jax.tree.map(lambda leaf: leaf, state)  # a copy: the cached state must not change
    nnx.replace_by_pure_dict(state, params)
    return nnx.merge(structure, state)

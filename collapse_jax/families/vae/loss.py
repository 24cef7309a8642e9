"""The loss of a variational autoencoder, in nats per image."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from collapse_jax.families.vae.network import Architecture, Params


def reconstruction(
    logits: Float[Array, "batch pixel"], images: Float[Array, "batch pixel"]
) -> Float[Array, " batch"]:
    """Binary cross-entropy of pixels in [0, 1], summed over the pixels."""
    softplus = jnp.maximum(logits, 0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))
    return jnp.sum(softplus - logits * images, axis=1)


def divergence(
    mean: Float[Array, "batch latent"], log_variance: Float[Array, "batch latent"]
) -> Float[Array, " batch"]:
    """KL(N(mean, exp(log_variance)) || N(0, I))."""
    return -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), axis=1)


def negative_elbo(
    architecture: Architecture,
    params: Params,
    images: Float[Array, "batch pixel"],
    noise: Float[Array, "batch latent"],
) -> Float[Array, " batch"]:
    """Reconstruction and divergence (beta = 1), with one latent per image.

    Args:
      architecture: of the network.
      params: of the network.
      images: in [0, 1].
      noise: standard normal, makes the latent from its mean and variance.
    """
    mean, log_variance = architecture.encode(params["encoder"], images)
    latents = mean + jnp.exp(0.5 * log_variance) * noise
    logits = architecture.decode(params["decoder"], latents)
    return reconstruction(logits, images) + divergence(mean, log_variance)


def total_loss(
    params: Params,
    architecture: Architecture,
    images: Float[Array, "batch pixel"],
    weights: Float[Array, " batch"],
    noise: Float[Array, "batch latent"],
) -> Float[Array, ""]:
    """Summed over the batch, as the paper's code does; empty slots have weight zero."""
    return jnp.sum(weights * negative_elbo(architecture, params, images, noise))


loss_and_gradients = jax.value_and_grad(total_loss)

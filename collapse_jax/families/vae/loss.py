"""Compute the loss of a variational autoencoder, in nats per image."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from collapse_jax.families.vae.network import Architecture, Params


def reconstruction(
    logits: Float[Array, "batch pixel"], images: Float[Array, "batch pixel"]
) -> Float[Array, " batch"]:
    """Return the binary cross-entropy of pixels, summed over the pixels.

    Args:
      logits: logits of the pixels, [batch, pixel].
      images: brightness in [0, 1], [batch, pixel].

    Returns:
      Nats, [batch].
    """
    softplus = jnp.maximum(logits, 0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))
    return jnp.sum(softplus - logits * images, axis=1)


def divergence(
    mean: Float[Array, "batch latent"], log_variance: Float[Array, "batch latent"]
) -> Float[Array, " batch"]:
    """Return the divergence KL(N(mean, exp(log_variance)) || N(0, I)).

    Args:
      mean: means of the latents, [batch, latent].
      log_variance: ln of their variances, [batch, latent].

    Returns:
      Nats, [batch].
    """
    return -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), axis=1)


def negative_elbo(
    architecture: Architecture,
    params: Params,
    images: Float[Array, "batch pixel"],
    noise: Float[Array, "batch latent"],
) -> Float[Array, " batch"]:
    """Return reconstruction + divergence with one latent per image (Kingma & Welling 2014).

    Args:
      architecture: sizes of the network.
      params: params of encoder and decoder.
      images: brightness in [0, 1], [batch, pixel].
      noise: standard normal numbers, which turn means and variances into latents,
        [batch, latent].

    Returns:
      Nats, [batch].
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
    """Return the loss summed over a batch, as in the paper's code.

    Args:
      params: params of encoder and decoder.
      architecture: sizes of the network.
      images: brightness in [0, 1], [batch, pixel].
      weights: weights of the images, 0 for empty slots, [batch].
      noise: standard normal numbers, [batch, latent].

    Returns:
      Nats, a scalar.
    """
    return jnp.sum(weights * negative_elbo(architecture, params, images, noise))


loss_and_gradients = jax.value_and_grad(total_loss)

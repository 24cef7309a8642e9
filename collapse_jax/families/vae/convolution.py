"""Compute convolutions that halve or double an image: 4x4 kernels, stride 2, padding 1.

On CPU the compiler's transposed convolution and gradients of kernels are an order of magnitude
slower than its forward convolutions and matrix products; this module expresses the former by
the latter. An image whose 2x2 blocks are moved into channels ("space to depth") turns the 4x4
kernel of stride 2 into a 2x2 kernel of stride 1; doubling is the reverse. Accelerators use the
native forms.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

Image = Float[Array, "batch height width channel"]
Kernel = Float[Array, "4 4 outer inner"]
"""A kernel; `inner` counts channels of the small image, `outer` those of the large image."""

_LAYOUT = ("NHWC", "HWIO", "NHWC")
_THIN = 8  # channels of the large image; with fewer, a product with all its patches is faster


class Halve(nnx.Conv):
    """`nnx.Conv` with 4x4 kernels, stride 2 and padding 1: [b, 2h, 2w, outer] -> [b, h, w, inner].

    Args:
      outer: channels in.
      inner: channels out.
      rngs: random numbers of the initial values.
      kwargs: other arguments of `nnx.Conv`.
    """

    def __init__(self, outer: int, inner: int, *, rngs: nnx.Rngs, **kwargs: Any) -> None:
        super().__init__(outer, inner, (4, 4), strides=2, padding=1, rngs=rngs, **kwargs)

    def __call__(self, inputs: Image) -> Image:  # pyright: ignore
        """Return the result of `nnx.Conv`."""
        return _apply(self, halve, inputs)


class Double(nnx.ConvTranspose):
    """`nnx.ConvTranspose`, the transpose of `Halve`: [b, h, w, inner] -> [b, 2h, 2w, outer].

    Args:
      inner: channels in.
      outer: channels out.
      rngs: random numbers of the initial values.
      kwargs: other arguments of `nnx.ConvTranspose`.
    """

    def __init__(self, inner: int, outer: int, *, rngs: nnx.Rngs, **kwargs: Any) -> None:
        kwargs = {"padding": "SAME", "transpose_kernel": True, **kwargs}
        super().__init__(inner, outer, (4, 4), strides=2, rngs=rngs, **kwargs)

    def __call__(self, inputs: Image) -> Image:
        """Return the result of `nnx.ConvTranspose`."""
        return _apply(self, double, inputs)


def _apply(layer: Any, convolve: Callable[[Array, Array], Array], inputs: Array) -> Array:
    values = (inputs, layer.kernel[...], layer.bias[...])
    inputs, kernel, bias = layer.promote_dtype(values, dtype=layer.dtype)
    return convolve(inputs, kernel) + bias


@jax.custom_vjp
def halve(large: Image, kernel: Kernel) -> Image:
    """Return the convolution that halves images.

    Args:
      large: images, [batch, 2 height, 2 width, outer].
      kernel: [4, 4, outer, inner].

    Returns:
      Images, [batch, height, width, inner].
    """
    return _on_this_platform(_halve, _halve_natively)(large, kernel)


@jax.custom_vjp
def double(small: Image, kernel: Kernel) -> Image:
    """Return the transposed convolution, which doubles images.

    Args:
      small: images, [batch, height, width, inner].
      kernel: [4, 4, outer, inner].

    Returns:
      Images, [batch, 2 height, 2 width, outer].
    """
    return _on_this_platform(_double, _double_natively)(small, kernel)


def _correlate_here(large: Image, small: Image) -> Kernel:
    """Return the gradient of `halve` or `double` with respect to the kernel."""
    return _on_this_platform(_correlate, _correlate_natively)(large, small)


halve.defvjp(
    lambda large, kernel: (halve(large, kernel), (large, kernel)),
    lambda saved, small: (double(small, saved[1]), _correlate_here(saved[0], small)),
)
double.defvjp(
    lambda small, kernel: (double(small, kernel), (small, kernel)),
    lambda saved, large: (halve(large, saved[1]), _correlate_here(large, saved[0])),
)


def _on_this_platform(on_cpu: Callable[..., Array], default: Callable[..., Array]) -> Any:
    return functools.partial(lax.platform_dependent, cpu=on_cpu, default=default)


def _halve_natively(large: Image, kernel: Kernel) -> Image:
    padding = ((1, 1), (1, 1))
    return lax.conv_general_dilated(large, kernel, (2, 2), padding, dimension_numbers=_LAYOUT)


def _double_natively(small: Image, kernel: Kernel) -> Image:
    return lax.conv_transpose(
        small, kernel, (2, 2), "SAME", dimension_numbers=_LAYOUT, transpose_kernel=True
    )


def _correlate_natively(large: Image, small: Image) -> Kernel:
    shape = (4, 4, large.shape[-1], small.shape[-1])
    zeros = jnp.zeros(shape, large.dtype)
    return jax.vjp(lambda kernel: _halve_natively(large, kernel), zeros)[1](small)[0]


def _halve(large: Image, kernel: Kernel) -> Image:
    if kernel.shape[2] < _THIN:
        return _patches(large) @ kernel.reshape(-1, kernel.shape[3])
    outer, inner = kernel.shape[2:]
    taps = kernel.reshape(2, 2, 2, 2, outer, inner).transpose(0, 2, 1, 3, 4, 5)
    taps = taps.reshape(4, 4 * outer, inner)
    products = [part @ tap for part, tap in zip(_shifted(large), taps, strict=True)]
    return functools.reduce(jnp.add, products)


def _double(small: Image, kernel: Kernel) -> Image:
    if kernel.shape[2] < _THIN:
        return _add_patches(small @ kernel.reshape(-1, kernel.shape[3]).T, kernel.shape[2])
    outer, inner = kernel.shape[2:]
    # [row tap, row phase, column tap, column phase, ...]; the later rows of the kernel reach
    # back to the pixel before.
    phases = kernel.reshape(2, 2, 2, 2, outer, inner)[::-1, :, ::-1]
    phases = phases.transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, inner, 4 * outer)
    padding = ((1, 1), (1, 1))
    blocks = lax.conv_general_dilated(small, phases, (1, 1), padding, dimension_numbers=_LAYOUT)
    return _depth_to_space(blocks)[:, 1:-1, 1:-1]


def _correlate(large: Image, small: Image) -> Kernel:
    inner, outer = small.shape[-1], large.shape[-1]
    flat = small.reshape(-1, inner)
    if outer < _THIN:
        patches = _patches(large).reshape(len(flat), -1)
        return _contract(patches, flat).reshape(4, 4, outer, inner)
    parts = [_contract(flat, part.reshape(len(flat), -1)) for part in _shifted(large)]
    kernel = jnp.stack(parts).reshape(2, 2, inner, 2, 2, outer)
    return kernel.transpose(0, 3, 1, 4, 5, 2).reshape(4, 4, outer, inner)


def _shifted(large: Image) -> list[Image]:
    """Return the four blocks of 2x2 pixels that make the pixels of a small image.

    A convolution and the gradient of its kernel both need them; the compiler makes them once.
    """
    blocks = _space_to_depth(_padded(large))
    height, width = large.shape[1] // 2, large.shape[2] // 2
    return [
        blocks[:, row : row + height, column : column + width]
        for row in range(2)
        for column in range(2)
    ]


def _contract(left: Array, right: Array) -> Array:
    """Return left^T right."""
    return lax.dot_general(left, right, (((0,), (0,)), ((), ())))


def _padded(image: Image) -> Image:
    return jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))


def _patches(large: Image) -> Float[Array, "batch height width patch"]:
    """Return the 4x4 patches that make the pixels of a small image, in the kernel's order."""
    height, width = large.shape[1:3]
    padded = _padded(large)
    parts = [
        padded[:, row : row + height : 2, column : column + width : 2]
        for row in range(4)
        for column in range(4)
    ]
    return jnp.concatenate(parts, axis=-1)


def _add_patches(patches: Float[Array, "batch height width patch"], outer: int) -> Image:
    """Add overlapping patches: the transpose of `_patches`."""
    batch, height, width = patches.shape[:3]
    parts = patches.reshape(batch, height, width, 2, 2, 2, 2, outer)  # row half, phase, column ...
    blocks = 0
    for row in range(2):
        for column in range(2):
            part = parts[:, :, :, row, :, column].reshape(batch, height, width, 4 * outer)
            padding = ((0, 0), (row, 1 - row), (column, 1 - column), (0, 0))
            blocks = blocks + jnp.pad(part, padding)
    return _depth_to_space(jnp.asarray(blocks))[:, 1:-1, 1:-1]


def _space_to_depth(image: Image) -> Image:
    """Move 2x2 blocks of pixels into channels."""
    batch, height, width, channels = image.shape
    blocks = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // 2, width // 2, -1)


def _depth_to_space(blocks: Image) -> Image:
    """Move channels into 2x2 blocks of pixels."""
    batch, height, width, channels = blocks.shape
    image = blocks.reshape(batch, height, width, 2, 2, channels // 4)
    return image.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, -1)

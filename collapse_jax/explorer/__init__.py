"""Serve a local page whose sliders change a chain, see `collapse explore`."""

from collapse_jax.explorer.server import Explorer

__all__ = ["Explorer"]

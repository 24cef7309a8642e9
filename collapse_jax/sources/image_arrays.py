"""Bring arrays of images to grey values in [0, 1], check their classes, choose among them."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

DARK = 0.25
"""Share of white above which the brightest pixel of integers must be: others, such as masks of 0
and 1 or 12 bits in 16, have another white and would come out nearly black."""
_WHITE = {("u", 1): 255, ("u", 2): 65535}  # by kind and bytes
_REMEDY = (
    "pass images [row, side, side] or [row, pixel] with values in [0, 1], or 0 .. 255 as uint8, "
    "or 0 .. 65535 as uint16"
)


def scale(name: str, images: Any) -> np.ndarray:
    """Return images with values in [0, 1]: uint8 is divided by 255, uint16 by 65,535.

    Args:
      name: of the argument.
      images: [row, height, width] or [row, pixel], also with an axis of one channel: bools,
        uint8, uint16, or other numbers in [0, 1].

    Returns:
      float32 [row, height, width] or [row, pixel], a copy.

    Raises:
      ArgumentError: for other types and shapes, values that are masked, not finite or outside
        [0, 1], and integers whose white is not that of their type.
    """
    values = _without_channel(name, _as_array(name, images))
    white = _WHITE.get((values.dtype.kind, values.dtype.itemsize))
    if white is None:
        _check_range(name, values)
        return values.astype(np.float32)
    brightest = int(values.max())
    if 0 < brightest < DARK * white:
        allowed = f"white is {white:,} in {values.dtype}, and no pixel is brighter than this"
        remedy = "divide the images by the value of white, such as 4095 in 12 bits"
        remedy = "pass masks as bools: images.astype(bool)" if brightest == 1 else remedy
        raise check.fail(name, brightest, allowed, remedy)
    return values.astype(np.float32) / np.float32(white)


def as_labels(name: str, labels: Any, count: int) -> np.ndarray | None:
    """Return the classes of images as int32, [row], or None.

    Args:
      name: of the argument.
      labels: integers 0, 1, ..., [row], or None.
      count: number of images.

    Raises:
      ArgumentError: for labels of another number or type, negative ones, or above int32.
    """
    if labels is None:
        return None
    remedy = "pass one integer 0, 1, ... for each image, or None"
    try:
        values = np.asarray(labels)
    except (TypeError, ValueError, RuntimeError):  # the last for a tensor with a gradient
        raise check.fail(name, labels, "it must be an array of integers", remedy) from None
    if values.shape != (count,):
        shown = check.Shown(f"array of shape {values.shape}")
        allowed = f"there {'is' if count == 1 else 'are'} {counted(count, 'image')}"
        raise check.fail(name, shown, allowed, remedy)
    if values.dtype.kind not in "iu" or np.ma.is_masked(labels):
        raise check.fail(name, check.Shown(f"{values.dtype} labels"), "they name classes", remedy)
    if values.min() < 0 or values.max() > check.MAX_SIZE:
        shown = int(values.min() if values.min() < 0 else values.max())
        raise check.fail(name, shown, "they name classes", remedy)
    values = values.astype(np.int32)
    values.setflags(write=False)
    return values


def choose(count: int, labels: np.ndarray | None, number: int | None) -> np.ndarray:
    """Choose images evenly from all classes, and evenly within each.

    Args:
      count: number of images.
      labels: class of each, [row], or None, in which case the order of rows counts.
      number: of images to choose at most, or None for all.

    Returns:
      Rows in ascending order; a class with a share s of the images has floor or ceil of
      s * number of them.
    """
    if number is None or number >= count:
        return np.arange(count)
    order = np.arange(count) if labels is None else np.argsort(labels, kind="stable")
    return np.sort(order[np.arange(number) * count // number])


def _as_array(name: str, images: Any) -> np.ndarray:
    """Return images as an array of real numbers."""
    parts = images if isinstance(images, (list, tuple)) else [images]
    if any(np.ma.is_masked(part) for part in parts):
        shown = check.Shown("images with masked pixels")
        raise check.fail(name, shown, "every pixel needs a value", "fill them: images.filled(0)")
    if any(getattr(part, "mode", None) in ("P", "PA") for part in parts):
        shown = check.Shown("images with a palette")
        raise check.fail(name, shown, "their pixels number colours", 'pass image.convert("L")')
    try:
        values = np.asarray(images)
        values = values.astype(np.float64) if values.dtype.kind == "O" else values
    except (TypeError, ValueError, RuntimeError):  # the last for a tensor with a gradient
        allowed = "it must be an array of numbers, with images of equal shape"
        raise check.fail(name, images, allowed, _REMEDY) from None
    is_small_float = values.dtype.kind == "V" and jnp.issubdtype(values.dtype, jnp.floating)
    if values.dtype.kind not in "biuf" and not is_small_float:
        shown = images if isinstance(images, str) else check.Shown(f"array of {values.dtype}")
        files = "; Images.load reads files" if isinstance(images, str) else ""
        raise check.fail(name, shown, "it must be an array of real numbers", _REMEDY + files)
    return values


def _without_channel(name: str, values: np.ndarray) -> np.ndarray:
    """Return [row, height, width] or [row, pixel], without an axis of one channel."""
    shape = values.shape
    if values.ndim == 4 and 1 in (shape[3], shape[1]):
        values = values.squeeze(3 if shape[3] == 1 else 1)
    if values.ndim in (2, 3) and values.size:
        return values
    shown = check.Shown(f"array of shape {shape}")
    if values.ndim == 4 and not {3, 4}.isdisjoint((shape[3], shape[1])):
        remedy = "bring red, green and blue in [0, 1] to grey: images @ [0.299, 0.587, 0.114]"
        raise check.fail(name, shown, "images must be grey", remedy)
    raise check.fail(name, shown, "it must be 2-D or 3-D, not empty", _REMEDY)


def _check_range(name: str, values: np.ndarray) -> None:
    """Refuse values that are not in [0, 1]."""
    with np.errstate(invalid="ignore"):  # NumPy warns of NaN in bfloat16
        good = (values >= 0) & (values <= 1)
    if good.all():
        return
    index = np.unravel_index(int(np.argmin(good)), values.shape)
    shown = float(values[index])
    low, high = float(np.min(values)), float(np.max(values))
    allowed, remedy = "values must lie in [0, 1]", _REMEDY
    if not np.isfinite(shown):
        allowed, remedy = "values must be finite", "replace them, or leave these images out"
    elif low >= 0 and high <= 255:
        remedy = "pass images.astype(np.uint8), whose white is 255"
        remedy = remedy if values.dtype.kind in "iu" else "divide them by their white, such as 255"
    elif low >= -1 and high <= 1:
        remedy = "if black is -1, pass (images + 1) / 2"
    raise check.fail(f"{name}{[int(axis) for axis in index]}", shown, allowed, remedy)

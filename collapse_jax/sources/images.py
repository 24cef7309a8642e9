"""Define finite original data of images, with labels and a test set."""

import dataclasses
from os import PathLike
from typing import Any, Self

import jax.numpy as jnp
import numpy as np

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Rows
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys
from collapse_jax.sources import image_arrays, image_files
from collapse_jax.sources.choice import draw_rows
from collapse_jax.utils import check


@config
class Images(AbstractSource):
    """n square grey images with values in [0, 1]; a row is a flattened image.

    A corpus of size < n is a subset without replacement, of size n the data in order,
    of size > n a sample with replacement.

    Args:
      images: [row, side, side] or [row, side * side], also with an axis of one channel:
        floats in [0, 1], bools, uint8 (divided by 255) or uint16 (divided by 65,535).
      labels: the class of each image, integers 0, 1, ..., [row] (optional).
      test: images for measuring, which no model is trained on, in the shapes of `images`.
      test_labels: classes of the test images, [row] (optional).

    Raises:
      ArgumentError: for images in colour or not square, values that are masked, not finite or
        outside [0, 1], integers that are all below a quarter of white (masks of 0 and 1 as
        uint8, 12 bits as uint16), or labels of another number.

    >>> import numpy as np
    >>> import collapse_jax as cj
    >>> grey = np.full((30, 8, 8), 0.5)
    >>> source = cj.Images(grey[:20], test=grey[20:])
    >>> source.num_rows, source.side
    (20, 8)
    """

    images: Any
    labels: Any = None
    test: Any = None
    test_labels: Any = None
    with_replacement: bool = static(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        images = _as_rows("Images.images", self.images)
        if self.test is None:
            allowed = "images that no model is trained on are needed for measuring"
            raise check.fail("Images.test", None, allowed, "pass some, or use Images.load")
        test = _as_rows("Images.test", self.test)
        if test.shape[1] != images.shape[1]:
            shown = check.Shown(f"images of {test.shape[1]} pixels")
            allowed = f"Images.images have {images.shape[1]}"
            raise check.fail("Images.test", shown, allowed, "bring both to one size")
        labels = image_arrays.as_labels("Images.labels", self.labels, len(images))
        others = image_arrays.as_labels("Images.test_labels", self.test_labels, len(test))
        values = (images, labels, test, others)
        for field, value in zip(dataclasses.fields(self), values, strict=False):
            object.__setattr__(self, field.name, value)

    @classmethod
    def load(
        cls, name: str | PathLike[str] = "digits", side: int = 28, num_images: int | None = None
    ) -> Self:
        """Load images by name; without a test set, every tenth image is a test image.

        Files in a folder are read by Pillow: colours become grey by ITU-R 601, transparent
        pixels white, and photographs upright by their EXIF orientation. White is 255 in 8
        bits, 65,535 in 16, 4,095 in a TIFF of 12, and 1 in floats. Files of several frames,
        signed or 32-bit integers, and formats that are not read (HEIC, SVG, raw) are refused,
        as are images that are all below a quarter of white.

        Args:
          name: digits (1,797 scans of 8x8 pixels from scikit-learn, enlarged; needs no
            network), mnist (from the Hugging Face hub, by `datasets`), the path of an .npz
            file (x or images, y or labels, and optionally x_test and y_test), or of a folder
            of images, whose sub-folders are classes if it has several.
          side: images are resized to this side, pixels; others than squares are stretched.
          num_images: number of images to load at most, test images of a split included; None
            for all. The first ones of digits and mnist, which are in mixed order; of an .npz
            file or a folder evenly from all classes, and evenly within each.

        Raises:
          ArgumentError: if the data cannot be read, naming the file.
        """
        check.integer("side", side, 4, 4096)
        if num_images is not None:
            check.integer("num_images", num_images, 20)
        allowed = "it must be a name or a path"
        check.instance("images", name, (str, PathLike), allowed, "pass digits, for example")
        return cls(*image_files.load(str(name), side, num_images))

    @property
    def side(self) -> int:
        """Return the side of the images, pixels."""
        return round(self.images.shape[1] ** 0.5)

    @property
    def row_dim(self) -> int:
        """Return the number of pixels of an image."""
        return self.images.shape[1]

    @property
    def num_rows(self) -> int:
        """Return the number of images."""
        return self.images.shape[0]

    @property
    def independent(self) -> "Images":
        """Return a source of images chosen with replacement."""
        return replace_fields(self, with_replacement=True)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Choose images; with size n, return the data in order."""
        data = Rows.of_rows(jnp.asarray(self.images), len(self.images))
        return draw_rows(keys, data, size, capacity, self.with_replacement)


def _as_rows(name: str, images: Any) -> np.ndarray:
    """Return images as float32 rows, [row, pixel]."""
    values = image_arrays.scale(name, images)
    height, width = values.shape[1:] if values.ndim == 3 else (values.shape[1], 1)
    if height != width and (values.ndim == 3 or round(height**0.5) ** 2 != height):
        shown = check.Shown(f"images of {f'{height} x {width}' if values.ndim == 3 else height}")
        remedy = "cut or pad them to squares [row, side, side], or flatten them to [row, pixel]"
        raise check.fail(name, check.Shown(f"{shown} pixels"), "images must be square", remedy)
    rows = values.reshape(len(values), -1)
    rows.setflags(write=False)
    return rows

"""Define finite original data of images, with labels and a test set."""

import dataclasses
from typing import Any, Self

import jax.numpy as jnp
import numpy as np

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Rows
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys
from collapse_jax.sources import image_files
from collapse_jax.sources.choice import draw_rows
from collapse_jax.utils import check

_REMEDY = (
    "pass images [row, side, side] or [row, pixel] with values in [0, 1], or 0 .. 255 as uint8"
)


@config
class Images(AbstractSource):
    """n square grey images with values in [0, 1]; a row is a flattened image.

    A corpus of size < n is a subset without replacement, of size n the data in order,
    of size > n a sample with replacement.

    Args:
      images: [row, side, side] or [row, side * side], floats in [0, 1] or uint8.
      labels: the class of each image, integers 0, 1, ..., [row] (optional).
      test: images for measuring, which no model is trained on, in the shapes of `images`.
      test_labels: classes of the test images, [row] (optional).

    Raises:
      ArgumentError: for images that are not square, values outside [0, 1], or labels of
        another number.

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
        labels = _as_labels("Images.labels", self.labels, len(images))
        others = _as_labels("Images.test_labels", self.test_labels, len(test))
        values = (images, labels, test, others)
        for field, value in zip(dataclasses.fields(self), values, strict=False):
            object.__setattr__(self, field.name, value)

    @classmethod
    def load(cls, name: str = "digits", side: int = 28, num_images: int | None = None) -> Self:
        """Load images by name; without a test set, every tenth image is a test image.

        Args:
          name: digits (1,797 scans of 8x8 pixels from scikit-learn, enlarged; needs no
            network), mnist (from the Hugging Face hub, by `datasets`), the path of an .npz
            file (x or images, y or labels, and optionally x_test and y_test), or of a folder
            of images, whose sub-folders are classes if it has any.
          side: images are resized to this side, pixels.
          num_images: number of images to load, test images of a split included; None for all.

        Raises:
          ArgumentError: if the data cannot be read.
        """
        check.integer("side", side, 4, 4096)
        if num_images is not None:
            check.integer("num_images", num_images, 20)
        return cls(*image_files.load(name, side, num_images))

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
    is_bytes = getattr(images, "dtype", None) == np.uint8
    values = check.array(name, images, (2, 3), _REMEDY)
    values = (values / 255 if is_bytes else values).reshape(len(values), -1)
    if round(values.shape[1] ** 0.5) ** 2 != values.shape[1]:
        shown = check.Shown(f"images of {values.shape[1]} pixels")
        raise check.fail(name, shown, "images must be square", _REMEDY)
    if values.min() < 0 or values.max() > 1:
        shown = float(values.min() if values.min() < 0 else values.max())
        raise check.fail(name, shown, "values must lie in [0, 1]", _REMEDY)
    rows = values.astype(np.float32)
    rows.setflags(write=False)
    return rows


def _as_labels(name: str, labels: Any, count: int) -> np.ndarray | None:
    if labels is None:
        return None
    values = np.asarray(labels)
    remedy = "pass one integer 0, 1, ... for each image, or None"
    if values.shape != (count,):
        shown = check.Shown(f"array of shape {values.shape}")
        raise check.fail(name, shown, f"there are {count} images", remedy)
    if values.dtype.kind not in "iu" or values.min() < 0:
        raise check.fail(name, check.Shown(f"{values.dtype} labels"), "they name classes", remedy)
    values = values.astype(np.int32)
    values.setflags(write=False)
    return values

"""Load images from scikit-learn, the Hugging Face hub, .npz files and folders."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.sources.image_arrays import as_labels, choose, scale
from collapse_jax.sources.image_folder import load_folder
from collapse_jax.utils import check
from collapse_jax.utils.paths import user_path

_TEST_STRIDE = 10  # every tenth image is a test image
_OFFLINE = "pass digits, which needs no network, or the path of an .npz file or a folder of images"


class ImageData(NamedTuple):
    """Images in [0, 1], [row, side, side], and their classes where known, [row]."""

    images: np.ndarray
    labels: np.ndarray | None
    test: np.ndarray
    test_labels: np.ndarray | None


def load(name: str, side: int, num_images: int | None) -> ImageData:
    """Load the images that `Images.load` describes.

    Args:
      name: digits, mnist, or the path of an .npz file or of a folder of images.
      side: side of the images, pixels.
      num_images: number of images to load, None for all.

    Returns:
      Training and test images with their classes.

    Raises:
      ArgumentError: if the images cannot be read.
    """
    if name == "digits":
        images, labels = _digits()
        parts = _split(images[:num_images], labels[:num_images])
    elif name == "mnist":
        parts = _mnist(num_images)
    elif name and os.path.isdir(user_path(name, "images")):
        parts = _split(*load_folder(user_path(name), side, num_images))
    elif name.lower().endswith(".npz"):
        parts = _archive(user_path(name), num_images)
    else:
        allowed = "it must be digits, mnist, the path of an .npz file or of a folder of images"
        raise check.fail("images", name, allowed, _OFFLINE)
    images, labels, test, test_labels = parts
    return ImageData(_resized(images, side), labels, _resized(test, side), test_labels)


def _split(images: np.ndarray, labels: np.ndarray | None) -> ImageData:
    """Split images into a training set and a test set, which gets every tenth image."""
    is_test = np.arange(len(images)) % _TEST_STRIDE == _TEST_STRIDE - 1
    if not is_test.any():
        allowed = f"at least {_TEST_STRIDE} are needed"
        raise check.fail("number of images", len(images), allowed, "pass more")
    parts = [
        None if values is None else values[chosen]
        for chosen in (~is_test, is_test)
        for values in (images, labels)
    ]
    return ImageData(*parts)  # pyright: ignore


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    return digits.images / 16, digits.target


def _mnist(num_images: int | None) -> ImageData:
    """Load MNIST from the hub, or from its cache, which needs no network."""
    import datasets

    try:
        both: Any = datasets.load_dataset("ylecun/mnist")
    except Exception as error:  # connection, offline mode and cache have errors of their own
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        allowed = f"it is neither cached nor can the hub be reached ({reason})"
        raise check.fail("images", "mnist", allowed, _OFFLINE) from None
    train, test = (both[name].with_format("numpy") for name in ("train", "test"))
    images, labels = np.asarray(train["image"][:]), np.asarray(train["label"][:])
    return ImageData(
        scale("images of mnist", images[:num_images]),
        labels[:num_images],
        scale("test images of mnist", test["image"][:]),
        np.asarray(test["label"][:]),
    )


def _archive(path: Path, num_images: int | None) -> ImageData:
    remedy = "pass an .npz file with images x [row, side, side] and labels y [row]"
    names = (("x", "images", "x_train"), ("y", "labels", "y_train"), ("x_test",), ("y_test",))
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":  # NumPy would take the file for a pickle
                raise ValueError("it is no archive of arrays, see numpy.savez")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            listed = sorted(archive.files)
            found = [next((name for name in group if name in listed), None) for group in names]
            arrays = [None if name is None else _array(archive, name) for name in found]
    except Exception as error:  # NumPy, zip and zlib raise unrelated types for damaged files
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = f"it cannot be read ({reason.splitlines()[0][:100]})"
        raise check.fail("images", str(path), reason, remedy) from None
    images, labels, test, test_labels = arrays
    if images is None:
        allowed = f"it holds {', '.join(listed) or 'nothing'}, not x or images"
        raise check.fail("images", str(path), allowed, remedy)
    images = _squared(scale(f"{found[0]} in {path.name}", images))
    labels = as_labels(f"{found[1]} in {path.name}", labels, len(images))
    chosen = choose(len(images), labels, num_images)
    images, labels = images[chosen], None if labels is None else labels[chosen]
    if test is None:
        return _split(images, labels)
    test = _squared(scale(f"{found[2]} in {path.name}", test))
    return ImageData(images, labels, test, test_labels)


def _array(archive: Any, name: str) -> np.ndarray:
    """Read an array of numbers from an .npz file."""
    try:
        return archive[name]
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise ValueError(f"{name} has Python objects, not numbers") from None
        raise


def _squared(images: np.ndarray) -> np.ndarray:
    """Reshape flattened square images to [row, side, side]."""
    side = round(images.shape[1] ** 0.5)
    is_flat = images.ndim == 2 and side**2 == images.shape[1]
    return images.reshape(len(images), side, side) if is_flat else images


def _resized(images: np.ndarray, side: int) -> np.ndarray:
    """Resize images by bilinear interpolation, unless they have the wanted size."""
    if images.ndim != 3 or images.shape[1:] == (side, side):
        return images
    from PIL import Image

    size = (side, side)
    return np.clip(
        [
            np.asarray(
                Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
            )
            for image in images
        ],
        0,
        1,
    )

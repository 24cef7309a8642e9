"""Load images from scikit-learn, the Hugging Face hub, .npz files and folders."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from collapse_jax.utils import check

_TEST_STRIDE = 10  # every tenth image is a test image
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm")
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
        parts = _split(*_digits(), num_images)
    elif name == "mnist":
        parts = _mnist(num_images)
    elif name.endswith(".npz"):
        parts = _archive(Path(name), num_images)
    elif Path(name).is_dir():
        parts = _split(*_folder(Path(name), side), num_images)
    else:
        allowed = "it must be digits, mnist, the path of an .npz file or of a folder of images"
        raise check.fail("images", name, allowed, _OFFLINE)
    images, labels, test, test_labels = parts
    return ImageData(_resized(images, side), labels, _resized(test, side), test_labels)


def _split(images: np.ndarray, labels: np.ndarray | None, num_images: int | None) -> ImageData:
    """Split images into a training set and a test set, which gets every tenth image."""
    images = images[:num_images]
    labels = None if labels is None else labels[:num_images]
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
        images[:num_images] / 255,
        labels[:num_images],
        np.asarray(test["image"][:]) / 255,
        np.asarray(test["label"][:]),
    )


def _archive(path: Path, num_images: int | None) -> ImageData:
    remedy = "pass an .npz file with images x [row, side, side] and labels y [row]"
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0][:100]
        raise check.fail("images", str(path), reason, remedy) from None

    def find(*names: str) -> np.ndarray | None:
        return next((arrays[name] for name in names if name in arrays), None)

    images, labels = find("x", "images", "x_train"), find("y", "labels", "y_train")
    if images is None:
        allowed = f"it holds {', '.join(sorted(arrays)) or 'nothing'}, not x or images"
        raise check.fail("images", str(path), allowed, remedy)
    images, test = _pixels(images), find("x_test")
    if test is None:
        return _split(images, labels, num_images)
    labels = None if labels is None else labels[:num_images]
    return ImageData(images[:num_images], labels, _pixels(test), find("y_test"))


def _pixels(images: np.ndarray) -> np.ndarray:
    """Scale bytes to [0, 1], and reshape flattened square images to [row, side, side]."""
    if images.dtype == np.uint8:
        images = images / 255
    if images.ndim == 2 and round(images.shape[1] ** 0.5) ** 2 == images.shape[1]:
        images = images.reshape(len(images), round(images.shape[1] ** 0.5), -1)
    return images


def _folder(path: Path, side: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Load a folder: images in the order of paths, classes are sub-folders in order of names."""
    from PIL import Image, UnidentifiedImageError

    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not files:
        allowed = f"the folder holds no image ({', '.join(_SUFFIXES)})"
        raise check.fail("images", str(path), allowed, "pass another folder")
    images = np.empty((len(files), side, side), np.float32)
    for index, file in enumerate(files):
        try:
            with Image.open(file) as image:
                grey = image.convert("L").resize((side, side), Image.Resampling.BILINEAR)
        except (OSError, UnidentifiedImageError):
            raise check.fail("images", str(file), "it is no image", "remove the file") from None
        images[index] = np.asarray(grey, np.float32) / 255
    names = sorted({file.parent.name for file in files if file.parent != path})
    if not names or any(file.parent == path for file in files):
        return images, None
    return images, np.array([names.index(file.parent.name) for file in files])


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

"""Read a folder of image files as grey images of one size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse_jax.sources.image_arrays import DARK, choose
from collapse_jax.utils import check

_READ = tuple(
    ".avif .bmp .gif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp".split()
)
_NOT_READ = tuple(
    ".arw .cr2 .cr3 .dcm .dng .exr .heic .heif .jxl .nef .psd .raw .svg .tga .xcf".split()
)
_CONVERT = "convert it to an 8-bit PNG, or move it out of the folder"
_BITS, _WHITE_IS_ZERO, _SIGNED = (258, 8), (262, 0), (339, 2)  # tags of TIFF, and a value of each


def load_folder(
    path: Path, side: int, num_images: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read images in the order of their paths; classes are sub-folders in the order of names.

    Args:
      path: of the folder; names that begin with a dot are ignored.
      side: images are stretched to this side, pixels.
      num_images: number of images to read at most, evenly from all classes; None for all.

    Returns:
      float32 [row, side, side] in [0, 1], and the class of each image, [row]; None with fewer
      than two sub-folders, or images outside of them.

    Raises:
      ArgumentError: if there is no image, one cannot be read or has no known white, or all are
        nearly black.
    """
    files = _files(path)
    names = sorted({file.parent.name for file in files if file.parent != path})
    labels = None
    if len(names) > 1 and all(file.parent != path for file in files):
        labels = np.array([names.index(file.parent.name) for file in files])
    chosen = choose(len(files), labels, num_images)
    images = np.empty((len(chosen), side, side), np.float32)
    brightest = 0.0
    for row, index in enumerate(chosen):
        images[row], white_share = _read(files[index], side)
        brightest = max(brightest, white_share)
    if 0 < brightest < DARK:
        allowed = f"the brightest pixel of all images is at {brightest:.2g} of white"
        remedy = "save masks of 0 and 1 as 0 and 255, and other images with white at 255 or 65535"
        raise check.fail("images", str(path), allowed, remedy)
    return images, None if labels is None else labels[chosen]


def _files(path: Path) -> Sequence[Path]:
    """Return the image files below a folder, in the order of paths."""
    files = []
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith((".", "__MACOSX")) for part in file.relative_to(path).parts)
        suffix = file.suffix.lower()
        if hidden or suffix not in _READ + _NOT_READ or (file.exists() and not file.is_file()):
            continue
        if suffix in _NOT_READ:
            raise _refusal(file, f"files {suffix} are not read", _CONVERT)
        files.append(file)
    if not files:
        allowed = f"the folder holds no image ({', '.join(_READ)})"
        raise check.fail("images", str(path), allowed, "pass another folder")
    return files


def _refusal(file: Path, reason: str, remedy: str) -> check.ArgumentError:
    return check.fail("images", str(file), f"{file.name}: {reason}", remedy)


def _read(file: Path, side: int) -> tuple[np.ndarray, float]:
    """Return the image of a file in [0, 1], [side, side], and its brightest pixel.

    The second is 1 for floats, whose white is known.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # views of one scene, the main one first
                remedy = "save the frames that are wanted as files of their own"
                raise _refusal(file, f"it has {frames} images", remedy)
            grey = _grey(file, image)
            white = 255 if grey.mode == "L" else 1
            brightest = 1.0 if image.mode == "F" else float(grey.getextrema()[1]) / white
            resized = grey.resize((side, side), Image.Resampling.BILINEAR)
    except check.ArgumentError:
        raise
    except UnidentifiedImageError:
        raise _refusal(file, "it is no image that Pillow can read", _CONVERT) from None
    except Exception as error:  # Pillow raises unrelated types for damaged files
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = f"it cannot be read ({text.splitlines()[0][:100]})"
        raise _refusal(file, reason, "repair it, or " + _CONVERT) from None
    return np.asarray(resized, np.float32) / white, brightest


def _grey(file: Path, image: Any) -> Any:
    """Return an image in mode L, or F with values in [0, 1], upright and on white."""
    from PIL import Image, ImageOps

    tags = getattr(image, "tag_v2", {})
    if _SIGNED[1] in np.atleast_1d(tags.get(_SIGNED[0], 1)):
        raise _refusal(file, "it has signed integers, whose white is not known", _CONVERT)
    white = _white(file, image, tags)
    upright: Any = ImageOps.exif_transpose(image)
    if white is not None:
        values = np.asarray(upright, np.float32)
        clear = values == upright.info.get("transparency", -1)
        values = values / np.float32(white)
        if tags.get(_WHITE_IS_ZERO[0]) == _WHITE_IS_ZERO[1]:  # Pillow inverts up to 8 bits only
            values = 1 - values
        if not np.all((values >= 0) & (values <= 1)):
            worst = values[~((values >= 0) & (values <= 1))][0]
            allowed = f"its values must lie in [0, 1], and one is {worst:g}"
            raise _refusal(file, allowed, "save it as 8 or 16 bits, or as floats in [0, 1]")
        return Image.fromarray(np.where(clear, np.float32(1), values))
    if upright.has_transparency_data:
        upright = upright.convert("LA") if upright.mode == "La" else upright
        page = Image.new("RGBA", upright.size, "white")
        page.alpha_composite(upright.convert("RGBA"))
        upright = page
    return upright.convert("L")


def _white(file: Path, image: Any, tags: Any) -> int | None:
    """Return the value of white in an image of more than 8 bits, None for others."""
    if image.mode.startswith("I;16"):
        return 2 ** np.atleast_1d(tags.get(_BITS[0], 16)).item(0) - 1
    if image.mode == "F":
        return 1
    if image.mode != "I":
        return None
    if image.format not in ("PPM", "PNG"):  # whose values Pillow brings to 16 bits
        raise _refusal(file, "it has 32-bit integers, whose white is not known", _CONVERT)
    return 65535

"""Arrays of images of every kind: values in [0, 1] by a rule, or one line that refuses."""

import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import collapse_jax as cj
from collapse_jax.sources.image_arrays import choose

BYTES = (np.arange(64, dtype=np.uint8) * 4).reshape(8, 8)
WORDS = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
GREY = Image.fromarray(BYTES)
RED = Image.new("RGB", (8, 8), (200, 10, 50))
NUMBER = 20


@pytest.mark.parametrize("labels", [None, np.repeat([0, 1], 50), np.arange(100) % 7])
def test_a_choice_is_even_by_class(labels):
    rows = choose(100, labels, 40)
    assert len(set(rows)) == 40
    assert np.all(np.diff(rows) > 0)
    if labels is not None:
        shares = np.bincount(labels) * 0.4
        assert np.all(np.abs(np.bincount(labels[rows]) - shares) < 1)
    np.testing.assert_array_equal(choose(100, labels, None), np.arange(100))
    np.testing.assert_array_equal(choose(100, labels, 100), np.arange(100))


def test_a_number_of_images_of_a_sorted_archive(tmp_path):
    images, labels = np.stack([BYTES] * 100), np.repeat(np.arange(4), 25)
    np.savez(tmp_path / "a.npz", x=images, y=labels, x_test=images[:5], y_test=labels[:5])
    source = cj.Images.load(tmp_path / "a.npz", 8, 40)
    assert np.bincount(source.labels).tolist() == [10] * 4
    np.savez(tmp_path / "b.NPZ", x=images)
    (tmp_path / "b.NPZ.npz").rename(tmp_path / "b.NPZ")
    assert cj.Images.load(tmp_path / "b.NPZ", 8, 40).num_rows == 36


ROWS = np.stack([BYTES] * NUMBER)
DEEP_ROWS = np.stack([WORDS] * NUMBER)
FLOAT_ROWS = ROWS / 255
BITS = ROWS > 99

TAKEN = {
    "bools": (BITS, BITS),
    "uint8": (ROWS, ROWS / 255),
    "uint8, all black": (ROWS * 0, ROWS * 0),
    "uint8, rows": (ROWS.reshape(NUMBER, 64), ROWS / 255),
    "uint8, one channel last": (ROWS[..., None], ROWS / 255),
    "uint8, one channel first": (ROWS[:, None], ROWS / 255),
    "uint8, not contiguous": (ROWS.transpose(0, 2, 1), ROWS.transpose(0, 2, 1) / 255),
    "uint16": (DEEP_ROWS, DEEP_ROWS / 65535),
    "uint16, big endian": (DEEP_ROWS.astype(">u2"), DEEP_ROWS / 65535),
    "int64 of 0 and 1": (BITS.astype(np.int64), BITS),
    "float64": (FLOAT_ROWS, FLOAT_ROWS),
    "float32": (FLOAT_ROWS.astype(np.float32), FLOAT_ROWS),
    "float16": (BITS.astype(np.float16), BITS),
    "bfloat16": (jnp.asarray(BITS, jnp.bfloat16), BITS),
    "dark floats": (FLOAT_ROWS / 1000, FLOAT_ROWS / 1000),
    "jax": (jnp.asarray(ROWS), ROWS / 255),
    "objects": (BITS.astype(int).astype(object), BITS),
    "nothing masked": (np.ma.masked_array(ROWS), ROWS / 255),
    "list of arrays": (list(ROWS), ROWS / 255),
    "tuple of float arrays": (tuple(FLOAT_ROWS), FLOAT_ROWS),
    "list of jax arrays": ([jnp.asarray(image) for image in ROWS[:4]], ROWS[:4] / 255),
    "list of images": ([GREY] * 4, ROWS[:4] / 255),
    "lists of numbers": (BITS.astype(float).tolist(), BITS),
}


@pytest.mark.parametrize("case", TAKEN)
def test_arrays_are_scaled_by_their_type(case):
    images, expected = TAKEN[case]
    source = cj.Images(images, test=images)
    for found in (source.images, source.test):
        np.testing.assert_allclose(found, np.reshape(expected, found.shape), rtol=1e-6)
        assert found.dtype == np.float32
        assert not found.flags.writeable


def with_value(value, dtype: type = np.float64):
    images = FLOAT_ROWS.astype(dtype)
    images[3, 2, 1] = value
    return images


BAD = {
    "uint8 masks": (BITS.astype(np.uint8), r"=1 .*white is 255 .*images.astype\(bool\)"),
    "uint8 of 6 bits": (ROWS // 5, "=50 .*white is 255 in uint8"),
    "uint16 masks": (BITS.astype(np.uint16), r"=1 .*white is 65,535 .*astype\(bool\)"),
    "uint16 of 8 bits": (ROWS.astype(np.uint16), "=252 .*white is 65,535 in uint16"),
    "uint16 of 12 bits": (DEEP_ROWS >> 4, "=4095 .*divide the images by the value of white"),
    "int64 to 255": (ROWS.astype(np.int64), r"\[0, 0, 1\]=4.0 .*pass images.astype\(np.uint8\)"),
    "int32 to 65,535": (DEEP_ROWS.astype(np.int32), r"\[0, 0, 1\]=1040.0 .*0 .. 65535 as uint16"),
    "uint32": (DEEP_ROWS.astype(np.uint32), r"\[0, 0, 1\]=1040.0 .*values must lie in \[0, 1\]"),
    "uint64": (np.full((4, 4, 4), 2**64 - 1, np.uint64), r"values must lie in \[0, 1\]"),
    "int8": (BITS.astype(np.int8) * -1, r"=-1.0 .*must lie in \[0, 1\]"),
    "floats to 255": (ROWS.astype(float), r"\[0, 0, 1\]=4.0 .*divide them by their white"),
    "floats from -1": (FLOAT_ROWS * 2 - 1, r"\[0, 0, 0\]=-1.0 .*pass \(images \+ 1\) / 2"),
    "standardized": (FLOAT_ROWS * 4 - 2, r"=-2.0 .*values must lie in \[0, 1\]"),
    "just above": (with_value(1.001), r"\[3, 2, 1\]=1.001 .*must lie in \[0, 1\]"),
    "just below": (with_value(-0.001), r"\[3, 2, 1\]=-0.001 .*must lie in \[0, 1\]"),
    "NaN": (with_value(np.nan), r"\[3, 2, 1\]=nan .*must be finite"),
    "infinity": (with_value(np.inf), r"\[3, 2, 1\]=inf .*must be finite"),
    "NaN, float16": (with_value(np.nan, np.float16), r"\[3, 2, 1\]=nan .*must be finite"),
    "NaN, bfloat16": (jnp.full((4, 4, 4), jnp.nan, jnp.bfloat16), "=nan .*must be finite"),
    "masked": (np.ma.masked_array(ROWS, BITS), r"images with masked pixels .*images.filled\(0\)"),
    "list with a mask": ([np.ma.masked_array(BYTES, BYTES > 9)] * 4, "images with masked pixels"),
    "None within": ([[0.5, None], [0.5, 0.5]], r"\[0, 1\]=nan .*must be finite"),
    "complex": (FLOAT_ROWS + 0j, "array of complex128 .*array of real numbers"),
    "texts": (np.full((4, 4), "a"), "array of <U1 .*array of real numbers"),
    "digits as texts": (np.full((4, 4), "1"), "array of <U1 .*array of real numbers"),
    "times": (np.zeros((4, 4), "M8[s]"), "array of datetime64"),
    "spans of time": (np.zeros((4, 4), "m8[s]"), "array of timedelta64"),
    "bytes": (b"0101", "array of |S4 .*array of real numbers"),
    "records": (np.zeros((4, 4), [("a", float)]), "array of real numbers"),
    "None": (None, "Images.images=nan|must be 2-D or 3-D|array of numbers"),
    "name": ("digits", "='digits' .*array of real numbers.*Images.load reads files"),
    "path": (pathlib.Path("a.npz"), "it must be an array of numbers"),
    "dictionary": ({"x": ROWS}, "it must be an array of numbers"),
    "generator": ((image for image in ROWS), "it must be an array of numbers"),
    "number": (0.5, r"array of shape \(\) .*must be 2-D or 3-D, not empty"),
    "empty": ([], r"array of shape \(0,\) "),
    "no images": (ROWS[:0], r"array of shape \(0, 8, 8\) .*not empty"),
    "no pixels": (ROWS[:, :0, :0], r"array of shape \(20, 0, 0\) .*not empty"),
    "one axis": (FLOAT_ROWS.ravel(), r"array of shape \(1280,\) .*2-D or 3-D"),
    "five axes": (ROWS[None, ..., None], r"array of shape \(1, 20, 8, 8, 1\)"),
    "colour last": (np.stack([ROWS] * 3, -1), r"shape \(20, 8, 8, 3\) .*be grey; .*0.299"),
    "colour first": (np.stack([ROWS] * 3, 1), r"shape \(20, 3, 8, 8\) .*be grey"),
    "four channels": (np.stack([ROWS] * 4, -1), r"shape \(20, 8, 8, 4\) .*be grey"),
    "two channels": (np.stack([ROWS] * 2, -1), r"shape \(20, 8, 8, 2\) .*2-D or 3-D"),
    "list of images in colour": ([RED] * 4, r"shape \(4, 8, 8, 3\) .*be grey"),
    "list of images with a palette": ([GREY.convert("P")] * 4, "images with a palette .*convert"),
    "not square": (FLOAT_ROWS[:, :6], r"images of 6 x 8 pixels .*must be square; cut or pad"),
    "a square number of pixels": (FLOAT_ROWS.reshape(-1, 4, 16), "images of 4 x 16 pixels"),
    "rows of no square": (FLOAT_ROWS.reshape(-1, 32), "images of 32 pixels .*must be square"),
    "lists of unequal length": ([[0.5, 0.5], [0.5]], "with images of equal shape"),
    "unequal sizes": ([BYTES, BYTES[:4, :4]], "it must be an array of numbers, with images of equ"),
}


@pytest.mark.parametrize("case", BAD)
def test_other_arrays_are_refused_in_one_line(case):
    images, message = BAD[case]
    with pytest.raises(cj.ArgumentError, match=rf"Images.images.*{message}") as error:
        cj.Images(images, test=ROWS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(NUMBER)[:, None], r"array of shape \(20, 1\) .*there are 20 images"),
        (np.eye(NUMBER), r"array of shape \(20, 20\)"),
        (np.arange(NUMBER) - 1, "Images.labels=-1 .*they name classes"),
        (np.arange(NUMBER) + 2**31, "Images.labels=2147483667 .*they name classes"),
        (np.full(NUMBER, np.nan), "float64 labels"),
        (np.full(NUMBER, "cat"), "<U3 labels"),
        (np.ma.masked_array(np.arange(NUMBER), np.arange(NUMBER) > 3), "int64 labels"),
        (BITS[:, 4, 4], "bool labels"),
        (3, r"array of shape \(\)"),
        ([[1], [1, 2]], r"Images.labels=\[\[1\], \[1, 2\]\] .*an array of integers"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(cj.ArgumentError, match=message):
        cj.Images(ROWS, labels, ROWS)


ARCHIVED = {
    "uint8": ({"x": ROWS}, 8, BYTES / 255),
    "uint8, enlarged": ({"x": ROWS}, 16, None),
    "uint16, enlarged": ({"x": DEEP_ROWS}, 16, None),
    "floats, reduced": ({"images": FLOAT_ROWS}, 4, None),
    "bools, enlarged": ({"x_train": BITS}, 16, None),
    "rows, enlarged": ({"x": ROWS.reshape(NUMBER, 64)}, 16, None),
    "one channel": ({"x": ROWS[..., None]}, 8, BYTES / 255),
    "not square": ({"x": ROWS[:, :6]}, 8, None),
    "objects next to images": ({"x": ROWS, "names": np.array([{}], object)}, 8, BYTES / 255),
}


@pytest.mark.parametrize("case", ARCHIVED)
def test_arrays_in_files(case, tmp_path):
    parts, side, expected = ARCHIVED[case]
    np.savez(tmp_path / "a.npz", **parts)
    source = cj.Images.load(tmp_path / "a.npz", side)
    assert source.side == side
    assert 0 <= source.images.min() < 0.11
    assert 0.7 < source.images.max() <= 1
    if expected is not None:
        np.testing.assert_allclose(source.images[0].reshape(8, 8), expected, rtol=1e-6)


BAD_ARCHIVES = {
    "int64 to 255": ({"x": ROWS.astype(int)}, r"x in a.npz\[0, 0, 1\]=4.0 .*np.uint8"),
    "floats to 255": ({"x": ROWS.astype(float)}, r"x in a.npz\[0, 0, 1\]=4.0 .*divide them"),
    "masks": ({"images": BITS.astype(np.uint8)}, r"images in a.npz=1 .*astype\(bool\)"),
    "negative": ({"x": FLOAT_ROWS * 2 - 1}, r"x in a.npz\[0, 0, 0\]=-1.0 "),
    "NaN": ({"x": with_value(np.nan)}, r"x in a.npz\[3, 2, 1\]=nan "),
    "colour": ({"x": np.stack([ROWS] * 3, -1)}, r"x in a.npz=array of shape .*be grey"),
    "bad test images": ({"x": ROWS, "x_test": ROWS.astype(int)}, r"x_test in a.npz\[0, 0, 1\]"),
    "no test images": ({"x": ROWS, "x_test": ROWS[:0]}, "x_test in a.npz=array of shape"),
    "objects": ({"x": np.array([{}], object)}, "x has Python objects, not numbers"),
    "few labels": ({"x": ROWS, "y": np.arange(3)}, "y in a.npz=.*there are 20 images"),
    "labels of two axes": ({"x": ROWS, "y": np.ones((NUMBER, 1), int)}, "y in a.npz="),
    "one image": ({"x": ROWS[:1]}, "number of images=1 .*at least 10"),
    "nothing": ({}, "it holds nothing, not x or images"),
    "rows of no square": ({"x": ROWS.reshape(NUMBER * 2, 32)}, "images of 32 pixels"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_other_arrays_in_files_are_refused(case, tmp_path):
    parts, message = BAD_ARCHIVES[case]
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(cj.ArgumentError, match=message) as error:
        cj.Images.load(tmp_path / "a.npz", 16)
    assert "\n" not in str(error.value)


def damaged_archives(folder):
    np.savez(folder / "whole.npz", x=ROWS)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64))
    np.savez_compressed(folder / "packed.npz", x=noise)
    np.save(folder / "single.npy", ROWS)
    whole, packed = ((folder / f"{name}.npz").read_bytes() for name in ("whole", "packed"))
    middle = len(packed) // 2
    return {
        "empty": b"",
        "text": b"x = [1, 2]",
        "a single array": (folder / "single.npy").read_bytes(),
        "cut short": whole[: len(whole) // 2],
        "start only": whole[:10],
        "damaged": packed[:middle] + b"\xff\0\xff\0" * 9 + packed[middle + 36 :],
    }


@pytest.mark.parametrize("case", ["empty", "text", "a single array", "cut short", "start only",
                                  "damaged"])  # fmt: skip
def test_damaged_archives_are_refused(case, tmp_path):
    (tmp_path / "a.npz").write_bytes(damaged_archives(tmp_path)[case])
    with pytest.raises(cj.ArgumentError, match=r"images=.*pass an .npz file with images") as error:
        cj.Images.load(tmp_path / "a.npz", 8)
    assert "\n" not in str(error.value)


def read_or_refusal(call):
    """Return the values of images, or the lines of a refusal."""
    try:
        return call().images, []
    except cj.ArgumentError as error:
        return np.zeros(1), str(error).splitlines()


@given(
    arrays.arrays(
        st.one_of(
            arrays.boolean_dtypes(),
            arrays.unsigned_integer_dtypes(),
            arrays.integer_dtypes(),
            arrays.floating_dtypes(),
            arrays.complex_number_dtypes(),
            arrays.datetime64_dtypes(),
            arrays.unicode_string_dtypes(),
        ),
        st.sampled_from(
            [(), (4,), (4, 4), (2, 2, 2), (2, 3, 2), (2, 2, 2, 1), (2, 1, 2, 3), (0, 4)]
        ),
    )
)
def test_any_array_has_values_in_range_or_is_refused(images):
    values, lines = read_or_refusal(lambda: cj.Images(images, test=images))
    assert np.all((values >= 0) & (values <= 1))
    assert len(lines) <= 1
    assert not lines or lines[0].startswith("Images.images")
